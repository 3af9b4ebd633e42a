"""Instances of one Database on this machine: a server with an archiver each, as in their pods."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from collection_root import CHECKOUT, ensure_collection_root

USER = "postgres"
PROGRAM = (
    "import sys; from ansible_collections.postgres.operator.plugins.module_utils.archive import"
    " archiver; archiver.main(sys.argv[1:])"
)
"""What runs an archiver, as an argument of python -c."""

_STARTS = 5


def wait_for(condition: Callable[[], object], what: str, seconds: float = 40) -> object:
    deadline = time.monotonic() + seconds
    while True:
        if found := condition():
            return found
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)


@contextmanager
def work_folder() -> Iterator[Path]:
    """A folder that the server's user can reach; short, for the path of a socket is in it."""
    folder = Path(tempfile.mkdtemp(prefix="pitr-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Instance:
    """A server with an archiver, as in a pod.

    Attributes:
        root: a folder of its own, which the server's user owns.
        account: what subprocess takes to run as that user.
        archive: the archiver's settings.
        host: a loopback address; those of several instances may differ in it alone, as pods do.
        parameters: of PostgreSQL, beyond what all instances have.
    """

    root: Path
    account: Mapping[str, Any]
    archive: Mapping[str, object]
    port: int = field(default_factory=free_port)
    host: str = "127.0.0.1"
    parameters: Mapping[str, str] = field(default_factory=dict)
    server: subprocess.Popen[bytes] | None = None
    archiver: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        return self.root / "data"

    def make(self, primary: Instance | None = None) -> None:
        """Make the data directory, of a new server or as a copy, and start the server."""
        for each in (self.root, self.root / "shared", self.root / "spool"):
            each.mkdir()
        shutil.copy(CHECKOUT / "image/agent/archive-wal", self.root)
        (self.root / "archive-wal").chmod(0o755)
        if self.account:
            shutil.chown(self.root, USER)
        command = (
            ["pg_basebackup", "-h", primary.host, "-p", str(primary.port), "-U", USER,
             "-D", self.data, "-R", "-c", "fast"]
            if primary
            else ["initdb", "-D", self.data, "-U", USER, "--no-sync"]
        )  # fmt: skip
        subprocess.run(
            command, check=True, stdout=subprocess.DEVNULL, cwd=self.root, **self.account
        )
        self.configure(primary)
        self.start()

    def configure(self, primary: Instance | None = None) -> None:
        command = f"ARCHIVE_TRIES=30 ARCHIVE_FOLDER={self.root}/shared {self.root}/archive-wal %f"
        lines = {
            "port": str(self.port),
            "listen_addresses": self.host,
            "unix_socket_directories": str(self.root),
            "fsync": "off",
            "wal_keep_size": "2GB",
            "archive_mode": "always",
            "archive_command": command,
            "wal_log_hints": "on",
            **self.parameters,
        }
        if primary:
            lines["primary_conninfo"] = f"host={primary.host} port={primary.port} user={USER}"
        text = "".join(f"{name} = '{value}'\n" for name, value in lines.items())
        (self.data / "postgresql.auto.conf").write_text(text)
        (self.data / "pg_hba.conf").write_text("local all all trust\nhost all all all trust\n"
                                               "host replication all all trust\n")  # fmt: skip

    def start(self) -> None:
        """Start the server; again where processes of one that was killed have not ended yet."""
        for left in reversed(range(_STARTS)):
            with (self.root / "log").open("ab") as log:
                self.server = subprocess.Popen(
                    ["postgres", "-D", self.data],
                    stdout=log,
                    stderr=log,
                    cwd=self.root,
                    **self.account,
                )
            wait_for(lambda: self.answers() or self.server.poll() is not None, "the server runs")
            if self.server.poll() is None:
                return
            assert left, (self.root / "log").read_text(errors="replace")[-2000:]
            time.sleep(0.2)

    def kill(self) -> None:
        """End the server and all its processes by SIGKILL, at once."""
        pid = self.server.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()
        for one in (pid, *map(int, children)):
            with suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
        self.server.wait(timeout=60)

    def answers(self) -> bool:
        try:
            self.query("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def connect(self, dbname: str = "postgres") -> psycopg.Connection:
        return psycopg.connect(
            host=self.host, port=self.port, user=USER, dbname=dbname, autocommit=True
        )

    def query(self, sql: str, dbname: str = "postgres") -> object:
        with self.connect(dbname) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchone()[0] if cursor.description else None

    def write(self) -> str:
        self.query("CREATE TABLE IF NOT EXISTS t (a text)")
        self.query("INSERT INTO t SELECT md5(n::text) FROM generate_series(1, 2000) n")
        return str(self.query("SELECT pg_walfile_name(pg_switch_wal())"))

    def start_archiver(self) -> None:
        (self.root / "settings").write_text(json.dumps(self.archive))
        arguments = [f"--{name}={self.root / name}" for name in ("settings", "shared", "spool")]
        with (self.root / "archiver.log").open("ab") as log:
            self.archiver = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, *arguments, f"--data={self.data}"],
                env=os.environ | {"PYTHONPATH": str(ensure_collection_root())},
                stdout=log,
                stderr=log,
            )

    def end(self, number: signal.Signals = signal.SIGINT) -> None:
        for process in (self.server, self.archiver):
            if process and process.poll() is None:
                process.send_signal(number)
                process.wait(timeout=60)

    def waiting(self) -> list[str]:
        status = self.data / "pg_wal/archive_status"
        return [path.name for path in status.glob("*.ready")]

    @property
    def log(self) -> str:
        return (self.root / "archiver.log").read_text()
