"""What of a physical backup is to be restored: the fields of a Restore, and of backupRef."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from ..archive.names import parse_lsn
from ..units import first_of, parse_time
from .backup.archive_window import Archives, Gap, archive_of_backup, archive_of_database
from .backup.missing import is_missing
from .backup.physical import is_physical
from .job_state import has_ended

TARGETS = {
    "pointInTime": "point_in_time",
    "restorePoint": "restore_point",
    "lsn": "lsn",
    "xid": "xid",
    "latest": "latest",
}
"""The fields, of which there is one at most, and the Job's variables for them."""
FIELDS = (*TARGETS, "sourceDatabase")
"""All that is said of a physical backup alone."""


def find_target(spec: Mapping[str, Any]) -> tuple[str, Any] | None:
    """Return the field that names a target, and its value; None where none does.

    >>> find_target({"latest": False, "xid": "741"})
    ('xid', '741')
    """
    return next(((field, spec[field]) for field in TARGETS if spec.get(field)), None)


def target_variables(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return the Job's variables."""
    target = find_target(spec)
    return {TARGETS[target[0]]: target[1]} if target else {}


def may_reach(backup: Mapping[str, Any], target: tuple[str, Any] | None) -> bool:
    """Return whether a Completed Backup ended before a target, as far as its status can say."""
    if target is None:
        return True
    field, value = target
    status = backup.get("status", {})
    if field == "pointInTime":
        consistent = status.get("consistentTime")
        return bool(consistent) and parse_time(consistent) <= parse_time(value)
    if field == "lsn":
        end = status.get("endLSN")
        return bool(end) and parse_lsn(end) <= parse_lsn(value)
    return True


def reaches(backup: Mapping[str, Any], target: tuple[str, Any] | None, archives: Archives) -> bool:
    """Return whether a Completed Backup leads to a target, as far as statuses say."""
    return may_reach(backup, target) and archives.find_gap(backup, target) is None


def find_target_refusal(
    restore: Mapping[str, Any],
    backup: Mapping[str, Any],
    database: Mapping[str, Any],
    archives: Archives,
) -> tuple[str, str] | None:
    """Return reason and message where a Completed Backup does not lead to a Restore's target.

    Args:
        database: the one to restore into, which the archive may be another one's of.
        archives: what is known of the archives beside Backups.
    """
    spec, name, status = restore["spec"], backup["metadata"]["name"], backup["status"]
    target = find_target(spec)
    if not is_physical(backup):
        return _find_logical_refusal(spec, name, status, target)
    if target is None:
        return None
    future = _find_future(restore, target)
    if future:
        return future
    field, value = target
    advice = _advise(backup, target, database, archives)
    if not may_reach(backup, target):
        end = status.get("consistentTime" if field == "pointInTime" else "endLSN")
        return (
            "PointInTimeOutOfRange",
            f"{field} {value} is before the end of Backup {name}, {end}; {advice}",
        )
    gap = archives.find_gap(backup, target)
    if gap:
        return "WalMissing", f"{_describe_gap(gap, name, field, value)}; {advice}"
    return None


def _find_future(restore: Mapping[str, Any], target: tuple[str, Any]) -> tuple[str, str] | None:
    """Return reason and message where a target is a moment that had not passed."""
    field, value = target
    created = restore["metadata"]["creationTimestamp"]
    # That has no fractions of a second.
    if field == "pointInTime" and parse_time(value) >= parse_time(created) + timedelta(seconds=1):
        return (
            "PointInTimeOutOfRange",
            f"pointInTime {value} is after this Restore was created ({created}); write a moment"
            " that has passed",
        )
    return None


def _describe_gap(gap: Gap, name: str, field: str, value: Any) -> str:
    wanted = "the end of the archive" if field == "latest" else f"{field} {value}"
    return (
        f"the archive lacks WAL segment {gap.segment}, without which nothing after {gap.since} can"
        f" be restored from Backup {name}, and {wanted} was asked for"
    )


def _advise(
    backup: Mapping[str, Any],
    target: tuple[str, Any],
    database: Mapping[str, Any],
    archives: Archives,
) -> str:
    """Say which Backup leads to a target, else which moments can be restored."""
    place = archive_of_backup(backup)
    beside = archives.beside(place)
    others = [one["metadata"]["name"] for one in beside if reaches(one, target, archives)]
    if others:
        return f"name Backup {others[-1]}, which leads there"
    window = archives.window(place)
    if window is None:
        return "name a Backup that ended before that, or something later"
    latest = window.latest
    if database and place == archive_of_database(database):
        known = database.get("status", {}).get("archive", {}).get("window", {})
        latest = max(latest, known.get("latest", ""))
    return f"{_describe_window(window.earliest, latest, window.gaps)} can be restored"


def _describe_window(earliest: str, latest: str, gaps: Sequence[Gap]) -> str:
    """Return in words which moments can be restored."""
    left_out = [
        f"from {gap.since} to {gap.until}" if gap.until else f"after {gap.since}" for gap in gaps
    ]
    but = f", but for those {first_of(left_out, ' and ')}," if left_out else ""
    return f"moments from {earliest} to {latest}{but}"


def find_run_refusal(
    restore: Mapping[str, Any],
    schedule: Mapping[str, Any],
    runs: Sequence[Mapping[str, Any]],
    database: Mapping[str, Any],
    archives: Archives,
) -> tuple[str, str] | None:
    """Return reason and message where no run of a schedule leads to a target, nor will.

    Args:
        schedule: the Backup that a Restore names.
        runs: those that may be taken, oldest first.
        database, archives: as in `find_target_refusal`.
    """
    spec, name = restore["spec"], schedule["metadata"]["name"]
    target = find_target(spec)
    if target is None:
        return None
    if not any(map(is_physical, [schedule, *runs])):
        return _find_logical_refusal(spec, name, {}, target)
    field, value = target
    if field in {"restorePoint", "xid"}:
        return (
            "BackupRunNeeded",
            f"{field} does not say which run of Backup {name} ended before it; let backupRef name"
            f" the run; see: kubectl get backups -l database.example.com/plan={name}",
        )
    future = _find_future(restore, target)
    if future:
        return future
    completed = completed_runs(runs)
    unfinished = [run for run in runs if not has_ended(run)]
    if any(reaches(run, target, archives) for run in completed):
        return None
    if any(_may_end_before(run, target) for run in unfinished):
        return None
    hidden = [run for run in completed if may_reach(run, target)]
    if hidden:
        # What is missing is the same for all of them; the newest leads furthest.
        return find_target_refusal(restore, hidden[-1], database, archives)
    if not completed and field == "pointInTime":
        return (
            "PointInTimeOutOfRange",
            f"{field} {value} is before the end of the first run of Backup {name}, which is not"
            " Completed yet; name another Backup, or write something later",
        )
    if not completed:
        return None
    advice = _advise(completed[0], target, database, archives)
    return (
        "PointInTimeOutOfRange",
        f"{field} {value} is before the end of the oldest run of Backup {name},"
        f" {completed[0]['metadata']['name']}; {advice}",
    )


def completed_runs(runs: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the runs that can be restored, in their order."""
    return [
        run
        for run in runs
        if run.get("status", {}).get("phase") == "Completed" and not is_missing(run)
    ]


def _may_end_before(run: Mapping[str, Any], target: tuple[str, Any]) -> bool:
    """Return whether a run that has not ended may lead to a target once it has."""
    field, value = target
    created = run["metadata"]["creationTimestamp"]
    return field != "pointInTime" or parse_time(created) <= parse_time(value)


def _find_logical_refusal(
    spec: Mapping[str, Any],
    name: str,
    status: Mapping[str, Any],
    target: tuple[str, Any] | None,
) -> tuple[str, str] | None:
    if "sourceDatabase" in spec:
        return (
            "PhysicalBackupNeeded",
            f"Backup {name} is a logical backup of one database; leave sourceDatabase out, or"
            " name a Backup with method: physical",
        )
    if target:
        at = f", {status['startTime']}" if "startTime" in status else ""
        return (
            "PointInTimeOutOfRange",
            f"Backup {name} is a logical backup of one point in time{at}; leave {target[0]} out, or"
            " name a Backup with method: physical",
        )
    return None
