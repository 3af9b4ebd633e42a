"""Backups that are Completed, and whose files are gone from the store."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ..conditions import Condition, Status, replace_conditions
from .status import VERIFIED

MISSING = "ArtifactMissing"
"""The condition, and the reason of Verified then."""


def is_missing(backup: Mapping[str, Any]) -> bool:
    """Return whether a Backup's files are known to be gone."""
    return _is_said(backup, "True")


def is_unknown(backup: Mapping[str, Any]) -> bool:
    """Return whether the last search could not find out whether a Backup's files are there."""
    return _is_said(backup, "Unknown")


def _is_said(backup: Mapping[str, Any], status: str) -> bool:
    conditions = backup.get("status", {}).get("conditions", [])
    return any(c["type"] == MISSING and c["status"] == status for c in conditions)


def missing_status(backup: Mapping[str, Any], why: str, now: datetime) -> Status:
    """Return the status of a Completed Backup whose files are gone.

    Args:
        why: how that is known.
    """
    status: Status = backup["status"]
    message = (
        f"the files at {status.get('backupLocation')} are gone: {why}; bring them back and adopt"
        " them with another Backup (artifact), or delete this one"
    )
    changed = [
        Condition(VERIFIED, "False", MISSING, message),
        Condition(MISSING, "True", "FilesGone", message),
    ]
    conditions = replace_conditions(backup, changed, now)
    return {**status, "verified": False, "conditions": conditions}


def lost_with_claim(backup: Mapping[str, Any]) -> bool:
    """Return whether a Backup's files are gone if its claim is, and that is not said yet."""
    status = backup.get("status", {})
    in_claim = str(status.get("backupLocation", "")).startswith("pvc://")
    return status.get("phase") == "Completed" and in_claim and not is_missing(backup)
