"""A Database with backupRef: a Restore that the operator creates brings its first contents."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ...kube.client import GROUP_VERSION, Cluster, Object
from ...kube.objects import MANAGED_BY, owner_reference
from ...units import first_of
from ..backup.adoption import adopts
from ..first_volume import first_claim
from ..job_state import has_ended
from ..prerequisites import RESTORING, choose_run
from ..recovery_target import FIELDS
from ..restore.status import CONDITION
from ..schedule.scheduled_backups import list_runs
from .instances import selector


@dataclass(frozen=True)
class Origin:
    """How far the first contents of a Database are.

    Attributes:
        restored_from: the Backup, once they are there.
        restoring: (reason, message) while they are not.
        refused: (reason, message) of what a user has to correct.
        restore: the Restore that is to be made now.
        claim: the claim of the first volume, which the Restore fills.
    """

    restored_from: str = ""
    restoring: tuple[str, str] | None = None
    refused: tuple[str, str] | None = None
    restore: Object | None = None
    claim: Object | None = None


def is_first_restore(restore: Object) -> bool:
    """Return whether a Restore is one that a Database has made for itself."""
    owners = restore["metadata"].get("ownerReferences") or []
    return any(owner["kind"] == "Database" for owner in owners)


def list_origins(cluster: Cluster, database: Object) -> tuple[str | None, list[str]]:
    """Return by what a restore of a Database's first contents is known on its server.

    Volumes that were kept may record restores of other Backups, into a former Database.

    Returns:
        The UID of the Database's first Restore, None where there is none, and the locations of the
        Backup that the Database names, or of its runs.

    Raises:
        ApiError: a resource could not be read.
    """
    namespace = database["metadata"]["namespace"]
    restore = cluster.get(GROUP_VERSION, "Restore", namespace, _restore_name(database))
    name = database["spec"]["backupRef"]["name"]
    backup = cluster.get(GROUP_VERSION, "Backup", namespace, name)
    backups = [backup] if backup else []
    if backup and "schedule" in backup["spec"]:
        backups = list_runs(cluster, backup)
    locations = (backup.get("status", {}).get("backupLocation") for backup in backups)
    uid = restore["metadata"]["uid"] if restore else None
    return uid, [location for location in locations if location]


def _restore_name(database: Object) -> str:
    metadata = database["metadata"]
    return f"{metadata['name']}-first-{metadata['uid'][:8]}"


def find_origin(cluster: Cluster, database: Object, contents: str) -> Origin:
    """Find out what comes next for a Database that `is_to_be_restored`.

    Args:
        contents: what is in it: `empty`, `restored` or `other`.

    Raises:
        ApiError: a resource could not be read.
    """
    metadata, backup_name = database["metadata"], database["spec"]["backupRef"]["name"]
    name = _restore_name(database)
    restore = cluster.get(GROUP_VERSION, "Restore", metadata["namespace"], name)
    if contents == "restored":
        taken = restore.get("status", {}).get("backup") if restore else ""
        return Origin(restored_from=taken or backup_name)
    if restore is not None:
        return _follow(restore)
    if contents == "other":
        return Origin(
            refused=(
                "DatabaseNotEmpty",
                f"the volumes hold data that is not from Backup {backup_name}: make the Database"
                " without backupRef, and a Restore if its contents are to be replaced",
            )
        )
    return _begin(cluster, database, name)


def find_whole_origin(cluster: Cluster, database: Object, served: bool = False) -> Origin:
    """Find out what comes next for a Database that `is_to_be_rebuilt`.

    Args:
        served: whether its database is there, on a primary: the status has lost what it said.

    Raises:
        ApiError: a resource could not be read.
    """
    metadata, backup_name = database["metadata"], database["spec"]["backupRef"]["name"]
    name, namespace = _restore_name(database), metadata["namespace"]
    if served:
        return Origin(restored_from=backup_name)
    restore = cluster.get(GROUP_VERSION, "Restore", namespace, name)
    if restore is not None:
        status = restore.get("status", {})
        if status.get("phase") == "Completed":
            return Origin(restored_from=status.get("backup") or backup_name)
        # After the Restore, by which it is known that the volume is none that was kept.
        return replace(_follow(restore), claim=_claim(database))
    kept = sorted(
        claim["metadata"]["name"]
        for claim in cluster.list(
            "v1", "PersistentVolumeClaim", namespace, selector(metadata["name"])
        )
    )
    if kept:
        return Origin(
            refused=(
                "DatabaseNotEmpty",
                f"volumes of a former Database {metadata['name']} were kept ({first_of(kept)}), and"
                " are never overwritten: delete these claims if their data is not needed, or give"
                " the new Database another name",
            )
        )
    return _begin(cluster, database, name)


def _follow(restore: Object) -> Origin:
    name, status = restore["metadata"]["name"], restore.get("status", {})
    messages = [c["message"] for c in status.get("conditions", []) if c["type"] == CONDITION]
    message = f"Restore {name}: {messages[0] if messages else 'it is new'}"
    if status.get("phase") == "Failed":
        again = f"correct the cause and delete Restore {name}; then it is tried again"
        return Origin(refused=("FirstRestoreFailed", f"{message}; {again}"))
    return Origin(restoring=(RESTORING, message))


def _begin(cluster: Cluster, database: Object, name: str) -> Origin:
    """Have the Restore of this name made, unless its Backup waits for this very Database."""
    backup_name = database["spec"]["backupRef"]["name"]
    if _is_of_itself(cluster, database):
        return Origin(
            refused=(
                "BackupOfItself",
                f"Backup {backup_name} is one of this very Database and waits for it, as it waits"
                " for the Backup: name one that is Completed",
            )
        )
    return Origin(
        restoring=(RESTORING, f"Backup {backup_name} is about to be restored"),
        restore=_manifest(database, name),
    )


def _is_of_itself(cluster: Cluster, database: Object) -> bool:
    """Return whether the Backup can only be made once the Database that waits for it is there."""
    metadata, name = database["metadata"], database["spec"]["backupRef"]["name"]
    backup = cluster.get(GROUP_VERSION, "Backup", metadata["namespace"], name)
    if backup is None or backup["spec"]["databaseRef"]["name"] != metadata["name"]:
        return False
    if adopts(backup):
        return False
    if "schedule" in backup["spec"]:
        return choose_run(list_runs(cluster, backup)) is None
    return not has_ended(backup)


def _manifest(database: Object, name: str) -> Object:
    source = database["spec"]["backupRef"]
    return {
        "apiVersion": GROUP_VERSION,
        "kind": "Restore",
        "metadata": {
            "name": name,
            "namespace": database["metadata"]["namespace"],
            "ownerReferences": [owner_reference(database)],
        },
        "spec": {
            "databaseRef": {"name": database["metadata"]["name"]},
            "backupRef": {"name": source["name"]},
            **{key: source[key] for key in FIELDS if key in source},
            "safetyBackup": False,
        },
    }


def _claim(database: Object) -> Object:
    """Return the claim of the first volume, as the StatefulSet would make it."""
    metadata, storage = database["metadata"], database["spec"]["storage"]
    spec: Object = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": storage["size"]}},
    }
    if "storageClass" in storage:
        spec["storageClassName"] = storage["storageClass"]
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": first_claim(database),
            "namespace": metadata["namespace"],
            "labels": {"app": "database", "database": metadata["name"], **MANAGED_BY},
        },
        "spec": spec,
    }
