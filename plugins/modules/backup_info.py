"""Read a Backup and what it depends on."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: backup_info
short_description: Read a Backup and what it depends on
description:
  - Reads the Backup, its Database, its Job and the Backups before it from the API server.
extends_documentation_fragment:
  - postgres.operator.resource.name
  - postgres.operator.resource.agent
options:
  max_active:
    description: How many Backups are made at the same time, of all Databases; V(0) is no limit.
    type: int
    default: 0
  max_active_per_namespace:
    description: How many of them are of one namespace; V(0) is no limit.
    type: int
    default: 0
  max_active_per_destination:
    description: How many are written to the same place at the same time; V(0) is no limit.
    type: int
    default: 0
  search_period:
    description:
      - How long after its completion, and after each search, the files of a Backup that no other one follows are
        searched for, as a whole number with h, m or s; V(0) is never.
    type: str
    default: "0"
author: [postgres-operator maintainers]
"""

EXAMPLES = r"""
- name: Read the Backup
  postgres.operator.backup_info:
    name: nightly
    namespace: shop
  register: backup_info
"""

RETURN = r"""
resource:
  description: The Backup; empty where there is nothing left to do for it.
  type: dict
  returned: success
database:
  description: Its Database; empty where it does not exist.
  type: dict
  returned: where the Backup has no schedule
claim:
  description: The PersistentVolumeClaim that the backup goes to; empty for S3.
  type: str
  returned: where the Backup has no schedule
claim_missing:
  description: Whether that is to be made now.
  type: bool
  returned: where the Backup has no schedule
definitions:
  description:
    - The Job that is to be made now, after its NetworkPolicies; empty where none is. It makes the backup, or removes what
      a Job has left that was ended at its deadline.
  type: list
  elements: dict
  returned: where the Backup has no schedule
job_made:
  description: What the observation says of that Job once it is made.
  type: dict
  returned: where the Backup has no schedule
missing:
  description: C(uids) of Backups whose files are gone, and C(why) that is known; empty where there are none.
  type: dict
  returned: where the Backup has no schedule
search:
  description:
    - What is to be done now for the search for the files of a Backup that has ended; empty where nothing is.
    - C(definitions) has the Job, after its NetworkPolicy, C(held_job) what the one below has, C(report) the C(reason) and
      the C(message) for M(postgres.operator.backup_search). Each is empty where there is nothing to be done.
  type: dict
  returned: where nothing is left to do for the Backup
waiting:
  description:
    - Kind, name and namespace of the resources to notify, once it has ended, which are the schedule that made it, the Restore that it
      is the safety backup of, and the Backups whose turn it is.
  type: list
  elements: dict
  returned: where the Backup has no schedule
held_job:
  description:
    - The state of the Job in whose pod a container of another program goes on running though the work has ended, for
      M(postgres.operator.job_end); empty where there is none.
  type: dict
  returned: where the Backup has no schedule
observation:
  description: What the status depends on.
  type: dict
  returned: where the Backup has no schedule
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
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
from ansible_collections.postgres.operator.plugins.module_utils.resources.backup.adoption import (
    adopts,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.backup.archive_window import (
    Archives,
    archive_of_database,
    oldest_end,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.backup.completed import (
    find_previous,
    list_completed_beside,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.backup.concurrency import (
    Limits,
    find_next,
    find_queue_block,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.backup.destination import (
    claim_of,
    find_secret_block,
    is_claim_gone,
    place_of,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.backup.follow_search import (
    follow_search,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.backup.kept_wal import (
    kept_from,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.backup.missing import (
    lost_with_claim,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.backup.physical import (
    find_archive_block,
    is_physical,
    physical_variables,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.backup.recipients import (
    identity_secret,
    read_recipients,
    verifying_secret,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.backup.removal_job import (
    removal_definitions,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.backup.retry import (
    failed_attempts,
    find_wait,
    plan_retry,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.backup.search import (
    read_period,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.backup.unfinished import (
    list_unfinished,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.job import (
    LatestJob,
    needs_work,
    read_latest_job,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.job_disk import (
    verification_bytes,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.job_state import JobState
from ansible_collections.postgres.operator.plugins.module_utils.resources.prerequisites import (
    find_adoption_block,
    find_database_block,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.restore.safety_backup import (
    waiting_restore,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.schedule.scheduled_backups import (
    schedule_of,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.work_job import (
    Work,
    work_definitions,
)
from ansible_collections.postgres.operator.plugins.module_utils.units import (
    format_time,
    parse_duration,
)

ARGUMENT_SPEC = {
    **RESOURCE_OPTIONS,
    **AGENT_OPTIONS,
    "max_active": {"type": "int", "default": 0},
    "max_active_per_namespace": {"type": "int", "default": 0},
    "max_active_per_destination": {"type": "int", "default": 0},
    "search_period": {"type": "str", "default": "0"},
}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Read; nothing is written, so check mode is no different."""
    cluster = connect()
    namespace, period = params["namespace"], read_period(params["search_period"])
    resource = cluster.get(GROUP_VERSION, "Backup", namespace, params["name"])
    if resource is None or not needs_work(resource):
        image = agent_image(params["agent_image"])
        files = _find_files(cluster, resource, period, image) if resource else _NOTHING_GONE
        return {"changed": False, "resource": {}, **files}
    if "schedule" in resource["spec"]:
        return {"changed": False, "resource": resource}
    now = datetime.now(UTC)
    waiting = find_wait(resource, now)
    if waiting:
        observation = {"place": place_of(resource), "retry": asdict(waiting)}
        return _nothing_to_do(resource) | {"observation": observation}
    failed = failed_attempts(resource)
    database_name = resource["spec"]["databaseRef"]["name"]
    database = cluster.get(GROUP_VERSION, "Database", namespace, database_name)
    image = agent_image(params["agent_image"])
    latest = read_latest_job(cluster, "backup", resource, "BackupFailed", failed + 1)
    removal: list[Object] = []
    job = latest.state
    if latest.timed_out:
        removal, ended = _after_timeout(cluster, resource, latest, image, database)
        job = ended or job
    blocked = None
    adopting = adopts(resource)
    limits = Limits(
        params["max_active"],
        params["max_active_per_namespace"],
        params["max_active_per_destination"],
    )
    identity = identity_secret(resource) if adopting else verifying_secret(resource)
    claim = claim_of(resource)
    if job is None and not removal:
        gone = claim if adopting and claim and is_claim_gone(cluster, namespace, claim) else ""
        blocked = (
            find_adoption_block(database_name, database, gone)
            if adopting
            else find_database_block(database_name, database)
        ) or find_secret_block(cluster, resource, identity)
    recipients: Sequence[str] = []
    if job is None and not removal and not blocked and not adopting:
        recipients, blocked = _find_recipients(cluster, resource, database)
    lines_up = job is None and blocked is None and not removal
    has_ended = job is not None and job.result is not None
    listed = datetime.now(UTC)
    unfinished = list_unfinished(cluster) if lines_up or has_ended else []
    if lines_up:
        blocked = find_queue_block(resource, unfinished, limits)
    definitions = removal
    if lines_up and blocked is None:
        assert database is not None
        beside = [] if adopting else list_completed_beside(cluster, resource)
        previous = find_previous(resource, _made(beside))
        variables = (
            _adoption_variables(resource)
            if adopting
            else _variables(resource, database, unfinished, listed, recipients)
            | _beside(cluster, resource, database, beside, previous)
        )
        work = _work(resource, database, latest.name, variables, image, identity)
        disk_bytes = verification_bytes(resource, previous)
        definitions = work_definitions(replace(work, disk_bytes=disk_bytes))
    start = bool(definitions) and not removal
    retry = plan_retry(resource, job, now)
    return _nothing_to_do(resource) | {
        "database": database or {},
        "claim": claim,
        "claim_missing": start and bool(claim) and _is_missing(cluster, namespace, claim),
        "definitions": definitions,
        "held_job": asdict(latest.state) if latest.state and latest.state.held_pod else {},
        "job_made": {"name": latest.name, "after_timeout": bool(removal)},
        "waiting": _waiting(resource, find_next(resource, unfinished, limits)) if has_ended else [],
        "missing": _missed_by(resource, job),
        "observation": {
            "place": place_of(resource),
            "adopts": adopting,
            "blocked": blocked,
            "job": asdict(job) if job else None,
            "failed_attempts": failed,
            "retry": asdict(retry) if retry else None,
        },
    }


