"""After the swap no session sees the replaced database any more, on a replica either."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from ansible_collections.postgres.operator.plugins.module_utils import errors
from ansible_collections.postgres.operator.plugins.module_utils.artifact import room
from ansible_collections.postgres.operator.plugins.module_utils.artifact import (
    standby_sessions as standbys,
)
from ansible_collections.postgres.operator.plugins.module_utils.postgres.connection import connect

ADDRESS = "127.0.0.2"


@pytest.fixture
def standby(postgres_server, monkeypatch) -> Iterator[object]:
    """A standby on the primary's port, at another address; returns how to connect to it."""
    folder = Path(tempfile.mkdtemp(prefix="standby-"))
    if os.getuid() == 0:
        shutil.chown(folder, "postgres")
    data = folder / "data"
    source = psycopg.conninfo.make_conninfo(
        host=postgres_server.host, port=postgres_server.port, user="postgres"
    )
    environment = os.environ | {"PGPASSWORD": postgres_server.password}
    settings = {"env": environment, "cwd": folder, **postgres_server.account}
    subprocess.run(
        ["pg_basebackup", f"--pgdata={data}", f"--dbname={source}", "--write-recovery-conf",
         "--checkpoint=fast", "--no-sync"],
        check=True,
        **settings,
    )  # fmt: skip
    options = {"listen_addresses": ADDRESS, "unix_socket_directories": str(folder)}
    process = subprocess.Popen(
        [
            shutil.which("postgres"), "-D", str(data), "-p", str(postgres_server.port),
            "-c", "max_connections=60", "-c", "max_prepared_transactions=2",
            *(word for item in options.items() for word in ("-c", "=".join(item))),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **settings,
    )  # fmt: skip

    def connect(dbname: str) -> psycopg.Connection:
        return psycopg.connect(
            host=ADDRESS,
            port=postgres_server.port,
            user="postgres",
            password=postgres_server.password,
            dbname=dbname,
            autocommit=True,
        )

    # On this machine the standby's own address is that of every local client.
    real = standbys.list_standbys
    monkeypatch.setattr(
        standbys,
        "list_standbys",
        lambda connection: (real(connection)[0], [(n, ADDRESS) for n, _ in real(connection)[1]]),
    )
    try:
        wait_until_streaming(postgres_server)
        yield connect
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)
        shutil.rmtree(folder)


def wait_until_streaming(server) -> None:
    deadline = time.monotonic() + 60
    with server.connect() as connection:
        while not connection.execute(
            "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
        ).fetchone()[0]:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def names_seen(connect, database: str) -> list[tuple[str]]:
    """What a new session on the standby sees, once that knows the database."""
    deadline = time.monotonic() + 30
    while True:
        try:
            with connect(database) as connection:
                return connection.execute("SELECT name FROM version").fetchall()
        except psycopg.Error:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_sessions_on_a_standby_are_ended(changed, standby) -> None:
    assert names_seen(standby, changed.database) == [("new",)]
    with standby(changed.database) as session, standby("postgres") as other:
        assert session.execute("SELECT name FROM version").fetchall() == [("new",)]
        outcome = changed.restore()
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT name FROM version")
        assert other.execute("SELECT 1").fetchone() == (1,), "those of other databases stay"
    assert "warning" not in outcome.summary
    assert names_seen(standby, changed.database) == [("old",)]


def test_they_are_when_nothing_is_kept(changed, standby) -> None:
    assert names_seen(standby, changed.database) == [("new",)]
    with standby(changed.database) as session:
        changed.restore(keep_previous=timedelta(0))
        deadline = time.monotonic() + 30
        with pytest.raises(psycopg.OperationalError):
            while time.monotonic() < deadline:
                session.execute("SELECT 1")
                time.sleep(0.1)


def test_a_standby_that_cannot_be_reached_is_reported(changed, standby, monkeypatch) -> None:
    real = standbys.list_standbys
    monkeypatch.setattr(
        standbys,
        "list_standbys",
        lambda connection: (real(connection)[0], [("app-2", "127.0.0.9")]),
    )
    outcome = changed.restore()
    assert "app-2" in outcome.summary["warning"]
    assert changed.scalar("SELECT name FROM version") == "old"


@pytest.fixture
def roomless(bench):
    """A request for more room than any disk has."""
    return room.RoomRequest(bench.parameters.maintenance, 10**18, "restore_x", "backup x")


def test_the_room_of_a_standby_is_asked_too(bench, standby, roomless, monkeypatch) -> None:
    monkeypatch.setattr(
        room, "list_standbys", lambda _: ("", [("app-1", ADDRESS), ("app-2", "127.0.0.9")])
    )
    with connect(roomless.primary) as connection:
        (unknown,) = room.check_room(roomless, connection, refuse=False)
        assert "the volume of replica app-2 was not known: connecting to" in unknown
        monkeypatch.setattr(
            room, "_servers", lambda *_: [("replica app-1", roomless.primary.at(ADDRESS))]
        )
        with pytest.raises(
            errors.NotEnoughRoom, match="the volume of replica app-1 than is reserved"
        ):
            room.check_room(roomless, connection, refuse=True)
