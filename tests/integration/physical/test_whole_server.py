"""A new server is made from a physical backup: all of its databases, as its data directory."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.artifact.physical import (
    rebuild as rebuilding,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.physical.rebuild import (
    RECORD,
    RebuildRequest,
    rebuild,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.physical.recover import (
    RecoverRequest,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.physical.target import (
    EndOfArchive,
)
from ansible_collections.postgres.operator.plugins.module_utils.errors import (
    DatabaseNotEmpty,
    RestoreFailed,
)
from ansible_collections.postgres.operator.plugins.module_utils.postgres.connection import connect
from ansible_collections.postgres.operator.plugins.module_utils.postgres.programs import (
    find_program,
)
from ansible_collections.postgres.operator.plugins.module_utils.postgres.scratch import (
    existing_server,
)

# As which Patroni starts it first: it refuses less than the control file has.
AS_A_STANDBY = {
    "wal_level": "replica",
    "hot_standby": "on",
    "max_connections": "30",
    "max_worker_processes": "8",
    "max_wal_senders": "10",
    "max_prepared_transactions": "0",
    "max_locks_per_transaction": "64",
}


@pytest.fixture
def request_of(archived, work):
    """Make the request for a volume below the work folder."""

    def make(artifact, **changes: object) -> RebuildRequest:
        volume = work / "volume"
        volume.mkdir(exist_ok=True)
        volume.chmod(0o755)
        recovery = RecoverRequest(
            archived.store, artifact.location, volume, EndOfArchive(), 2, artifact.sha256
        )
        return replace(RebuildRequest(recovery, volume / "pgdata", "r-1"), **changes)

    return make


def control_data(data: Path) -> dict[str, str]:
    text = subprocess.run(
        [find_program("pg_controldata"), data], check=True, capture_output=True, text=True
    ).stdout
    return dict(line.split(":", 1) for line in text.splitlines())


def test_all_databases_and_roles_are_there(archived, request_of) -> None:
    archived.execute("CREATE TABLE log AS SELECT generate_series(1, 100) AS n")
    artifact = archived.back_up()
    archived.execute("CREATE ROLE reader LOGIN PASSWORD 'x'; INSERT INTO log VALUES (101)")
    archived.execute("CREATE DATABASE further")
    archived.execute("CREATE TABLE there (n int)", "further")
    name = archived.scalar("SELECT pg_walfile_name(pg_switch_wal())")
    archived.await_archived(name)
    request = request_of(artifact)
    summary = rebuild(request)
    assert summary.keys() >= {"startTime", "completionTime", "recoveredLSN", "timeline"}
    assert [path.name for path in request.data.parent.iterdir()] == ["pgdata"]
    server = request.data.parent / "server"
    server.mkdir()
    request.data.rename(server / "data")
    (server / "data" / "standby.signal").touch()
    with existing_server(server, AS_A_STANDBY, RestoreFailed) as found:

        def scalar(dbname: str, statement: str) -> object:
            with connect(replace(found.parameters, dbname=dbname)) as connection:
                return connection.execute(statement).fetchone()[0]

        assert scalar("app", "SELECT count(*) FROM public.log") == 101
        assert scalar("further", "SELECT count(*) FROM public.there") == 0
        verifier = "SELECT rolpassword FROM pg_authid WHERE rolname = 'reader'"
        assert scalar("app", verifier) == archived.scalar(verifier)


def test_it_can_be_done_again(archived, request_of, monkeypatch: pytest.MonkeyPatch) -> None:
    request = request_of(archived.back_up())
    volume = request.data.parent

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(rebuilding, "run_program", killed)
        with pytest.raises(KeyboardInterrupt):
            rebuild(request)
    assert not request.data.exists()
    first = rebuild(request)
    assert [path.name for path in volume.iterdir()] == ["pgdata"]
    # The answer was lost: what is there is not made again.
    (volume / "restore-left").mkdir()
    before = request.data.stat().st_ino
    assert rebuild(request) == first
    assert (request.data.stat().st_ino, (volume / "restore-left").exists()) == (before, False)


@pytest.mark.parametrize("record", [None, "no JSON", json.dumps({"restoreUID": "another"})])
def test_other_data_is_never_overwritten(archived, request_of, record: str | None) -> None:
    request = request_of(archived.back_up())
    request.data.mkdir()
    (request.data / "PG_VERSION").write_text("17\n")
    if record is not None:
        (request.data / RECORD).write_text(record)
    with pytest.raises(DatabaseNotEmpty, match="never overwritten: delete its claim"):
        rebuild(request)
    assert (request.data / "PG_VERSION").read_text() == "17\n"


def test_the_control_file_asks_no_more_than_any_server_has(archived, request_of) -> None:
    request = request_of(archived.back_up())
    rebuild(request)
    found = control_data(request.data)
    assert found["Database cluster state"].strip() == "shut down"
    assert found["wal_level setting"].strip() == "replica"
    assert int(found["max_prepared_xacts setting"]) == 0
    assert int(found["max_locks_per_xact setting"]) == 64


def test_subscriptions_are_disabled(archived, request_of) -> None:
    archived.execute(
        "CREATE SUBSCRIPTION taken CONNECTION 'host=192.0.2.1' PUBLICATION p"
        " WITH (connect = false, slot_name = 'taken')"
    )
    try:
        archived.execute("ALTER SUBSCRIPTION taken ENABLE")
        artifact = archived.back_up()
    finally:
        archived.execute(
            "ALTER SUBSCRIPTION taken DISABLE;"
            "ALTER SUBSCRIPTION taken SET (slot_name = NONE); DROP SUBSCRIPTION taken"
        )
    request = request_of(artifact)
    assert "its subscriptions were disabled (app.taken)" in rebuild(request)["warning"]
    server = request.data.parent / "server"
    server.mkdir()
    request.data.rename(server / "data")
    with (
        existing_server(server, {}, RestoreFailed) as found,
        connect(found.parameters) as connection,
    ):
        row = connection.execute("SELECT subname, subenabled FROM pg_subscription").fetchone()
    assert row == ("taken", False)


def test_what_the_former_patroni_had_cached_is_gone(archived, request_of) -> None:
    data = Path(str(archived.scalar("SHOW data_directory")))
    (data / "patroni.dynamic.json").write_text("{}")
    request = request_of(archived.back_up())
    rebuild(request)
    assert not (request.data / "patroni.dynamic.json").exists()
