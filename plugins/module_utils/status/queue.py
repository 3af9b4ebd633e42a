"""Which Backups may start: a limit for the operator, and one for each destination.

Everybody who looks comes to the same answer, for it rests on the order of creation alone: so two
reconciles at once do not exceed a limit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..units import plural
from .backup import CONDITION

REASON = "Queued"
# What waits for something else than its turn takes nobody's, and neither does a Job that only a
# person can get going.
_BLOCKED = frozenset({"DatabaseNotFound", "DatabaseNotReady", "SecretMissing", "ReconcileFailed"})
_STUCK = frozenset(
    {
        "ImagePullFailed",
        "ContainerNotCreated",
        "PodNotCreated",
        "PodNotStarted",
        "PodNotTerminated",
    }
)


@dataclass(frozen=True)
class Limits:
    """How many Backups are made at the same time; zero is no limit.

    Attributes:
        operator: of all.
        destination: of those that write to the same place.
    """

    operator: int
    destination: int


def find_queue_block(
    backup: Mapping[str, Any], unfinished: Sequence[Mapping[str, Any]], limits: Limits
) -> tuple[str, str] | None:
    """Return reason and message where a Backup has to wait for its turn.

    Args:
        unfinished: all Backups without a schedule that have not ended, in any order.
    """
    others = [other for other in unfinished if _key(other) != _key(backup)]
    if _key(backup) in {_key(other) for other in _admitted([*others, backup], limits)}:
        return None
    before = [other for other in _waiting(others) if _key(other) < _key(backup)]
    active = _active(others)
    destination = destination_of(backup)
    same = [other for other in [*active, *before] if destination_of(other) == destination]
    if limits.destination and len(same) >= limits.destination:
        limit = f"{plural(limits.destination, 'backup')} to {_describe(destination)}"
    else:
        limit = plural(limits.operator, "backup")
    return (
        REASON,
        f"waiting for its turn: at most {limit} at the same time, and"
        f" {plural(len(before), 'other')} came before this one",
    )


def find_next(
    ended: Mapping[str, Any], unfinished: Sequence[Mapping[str, Any]], limits: Limits
) -> list[Mapping[str, Any]]:
    """Return the Backups that are queued and may start now that one has ended."""
    others = [other for other in unfinished if _key(other) != _key(ended)]
    return [other for other in _admitted(others, limits) if _reason(other) == REASON]


def destination_of(backup: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what tells apart the places that Backups are written to."""
    spec = backup["spec"]
    s3 = (spec.get("destination") or {}).get("s3")
    if s3:
        return ("bucket", str(s3.get("bucket", "")), str(s3.get("endpoint", "")))
    return ("claim", backup["metadata"]["namespace"], spec["databaseRef"]["name"])


def _describe(destination: tuple[str, ...]) -> str:
    kind, first, second = destination
    return f"bucket {first}" if kind == "bucket" else f"the claim of Database {second}"


def _admitted(unfinished: Iterable[Mapping[str, Any]], limits: Limits) -> list[Mapping[str, Any]]:
    """Return those that wait and may start, in the order of their creation."""
    unfinished = list(unfinished)
    active = _active(unfinished)
    total = len(active)
    by_destination = Counter(destination_of(backup) for backup in active)
    admitted = []
    for backup in sorted(_waiting(unfinished), key=_key):
        destination = destination_of(backup)
        if limits.operator and total >= limits.operator:
            break
        if limits.destination and by_destination[destination] >= limits.destination:
            continue
        total += 1
        by_destination[destination] += 1
        admitted.append(backup)
    return admitted


def _active(backups: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [
        backup
        for backup in backups
        if _phase(backup) == "InProgress" and _reason(backup) not in _STUCK
    ]


def _waiting(backups: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [
        backup
        for backup in backups
        if _phase(backup) == "Pending" and _reason(backup) not in _BLOCKED
    ]


def _key(backup: Mapping[str, Any]) -> tuple[str, str, str]:
    """The order of creation; times of the API sort like text."""
    metadata = backup["metadata"]
    return metadata["creationTimestamp"], metadata["namespace"], metadata["name"]


def _phase(backup: Mapping[str, Any]) -> str:
    phase: str = backup.get("status", {}).get("phase", "Pending")
    return phase


def _reason(backup: Mapping[str, Any]) -> str:
    conditions = backup.get("status", {}).get("conditions", [])
    return next((c["reason"] for c in conditions if c["type"] == CONDITION), "")
