"""Read a Restore and what it depends on."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: restore_info
short_description: Read a Restore and what it depends on
description:
  - Reads the Restore, its Backup, its Database, its safety Backup and its Job from the API server.
  - Before the safety Backup is made, asks the primary whether the database can be replaced and whether there is room.
extends_documentation_fragment:
  - postgres.operator.resource.name
  - postgres.operator.resource.agent
author: [postgres-operator maintainers]
"""

EXAMPLES = r"""
- name: Read the Restore
  postgres.operator.restore_info:
    name: undo-friday
    namespace: shop
  register: restore_info
"""

RETURN = r"""
resource:
  description: The Restore; empty where there is nothing left to do for it.
  type: dict
  returned: success
definitions:
  description:
    - The Job that is to be made now, after its NetworkPolicies; empty where none is. It restores the Backup, or finds out
      how a restore ended whose Job was ended at its deadline.
  type: list
  elements: dict
  returned: success
job_made:
  description: What the observation says of that Job once it is made.
  type: dict
  returned: success
safety_backup:
  description: The Backup that is to be made now of what will be replaced; empty where none is.
  type: dict
  returned: success
held_job:
  description:
    - The state of the Job in whose pod a container of another program goes on running though the work has ended, for
      M(postgres.operator.job_end); empty where there is none.
  type: dict
  returned: success
observation:
  description: What the status depends on.
  type: dict
  returned: success
"""

from dataclasses import asdict, dataclass, replace
from typing import Any

