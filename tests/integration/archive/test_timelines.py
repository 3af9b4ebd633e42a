"""Archivers of three servers over a promotion: no segment is missing, and none has two contents."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from ansible_collections.postgres.operator.plugins.module_utils.archive import names
from ansible_collections.postgres.operator.plugins.module_utils.archive.history import (
    parse_history,
    switch_of,
)
from ansible_collections.postgres.operator.plugins.module_utils.archive.wal_archive import (
    WalArchive,
    archive_location,
)
from ansible_collections.postgres.operator.plugins.module_utils.store.filesystem import (
    FilesystemStore,
)
from collection_root import CHECKOUT, ensure_collection_root
from test_archiver import PROGRAM, wait_for

USER = "postgres"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Instance:
    """A server with an archiver, as in a pod."""

    root: Path
    account: dict[str, object]
    settings: dict[str, object]
    port: int = field(default_factory=free_port)
    server: subprocess.Popen[bytes] | None = None
    archiver: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        return self.root / "data"

    def configure(self, primary: Instance | None = None) -> None:
        command = f"ARCHIVE_TRIES=30 ARCHIVE_FOLDER={self.root}/shared {self.root}/archive-wal %f"
        lines = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.root),
            "fsync": "off",
            "wal_keep_size": "2GB",
            "archive_mode": "always",
            "archive_command": command,
            "wal_log_hints": "on",
        }
        if primary:
            lines["primary_conninfo"] = f"host=127.0.0.1 port={primary.port} user={USER}"
        text = "".join(f"{name} = '{value}'\n" for name, value in lines.items())
        (self.data / "postgresql.auto.conf").write_text(text)
        (self.data / "pg_hba.conf").write_text("local all all trust\nhost all all all trust\n"
                                               "host replication all all trust\n")  # fmt: skip

    def start(self) -> None:
        with (self.root / "log").open("ab") as log:
            self.server = subprocess.Popen(
                ["postgres", "-D", self.data], stdout=log, stderr=log, cwd=self.root, **self.account
            )
        wait_for(self.answers, "the server runs")

    def answers(self) -> bool:
        try:
            self.query("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def query(self, sql: str) -> object:
        with psycopg.connect(
            host="127.0.0.1", port=self.port, user=USER, dbname="postgres", autocommit=True
        ) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchone()[0] if cursor.description else None

    def write(self) -> str:
        self.query("CREATE TABLE IF NOT EXISTS t (a text)")
        self.query("INSERT INTO t SELECT md5(n::text) FROM generate_series(1, 2000) n")
        return str(self.query("SELECT pg_walfile_name(pg_switch_wal())"))

    def archive(self) -> None:
        (self.root / "settings").write_text(json.dumps(self.settings))
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


@pytest.fixture
def make(postgres_server, tmp_path) -> Iterator[Callable[..., Instance]]:
    """Make instances of one Database."""
    made: list[Instance] = []
    root = Path(tempfile.mkdtemp(prefix="timelines-"))
    root.chmod(0o755)
    store = tmp_path / "store"
    store.mkdir()
    settings = {
        "namespace": "ns",
        "database": "app",
        "uid": str(uuid.uuid4()),
        "recipients": [],
        "root": str(store),
    }

    def one(primary: Instance | None = None) -> Instance:
        folder = root / str(len(made))
        for each in (folder, folder / "shared", folder / "spool"):
            each.mkdir()
        shutil.copy(CHECKOUT / "image/agent/archive-wal", folder)
        (folder / "archive-wal").chmod(0o755)
        account = postgres_server.account
        if account:
            shutil.chown(folder, "postgres")
        instance = Instance(folder, account, settings)
        made.append(instance)
        command = (
            ["pg_basebackup", "-h", "127.0.0.1", "-p", str(primary.port), "-U", USER,
             "-D", instance.data, "-R", "-c", "fast"]
            if primary
            else ["initdb", "-D", instance.data, "-U", USER, "--no-sync"]
        )  # fmt: skip
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder, **account)
        instance.configure(primary)
        instance.start()
        return instance

    yield one
    for instance in made:
        instance.end(signal.SIGKILL)
    shutil.rmtree(root)


@pytest.fixture
def reader(make, tmp_path) -> Callable[[Instance], WalArchive]:
    return lambda one: WalArchive(
        FilesystemStore(Path(str(one.settings["root"]))),
        archive_location("ns", "app", str(one.settings["uid"])),
        None,
        tmp_path,
    )


def test_a_primary_that_is_lost_with_what_it_had_not_archived(make, reader, tmp_path) -> None:
    """Its archiver had stopped before: the replicas have the segments, and archive them."""
    primary = make()
    promoted, other = make(primary), make(primary)
    for one in (primary, promoted, other):
        one.archive()
    archive = reader(primary)
    first = primary.write()
    wait_for(lambda: archive.find(first) and not primary.waiting(), "all is stored")
    primary.archiver.kill()
    promoted.archiver.kill()
    other.archiver.kill()
    unarchived = [primary.write() for _ in range(3)]
    primary.query("INSERT INTO t SELECT 'in the middle of a segment'")
    lsn = primary.query("SELECT pg_current_wal_flush_lsn()")
    for one in (promoted, other):
        wait_for(
            lambda one=one: one.query(f"SELECT pg_last_wal_receive_lsn() >= '{lsn}'"), "it has all"
        )
    primary.end(signal.SIGKILL)
    promoted.query("SELECT pg_promote()")
    wait_for(lambda: not promoted.query("SELECT pg_is_in_recovery()"), "it is primary")
    for one in (promoted, other):
        one.archive()
    other.query(
        f"ALTER SYSTEM SET primary_conninfo = 'host=127.0.0.1 port={promoted.port} user={USER}'"
    )
    other.query("SELECT pg_reload_conf()")
    made = [promoted.write() for _ in range(3)]
    assert {names.timeline_of(name) for name in made} == {2}
    wait_for(lambda: archive.find(made[-1]), "the new timeline is stored")
    for one in (promoted, other):
        wait_for(lambda one=one: not one.waiting(), "nothing waits", 90)
    assert set(unarchived) <= set(archive.segments(1))
    assert archive.histories() == [2]
    assert archive.fetch("00000002.history", tmp_path / "history")
    switch = switch_of(parse_history((tmp_path / "history").read_text(), 2), 1)
    assert switch is not None
    end = switch.lsn // names.SEGMENT_SIZE
    one, two = ([names.segment_number(name) for name in archive.segments(line)] for line in (1, 2))
    assert one == list(range(1, end)), "whole ones, to the switch"
    assert two == list(range(end, two[-1] + 1)), "from the switch on"
    # The replica handed over what it had of the segment, under the name of a whole one.
    ended = names.segment_name(1, end)
    assert f"{ended} is where its timeline ended" in other.log
    assert archive.find(ended) is None
    for log in (promoted.log, other.log):
        assert "cannot archive" not in log


def test_a_former_primary_comes_back(make, reader) -> None:
    """It streams from its successor, and archives what it had without a conflict."""
    primary = make()
    promoted = make(primary)
    for one in (primary, promoted):
        one.archive()
    archive = reader(primary)
    first = primary.write()
    wait_for(lambda: archive.find(first) and not primary.waiting(), "all is stored")
    primary.end(signal.SIGINT)
    promoted.query("SELECT pg_promote()")
    wait_for(lambda: not promoted.query("SELECT pg_is_in_recovery()"), "it is primary")
    promoted.write()
    (primary.data / "standby.signal").touch()
    primary.configure(promoted)
    primary.start()
    primary.archive()
    last = promoted.write()
    wait_for(lambda: archive.find(last), "it is stored")
    for one in (primary, promoted):
        wait_for(lambda one=one: not one.waiting(), "nothing waits", 90)
    assert "ArchiveConflict" not in primary.log + promoted.log
    found = [names.segment_number(name) for line in (1, 2) for name in archive.segments(line)]
    assert sorted(set(found)) == list(range(found[0], found[-1] + 1))
