"""Which WAL the physical Backups of a Database need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .adoption import adopts, artifact_of
from .physical import is_physical


def kept_from(backup: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> list[str] | None:
    """Return from where on other physical Backups need the WAL beside one.

    All of them count, wherever they say that they are stored: one bucket may have two names, and
    WAL that is kept for nothing does no harm. So does one whose files are said to be gone.

    Args:
        backup: that is to be made.
        others: all Backups of its namespace.

    Returns:
        LSNs; None where it is not known of all of them, so that no WAL is to be removed: of one
        that is being made or adopted it is known at the end.
    """
    found = []
    for other in others:
        if other["metadata"]["uid"] == backup["metadata"]["uid"] or not _is_of(other, backup):
            continue
        status = other.get("status", {})
        if "startLSN" in status:
            found.append(str(status["startLSN"]))
        elif (adopts(other) and status.get("phase") != "Failed") or (
            is_physical(other) and status.get("phase") == "InProgress"
        ):
            return None
    return found


def _is_of(other: Mapping[str, Any], backup: Mapping[str, Any]) -> bool:
    """Return whether a Backup is of the same Database, or its artifact is."""
    artifact, own = artifact_of(other), artifact_of(backup)
    same_database = other["spec"]["databaseRef"] == backup["spec"]["databaseRef"]
    return same_database or all(artifact[key] == own[key] for key in ("namespace", "resource"))
