"""Backups of databases in which something is locked: what they wait for, and what they do not."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import psycopg
import pytest
from ansible_collections.postgres.operator.plugins.module_utils.artifact import (
    lock_waits,
    snapshot,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.fingerprint import Reader
from ansible_collections.postgres.operator.plugins.module_utils.artifact.progress import Progress
from ansible_collections.postgres.operator.plugins.module_utils.errors import Timeout
from ansible_collections.postgres.operator.plugins.module_utils.postgres.cancellation import (
    Cancellation,
)

WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation IS NOT NULL"


@contextmanager
def holding(bench, statement: str) -> Iterator[psycopg.Connection]:
    """A session that has executed a statement in a transaction, which is open."""
    options = "-c application_name=nightly_job"
    with bench.server.connect(bench.database, options=options) as connection:
        connection.execute("BEGIN")
        connection.execute(statement)
        yield connection


def wait_for_waits(bench, count: int = 1) -> None:
    """Until so many locks are waited for."""
    while bench.scalar(WAITING, "postgres") < count:
        time.sleep(0.05)


@pytest.fixture
def impatient(monkeypatch) -> None:
    """Locks that are held are given up each second, and what is waited for counts at once."""
    monkeypatch.setattr(snapshot, "LOCK_WAIT_SECONDS", 1)
    monkeypatch.setattr(lock_waits, "ENDLESS_SECONDS", 0)
    monkeypatch.setattr(lock_waits, "_WATCH_SECONDS", 0.1)


@pytest.mark.parametrize("waits", [False, True])
def test_who_keeps_a_lock_for_too_long_is_named(bench, impatient, monkeypatch, waits) -> None:
    """A session that has the lock, or an ALTER TABLE that waits for a reader."""
    monkeypatch.setattr(snapshot, "PATIENCE_SECONDS", 0)
    lock = "LOCK TABLE numbers IN ACCESS EXCLUSIVE MODE"
    first = "SELECT count(*) FROM numbers" if waits else "SELECT 1"
    with (
        ThreadPoolExecutor(1) as pool,
        holding(bench, "SELECT 1") as holder,
        holding(bench, first) as reader,
    ):
        if waits:
            pool.submit(holder.execute, lock)
            wait_for_waits(bench)
        else:
            holder.execute(lock)
        named = rf"^public\.numbers is locked by process {holder.info.backend_pid} of role .* \(nig"
        with pytest.raises(Timeout, match=named):
            bench.backup()
        reader.execute("ROLLBACK")
    assert not bench.store.files.exists(bench.location)


@pytest.mark.parametrize(
    "statement",
    [
        "LOCK TABLE numbers IN ACCESS EXCLUSIVE MODE",
        "REFRESH MATERIALIZED VIEW doubled",
        "REINDEX TABLE numbers",
        "LOCK TABLE parted IN ACCESS EXCLUSIVE MODE",
    ],
)
def test_a_backup_waits_for_what_nobody_else_waits_for(
    bench, impatient, tmp_path, statement
) -> None:
    """Longer than it waits at a time, and it says for whom."""
    bench.execute(
        "CREATE MATERIALIZED VIEW doubled AS SELECT 2 AS two;"
        "CREATE INDEX ON numbers ((1)) WHERE true;"
        "CREATE TABLE parted (id int) PARTITION BY RANGE (id)"
    )
    log = tmp_path / "log"
    with holding(bench, statement) as holder, ThreadPoolExecutor(1) as pool:
        backup = pool.submit(bench.backup, progress=Progress(log))
        wait_for_waits(bench)
        time.sleep(2.5)
        assert not backup.done(), backup.exception()
        holder.execute("COMMIT")
        backup.result()
    if "ACCESS" in statement and "numbers" in statement:
        assert "Waiting: public.numbers is locked by process" in log.read_text()
    bench.restore()


def test_a_backup_does_not_wait_while_others_wait_for_it(bench, impatient, monkeypatch) -> None:
    """It keeps an ALTER TABLE from going on, and waits itself for a REFRESH."""
    monkeypatch.setattr(lock_waits, "BEHIND_SECONDS", 0.5)
    bench.execute("CREATE MATERIALIZED VIEW doubled AS SELECT 2 AS two")
    with holding(bench, "REFRESH MATERIALIZED VIEW doubled"), ThreadPoolExecutor(2) as pool:
        backup = pool.submit(bench.backup)
        wait_for_waits(bench)
        altering = pool.submit(bench.execute, "ALTER TABLE numbers ADD COLUMN more int")
        with pytest.raises(Timeout, match=r"^public\.doubled is locked .*; other sessions have"):
            backup.result()
        altering.result()


def test_what_is_read_once_does_not_wait_for_who_waits_for_it(bench, monkeypatch) -> None:
    """An ALTER TABLE queues behind the snapshot's locks, and every later reader behind that."""
    monkeypatch.setattr(snapshot, "SHARED_LOCK_WAIT_SECONDS", 1)
    with ThreadPoolExecutor(1) as pool, bench.snapshot() as taken:
        altering = pool.submit(bench.execute, "ALTER TABLE numbers ADD COLUMN more int")
        wait_for_waits(bench)
        with pytest.raises(Timeout), taken.session(Reader()) as session:
            session.execute("SELECT count(*) FROM public.numbers")
        taken.connection.execute("ROLLBACK")
        altering.result()


