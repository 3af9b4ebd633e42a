"""What is done to an instance, drawn by a seed."""

from __future__ import annotations

import random
import shlex
from dataclasses import dataclass

from kube import KubectlError, Namespace

_POSTGRES = 'for p in /proc/[0-9]*; do [ "$(cat $p/comm 2>/dev/null)" = postgres ] && echo ${p#/proc/}; done'
# By how its command line begins: those of tini and of the script that looks for it have its name too.
_PATRONI = (
    "for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline 2>/dev/null"
    " | grep -q '^[^ ]*python[^ ]* /opt/agent/bin/patroni ' && echo ${p#/proc/}; done"
)
_SECONDS = {"stop PostgreSQL": (2, 30), "stop Patroni": (2, 45)}

KINDS = (
    "delete the pod",
    "force-delete the pod",
    "kill PostgreSQL",
    "kill Patroni",
    "stop PostgreSQL",
    "stop Patroni",
    "kill both",
    "switch over",
)
# One in so many is done to a replica.
_REPLICA_ONE_IN = 6


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        kind: one of `KINDS`.
        on_primary: or else on a replica.
        seconds: how long a process is stopped; 0 where none is.
        chance: a number from 0 to 1, by which a replica is chosen where one is.
    """

    kind: str
    on_primary: bool
    seconds: float
    chance: float

    @property
    def text(self) -> str:
        """In words."""
        long = f" for {self.seconds:.0f} s" if self.seconds else ""
        return f"{self.kind}{long}, {'primary' if self.on_primary else 'replica'}"


def draw(choose: random.Random, kinds: tuple[str, ...]) -> Fault:
    """Return the next fault."""
    kind = choose.choice(kinds)
    low, high = _SECONDS.get(kind, (0, 0))
    seconds = choose.uniform(low, high)
    on_primary = kind == "switch over" or bool(choose.randrange(_REPLICA_ONE_IN))
    return Fault(kind, on_primary, seconds, choose.random())


def inflict(fault: Fault, namespace: Namespace, database: str, target: str, other: str) -> None:
    """Do it to an instance; what is stopped goes on by itself.

    Args:
        target: the pod.
        other: the one that is to become primary in a switchover.

    Raises:
        KubectlError: it could not be done.
    """
    if fault.kind == "delete the pod":
        namespace.kubectl("delete", "pod", target, "--wait=false")
    elif fault.kind == "force-delete the pod":
        namespace.kubectl("delete", "pod", target, "--grace-period=0", "--force", "--wait=false")
    elif fault.kind == "switch over":
        for to in ("null", f'"{other}"'):
            patch = f'{{"spec":{{"switchoverTo":{to}}}}}'
            namespace.kubectl("patch", "database", database, "--type=merge", f"--patch={patch}")
    else:
        _signal(fault, namespace, target)


def _signal(fault: Fault, namespace: Namespace, target: str) -> None:
    find = {
        "kill PostgreSQL": 'head -n 1 "$PGDATA/pgdata/postmaster.pid"',
        "kill Patroni": _PATRONI,
        "kill both": f"{_PATRONI}; {_POSTGRES}",
        "stop PostgreSQL": _POSTGRES,
        "stop Patroni": _PATRONI,
    }[fault.kind]
    if fault.seconds:
        then = f"kill -STOP $pids; sleep {fault.seconds:.1f}; kill -CONT $pids"
        command = f"setsid bash -c {shlex.quote(then)} > /dev/null 2>&1 < /dev/null &"
    else:
        command = "kill -KILL $pids"
    script = f'export PGDATA=/var/lib/postgresql/data; pids=$({find}); pids=$(echo $pids); [ "$pids" ] || exit 3; export pids; {command}'
    try:
        namespace.kubectl("exec", target, "--container=postgres", "--", "bash", "-c", script)
    except KubectlError as error:
        # The container has ended with what was killed.
        if "137" not in str(error) and "connection" not in str(error):
            raise
