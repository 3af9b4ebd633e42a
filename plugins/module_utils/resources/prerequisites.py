"""What must be true of other resources before a Backup or a Restore can start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import DatabaseGone
from ..units import parse_time
from .backup.adoption import adopts
from .backup.archive_window import Archives
from .backup.missing import is_missing
from .recovery_target import completed_runs, find_target_refusal, reaches

_UNKNOWN = Archives()

RESTORING = "RestoringBackup"
"""The reason of a Database's condition Ready while its first contents are restored."""


def is_paused(database: Mapping[str, Any]) -> bool:
    """Return whether the operator is to change nothing of a Database."""
    return bool(database["spec"].get("paused"))


def is_hibernating(database: Mapping[str, Any]) -> bool:
    """Return whether a Database is to have no instances."""
    return bool(database.get("spec", {}).get("hibernate"))


def is_to_be_restored(database: Mapping[str, Any]) -> bool:
    """Return whether a Database is made from a Backup and is not known to have its contents."""
    return "backupRef" in database["spec"] and not database.get("status", {}).get("restoredFrom")


def find_database_block(
    name: str, database: Mapping[str, Any] | None, first: bool = False
) -> tuple[str, str] | None:
    """Return reason and message where the Database cannot be worked with yet.

    Args:
        first: whether it is about the Restore that the Database itself waits for.
    """
    if database is None:
        return (
            "DatabaseNotFound",
            f"there is no Database {name} in this namespace; create it, or correct databaseRef",
        )
    status = database.get("status", {})
    # A dump or a restore need not wait for replicas, nor for a spec that is put right.
    if status.get("writable"):
        return None if status.get("encrypted") else _without_certificates(name)
    conditions = status.get("conditions", [])
    reason = next((c["reason"] for c in conditions if c["type"] == "Ready"), "")
    # A Restore brings the database back; a Backup is to fail, and not to wait for that.
    if reason == DatabaseGone.__name__ or (first and reason == RESTORING):
        return None
    phase = status.get("phase", "Pending")
    advice = "; to wake it, set its spec.hibernate: false" if is_hibernating(database) else ""
    return (
        "DatabaseNotReady",
        f"waiting for Database {name} to accept writes: it is {phase}{advice}",
    )


def find_adoption_block(
    name: str, database: Mapping[str, Any] | None, claim_missing: str
) -> tuple[str, str] | None:
    """Return reason and message where a Backup cannot adopt an artifact yet.

    It needs the Database's image and settings, and no server: the Database may be one that is to be
    made from this very Backup.

    Args:
        claim_missing: the PersistentVolumeClaim that the artifact is to be in, where there is none.
    """
    if database is None:
        return find_database_block(name, None)
    if not database.get("status", {}).get("conditions"):
        return ("DatabaseNotReady", f"waiting for Database {name}, which is new")
    if claim_missing:
        return (
            "BackupLocationMissing",
            f"there is no PersistentVolumeClaim {claim_missing} to adopt a backup from; bring it"
            " back, or correct destination",
        )
    return None


def _without_certificates(name: str) -> tuple[str, str]:
    return (
        "DatabaseNotReady",
        f"waiting for the primary of Database {name} to have certificates: an operator without TLS"
        " has made it, and the rolling update replaces it",
    )


def choose_run(
    runs: Sequence[Mapping[str, Any]],
    target: tuple[str, Any] | None = None,
    archives: Archives = _UNKNOWN,
) -> Mapping[str, Any] | None:
    """Return the run of a schedule to restore: the newest Verified, else the newest Completed one.

    Args:
        runs: oldest first.
        target: see `find_target`; the run must lead to it.
        archives: what is known of the archives beside the runs.
    """
    completed = [run for run in completed_runs(runs) if reaches(run, target, archives)]
    verified = [run for run in completed if run["status"].get("verified")]
    chosen = verified or completed
    return chosen[-1] if chosen else None


def find_newer(
    runs: Sequence[Mapping[str, Any]], chosen: Mapping[str, Any] | None
) -> Mapping[str, Any] | None:
    """Return the newest Completed run where that is not the one chosen.

    Args:
        runs: oldest first.
    """
    completed = completed_runs(runs)
    return completed[-1] if completed and completed[-1] is not chosen else None


def is_newer(backup: Mapping[str, Any], restore: Mapping[str, Any]) -> bool:
    """Return whether a Backup holds, or will hold, what was there after a Restore was created.

    After the loss of a cluster all resources are applied again: a Backup of that name is then one
    of the new, empty database. It counts when the backup was begun, which a waiting one was not.
    One that adopts an artifact has that one's time, and has it once it is Completed.
    """
    status, created = backup.get("status", {}), restore["metadata"]["creationTimestamp"]
    if "startTime" in status:
        return parse_time(status["startTime"]) > parse_time(created)
    return bool(status.get("phase", "Pending") == "Pending") and not adopts(backup)


