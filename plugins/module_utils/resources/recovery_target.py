"""What of a physical backup is to be restored: the fields of a Restore, and of backupRef."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from ..archive.names import parse_lsn
from ..units import parse_time
from .backup.physical import is_physical

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


def find_target_refusal(
    restore: Mapping[str, Any], backup: Mapping[str, Any]
) -> tuple[str, str] | None:
    """Return reason and message where a Completed Backup does not lead to a Restore's target."""
    spec, name, status = restore["spec"], backup["metadata"]["name"], backup["status"]
    target = find_target(spec)
    if not is_physical(backup):
        return _find_logical_refusal(spec, name, status, target)
    if target is None:
        return None
    field, value = target
    if not may_reach(backup, target):
        end = status.get("consistentTime" if field == "pointInTime" else "endLSN")
        return (
            "PointInTimeOutOfRange",
            f"{field} {value} is before the end of Backup {name}, {end}; name a Backup that ended"
            " before that, or something later",
        )
    created = restore["metadata"]["creationTimestamp"]
    # That has no fractions of a second.
    if field == "pointInTime" and parse_time(value) >= parse_time(created) + timedelta(seconds=1):
        return (
            "PointInTimeOutOfRange",
            f"pointInTime {value} is after this Restore was created ({created}); write a moment"
            " that has passed",
        )
    return None


def find_run_refusal(name: str, spec: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return reason and message where a target does not say which run of a schedule it needs.

    Args:
        name: of the Backup with the schedule.
    """
    target = find_target(spec)
    if target is None or target[0] not in {"restorePoint", "xid"}:
        return None
    return (
        "BackupRunNeeded",
        f"{target[0]} does not say which run of Backup {name} ended before it; let backupRef name"
        f" the run; see: kubectl get backups -l database.example.com/plan={name}",
    )


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
        return (
            "PointInTimeOutOfRange",
            f"Backup {name} is a logical backup of one point in time, {status.get('startTime')};"
            f" leave {target[0]} out, or name a Backup with method: physical",
        )
    return None