def _find_recipients(
    cluster: Cluster, resource: Object, database: Object | None
) -> tuple[Sequence[str], tuple[str, str] | None]:
    """Return for whom the backup is encrypted, and reason and message where that cannot be done."""
    recipients, blocked = read_recipients(cluster, resource)
    if is_physical(resource) and database is not None:
        blocked = blocked or find_archive_block(resource, database, recipients)
    return recipients, blocked


def _nothing_to_do(resource: Object) -> dict[str, Any]:
    """Return what this module does of a Backup for which nothing is to be made now."""
    return {
        "changed": False,
        "resource": resource,
        "database": {},
        "claim": claim_of(resource),
        "claim_missing": False,
        "definitions": [],
        "held_job": {},
        "job_made": {},
        "missing": {},
        "waiting": [],
    }


def _work(
    resource: Object,
    database: Object,
    job_name: str,
    variables: dict[str, Any],
    image: str,
    identity: str,
) -> Work:
    """Return what the Job is to do that makes the backup, or adopts one."""
    making = "physical" if is_physical(resource) else "backup"
    return Work(
        name=job_name,
        owner=resource,
        database=database,
        playbook="adopt" if adopts(resource) else making,
        backup=resource,
        variables=variables,
        timeout_seconds=parse_duration(resource["spec"]["timeout"]),
        agent_image=image,
        verify=resource["spec"]["verify"] == "restore",
        identity_secret=identity,
    )