def find_newer_refusal(
    restore: Mapping[str, Any], backup: Mapping[str, Any], runs: Sequence[Mapping[str, Any]]
) -> tuple[str, str] | None:
    """Return reason and message where all that could be restored is newer than the Restore.

    Args:
        backup: the one that backupRef names.
        runs: of a schedule, its runs.
    """
    name, created = backup["metadata"]["name"], restore["metadata"]["creationTimestamp"]
    begun = backup.get("status", {}).get("startTime")
    can_come = [
        run
        for run in (runs if "schedule" in backup["spec"] else [backup])
        if not is_newer(run, restore) and run.get("status", {}).get("phase") != "Failed"
    ]
    if can_come or backup.get("status", {}).get("phase") == "Failed":
        return None
    if "schedule" in backup["spec"]:
        what = f"no run of Backup {name} was begun before this Restore was created"
    elif begun:
        what = f"Backup {name} was begun at {begun}, after this Restore was created"
    else:
        what = f"Backup {name} has not begun, and this Restore was created already"
    return (
        "BackupNewerThanRestore",
        f"{what} ({created}): it would hold what the Restore replaces; wait until the Backup is"
        " Completed and make another Restore, or one with consent.newerBackup: true",
    )


def find_backup_block(name: str, backup: Mapping[str, Any] | None) -> tuple[str, str] | None:
    """Return reason and message where the Backup cannot be restored yet.

    Args:
        backup: for a schedule the run that was chosen, or the schedule itself if there is none.
    """
    if backup is None or backup["metadata"].get("deletionTimestamp"):
        return (
            "BackupNotFound",
            f"there is no Backup {name} in this namespace; create it, or correct backupRef",
        )
    if "schedule" in backup["spec"]:
        return (
            "BackupNotCompleted",
            f"waiting for a run of Backup {name} to be Completed: none of this schedule is;"
            f" see: kubectl get backups -l database.example.com/plan={name}",
        )
    phase = backup.get("status", {}).get("phase", "Pending")
    if phase not in {"Completed", "Failed"}:
        return ("BackupNotCompleted", f"waiting for Backup {name} to be Completed: it is {phase}")
    return None


def find_refusal(
    restore: Mapping[str, Any],
    backup: Mapping[str, Any],
    database: Mapping[str, Any],
    claim_missing: str,
    archives: Archives = _UNKNOWN,
) -> tuple[str, str] | None:
    """Return reason and message where the Restore can never be done.

    Args:
        backup: one that has ended.
        claim_missing: the PersistentVolumeClaim that it was written to, where that is gone.
        archives: what is known of the archives beside Backups.
    """
    name, status = backup["metadata"]["name"], backup["status"]
    if status["phase"] == "Failed":
        return (
            "BackupNotCompleted",
            f"Backup {name} is Failed and cannot be restored; make another Backup and"
            " another Restore",
        )
    if is_missing(backup):
        return (
            "BackupLocationMissing",
            f"the files of Backup {name} are gone from {status.get('backupLocation')}; use another"
            " Backup, or bring them back and adopt them with another one (artifact)",
        )
    if not status.get("backupLocation"):
        return (
            "BackupLocationMissing",
            f"the status of Backup {name} does not say where it is; make another Backup",
        )
    if claim_missing:
        return (
            "BackupLocationMissing",
            f"PersistentVolumeClaim {claim_missing}, which Backup {name} was written to, was"
            " deleted; bring it back and make another Restore, or use another Backup",
        )
    problem = find_target_refusal(restore, backup, database, archives)
    if problem:
        return problem
    if restores_part(restore, backup) and restores_in_place(restore, database):
        return (
            "SelectionNeedsTarget",
            f"Backup {name} is a partial backup and does not replace database"
            f" {database['spec']['databaseName']}; make another Restore with targetDatabase, the"
            " name of another database",
        )
    return None


def restores_part(restore: Mapping[str, Any], backup: Mapping[str, Any]) -> bool:
    """Return whether a Restore leaves rows out, or its Backup has."""
    specs = (restore["spec"], backup["spec"])
    adopted_part = bool(backup.get("status", {}).get("partial"))
    return adopted_part or any("include" in spec or "exclude" in spec for spec in specs)


def restores_in_place(restore: Mapping[str, Any], database: Mapping[str, Any]) -> bool:
    """Return whether a Restore replaces the Database's own database."""
    own = database["spec"]["databaseName"]
    return bool(restore["spec"].get("targetDatabase", own) == own)


def needs_safety_backup(restore: Mapping[str, Any], database: Mapping[str, Any]) -> bool:
    """Return whether the live database is to be backed up before it is replaced."""
    spec = restore["spec"]
    return (
        bool(spec.get("safetyBackup", True))
        and not spec.get("dryRun")
        and restores_in_place(restore, database)
    )
