"""What comes of `switchoverTo`: one switchover for each value, and why there is none.

A pure function of the instances and of what the status says of it already, which is the record of
the value that was followed last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ...units import format_size, format_time, parse_time
from .members import Member, ordinal_of
from .rollout import MAX_SWITCHOVER_LAG_BYTES

WAITING = "Waiting"
WAITING_FOR_INSTANCE = "WaitingForInstance"
IN_PROGRESS = "InProgress"
COMPLETED = "Completed"
REFUSED = "Refused"
FAILED = "Failed"

# An instance that has just been restarted streams within this time, and one that is a bit behind
# has replayed it. Later a switchover would come as a surprise.
_PATIENCE = timedelta(seconds=30)
_AGAIN = "to ask for it again, remove spec.switchoverTo, and write it again"


@dataclass(frozen=True)
class Request:
    """A switchover that Patroni is to be asked for.

    Attributes:
        leader: the instance that hands over.
        candidate: the one that takes over.
    """

    leader: str
    candidate: str


@dataclass(frozen=True)
class Outcome:
    """What the status is to say, and what is to be done.

    Attributes:
        report: the field `switchover` of the status; empty where that is to stay as it is.
        request: what Patroni is to be asked for; None for nothing.
    """

    report: dict[str, str]
    request: Request | None = None


def is_switchover_due(database: Mapping[str, Any]) -> bool:
    """Return whether the spec asks for a switchover that has not come to its end."""
    asked = database["spec"].get("switchoverTo")
    known = _known(database)
    return bool(asked) and known.get("state") not in {COMPLETED, REFUSED, FAILED}


def known_switchover(database: Mapping[str, Any]) -> dict[str, str] | None:
    """Return what the status says of the switchover that the spec asks for; None for nothing."""
    return _known(database) or None


def _known(database: Mapping[str, Any]) -> dict[str, str]:
    known = database.get("status", {}).get("switchover") or {}
    return known if known.get("to") == database["spec"].get("switchoverTo") else {}


def next_switchover(
    database: Mapping[str, Any],
    members: Sequence[Member],
    leader: str,
    requested: str,
    now: datetime,
    hindered: str = "",
) -> Outcome:
    """Decide what is done now of the switchover that the spec asks for.

    Args:
        members: the instances that exist.
        leader: the name of the leader; empty where there is none.
        requested: the instance that Patroni was asked to have take over from the leader, and that
            has not yet; or empty.
        hindered: what has to be over before a switchover is begun; empty for nothing.
    """
    if not is_switchover_due(database):
        return Outcome({})
    return _Decision(database, members, leader, now).make(requested, hindered)


class _Decision:
    """One decision about one value of `switchoverTo`."""

    def __init__(
        self, database: Mapping[str, Any], members: Sequence[Member], leader: str, now: datetime
    ) -> None:
        self.to: str = database["spec"]["switchoverTo"]
        self.replicas: int = database["spec"]["replicas"]
        self.known = _known(database)
        self.now = now
        self.leader = next((member for member in members if member.name == leader), None)
        self.candidate = next((member for member in members if member.name == self.to), None)

    def make(self, requested: str, hindered: str) -> Outcome:
        leads = self.leader is not None and self.leader.leading
        if self.known.get("state") == IN_PROGRESS or requested == self.to:
            return self._follow(requested, leads)
        if leads and self.leader is self.candidate:
            return self._report(COMPLETED, f"{self.to} was the primary already", source=self.to)
        if hindered:
            return self._report(WAITING, hindered)
        if self.leader is None or not leads:
            return self._report(WAITING, "waiting for a primary")
        return self._begin(self.leader)

    def _begin(self, leader: Member) -> Outcome:
        if self.candidate is None or ordinal_of(self.to) >= self.replicas:
            return self._report(
                REFUSED,
                f"there is no instance {self.to}, or it is about to be removed: write one that"
                " status.instances has",
            )
        problem = _find_problem(self.candidate, leader)
        if problem and self._is_patient():
            return self._report(WAITING_FOR_INSTANCE, f"waiting for {self.to}: {problem}")
        if problem:
            return self._report(REFUSED, f"{self.to} cannot take over: {problem}; {_AGAIN}")
        return Outcome(
            self._report(IN_PROGRESS, _words(leader.name, self.to), source=leader.name).report,
            Request(leader.name, self.to),
        )

    def _follow(self, requested: str, leads: bool) -> Outcome:
        """See what has come of a request, which Patroni removes in any case."""
        source = self.known.get("from") or (self.leader.name if self.leader else "")
        under_way = self._report(IN_PROGRESS, _words(source, self.to), source=source)
        if self.leader is None or not leads:
            return under_way
        if self.leader.name == self.to:
            return self._report(COMPLETED, _words(source, self.to), source=source)
        if self.leader.name != source:
            return self._report(
                FAILED,
                f"{self.leader.name} has become primary, and not {self.to}; {_AGAIN}",
                source=source,
            )
        if requested == self.to:
            return under_way
        return self._report(
            FAILED,
            f"{source} is still primary: Patroni did not have {self.to} take over; see: kubectl"
            f" logs {source} -c postgres; {_AGAIN}",
            source=source,
        )

    def _is_patient(self) -> bool:
        """Return whether an instance that cannot take over yet is waited for."""
        if self.known.get("state") != WAITING_FOR_INSTANCE:
            return True
        return self.now - parse_time(self.known["time"]) < _PATIENCE

    def _report(self, state: str, message: str, source: str = "") -> Outcome:
        same = self.known.get("state") == state
        time = self.known["time"] if same else format_time(self.now)
        report = {"to": self.to, "state": state, "message": message, "time": time}
        return Outcome(report | ({"from": source} if source else {}))


def _find_problem(candidate: Member, leader: Member) -> str:
    """Return why an instance cannot take over; empty where it can."""
    if not candidate.serving:
        return "it is not ready" if not candidate.ready else "it does not stream from the primary"
    if candidate.timeline != leader.timeline:
        return f"it is on timeline {candidate.timeline}, the primary on {leader.timeline}"
    if not candidate.promotable:
        return "it is not synchronous now, so Patroni does not let it take over"
    behind = leader.lsn - candidate.lsn
    if behind > MAX_SWITCHOVER_LAG_BYTES:
        return (
            f"it is {format_size(behind)} behind the primary, of"
            f" {format_size(MAX_SWITCHOVER_LAG_BYTES)} at most"
        )
    return ""


def _words(source: str, to: str) -> str:
    return f"switchover from {source} to {to}"