def test_pg_dump_does_not_wait_for_who_waits_for_it(bench, impatient) -> None:
    """An ALTER SEQUENCE queues behind the snapshot's lock, and pg_dump would behind that."""
    bench.execute("CREATE SEQUENCE counting")
    cancellation = Cancellation()

    def read() -> None:
        # A session that was not there when the others were first seen.
        time.sleep(1)
        options = "-c application_name=postgres-operator"
        with (
            bench.server.connect(bench.database, options=options) as connection,
            cancellation.calls(connection.cancel_safe),
            suppress(psycopg.errors.QueryCanceled),
        ):
            connection.execute("SELECT FROM counting")

    with ThreadPoolExecutor(1) as pool, bench.snapshot() as taken:
        altering = pool.submit(bench.execute, "ALTER SEQUENCE counting RENAME TO other")
        wait_for_waits(bench)
        with pytest.raises(Timeout, match=r"lock on public\.counting was waited for"):
            lock_waits.LockWaits(taken.keeper).run([read], cancellation)
        taken.connection.execute("ROLLBACK")
        altering.result()


def test_a_backup_begins_again_behind_who_waits_for_it(bench, impatient, tmp_path) -> None:
    """A TRUNCATE comes after the first session has locked the table, and before pg_dump does."""
    log = tmp_path / "log"
    locked = (
        "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE granted"
        " AND relation = 'numbers'::regclass AND application_name = 'postgres-operator'"
    )
    with ThreadPoolExecutor(1) as pool:
        backup = pool.submit(bench.backup, progress=Progress(log))
        with bench.connect() as connection:
            while connection.execute(locked).fetchone() == (0,):
                time.sleep(0.001)
            connection.execute("TRUNCATE numbers")
        artifact = backup.result()
    assert "Beginning again, with one process: a lock on " in log.read_text()
    assert [table.rows for table in artifact.manifest.tables if table.name == "numbers"] == [0]
    bench.restore()


def test_tables_that_come_and_go_do_not_keep_a_backup_from_being_made(bench) -> None:
    """Those that were there when its snapshot was taken are in it."""
    over = threading.Event()

    def come_and_go() -> None:
        with bench.connect() as connection:
            while not over.wait(1):
                connection.execute("CREATE TABLE comes (id int)")
                connection.execute("TRUNCATE numbers")
                connection.execute("DROP TABLE comes")

    with ThreadPoolExecutor(1) as pool:
        busy = pool.submit(come_and_go)
        try:
            bench.backup()
        finally:
            over.set()
        busy.result()
    bench.restore()
