"""What must be true of other resources before a Backup or a Restore can start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# While these last the primary takes writes: a dump or a restore need not wait for the rest.
_USABLE_PHASES = frozenset({"Ready", "Updating"})


def find_database_block(name: str, database: Mapping[str, Any] | None) -> tuple[str, str] | None:
    """Return reason and message where the Database cannot be worked with yet."""
    if database is None:
        return (
            "DatabaseNotFound",
            f"there is no Database {name} in this namespace; create it, or correct databaseRef",
        )
    phase = database.get("status", {}).get("phase", "Pending")
    if phase in _USABLE_PHASES and database["status"].get("ready"):
        return None
    return ("DatabaseNotReady", f"waiting for Database {name} to be Ready: it is {phase}")


def find_backup_block(name: str, backup: Mapping[str, Any] | None) -> tuple[str, str] | None:
    """Return reason and message where the Backup cannot be restored, or not yet."""
    if backup is None:
        return (
            "BackupNotFound",
            f"there is no Backup {name} in this namespace; create it, or correct backupRef",
        )
    if "schedule" in backup.get("spec", {}):
        return (
            "BackupNotCompleted",
            f"Backup {name} is a schedule; make another Restore that names one of its backups:"
            f" kubectl get backups -l database.example.com/plan={name}",
        )
    status = backup.get("status", {})
    phase = status.get("phase", "Pending")
    if phase == "Failed":
        return (
            "BackupNotCompleted",
            f"Backup {name} is Failed and holds nothing; make another Backup and another Restore",
        )
    if phase != "Completed":
        return ("BackupNotCompleted", f"waiting for Backup {name} to be Completed: it is {phase}")
    if not status.get("backupLocation"):
        return (
            "BackupLocationMissing",
            f"the status of Backup {name} does not say where it is; make another Backup",
        )
    return None
