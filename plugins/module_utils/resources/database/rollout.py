"""The order in which instances are replaced, one step at a time.

Replicas first, each streaming again before the next; then a switchover; then the old primary. A
step that cannot be made safely is not made: a bad image stops at the first pod while the rest
serves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from .members import Member

# A candidate may be this far behind before a switchover: Patroni waits for the rest to be replayed.
MAX_SWITCHOVER_LAG_BYTES = 16 * 1024 * 1024


class Action(Enum):
    """What to do next."""

    NOTHING = "Nothing"
    WAIT = "Wait"
    DELETE_POD = "DeletePod"
    SWITCHOVER = "Switchover"


@dataclass(frozen=True)
class Step:
    """One step of a rolling update.

    Attributes:
        action: what to do.
        member: the pod to delete, or the leader that hands over; empty otherwise.
        candidate: the member that becomes the leader; empty otherwise.
        message: why, in words for the status.
    """

    action: Action
    message: str = ""
    member: str = ""
    candidate: str = ""


def next_step(
    members: Sequence[Member], leader: str, revision: str, replicas: int, asked: str = ""
) -> Step:
    """Decide the next step towards `replicas` instances that all have the revision.

    Args:
        members: the instances that exist.
        leader: the name of the leader; empty where there is none.
        revision: the StatefulSet's newest revision; empty before it has one.
        replicas: how many instances the Database asks for.
        asked: the instance that was asked to take over from the leader, and has not yet; or empty.
    """
    if not revision:
        return Step(Action.WAIT, "waiting for the StatefulSet's revision")
    outdated = [member for member in members if member.revision != revision]
    surplus_leader = any(m.name == leader and m.ordinal >= replicas for m in members)
    if not outdated and not surplus_leader:
        return Step(Action.NOTHING)

    stuck = [member for member in outdated if not member.ready and member.problem]
    if stuck:
        return _replace(stuck[0], "it does not start")
    waiting = [m for m in members if not m.serving and m.name != leader and m.ordinal < replicas]
    if waiting:
        return Step(Action.WAIT, f"waiting for instance {waiting[0].name} to stream again")
    # After a switchover; an old leader that failed may be repaired by its replacement only.
    if any(m.name == leader and m.revision == revision and not m.leading for m in members):
        return Step(Action.WAIT, f"waiting for instance {leader} to become primary")
    if len(members) < replicas:
        return Step(Action.WAIT, f"waiting for {replicas} instances, there are {len(members)}")

    replica = max(
        (member for member in outdated if member.name != leader),
        key=lambda member: member.ordinal,
        default=None,
    )
    if replica:
        return _replace(replica, "it has the old revision")
    return _replace_leader(members, leader, replicas, asked)


def _replace(member: Member, why: str) -> Step:
    return Step(
        Action.DELETE_POD,
        f"replacing instance {member.name}: {why}",
        member=member.name,
    )


def _replace_leader(members: Sequence[Member], leader: str, replicas: int, asked: str) -> Step:
    """Hand the leader's role to the replica that is furthest ahead, or replace an only instance.

    Who was asked is not replaced by another as long as it can take over: Patroni demotes the
    leader first, and keeps the request until the candidate has the lead.
    """
    primary = next((member for member in members if member.name == leader), None)
    if primary is None:
        return Step(Action.WAIT, "waiting for a leader")
    if len(members) == 1:
        return _replace(primary, "it has the old revision and is the only instance")
    candidates = [
        member
        for member in members
        if member.name != leader
        and member.serving
        and member.promotable
        and member.ordinal < replicas
        and member.timeline == primary.timeline
        and primary.lsn - member.lsn <= MAX_SWITCHOVER_LAG_BYTES
    ]
    if not candidates:
        return Step(Action.WAIT, f"waiting for a replica that can take over from {leader}")
    if asked in {member.name for member in candidates}:
        return Step(Action.WAIT, f"waiting for instance {asked} to take over from {leader}")
    candidate = max(candidates, key=lambda member: (member.lsn, -member.ordinal))
    return Step(
        Action.SWITCHOVER,
        f"switchover from {leader} to {candidate.name}",
        member=leader,
        candidate=candidate.name,
    )
