"""The runs of a schedule: the Backups that a Backup with a schedule makes, one for each slot."""

from __future__ import annotations

from datetime import UTC, datetime

from ...kube.client import GROUP_VERSION, ApiError, Cluster, Object
from ...kube.objects import owner_reference
from ..job_state import has_ended

SCHEDULE_LABEL = "database.example.com/plan"
# Fields that concern the schedule only; each other field of its spec is copied to its runs.
SCHEDULE_FIELDS = frozenset(
    {
        "schedule",
        "timeZone",
        "retention",
        "retentionPolicy",
        "suspend",
        "concurrencyPolicy",
        "startingDeadlineSeconds",
    }
)
_SLOT_FORMAT = "%Y%m%d%H%M%S"
_SLOT_DIGITS = 14


def list_runs(cluster: Cluster, schedule: Object) -> list[Object]:
    """Return the runs of a schedule that are not being deleted, oldest slot first.

    A copy of one under another name has its label and its owner, too, and is not a run.
    """
    metadata = schedule["metadata"]
    labelled = cluster.list(
        GROUP_VERSION, "Backup", metadata["namespace"], f"{SCHEDULE_LABEL}={metadata['name']}"
    )
    runs = [
        run
        for run in labelled
        if schedule_of(run).get("uid") == metadata["uid"]
        and not run["metadata"].get("deletionTimestamp")
        and _has_name_of_run(run, metadata["name"])
    ]
    return sorted(runs, key=slot_of)


def being_restored(cluster: Cluster, namespace: str) -> set[str]:
    """Return the names of the Backups whose files Restores and new Databases need.

    Those that are running, and those that wait for their safety Backup, a Secret, or their turn.
    """
    names = set()
    for restore in cluster.list(GROUP_VERSION, "Restore", namespace):
        if not has_ended(restore):
            names |= {restore["spec"]["backupRef"]["name"], restore.get("status", {}).get("backup")}
    for database in cluster.list(GROUP_VERSION, "Database", namespace):
        if not database.get("status", {}).get("restoredFrom"):
            names.add(database["spec"].get("backupRef", {}).get("name"))
    return names - {None}


def schedule_of(backup: Object) -> Object:
    """Return the reference to the schedule that made a Backup; empty if a user made it."""
    owners: list[Object] = backup["metadata"].get("ownerReferences") or []
    return next((owner for owner in owners if owner["kind"] == "Backup"), {})


def slot_of(run: Object) -> datetime:
    """Return the slot that a run was made for, which its name ends with."""
    text = run["metadata"]["name"].rpartition("-")[2]
    return datetime.strptime(text, _SLOT_FORMAT).replace(tzinfo=UTC)


def _has_name_of_run(backup: Object, schedule_name: str) -> bool:
    """Return whether a Backup is named after the schedule and a slot."""
    prefix, _, digits = backup["metadata"]["name"].rpartition("-")
    # strptime takes fewer digits as well.
    if prefix != schedule_name or len(digits) != _SLOT_DIGITS:
        return False
    try:
        slot_of(backup)
    except ValueError:
        return False
    return True


def run_manifest(schedule: Object, slot: datetime) -> Object:
    """Return the run of a slot. Its name derives from the slot: there is never a second one."""
    metadata = schedule["metadata"]
    return {
        "apiVersion": GROUP_VERSION,
        "kind": "Backup",
        "metadata": {
            "name": f"{metadata['name']}-{slot.astimezone(UTC).strftime(_SLOT_FORMAT)}",
            "namespace": metadata["namespace"],
            "labels": {SCHEDULE_LABEL: metadata["name"]},
            "ownerReferences": [owner_reference(schedule)],
        },
        "spec": {
            key: value for key, value in schedule["spec"].items() if key not in SCHEDULE_FIELDS
        },
    }


def start_run(cluster: Cluster, schedule: Object, slot: datetime) -> bool:
    """Make the run of a slot; False where it exists already.

    Raises:
        ApiError: it could not be made.
    """
    try:
        cluster.create(run_manifest(schedule, slot))
    except ApiError as error:
        if error.status == 409:
            return False
        raise
    return True
