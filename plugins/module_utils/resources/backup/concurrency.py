"""Which Backups may start: a limit for the operator, for each namespace and for each destination.

Physical ones of one Database are made one after the other: each removes WAL that no other needs,
and from where one needs it is known at its end only.

Inside a namespace the oldest goes first. Between namespaces turns go round: a Backup's place is
first how many of its own namespace came before it, then when it was made. The answer rests on the
order of creation alone and does not change because a Backup that may start has started: so two
reconciles at once do not exceed a limit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...units import plural
from .physical import PHYSICAL, is_physical
from .status import ABOUT_TO_START, CONDITION

REASON = "Queued"
# What waits for anything else takes no turn.
_IN_LINE = frozenset({"", REASON, ABOUT_TO_START})
# Nor does a Job whose container does not run, for whatever reason: it uses no server and no store.
_NOT_RUNNING = frozenset(
    {
        "ContainerNotCreated",
        "ImagePullFailed",
        "PodNotCreated",
        "PodNotStarted",
        "PodNotTerminated",
        "Unschedulable",
    }
)

Key = tuple[str, str, str]


@dataclass(frozen=True)
class Limits:
    """How many Backups are made at the same time; zero is no limit.

    Attributes:
        operator: of all.
        namespace: of those of one namespace.
        destination: of those that write to the same place.
    """

    operator: int
    namespace: int
    destination: int


class _Turns:
    """Counts what runs against the limits."""

    def __init__(self, limits: Limits, others: Iterable[Mapping[str, Any]]) -> None:
        self._limits = limits
        self._counts: Counter[tuple[str, ...]] = Counter()
        for backup in others:
            if _runs(backup):
                self.take(backup)
            elif _phase(backup) == "InProgress":
                # Its Job knows nothing of one that would start now.
                self._counts.update(key for key, _ in self._alone(backup))

    def take(self, backup: Mapping[str, Any]) -> None:
        self._counts.update(key for key, _ in self._limited(backup))

    def find_full(self, backup: Mapping[str, Any]) -> tuple[str, ...] | None:
        """Return what has no turn left for a Backup; None where it may start."""
        for key, limit in self._limited(backup):
            if limit and self._counts[key] >= limit:
                return key
        return None

    def _limited(self, backup: Mapping[str, Any]) -> list[tuple[tuple[str, ...], int]]:
        """Return what a Backup counts against, the narrowest first, and each limit."""
        return [
            *self._alone(backup),
            (destination_of(backup), self._limits.destination),
            (("namespace", _namespace(backup)), self._limits.namespace),
            (("operator",), self._limits.operator),
        ]

    @staticmethod
    def _alone(backup: Mapping[str, Any]) -> list[tuple[tuple[str, ...], int]]:
        """Return what a Backup has for itself."""
        name = backup["spec"]["databaseRef"]["name"]
        return [((PHYSICAL, _namespace(backup), name), 1)] if is_physical(backup) else []


def find_queue_block(
    backup: Mapping[str, Any], unfinished: Sequence[Mapping[str, Any]], limits: Limits
) -> tuple[str, str] | None:
    """Return reason and message where a Backup has to wait for its turn.

    Args:
        unfinished: all Backups without a schedule that have not ended, in any order.
    """
    others = [other for other in unfinished if _key(other) != _key(backup)]
    turns = _Turns(limits, others)
    before = 0
    for other in _in_turn([*others, backup]):
        if _key(other) == _key(backup):
            break
        if turns.find_full(other) is None:
            turns.take(other)
        before += 1
    # Until its status says so, one that has been waiting for something else is after all others:
    # they do not know yet that it waits for its turn.
    full = turns.find_full(backup)
    return None if full is None else (REASON, _describe_wait(full, limits, before))


def find_next(
    ended: Mapping[str, Any], unfinished: Sequence[Mapping[str, Any]], limits: Limits
) -> list[Mapping[str, Any]]:
    """Return the Backups that are queued and may start now that one has ended."""
    others = [other for other in unfinished if _key(other) != _key(ended)]
    turns = _Turns(limits, others)
    following = []
    for other in _in_turn(others):
        if turns.find_full(other) is None:
            turns.take(other)
            if _reason(other) == REASON:
                following.append(other)
    return following


def destination_of(backup: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a key that is different for each place that Backups are written to."""
    spec = backup["spec"]
    s3 = (spec.get("destination") or {}).get("s3")
    if s3:
        return ("bucket", str(s3.get("bucket", "")), str(s3.get("endpoint", "")))
    return ("claim", _namespace(backup), spec["databaseRef"]["name"])


def _describe_wait(full: tuple[str, ...], limits: Limits, before: int) -> str:
    kind = full[0]
    if kind == PHYSICAL:
        limit = f"1 physical backup of Database {full[2]}"
    elif kind == "bucket":
        limit = f"{plural(limits.destination, 'backup')} to bucket {full[1]}"
    elif kind == "claim":
        limit = f"{plural(limits.destination, 'backup')} to the claim of Database {full[2]}"
    elif kind == "namespace":
        limit = f"{plural(limits.namespace, 'backup')} of namespace {full[1]}"
    else:
        limit = plural(limits.operator, "backup")
    return (
        f"waiting for its turn: at most {limit} at the same time, and"
        f" {plural(before, 'other')} came before this one"
    )


def _in_turn(unfinished: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return those that wait for their turn, in the order in which they get it."""
    unfinished = list(unfinished)
    waiting = {_key(backup) for backup in unfinished if _waits(backup)}
    places: list[tuple[int, Key, Mapping[str, Any]]] = []
    ahead: Counter[str] = Counter()
    for backup in sorted([*filter(_runs, unfinished), *filter(_waits, unfinished)], key=_key):
        places.append((ahead[_namespace(backup)], _key(backup), backup))
        ahead[_namespace(backup)] += 1
    places.sort(key=lambda place: place[:2])
    return [backup for _, key, backup in places if key in waiting]


def _runs(backup: Mapping[str, Any]) -> bool:
    """Return whether a Job's container runs, or is just being started."""
    return _phase(backup) == "InProgress" and _reason(backup) not in _NOT_RUNNING


def _waits(backup: Mapping[str, Any]) -> bool:
    return _phase(backup) == "Pending" and _reason(backup) in _IN_LINE


def _namespace(backup: Mapping[str, Any]) -> str:
    return str(backup["metadata"]["namespace"])


def _key(backup: Mapping[str, Any]) -> Key:
    """The order of creation; times of the API sort like text."""
    metadata = backup["metadata"]
    return metadata["creationTimestamp"], metadata["namespace"], metadata["name"]


def _phase(backup: Mapping[str, Any]) -> str:
    phase: str = backup.get("status", {}).get("phase", "Pending")
    return phase


def _reason(backup: Mapping[str, Any]) -> str:
    conditions = backup.get("status", {}).get("conditions", [])
    return next((c["reason"] for c in conditions if c["type"] == CONDITION), "")