def _after_timeout(
    cluster: Cluster, resource: Object, latest: LatestJob, image: str, database: Object | None
) -> tuple[list[Object], JobState | None]:
    """Return the Job that removes what is left, or how the backup ended."""
    assert latest.timed_out is not None
    if adopts(resource):
        # What it read is another Backup's.
        return [], latest.timed_out
    if latest.state is None:
        name = claim_of(resource)
        namespace = resource["metadata"]["namespace"]
        claim = cluster.get("v1", "PersistentVolumeClaim", namespace, name) if name else {}
        blocked = find_secret_block(cluster, resource)
        if claim is not None and not blocked:
            return removal_definitions(latest.name, resource, claim, image, database), None
        why = f"{blocked[0]}: {blocked[1]}" if blocked else f"there is no claim {name}"
        return [], _timed_out(resource, latest, why)
    result = latest.state.result
    if result is None:
        return [], None
    return [], _timed_out(
        resource, latest, "" if result["ok"] else f"{result['reason']}: {result['message']}"
    )


def _timed_out(resource: Object, latest: LatestJob, not_removed: str) -> JobState:
    """Return how a backup ended whose Job was ended at its deadline.

    Args:
        not_removed: why what it had written may still be there; empty where it is gone.
    """
    first = latest.timed_out
    assert first is not None and first.result is not None
    outcome = "what it had written was removed"
    if not_removed:
        outcome = (
            f"what it had written to {place_of(resource)} may be left ({not_removed}):"
            " deletionPolicy Delete and deleting the Backup removes it"
        )
    return replace(
        first, result={**first.result, "message": f"{first.result['message']}; {outcome}"}
    )


_NOTHING_GONE: dict[str, Any] = {"missing": {}, "search": {}}


def _find_files(cluster: Cluster, backup: Object, period: int, image: str) -> dict[str, Any]:
    """Return whether the files of a Backup that has ended are gone, and what is to be done for that.

    Args:
        period: seconds from the end of a search to the next one; 0 is no search.
    """
    gone = _gone_with_claim(cluster, backup)
    if gone:
        return {**_NOTHING_GONE, "missing": gone}
    search = follow_search(cluster, backup, period, image)
    steps = {
        "definitions": list(search.definitions),
        "held_job": search.held_job,
        "report": search.report,
    }
    return {
        "missing": {"uids": search.missing, "why": search.why} if search.missing else {},
        "search": steps if any(steps.values()) else {},
    }


