"""One Database on which operations are done one after another, each hit by one kill."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from kube import KubectlError, Namespace

T = TypeVar("T")
OPERATOR = Namespace("postgres-operator-system")
IMAGE = "postgres:17"
END_SECONDS = 120.0
# A kill comes at a random moment of these first seconds: an operation takes five to ten.
KILL_WITHIN_SECONDS = 9.0
DATA = """
CREATE TABLE filler AS SELECT g AS id, md5(g::text) AS text FROM generate_series(1, 20000) g;
CREATE TABLE state (version integer NOT NULL);
INSERT INTO state VALUES (0);
"""
STATE = (
    "SELECT (SELECT string_agg(version::text, ',') FROM state) || ' ' || count(*) || ' '"
    " || coalesce(sum(hashtextextended(f::text, 0)), 0) FROM filler f"
)
CRASH_POSTGRES = 'kill -9 "$(head -n 1 /var/lib/postgresql/data/pgdata/postmaster.pid)"'


@dataclass
class OperatorKills:
    """The kills of the operator, which hit the operations of all lines."""

    times: list[float] = field(default_factory=list)

    def kill(self) -> None:
        """Kill the operator."""
        OPERATOR.kill_pods("control-plane=controller-manager")
        self.times.append(time.monotonic())

    def since(self, begun: float) -> list[float]:
        """Return when it was killed from that moment on."""
        return [at for at in self.times if at >= begun]


@dataclass
class Line:
    """A Database, the operations done on it, and what became of them.

    Attributes:
        longest: the seconds that the slowest operation took, and its kind and name.
        wrong: what must never be; one text each.
        completed: the UID of each Completed Backup and the state that it must hold.
    """

    namespace: Namespace
    name: str
    choose: random.Random
    operator_kills: OperatorKills
    state: str = ""
    longest: tuple[float, str] = (0.0, "")
    completed: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    outcomes: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def prepare(self) -> None:
        """Make the Database and its data."""
        spec = {
            "image": IMAGE,
            "databaseName": "app",
            "username": "app",
            "storage": {"size": "1Gi"},
        }
        self.namespace.ask_for("Database", self.name, spec)
        self._wait("Database", self.name, {"Ready"}, 180)
        self.sql(DATA)
        self.state = self.sql(STATE)

    def sql(self, text: str) -> str:
        """Ask the primary, again and again while it is down."""
        command = ("exec", "--stdin", f"{self.name}-0", "--container=postgres", "--")
        psql = ("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "--single-transaction", "-d", "app")
        return insist(lambda: self.namespace.kubectl(*command, *psql, text=text).strip())

    def back_up(self, number: int) -> None:
        """Make one Backup of a new state while something is killed."""
        self.sql(f"UPDATE state SET version = {number}")
        self.state = self.sql(STATE)
        name = f"{self.name}-{number}"
        spec = {"databaseRef": {"name": self.name}, "deletionPolicy": "Retain"}
        found = self._under_a_kill("Backup", name, spec)
        if found.get("status", {}).get("phase") == "Completed":
            self.completed[found["metadata"]["uid"]] = self.state
            self.names[found["metadata"]["uid"]] = name

    def restore(self, number: int) -> None:
        """Restore one of the Backups while something is killed; make one where none is there."""
        if not self.completed:
            self.back_up(number)
            return
        uid = self.choose.choice(sorted(self.completed))
        name = f"{self.name}-{number}"
        spec = {
            "databaseRef": {"name": self.name},
            "backupRef": {"name": self.names[uid]},
            "keepPrevious": "0s",
        }
        found = self._under_a_kill("Restore", name, spec)
        if found.get("status", {}).get("phase") == "Completed":
            self.state = self.completed[uid]
        seen = self.sql(STATE)
        if seen != self.state:
            self.wrong.append(f"after Restore {name} the database is {seen}, not {self.state}")
            self.state = seen

    def _under_a_kill(self, kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
        victims = {
            "operator": self.operator_kills.kill,
            "Job pod": lambda: self.namespace.kill_pods(f"app=database-job,database={self.name}"),
            "PostgreSQL": self._crash_postgres,
        }
        victim = self.choose.choice(sorted(victims))
        begun = time.monotonic()
        insist(lambda: self.namespace.ask_for(kind, name, spec))
        time.sleep(self.choose.uniform(0, KILL_WITHIN_SECONDS))
        try:
            victims[victim]()
        except KubectlError:
            victim = "nothing"
        found = self._wait(kind, name, {"Completed", "Failed"}, END_SECONDS)
        kills = len(self.operator_kills.since(begun))
        text = f"{kind} {name}, operator killed {kills} times in it"
        self.longest = max(self.longest, (time.monotonic() - begun, text))
        phase = found.get("status", {}).get("phase", "unknown")
        self.outcomes[kind, victim, phase] += 1
        return found

    def _crash_postgres(self) -> None:
        pod = f"{self.name}-0"
        self.namespace.kubectl(
            "exec", pod, "--container=postgres", "--", "bash", "-c", CRASH_POSTGRES
        )

    def _wait(self, kind: str, name: str, phases: set[str], seconds: float) -> dict[str, Any]:
        """Wait until it is so, at most so long from now, or from the last kill of the operator."""
        begun = time.monotonic()
        found: dict[str, Any] = {}
        while time.monotonic() < max([begun, *self.operator_kills.since(begun)]) + seconds:
            found = insist(lambda: self.namespace.read(kind, name))
            if found.get("status", {}).get("phase") in phases:
                return found
            time.sleep(0.5)
        self.wrong.append(f"{kind} {name} is unresolved after {seconds:g} s: {found.get('status')}")
        return found


def insist(attempt: Callable[[], T], seconds: float = 60.0) -> T:
    """Try until it works, for what may be down for a while."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return attempt()
        except KubectlError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
