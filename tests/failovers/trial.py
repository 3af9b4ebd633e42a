"""The Database, its clients, and what they and its servers say."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from history import Read, Write
from kube import KubectlError, Namespace

T = TypeVar("T")
DATABASE = "app"
CLIENT = "client"
_LOG = "/log/history.jsonl"
_STOP = "/log/stop"
_ROWS = (
    "SELECT 'T ' || ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int"
    " UNION ALL SELECT value || ' ' || string_agg(timeline::text, ',') FROM history GROUP BY value"
)
_STATE = (
    "SELECT count(*) FILTER (WHERE state = 'streaming') || ' '"
    " || count(*) FILTER (WHERE sync_state IN ('sync', 'quorum')) || ' '"
    " || ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int"
    " FROM pg_stat_replication"
)
_TABLE = (
    "CREATE TABLE history (value bigint NOT NULL, timeline integer NOT NULL);"
    " ALTER TABLE history OWNER TO app"
)


@dataclass(frozen=True)
class State:
    """How the primary's replicas are, by its own words."""

    streaming: int
    synchronous: int
    timeline: int


@dataclass(frozen=True)
class Trial:
    """A Database under test in a namespace of its own.

    Attributes:
        mode, count: of `spec.replication`.
        streaming: how many replicas stream before the next fault.
    """

    namespace: Namespace
    mode: str
    count: int
    instances: int
    streaming: int

    def make(self, threads: int, pause: float) -> None:
        """Make the Database, the table, and the clients that write into it."""
        spec: dict[str, Any] = {
            "image": "postgres:17",
            "replicas": self.instances,
            "databaseName": "app",
            "username": "app",
            "storage": {"size": "1Gi"},
        }
        if self.mode != "off":
            spec["replication"] = {"synchronous": self.mode, "synchronousCount": self.count}
        self.namespace.ask_for("Database", DATABASE, spec)
        self.namespace.kubectl(
            "wait",
            f"database/{DATABASE}",
            "--for=jsonpath={.status.phase}=Ready",
            "--timeout=300s",
            timeout=310,
        )
        self.wait_until_whole(120, self.instances - 1)
        self.sql(self.leader(), _TABLE)
        operator = Namespace("postgres-operator-system").kubectl(
            "get",
            "deployments",
            "--output=jsonpath={.items[0].spec.template.spec.containers[0].image}",
        )
        program = Path(__file__).with_name("client.py").read_text(encoding="utf-8")
        for manifest in _client(operator, program, threads, pause):
            self.namespace.apply(manifest)
        self.namespace.kubectl(
            "wait", f"pod/{CLIENT}", "--for=condition=Ready", "--timeout=60s", timeout=70
        )

    def leader(self) -> str:
        """Return the instance that leads, by Patroni's own record."""
        found = self.namespace.read("endpoints", DATABASE)
        return str((found["metadata"].get("annotations") or {}).get("leader", ""))

    def sql(self, pod: str, statement: str, seconds: float = 20) -> str:
        """Return what a server answers, as the superuser in its pod."""
        psql = ("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", "app")
        command = ("exec", "--stdin", pod, "--container=postgres", "--", *psql)
        return self.namespace.kubectl(*command, text=statement, timeout=seconds)

    def state(self) -> State:
        """Return how the replicas are; it fails where there is no primary."""
        return State(*(int(word) for word in self.sql(self.leader(), _STATE, 8).split()))

    def wait_until_whole(self, seconds: float, streaming: int) -> State:
        """Wait until so many replicas stream, and as many of them as asked are synchronous.

        Raises:
            TimeoutError: they do not.
        """
        wanted = min(self.count, streaming) if self.mode != "off" else 0

        def look() -> State | None:
            state = self.state()
            whole = state.streaming >= streaming and state.synchronous >= wanted
            return state if whole else None

        return until(look, seconds, f"{streaming} replicas stream")

    def last_acknowledged(self) -> float:
        """Return when a client was last answered, in seconds since 1970; 0 where none was."""
        lines = self.namespace.kubectl("exec", CLIENT, "--", "tail", "-n", "60", _LOG).splitlines()
        ended = [
            float(line["ended"])
            for line in map(json.loads, lines)
            if line["outcome"] == "acknowledged"
        ]
        return max(ended, default=0.0)

    def read(self, folder: Path, number: int) -> None:
        """Keep all rows that the primary has, in a file."""
        begun = time.time()
        rows = self.sql(self.leader(), _ROWS, 60)
        Path(folder, f"read-{number:04}").write_text(f"B {begun}\n{rows}", encoding="utf-8")

    def stop_clients(self) -> list[Write]:
        """Have the clients end, and return all that they have sent."""
        self.namespace.kubectl("exec", CLIENT, "--", "touch", _STOP)
        time.sleep(8)
        text = self.namespace.kubectl("exec", CLIENT, "--", "cat", _LOG, timeout=120)
        return [
            Write(line["value"], line["outcome"], line["sent"], line["ended"], line["timeline"])
            for line in map(json.loads, text.splitlines())
        ]

    def delete(self) -> None:
        """Remove all of it."""
        self.namespace.kubectl("delete", "namespace", self.namespace.name, "--wait=false")


def load_read(path: Path) -> Read:
    """Return what `Trial.read` has kept."""
    begun, timeline, rows = 0.0, 0, {}
    for line in path.read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(" ")
        if name == "B":
            begun = float(value)
        elif name == "T":
            timeline = int(value)
        else:
            rows[int(name)] = tuple(int(one) for one in value.split(","))
    return Read(timeline, begun, rows)


def until(look: Callable[[], T | None], seconds: float, what: str) -> T:
    """Look until there is something to return.

    Raises:
        TimeoutError: there is nothing within the time.
    """
    deadline, said = time.monotonic() + seconds, ""
    while time.monotonic() < deadline:
        try:
            found = look()
            if found is not None:
                return found
        except (KubectlError, ValueError, TypeError) as error:
            said = f": {error}"
        time.sleep(0.4)
    raise TimeoutError(f"not within {seconds:g} s: {what}{said}")


def _client(image: str, program: str, threads: int, pause: float) -> list[dict[str, Any]]:
    environment: list[dict[str, Any]] = [
        {"name": "PGHOST", "value": DATABASE},
        {"name": "PGUSER", "value": "app"},
        {"name": "PGDATABASE", "value": "app"},
        {"name": "PGSSLMODE", "value": "verify-full"},
        {"name": "PGSSLROOTCERT", "value": "/authority/ca.crt"},
        {
            "name": "PGPASSWORD",
            "valueFrom": {"secretKeyRef": {"name": f"{DATABASE}-credentials", "key": "password"}},
        },
    ]
    command = ["python3", "/program/client.py", _LOG, _STOP, str(threads), str(pause)]
    container = {
        "name": CLIENT,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": command,
        "env": environment,
        "volumeMounts": [
            {"name": "log", "mountPath": "/log"},
            {"name": "program", "mountPath": "/program"},
            {"name": "authority", "mountPath": "/authority"},
        ],
    }
    secret = {
        "secretName": f"{DATABASE}-credentials",
        "items": [{"key": "ca.crt", "path": "ca.crt"}],
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": CLIENT},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 1,
            "containers": [container],
            "volumes": [
                {"name": "log", "emptyDir": {}},
                {"name": "program", "configMap": {"name": CLIENT}},
                {"name": "authority", "secret": secret},
            ],
        },
    }
    files = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": CLIENT},
        "data": {"client.py": program},
    }
    return [files, pod]
