"""Whenever a run is killed there is the old state or the new one; running again finishes it."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import pytest
from ansible_collections.postgres.operator.plugins.module_utils import errors
from ansible_collections.postgres.operator.plugins.module_utils.artifact.artifact import (
    check_artifact,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.create import (
    create_artifact,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.history import (
    announce_scratch,
    database_lock,
    drop_abandoned_scratch,
    ensure_history,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.restore import (
    restore_artifact,
)

SCRIPT = Path(__file__).with_name("killed_run.py")


def run_until_killed(tmp_path: Path, kind: str, request: object, point: str, when: str) -> int:
    """Returns the exit status; -9 if the run was killed before it had finished."""
    pickled = tmp_path / "request"
    pickled.write_bytes(pickle.dumps(request))
    # What a killed run leaves behind is in the test's folder, as it is in a pod's.
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(sys.path),
        "TMPDIR": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, SCRIPT, kind, pickled, point, when], env=environment, check=False
    )
    return done.returncode


BACKUP_POINTS = [
    ("Dumping", "begin"),
    ("Dumping", "+0.05"),
    ("Computing", "begin"),
    ("Writing", "begin"),
]


@pytest.mark.parametrize(("point", "when"), BACKUP_POINTS)
def test_a_killed_backup_is_no_backup(bench, tmp_path, point, when) -> None:
    assert run_until_killed(tmp_path, "backup", bench.backup_request(), point, when) == -9
    assert not (bench.folder / "manifest.json").exists()
    assert bench.folder.exists(), "a leftover, which the next run has to replace"
    (bench.folder / "rubbish").write_text("x")
    outcome = create_artifact(bench.backup_request())
    assert not outcome.adopted
    check_artifact(bench.store, bench.location)
    bench.restore()


def test_a_backup_killed_after_its_manifest_is_adopted(bench, tmp_path) -> None:
    assert run_until_killed(tmp_path, "backup", bench.backup_request(), "Writing", "end") == -9
    manifest = (bench.folder / "manifest.json").read_bytes()
    bench.execute("DROP TABLE numbers")
    outcome = create_artifact(bench.backup_request())
    assert outcome.adopted
    assert (bench.folder / "manifest.json").read_bytes() == manifest
    assert outcome.artifact.summary()["rows"] == 20001


RESTORE_POINTS = [
    ("Checking", "end"),
    ("Creating", "end"),
    ("Restoring", "+0.03"),
    ("Restoring", "end"),
    ("Comparing", "+0.01"),
    ("Replacing", "+0.01"),
    ("Replacing", "+0.02"),
    ("Replacing", "+0.03"),
    ("Replacing", "+0.04"),
    ("Replacing", "end"),
]


@pytest.mark.parametrize(("point", "when"), RESTORE_POINTS)
def test_a_killed_restore_leaves_old_or_new(changed, tmp_path, point, when) -> None:
    request = changed.restore_request(lock_wait_seconds=10)
    others = changed.databases() - {changed.database}
    with changed.connect() as session:
        session.execute("SELECT 1")
        assert run_until_killed(tmp_path, "restore", request, point, when) in (-9, 0)
    # In one look: a server that was committing may swap between two.
    look = "SELECT ARRAY[name, (SELECT count(*)::text FROM numbers)] FROM version"
    found = changed.scalar(look)
    assert found in (["new", "10"], ["old", "20000"])
    if (point, when) == ("Replacing", "end"):
        assert found[0] == "old"
    elif point != "Replacing":
        assert found[0] == "new"
    outcome = restore_artifact(request)
    # A run that was killed while the server was committing may have swapped just after the look.
    assert outcome.repeated or found[0] == "new"
    previous = outcome.summary["previousDatabase"]
    assert changed.databases() - others == {changed.database, previous}
    assert changed.scalar("SELECT name FROM version") == "old"
    assert changed.scalar("SELECT count(*) FROM numbers") == 20000


def test_a_restore_repeated_after_its_swap_changes_nothing(changed) -> None:
    request = changed.restore_request()
    first = restore_artifact(request)
    changed.execute("UPDATE version SET name = 'written after the restore'")
    second = restore_artifact(request)
    assert second.repeated
    assert second.summary == first.summary
    assert changed.scalar("SELECT name FROM version") == "written after the restore"


def test_even_after_a_later_restore(changed) -> None:
    request = changed.restore_request()
    restore_artifact(request)
    changed.restore()
    changed.execute("UPDATE version SET name = 'written after both'")
    assert restore_artifact(request).repeated
    assert changed.scalar("SELECT name FROM version") == "written after both"


def test_nothing_of_a_restore_is_in_the_next_backup(changed) -> None:
    changed.restore()
    changed.location = type(changed.location)("ns", "app", str(uuid.uuid4()))
    artifact = changed.backup()
    assert {table.name for table in artifact.manifest.tables} == {"version", "numbers"}


def test_killed_pg_dump_is_a_failure_and_leaves_nothing(bench) -> None:
    bench.execute(
        "CREATE TABLE big AS SELECT repeat(md5(n::text), 40) FROM generate_series(1, 60000) n"
    )

    def kill_pg_dump() -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            for pid in children_named("pg_dump"):
                if (bench.folder / "dump").exists():
                    os.kill(pid, signal.SIGKILL)
                    return
            time.sleep(0.002)

    killer = threading.Thread(target=kill_pg_dump)
    killer.start()
    with pytest.raises(errors.OperatorError) as caught:
        create_artifact(bench.backup_request())
    killer.join()
    assert "pg_dump" in caught.value.message
    assert caught.value.reason in ("BackupFailed", "DatabaseNotReady", "OutOfMemory")
    assert not bench.folder.exists()


def test_a_killed_worker_of_pg_dump_is_told_as_a_lack_of_memory(bench) -> None:
    bench.execute(
        "CREATE TABLE big AS SELECT repeat(md5(n::text), 40) FROM generate_series(1, 60000) n"
    )
    killed = []

    def kill_worker() -> None:
        deadline = time.monotonic() + 60
        while not killed and time.monotonic() < deadline:
            for parent in children_named("pg_dump"):
                for pid in children_named("pg_dump", parent):
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)
                    return
            time.sleep(0.002)

    killer = threading.Thread(target=kill_worker)
    killer.start()
    with pytest.raises(errors.OutOfMemory, match=r"raise jobs\.resources\.limits\.memory"):
        create_artifact(bench.backup_request())
    killer.join()
    assert killed
    assert not bench.folder.exists()


def children_named(name: str, parent: int | None = None) -> list[int]:
    """Direct children of this process, or of another one, that run a program."""
    parent = parent or os.getpid()
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            text = status.read_text()
        except OSError:
            continue
        if f"Name:\t{name}\n" in text and f"PPid:\t{parent}\n" in text:
            found.append(int(status.parent.name))
    return found


def test_scratch_database_is_dropped_when_the_restore_fails(changed) -> None:
    before = changed.databases()
    # What the check reads is not there yet when the rows that it checks are restored.
    changed.files.remove(changed.location)
    changed.execute(
        "CREATE FUNCTION check_it(text) RETURNS boolean LANGUAGE sql"
        " AS 'SELECT EXISTS (SELECT FROM public.version)';"
        "ALTER TABLE version ADD CHECK (check_it(name));"
        "CREATE TABLE a_first (name text CHECK (check_it(name)));"
        "INSERT INTO a_first VALUES ('x')"
    )
    changed.backup()
    with pytest.raises(errors.RestoreFailed, match="pg_restore"):
        changed.restore()
    assert changed.databases() == before
    assert changed.scalar("SELECT name FROM version") == "new"


@pytest.mark.parametrize(("point", "when"), [*RESTORE_POINTS[1:5], ("Replacing", "+0.02")])
@pytest.mark.parametrize("dry_run", [False, True])
def test_what_a_restore_that_is_never_repeated_leaves_is_swept(
    changed, tmp_path, point, when, dry_run
) -> None:
    request = changed.restore_request(dry_run=dry_run)
    others = changed.databases()
    run_until_killed(tmp_path, "restore", request, point, when)
    with changed.connect("postgres") as connection:
        wait_until_unlocked(connection, request.locked_database)
        left = request.scratch in changed.databases()
        assert (
            drop_abandoned_scratch(connection, changed.parameters.maintenance, [])
            == [request.scratch] * left
        )
        assert drop_abandoned_scratch(connection, changed.parameters.maintenance, []) == []
    assert request.scratch not in changed.databases()
    put_aside = {name for name in changed.databases() if "_before_" in name}
    assert changed.databases() - put_aside == others


def wait_until_unlocked(connection, database: str) -> None:
    """The server notices within a moment that a killed client is gone."""
    with database_lock(connection, database, 10):
        pass


def test_what_a_running_restore_uses_is_not_swept(changed) -> None:
    request = changed.restore_request()
    with changed.connect("postgres") as restoring, changed.connect("postgres") as sweeping:
        assert drop_abandoned_scratch(sweeping, changed.parameters.maintenance, []) == [], (
            "there may be no history yet"
        )
        with database_lock(restoring, request.locked_database, 1):
            ensure_history(restoring)
            announce_scratch(restoring, request.scratch, request.locked_database)
            changed.execute(f"CREATE DATABASE {request.scratch}", "postgres")
            assert drop_abandoned_scratch(sweeping, changed.parameters.maintenance, []) == []
            assert request.scratch in changed.databases()
        assert drop_abandoned_scratch(sweeping, changed.parameters.maintenance, []) == [
            request.scratch
        ]


def test_a_database_that_only_looks_like_a_leftover_stays(changed) -> None:
    changed.restore()
    changed.execute("CREATE DATABASE restore_0123abcd", "postgres")
    with changed.connect("postgres") as connection:
        assert drop_abandoned_scratch(connection, changed.parameters.maintenance, []) == []
    assert "restore_0123abcd" in changed.databases()
