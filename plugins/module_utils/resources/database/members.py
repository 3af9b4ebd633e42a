"""The members of a Patroni cluster, as far as the operator decides by them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


def ordinal_of(name: str) -> int:
    """Return the number in the name of an instance, or of its claim.

    >>> ordinal_of("app-0")
    0
    """
    return int(name.rpartition("-")[2])


@dataclass(frozen=True)
class Member:
    """One instance: a pod of the StatefulSet and what its Patroni last reported.

    Attributes:
        name: the pod's, and Patroni's name for the member, such as `app-0`.
        uid: the pod's UID.
        ordinal: the number in the name.
        pod_ip: empty while the pod has none.
        ready: whether the kubelet calls the pod ready.
        revision: the StatefulSet revision that the pod was made from.
        role: `primary`, `replica`, or empty before the first report.
        state: Patroni's word: `running`, `streaming` (replicas), `starting`, ... or empty.
        timeline: 0 before the first report.
        lsn: the position written or replayed, in bytes from the start of WAL; 0 where unknown.
        problem: (reason, message) of what keeps the pod, or its server, from running.
        needs_user: whether nothing but a change by a person can end the problem.
        pending_restart: the parameters for which Patroni reports that the server has to restart.
        promotable: whether Patroni lets it take over in a switchover; with synchronous replication
            only what is synchronous can.
        volume_used: how full the file system of its volume is, in percent; None where its agent
            does not report that.
        encrypted: whether the pod has certificates; those that an operator without TLS has made
            have none.
    """

    name: str
    uid: str
    ordinal: int
    pod_ip: str
    ready: bool
    revision: str
    role: str
    state: str
    timeline: int
    lsn: int
    problem: tuple[str, str] | None
    needs_user: bool = False
    encrypted: bool = True
    pending_restart: tuple[str, ...] = ()
    volume_used: int | None = None
    promotable: bool = True

    @property
    def leading(self) -> bool:
        """Whether it runs as the primary, so that its promotion is over."""
        return (self.role, self.state) == ("primary", "running")

    @property
    def serving(self) -> bool:
        """Whether it takes part: a running primary, or a replica that streams."""
        wanted = "running" if self.role == "primary" else "streaming"
        return self.ready and self.state == wanted


def find_primary(members: Sequence[Member], leader: str) -> Member | None:
    """Return the leader, once it runs as the primary.

    Before, it may still be starting, or be a replica that is about to be promoted.
    """
    return next((member for member in members if member.name == leader and member.leading), None)


def is_migrating(members: Sequence[Member], replicas: int) -> bool:
    """Return whether members with certificates have to understand others that have none.

    An only instance is replaced in one step.
    """
    without = [member for member in members if not member.encrypted]
    return bool(without) and (len(members) > 1 or replicas > 1)


def describe(member: Member) -> dict[str, Any]:
    """Return the instance as the status takes it."""
    return {
        "name": member.name,
        "ready": member.ready,
        "role": member.role,
        "state": member.state,
        "timeline": member.timeline,
        "pending_restart": list(member.pending_restart),
        "volume_used": member.volume_used,
        "problem": list(member.problem or ()),
        "needs_user": member.needs_user,
    }
