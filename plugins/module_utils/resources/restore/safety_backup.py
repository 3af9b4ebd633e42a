"""The safety Backup: of the live database, before a Restore replaces it."""

from __future__ import annotations

from ...kube.client import GROUP_VERSION, Cluster, Object
from ..backup.status import CONDITION
from ..schedule.scheduled_backups import SCHEDULE_FIELDS
from .status import SafetyBackup

RESTORE_LABEL = "database.example.com/restore"
"""On a safety Backup: the UID of the Restore."""

WAITING_ANNOTATION = "database.example.com/waiting-restore"
"""On a safety Backup: the name of the Restore, which is notified when it ends."""

_NAME_LENGTH = 180
# Of the Backup that is restored these are not taken over: the copy is of everything, made now.
_OWN_FIELDS = SCHEDULE_FIELDS | {
    *("databaseRef", "artifact", "include", "exclude", "verify", "deletionPolicy"),
    # What is replaced is one database: a logical backup has it, and does not wait for WAL.
    *("method", "maxRate"),
}


def safety_name(restore: Object) -> str:
    """Return the name of a Restore's safety Backup.

    It derives from the UID: a killed operator finds it again, and a Restore of the same name made
    later gets another.
    """
    metadata = restore["metadata"]
    return f"{metadata['name'][:_NAME_LENGTH].rstrip('-.')}-safety-{metadata['uid'][:8]}"


def safety_manifest(restore: Object, backup: Object) -> Object:
    """Return the safety Backup. It has no owner, so that it is not deleted with the Restore.

    Args:
        backup: the one that is restored; the copy goes where that one is.
    """
    metadata = restore["metadata"]
    taken_over = {key: value for key, value in backup["spec"].items() if key not in _OWN_FIELDS}
    return {
        "apiVersion": GROUP_VERSION,
        "kind": "Backup",
        "metadata": {
            "name": safety_name(restore),
            "namespace": metadata["namespace"],
            "labels": {RESTORE_LABEL: metadata["uid"]},
            "annotations": {WAITING_ANNOTATION: metadata["name"]},
        },
        "spec": {
            **taken_over,
            "databaseRef": restore["spec"]["databaseRef"],
            "deletionPolicy": "Delete",
        },
    }


def waiting_restore(backup: Object) -> str:
    """Return the name of the Restore that a safety Backup was made for; empty for any other."""
    name: str = (backup["metadata"].get("annotations") or {}).get(WAITING_ANNOTATION, "")
    return name


def read_safety_backup(cluster: Cluster, restore: Object) -> SafetyBackup:
    """Return the state of a Restore's safety Backup, also where it does not exist yet.

    Raises:
        ApiError: it cannot be read.
    """
    name = safety_name(restore)
    found = cluster.get(GROUP_VERSION, "Backup", restore["metadata"]["namespace"], name)
    if found is None:
        return SafetyBackup(name)
    if found["metadata"].get("deletionTimestamp"):
        # Its files are about to go. Once it is gone, another is made.
        return SafetyBackup(name, "Deleting", "BackupDeleted", "it is being deleted")
    status = found.get("status", {})
    conditions: list[Object] = status.get("conditions", [])
    condition = next((c for c in conditions if c["type"] == CONDITION), {})
    return SafetyBackup(
        name,
        status.get("phase", "Pending"),
        condition.get("reason", ""),
        condition.get("message", ""),
    )