from ansible_collections.postgres.operator.plugins.module_utils.ansible_module import (
    AGENT_OPTIONS,
    RESOURCE_OPTIONS,
    execute,
)
from ansible_collections.postgres.operator.plugins.module_utils.kube.client import (
    GROUP_VERSION,
    Cluster,
    Object,
    connect,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.agent import agent_image
from ansible_collections.postgres.operator.plugins.module_utils.resources.backup.archive_window import (
    Archives,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.backup.destination import (
    find_secret_block,
    is_claim_gone,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.backup.physical import (
    is_physical,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.backup.recipients import (
    find_identity_block,
    restoring_secret,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.bootstrap import (
    is_first_restore,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.first_volume import (
    DATA_DIRECTORY,
    DATA_MOUNT,
    find_rebuild_block,
    find_rebuild_refusal,
    is_whole_server,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.job import (
    read_latest_job,
    read_unfinished,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.job_disk import (
    restore_bytes,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.prerequisites import (
    choose_run,
    find_backup_block,
    find_database_block,
    find_newer,
    find_newer_refusal,
    find_refusal,
    is_newer,
    needs_safety_backup,
    restores_part,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.recovery_target import (
    find_run_refusal,
    find_target,
    target_variables,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.restore.early_checks import (
    find_early_refusal,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.restore.safety_backup import (
    read_safety_backup,
    safety_manifest,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.restore.status import (
    BACKUP_ANNOTATION,
    NEWER_ANNOTATION,
    SAFETY_ANNOTATION,
    SafetyBackup,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.schedule.scheduled_backups import (
    list_runs,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.work_job import (
    REBUILD,
    Recovery,
    Work,
    work_definitions,
)
from ansible_collections.postgres.operator.plugins.module_utils.units import parse_duration

ARGUMENT_SPEC = {**RESOURCE_OPTIONS, **AGENT_OPTIONS}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Read; nothing is written, so check mode is no different."""
    cluster = connect()
    namespace = params["namespace"]
    resource = read_unfinished(cluster, "Restore", namespace, params["name"])
    if resource is None:
        return {"changed": False, "resource": {}}
    name, job, timed_out = read_latest_job(cluster, "restore", resource, "RestoreFailed")
    # The Job was made with what was found then.
    if job:
        found = _Found()
    elif timed_out and not _rebuilds(resource, _read_database(cluster, resource)):
        found = _look_after_timeout(cluster, resource)
    else:
        found = _find(cluster, resource)
    annotations = dict(timed_out.annotations) if timed_out else _annotations(found)
    work = _work(resource, found, name, annotations, agent_image(params["agent_image"]))
    return {
        "changed": False,
        "resource": resource,
        "definitions": work_definitions(work) if work else [],
        "held_job": asdict(job) if job and job.held_pod else {},
        "job_made": {
            "name": name,
            "annotations": annotations,
            "after_timeout": timed_out is not None,
        },
        "safety_backup": found.safety_backup or {},
        "observation": {
            "blocked": found.blocked,
            "refused": found.refused,
            "safety": asdict(found.safety) if found.safety else None,
            "job": asdict(job) if job else None,
        },
    }


def _work(
    resource: Object, found: _Found, job_name: str, annotations: dict[str, str], image: str
) -> Work | None:
    """Return what the Job is to do; None where none is to be made now."""
    if not found.start:
        return None
    assert found.database is not None
    work = Work(
        name=job_name,
        owner=resource,
        database=found.database,
        playbook="outcome",
        backup={},
        variables=_variables(resource, found.backup),
        timeout_seconds=_OUTCOME_SECONDS,
        agent_image=image,
        annotations=annotations,
    )
    if found.backup is None:
        return work
    if _rebuilds(resource, found.database):
        return replace(
            work,
            playbook=REBUILD,
            backup=found.backup,
            variables=_rebuild_variables(resource, found.backup, found.database),
            timeout_seconds=parse_duration(resource["spec"]["timeout"]),
            identity_secret=restoring_secret(resource, found.backup),
        )
    return replace(
        work,
        playbook="restore",
        backup=found.backup,
        timeout_seconds=parse_duration(resource["spec"]["timeout"]),
        identity_secret=restoring_secret(resource, found.backup),
        recovery=_recovery(resource, found.backup, found.database),
        disk_bytes=restore_bytes(found.backup),
    )


def _recovery(resource: Object, backup: Object, database: Object) -> Recovery | None:
    """Return what is recovered first; None for a logical Backup."""
    if not is_physical(backup):
        return None
    spec = resource["spec"]
    return Recovery(
        target=target_variables(spec),
        sha256=backup["status"]["sha256"],
        database=spec.get("sourceDatabase") or database["spec"]["databaseName"],
        selection={key: spec[key] for key in ("include", "exclude") if key in spec},
    )


def _rebuild_variables(resource: Object, backup: Object, database: Object) -> dict[str, Any]:
    """Return the variables of the playbook that makes the whole server."""
    parameters = database["spec"].get("postgresql", {}).get("parameters", {})
    return {
        "sha256": backup["status"]["sha256"],
        "folder": DATA_MOUNT,
        "data": DATA_DIRECTORY,
        "restore_uid": resource["metadata"]["uid"],
        "max_prepared_transactions": int(parameters.get("max_prepared_transactions", 0)),
        **target_variables(resource["spec"]),
    }


def _rebuilds(resource: Object, database: Object | None) -> bool:
    """Return whether it makes the files of a server that has no instance yet."""
    return is_first_restore(resource) and is_whole_server(database)


def _read_database(cluster: Cluster, resource: Object) -> Object | None:
    namespace, name = resource["metadata"]["namespace"], resource["spec"]["databaseRef"]["name"]
    return cluster.get(GROUP_VERSION, "Database", namespace, name)


_OUTCOME_SECONDS = 1200
"""What finding out how a restore ended may take; most of it is patience with a server."""


@dataclass(frozen=True)
class _Found:
    """What was found of a Restore without a Job.

    Attributes:
        newer: the name of the schedule's run that is newer than its verified one, which is `backup`.
        start: whether the Job can be made.
        safety_backup: the safety Backup, where it is to be made now.
    """

    database: Object | None = None
    backup: Object | None = None
    newer: str = ""
    blocked: tuple[str, str] | None = None
    refused: tuple[str, str] | None = None
    safety: SafetyBackup | None = None
    safety_backup: Object | None = None
    start: bool = False


def _find(cluster: Cluster, resource: Object) -> _Found:
    """Find out whether the Restore can start, and what comes first."""
    namespace, spec = resource["metadata"]["namespace"], resource["spec"]
    database_name, backup_name = spec["databaseRef"]["name"], spec["backupRef"]["name"]
    database = cluster.get(GROUP_VERSION, "Database", namespace, database_name)
    archives = _read_archives(cluster, resource)
    backup, newer, refused = _find_backup(cluster, resource, backup_name, database, archives)
    rebuilds = _rebuilds(resource, database)
    blocked = find_database_block(database_name, database, is_first_restore(resource))
    if database is not None and rebuilds:
        blocked = find_rebuild_block(database)
    if refused and not blocked:
        return _Found(database, backup, refused=refused)
    blocked = blocked or find_backup_block(backup_name, backup)
    if blocked or database is None or backup is None:
        return _Found(database, backup, blocked=blocked)
    claim = _missing_claim(cluster, backup)
    refused = find_refusal(resource, backup, database, claim, archives)
    if rebuilds and not is_physical(backup):
        refused = refused or find_rebuild_refusal(backup)
    if refused:
        return _Found(database, backup, refused=refused)
    identity = restoring_secret(resource, backup)
    blocked = find_identity_block(resource, backup) or find_secret_block(cluster, backup, identity)
    if blocked:
        return _Found(database, backup, blocked=blocked)
    if not needs_safety_backup(resource, database):
        return _Found(database, backup, newer, start=True)
    safety = read_safety_backup(cluster, resource)
    if not safety.phase:
        refused = find_early_refusal(cluster, resource, backup, database)
        if refused:
            return _Found(database, backup, refused=refused)
    return _Found(
        database,
        backup,
        newer,
        safety=safety,
        safety_backup=None if safety.phase else safety_manifest(resource, backup),
        start=safety.is_done,
    )


def _look_after_timeout(cluster: Cluster, resource: Object) -> _Found:
    """Find out whether the server can be asked how the restore ended. It takes no Backup."""
    name, database = resource["spec"]["databaseRef"]["name"], _read_database(cluster, resource)
    blocked = find_database_block(name, database, is_first_restore(resource))
    return _Found(database, blocked=blocked, start=blocked is None)


def _read_archives(cluster: Cluster, restore: Object) -> Archives:
    """Return what is known of the archives that a target may need."""
    if find_target(restore["spec"]) is None:
        return Archives()
    return Archives(cluster.list(GROUP_VERSION, "Backup", restore["metadata"]["namespace"]))


def _find_backup(
    cluster: Cluster, restore: Object, name: str, database: Object | None, archives: Archives
) -> tuple[Object | None, str, tuple[str, str] | None]:
    """Return the Backup, of a schedule the run to restore, or the schedule if there is none.

    And the name of a newer run, where a verified one is preferred to it; and reason and message
    where all that there is is newer than the Restore, or no run leads to its target.
    """
    namespace = restore["metadata"]["namespace"]
    backup = cluster.get(GROUP_VERSION, "Backup", namespace, name)
    if backup is None:
        return None, "", None
    scheduled = "schedule" in backup["spec"]
    runs = list_runs(cluster, backup) if scheduled else []
    refused = None
    if not _accepts_newer(restore):
        refused = find_newer_refusal(restore, backup, runs)
        runs = [run for run in runs if not is_newer(run, restore)]
    if not scheduled:
        return backup, "", refused
    target = find_target(restore["spec"])
    run = choose_run(runs, target, archives)
    newer = None if target else find_newer(runs, run)
    refused = refused or find_run_refusal(restore, backup, runs, database or {}, archives)
    return (dict(run) if run else backup), newer["metadata"]["name"] if newer else "", refused


def _accepts_newer(restore: Object) -> bool:
    """Return whether a Restore may take a Backup that was begun after it was created.

    A dry run changes nothing; a Database that is made from a Backup has nothing to lose, and waits
    for no Backup of itself.
    """
    spec = restore["spec"]
    consent = spec.get("consent", {}).get("newerBackup", False)
    return bool(consent or spec.get("dryRun") or is_first_restore(restore))


def _missing_claim(cluster: Cluster, backup: Object) -> str:
    """Return the claim that a Backup is in, where that is gone or going; empty where it is not."""
    location = backup.get("status", {}).get("backupLocation", "")
    if not location.startswith("pvc://"):
        return ""
    name: str = location.removeprefix("pvc://").partition("/")[0]
    return name if is_claim_gone(cluster, backup["metadata"]["namespace"], name) else ""


def _annotations(found: _Found) -> dict[str, str]:
    """Return what the Job remembers of what it was made with."""
    if not found.start or found.backup is None:
        return {}
    annotations: dict[str, str] = {BACKUP_ANNOTATION: found.backup["metadata"]["name"]}
    if found.safety and found.safety.phase == "Completed":
        annotations[SAFETY_ANNOTATION] = found.safety.name
    if found.newer:
        annotations[NEWER_ANNOTATION] = found.newer
    return annotations


def _variables(resource: Object, backup: Object | None) -> dict[str, Any]:
    """Return the playbook's variables that come from the Restore and its Backup.

    Args:
        backup: None where only the end of an earlier Job is to be found out.
    """
    spec = resource["spec"]
    target = {"database": spec["targetDatabase"]} if "targetDatabase" in spec else {}
    if backup is None:
        return target | {
            "restore_uid": resource["metadata"]["uid"],
            "keep_previous_seconds": parse_duration(spec["keepPrevious"]),
            "dry_run": spec.get("dryRun", False),
            "timeout": spec["timeout"],
        }
    physical = is_physical(backup)
    variables = target | {
        # What is extracted has a manifest of its own.
        "sha256": "" if physical else backup["status"]["sha256"],
        "restore_uid": resource["metadata"]["uid"],
        "keep_previous_seconds": parse_duration(spec["keepPrevious"]),
        "dry_run": spec.get("dryRun", False),
        "as_superuser": spec.get("consent", {}).get("loadAsSuperuser", False),
        "logins": spec.get("consent", {}).get("passwords", False),
        "try_without_room": spec.get("consent", {}).get("tryWithoutRoom", False),
        "ends_replication": spec.get("consent", {}).get("endReplication", False),
        # Those of a Database that is new say nothing.
        "takes_properties": is_first_restore(resource),
        # That it has a targetDatabase has been checked.
        "partial": restores_part(resource, backup),
    }
    if not physical:
        variables.update({key: spec[key] for key in ("include", "exclude") if key in spec})
    return variables


if __name__ == "__main__":
    execute(ARGUMENT_SPEC, run)
