"""How a restore that was stopped is found to have ended."""

from __future__ import annotations

import threading
import uuid
from datetime import timedelta

import pytest
from ansible_collections.postgres.operator.plugins.module_utils import errors
from ansible_collections.postgres.operator.plugins.module_utils.artifact import outcome
from ansible_collections.postgres.operator.plugins.module_utils.artifact.history import (
    announce_scratch,
    database_lock,
    ensure_history,
)
from ansible_collections.postgres.operator.plugins.module_utils.postgres.connection import connect


def stopped(bench, uid: str, **changes: object) -> outcome.StoppedRestore:
    settings = {"keep_previous": timedelta(hours=1)} | changes
    return outcome.StoppedRestore(bench.parameters, uid, "72h", **settings)


def test_one_that_had_swapped_is_completed_with_all_that_it_knew(changed) -> None:
    uid = str(uuid.uuid4())
    done = changed.restore(uid=uid).summary
    found = outcome.find_end(stopped(changed, uid))
    assert found == done
    assert found["previousDatabase"] in changed.databases()
    assert changed.scalar("SELECT name FROM version") == "old"


def test_one_that_had_swapped_and_keeps_nothing_drops_what_it_replaced(changed) -> None:
    uid = str(uuid.uuid4())
    # As when the run was stopped before it could: its own end has nothing to drop yet.
    done = changed.restore(uid=uid, keep_previous=timedelta(hours=1)).summary
    with changed.connect("postgres") as connection:
        row = connection.execute(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s",
            [done["previousDatabase"]],
        ).fetchone()
        late = row[0].replace('"until": "20', '"until": "19')
        connection.execute(
            f'COMMENT ON DATABASE "{done["previousDatabase"]}" IS $mark${late}$mark$'
        )
    outcome.find_end(stopped(changed, uid, keep_previous=timedelta(0)))
    assert changed.databases() == {changed.database}


@pytest.mark.parametrize("dry_run", [False, True])
def test_one_that_had_not_is_undone_and_has_failed(changed, dry_run) -> None:
    uid = str(uuid.uuid4())
    restore = stopped(changed, uid, dry_run=dry_run)
    scratch = outcome.scratch_name(uid)
    with connect(restore.maintenance) as connection:
        ensure_history(connection)
        announce_scratch(connection, scratch, scratch if dry_run else changed.database)
        connection.execute(f'CREATE DATABASE "{scratch}"')
    with pytest.raises(errors.Timeout, match="was not replaced; make another Restore with a long"):
        outcome.find_end(restore)
    assert changed.databases() == {changed.database}
    assert changed.scalar("SELECT name FROM version") == "new"


def test_the_session_of_the_stopped_run_is_waited_for(changed, monkeypatch) -> None:
    monkeypatch.setattr(outcome, "LOCK_WAIT_SECONDS", 0.1)
    uid = str(uuid.uuid4())
    restore = stopped(changed, uid)
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with (
            connect(restore.maintenance) as connection,
            database_lock(connection, changed.database, 1),
        ):
            held.set()
            release.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert held.wait(10)
        with pytest.raises(errors.RestoreFailed, match=r"whether .* was replaced is not known"):
            outcome.find_end(restore, patience_seconds=0.5)
        threading.Timer(1.5, release.set).start()
        with pytest.raises(errors.Timeout):
            outcome.find_end(restore, patience_seconds=20)
    finally:
        release.set()
        thread.join()


def test_a_server_that_is_gone_is_not_taken_for_a_failure(changed, tmp_path) -> None:
    restore = stopped(changed, str(uuid.uuid4()))
    nowhere = outcome.replace(restore.parameters, host=str(tmp_path))
    gone = outcome.replace(restore, parameters=nowhere)
    with pytest.raises(errors.RestoreFailed, match=r'It was if there is a database ".*_before_'):
        outcome.find_end(gone, patience_seconds=0.5)
