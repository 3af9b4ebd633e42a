"""Find out what the deletion of a Backup still has to do."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: backup_removal
short_description: Find out what the deletion of a Backup still has to do
description:
  - Reads the Backup that is being deleted, its claim and its Jobs.
  - Stops the Job that is still making the backup, and reports by an Event whether the files were deleted.
  - Each of these is tried for five minutes, from its first attempt on, which an annotation of the Backup remembers.
extends_documentation_fragment: postgres.operator.resource.name
author: [postgres-operator maintainers]
"""

EXAMPLES = r"""
- name: Find the next step of the deletion
  postgres.operator.backup_removal:
    name: nightly-20260101030000
    namespace: shop
  register: backup_removal_step
"""

RETURN = r"""
action:
  description: C(start) where the Job is to be made, C(wait) where it is waited for, C(done) where the Backup may go.
  type: str
  returned: success
definitions:
  description: The Job that is to be made now and its NetworkPolicy; empty where none is.
  type: list
  elements: dict
  returned: where the Backup exists
unreported:
  description: What no Event can report, because the namespace is being deleted; empty if there is nothing.
  type: str
  returned: where the Backup exists
"""

from datetime import UTC, datetime
from typing import Any

from ansible_collections.postgres.operator.plugins.module_utils.ansible_module import (
    RESOURCE_OPTIONS,
    execute,
)
from ansible_collections.postgres.operator.plugins.module_utils.kube import events
from ansible_collections.postgres.operator.plugins.module_utils.kube.client import (
    GROUP_VERSION,
    ApiError,
    Cluster,
    Object,
    connect,
)
from ansible_collections.postgres.operator.plugins.module_utils.kube.namespaces import (
    is_terminating,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.agent import agent_image
from ansible_collections.postgres.operator.plugins.module_utils.resources.backup.adoption import (
    adopts,
    artifact_of,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.backup.deletion import (
    Event,
    Observation,
    next_step,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.backup.destination import (
    claim_of,
    find_secret_block,
    place_of,
    s3_of,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.backup.removal_job import (
    removal_definitions,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.backup.retry import (
    failed_attempts,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.backup.store_job import (
    read_database,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.job import (
    end_held_pod,
    read_latest_job,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.job_state import JobState
from ansible_collections.postgres.operator.plugins.module_utils.units import format_time, parse_time

ARGUMENT_SPEC = RESOURCE_OPTIONS

_BEGUN_ANNOTATION = "database.example.com/removal-begun"
"""On the Backup: its UID, which a copy does not have, and when the Job was to be made first."""


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Read, decide, stop the Job that makes the backup, write the Event."""
    cluster, now = connect(), datetime.now(UTC)
    backup = cluster.get(GROUP_VERSION, "Backup", params["namespace"], params["name"])
    if backup is None:
        return {"changed": False, "action": "done"}
    namespace = params["namespace"]
    claim_name = claim_of(backup)
    claim = (
        cluster.get("v1", "PersistentVolumeClaim", namespace, claim_name) if claim_name else None
    )
    terminating = is_terminating(cluster, namespace)
    failed = failed_attempts(backup)
    backup_job, made, _ = read_latest_job(cluster, "backup", backup, "BackupFailed", failed + 1)
    removal_job, removal, _ = read_latest_job(cluster, "remove", backup, "RemovalFailed")
    backup_runs = made is not None and made.result is None
    begun = _cancelled_at(cluster, namespace, backup_job) if backup_runs else _begun_at(backup)
    step = next_step(
        Observation(
            location=_location(backup),
            place=f"PersistentVolumeClaim {claim_name}" if claim_name else place_of(backup),
            wanted=_is_wanted(backup)
            and bool(made or failed or backup.get("status", {}).get("job")),
            place_stays=_place_stays(backup, claim, terminating),
            blocked=_find_block(cluster, backup, terminating),
            backup_runs=backup_runs,
            job=removal,
            waited=_waited(removal, begun, now),
        )
    )
    unreported = ""
    if not check_mode:
        if step.action == "start" and not begun:
            _note_begin(cluster, backup, now)
        if removal and removal.held_pod:
            end_held_pod(cluster, namespace, removal)
        if step.action == "cancel":
            cluster.delete("batch/v1", "Job", namespace, backup_job, propagation="Foreground")
        if step.event and not _write_event(cluster, backup, step.event, now):
            unreported = step.event.message
    return {
        "changed": step.action == "cancel",
        "action": "wait" if step.action == "cancel" else step.action,
        "definitions": (
            removal_definitions(
                removal_job, backup, claim or {}, agent_image(), read_database(cluster, backup)
            )
            if step.action == "start"
            else []
        ),
        "unreported": unreported,
    }


def _waited(removal: JobState | None, begun: str | None, now: datetime) -> float:
    """Return for how many seconds it has been tried: by the Job, or without one since a moment."""
    if removal:
        return removal.age
    return (now - parse_time(begun)).total_seconds() if begun else 0.0


def _cancelled_at(cluster: Cluster, namespace: str, job: str) -> str | None:
    """Return when the Job was asked to end; None where it was not."""
    found = cluster.get("batch/v1", "Job", namespace, job) or {"metadata": {}}
    moment: str | None = found["metadata"].get("deletionTimestamp")
    return moment


def _begun_at(backup: Object) -> str | None:
    """Return when the Job was to be made for the first time; None where it was not yet."""
    noted = (backup["metadata"].get("annotations") or {}).get(_BEGUN_ANNOTATION, "")
    uid, _, moment = noted.partition(" ")
    return moment if uid == backup["metadata"]["uid"] else None


def _note_begin(cluster: Cluster, backup: Object, now: datetime) -> None:
    """Write down what `_begun_at` reads: a Job that is refused leaves no trace."""
    metadata = backup["metadata"]
    noted = {_BEGUN_ANNOTATION: f"{metadata['uid']} {format_time(now)}"}
    patch = {"metadata": {"annotations": noted}}
    cluster.merge(GROUP_VERSION, "Backup", metadata["namespace"], metadata["name"], patch)


def _write_event(cluster: Cluster, backup: Object, event: Event, now: datetime) -> bool:
    """Write the Event; False where a namespace that is going takes none: it holds up nothing."""
    try:
        events.record(cluster, backup, event.warning, event.reason, event.message, now)
    except ApiError:
        return False
    return True


def _is_wanted(backup: Object) -> bool:
    """Return whether the files are to go; a Backup with a schedule has none of its own.

    What was to be adopted, and was not, is not its own either.
    """
    if adopts(backup) and not backup.get("status", {}).get("backupLocation"):
        return False
    return backup["spec"]["deletionPolicy"] == "Delete" and "schedule" not in backup["spec"]


def _location(backup: Object) -> str:
    artifact = artifact_of(backup)
    # Where nothing was adopted there is no UID, and nothing to remove.
    parts = (artifact["namespace"], artifact["resource"], artifact.get("uid", ""))
    return "/".join((place_of(backup), *parts))


def _place_stays(backup: Object, claim: Object | None, terminating: bool) -> bool:
    if s3_of(backup):
        return True
    gone = claim is None or bool(claim["metadata"].get("deletionTimestamp"))
    return not gone and not terminating


def _find_block(cluster: Cluster, backup: Object, terminating: bool) -> str | None:
    """Say why no Job can remove the artifact from a bucket."""
    if not s3_of(backup):
        return None
    if terminating:
        return "no Job can be made in a namespace that is being deleted"
    block = find_secret_block(cluster, backup)
    return f"{block[0]}: {block[1]}" if block else None


if __name__ == "__main__":
    execute(ARGUMENT_SPEC, run)