def _gone_with_claim(cluster: Cluster, backup: Object) -> dict[str, Any]:
    """Return, of a Completed Backup, that the claim with its files is gone; empty where it is not."""
    if not lost_with_claim(backup):
        return {}
    claim = claim_of(backup)
    if not is_claim_gone(cluster, backup["metadata"]["namespace"], claim):
        return {}
    why = f"PersistentVolumeClaim {claim} was deleted"
    return {"uids": [backup["metadata"]["uid"]], "why": why}


def _missed_by(resource: Object, job: JobState | None) -> dict[str, Any]:
    """Return which other Backups' files the Job has not found; empty where it has all."""
    uids = (job.result or {}).get("missing", []) if job else []
    why = f"Backup {resource['metadata']['name']} did not find them"
    return {"uids": uids, "why": why} if uids else {}


def _made(completed: Sequence[Object]) -> list[Object]:
    """Return the Backups whose artifacts a Job looks for, which have made them, in their order.

    Which of several has adopted the same one, the Job's result could not say.
    """
    return [other for other in completed if not adopts(other)]


def _is_missing(cluster: Cluster, namespace: str, claim: str) -> bool:
    return cluster.get("v1", "PersistentVolumeClaim", namespace, claim) is None


def _variables(
    resource: Object,
    database: Object,
    unfinished: list[Object],
    listed: datetime,
    recipients: Sequence[str],
) -> dict[str, Any]:
    """Return the playbook's variables that come from the Backup and from those beside it."""
    metadata, spec = resource["metadata"], resource["spec"]
    beside = [
        other["metadata"]["uid"]
        for other in unfinished
        if other["metadata"]["namespace"] == metadata["namespace"]
        and other["spec"]["databaseRef"] == spec["databaseRef"]
    ]
    common = {
        "recipients": list(recipients),
        "unfinished": beside,
        "unfinished_listed": format_time(listed),
    }
    if is_physical(resource):
        return common | physical_variables(resource, database)
    compression = spec.get("compression", {})
    return common | {
        "compression": compression.get("method", ""),
        "compression_level": compression.get("level"),
        "passwords": spec.get("passwords", False),
        **{key: spec[key] for key in ("include", "exclude") if key in spec},
    }


def _beside(
    cluster: Cluster,
    resource: Object,
    database: Object,
    completed: Sequence[Object],
    previous: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return the playbook's variables that come from the Backups beside one.

    Args:
        previous: see `find_previous`.
    """
    made = [other["metadata"]["uid"] for other in _made(completed)]
    found: dict[str, Any] = {"completed": made}
    if is_physical(resource):
        others = cluster.list(GROUP_VERSION, "Backup", resource["metadata"]["namespace"])
        place = archive_of_database(database)
        return found | {
            "kept_from": kept_from(resource, others),
            "oldest_end": oldest_end(resource, place, Archives(others)) if place else "",
        }
    if previous:
        found["previous"] = {"size_bytes": previous["sizeBytes"], "rows": previous["rows"]}
    return found


def _adoption_variables(resource: Object) -> dict[str, Any]:
    """Return what is known of the artifact that a Backup adopts, beyond its name."""
    return {"sha256": resource["spec"]["artifact"].get("sha256", "")}


def _waiting(ended: Object, following: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return who waits for the end of a Backup."""
    metadata = ended["metadata"]
    beside = {"Backup": schedule_of(ended).get("name"), "Restore": waiting_restore(ended)}
    names = [(kind, name, metadata["namespace"]) for kind, name in beside.items() if name]
    names += [
        ("Backup", other["metadata"]["name"], other["metadata"]["namespace"]) for other in following
    ]
    return [{"kind": kind, "name": name, "namespace": namespace} for kind, name, namespace in names]


if __name__ == "__main__":
    execute(ARGUMENT_SPEC, run)
