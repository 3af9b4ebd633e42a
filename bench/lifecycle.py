"""make bench-lifecycle: how long a Database, a Backup and a Restore take on the current cluster.

Prints a table of seconds: minimum, median and maximum of each figure over the rounds. Backup and
Restore stand beside plain pg_dump and pg_restore in the database's own pod. Needs a cluster with
the operator deployed, and nothing else running.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import uuid
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
_OWN = CHECKOUT / ".cluster" / "bin" / "kubectl"
KUBECTL = str(_OWN) if _OWN.exists() else "kubectl"


def kubectl(*arguments: str, text: str | None = None) -> str:
    """Run kubectl and return what it printed; it ends the program where it fails."""
    command = [KUBECTL, *arguments]
    done = subprocess.run(command, input=text, text=True, capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
    return done.stdout


class Namespace:
    """A namespace of its own for one round; kubectl in it."""

    def __init__(self) -> None:
        self.name = f"bench-{uuid.uuid4().hex[:8]}"
        self.kubectl("create", "namespace", self.name)

    def kubectl(self, *arguments: str, text: str | None = None) -> str:
        """Run kubectl in it and return what it printed."""
        return kubectl("-n", self.name, *arguments, text=text)

    def apply(self, kind: str, name: str, spec: Mapping[str, object]) -> None:
        """Apply a resource of the operator."""
        manifest = {
            "apiVersion": "database.example.com/v1",
            "kind": kind,
            "metadata": {"name": name},
            "spec": spec,
        }
        self.kubectl("apply", "-f", "-", text=json.dumps(manifest))

    def until(self, kind: str, name: str, phase: str, spec: Mapping[str, object]) -> float:
        """Apply a resource and return the seconds until it has the phase."""
        start = time.monotonic()
        self.apply(kind, name, spec)
        condition = f"--for=jsonpath={{.status.phase}}={phase}"
        self.kubectl("wait", condition, f"{kind}/{name}", "--timeout=600s")
        return time.monotonic() - start

    def until_shown(self, database: str, name: str, value: str) -> float:
        """Set a parameter and return the seconds until all instances have it, by their own SHOW."""
        label = f"database={database},app=database"
        pods = self.kubectl("get", "pods", "-l", label, "-o", "jsonpath={.items[*].metadata.name}")
        patch = {"spec": {"postgresql": {"parameters": {name: value}}}}
        start = time.monotonic()
        self.kubectl("patch", "database", database, "--type=merge", "-p", json.dumps(patch))
        for pod in pods.split():
            show = [KUBECTL, "-n", self.name, "exec", pod, "-c", "postgres", "--"]
            show += ["psql", "-XAtc", f"SHOW {name}"]
            # A server that is being restarted does not answer.
            while (
                subprocess.run(show, capture_output=True, text=True, check=False).stdout
                != f"{value}\n"
            ):
                time.sleep(0.1)
        return time.monotonic() - start

    def shell(self, pod: str, *command: str) -> float:
        """Run a command in a pod's PostgreSQL container and return the seconds that it took."""
        start = time.monotonic()
        self.kubectl("exec", pod, "-c", "postgres", "--", *command)
        return time.monotonic() - start


def database(replicas: int, image: str) -> dict[str, object]:
    """Return the spec of a Database."""
    return {
        "image": image,
        "replicas": replicas,
        "databaseName": "app",
        "username": "app",
        "storage": {"size": "5Gi"},
    }


def measure(scale: int, image: str) -> dict[str, float]:
    """Do one round in a namespace of its own; return seconds by what was measured."""
    namespace = Namespace()
    seconds: dict[str, float] = {}
    reference = {"databaseRef": {"name": "one"}}
    try:
        seconds["Database, 3 instances: apply to Ready"] = namespace.until(
            "Database", "three", "Ready", database(3, image)
        )
        for what, name, value in (
            ("parameter that is loaded: edit to all 3 instances", "work_mem", "16MB"),
            ("parameter that needs restarts: edit to all 3 instances", "max_connections", "150"),
        ):
            seconds[what] = namespace.until_shown("three", name, value)
        namespace.kubectl("delete", "database", "three")
        seconds["Database, 1 instance: apply to Ready"] = namespace.until(
            "Database", "one", "Ready", database(1, image)
        )
        # The first one waits for the volume that it makes.
        seconds["first Backup of an empty database, with its volume"] = namespace.until(
            "Backup", "first", "Completed", reference
        )
        seconds["Backup of an empty database: apply to Completed"] = namespace.until(
            "Backup", "empty", "Completed", reference
        )
        restore = {**reference, "backupRef": {"name": "empty"}}
        seconds["Restore of an empty database, safetyBackup: false"] = namespace.until(
            "Restore", "unsaved", "Completed", {**restore, "safetyBackup": False}
        )
        seconds["Restore of an empty database, with its safety Backup"] = namespace.until(
            "Restore", "saved", "Completed", restore
        )
        namespace.shell("one-0", "pgbench", "-i", "-q", "-s", str(scale), "app")
        seconds["plain pg_dump -Fd -j2"] = namespace.shell(
            "one-0", "pg_dump", "-Fd", "-j2", "-f", "/var/lib/postgresql/data/plain", "app"
        )
        seconds["Backup: apply to Completed"] = namespace.until(
            "Backup", "full", "Completed", reference
        )
        namespace.shell("one-0", "createdb", "plain")
        seconds["plain pg_restore -j2"] = namespace.shell(
            "one-0", "pg_restore", "-j2", "-d", "plain", "/var/lib/postgresql/data/plain"
        )
        namespace.shell("one-0", "dropdb", "plain")
        restore = {**reference, "backupRef": {"name": "full"}}
        seconds["Restore, safetyBackup: false"] = namespace.until(
            "Restore", "unsaved-full", "Completed", {**restore, "safetyBackup": False}
        )
        seconds["Restore, with its safety Backup"] = namespace.until(
            "Restore", "saved-full", "Completed", restore
        )
    finally:
        namespace.kubectl("delete", "namespace", namespace.name, "--timeout=180s")
    return seconds


def main() -> int:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=int, default=10, help="pgbench's scale: 15 MB each")
    parser.add_argument("--image", default="postgres:17")
    options = parser.parse_args()
    figures: dict[str, list[float]] = defaultdict(list)
    for number in range(1, options.rounds + 1):
        print(f"round {number} of {options.rounds}", file=sys.stderr, flush=True)
        for name, value in measure(options.scale, options.image).items():
            figures[name].append(value)
    print(f"{os.cpu_count()} cores, {options.image}, pgbench scale {options.scale}, seconds")
    print(f"{'':<52} {'min':>6} {'median':>7} {'max':>6}")
    for name, values in figures.items():
        middle = statistics.median(values)
        print(f"{name:<52} {min(values):6.1f} {middle:7.1f} {max(values):6.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
