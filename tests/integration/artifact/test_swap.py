"""The moment of the swap, as clients see it, and what becomes of the database put aside."""

from __future__ import annotations

import threading
import time
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from ansible_collections.postgres.operator.plugins.module_utils import errors
from ansible_collections.postgres.operator.plugins.module_utils.artifact import (
    replaced_database as previous,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact import restore
from ansible_collections.postgres.operator.plugins.module_utils.artifact.history import was_restored
from ansible_collections.postgres.operator.plugins.module_utils.artifact.replaced_database import (
    agreed_time,
    drop_expired_previous,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.restore import (
    rehearse_restore,
)


class Clients:
    """Clients that reconnect for ever and note whatever they see."""

    def __init__(self, bench, count: int) -> None:
        self.bench = bench
        # When a query began and ended, and what it returned.
        self.queries: list[tuple[float, float, tuple[str, int]]] = []
        self.errors: list[str] = []
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self.work, args=(n,)) for n in range(count)]

    def work(self, number: int) -> None:
        while not self.over.is_set():
            try:
                with self.bench.connect() as connection:
                    # Some hold their connection, some connect for every query.
                    for _ in range(10_000 if number % 2 else 1):
                        if self.over.is_set():
                            return
                        begun = time.monotonic()
                        content = connection.execute(
                            "SELECT (SELECT string_agg(name, ',') FROM version),"
                            " (SELECT count(*) FROM numbers)"
                        ).fetchone()
                        self.queries.append((begun, time.monotonic(), content))
            except psycopg.Error as error:
                self.errors.append(str(error))

    def await_content(self, content: tuple[str, int]) -> None:
        deadline = time.monotonic() + 60
        while content not in [seen for *_, seen in self.queries]:
            assert time.monotonic() < deadline, self.errors
            time.sleep(0.02)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()


def test_clients_see_the_old_or_the_new_content_and_nothing_else(changed) -> None:
    new, old = ("new", 10), ("old", 20000)
    with Clients(changed, 6) as clients:
        clients.await_content(new)
        changed.restore()
        clients.await_content(old)
    assert {seen for *_, seen in clients.queries} == {new, old}
    swapped = min(ended for _, ended, seen in clients.queries if seen == old)
    late = [seen for begun, _, seen in clients.queries if begun > swapped]
    assert new not in late, "after the swap no session sees the replaced database"
    refused = [text for text in clients.errors if "not currently accepting" in text]
    assert not refused, "there is no window in which the database refuses connections"


def test_a_session_in_a_transaction_does_not_stop_the_swap(changed) -> None:
    with changed.connect() as session:
        session.execute("BEGIN")
        session.execute("UPDATE version SET name = 'never committed'")
        changed.restore()
        with pytest.raises(psycopg.OperationalError):
            session.execute("COMMIT")
    assert changed.scalar("SELECT name FROM version") == "old"


def test_a_session_that_does_not_end_stops_it_and_nothing_is_lost(changed, monkeypatch) -> None:
    """As a process would that is stuck; here none is asked to end."""
    from ansible_collections.postgres.operator.plugins.module_utils.artifact import swap

    monkeypatch.setattr(swap, "_ATTEMPTS", 1)
    monkeypatch.setattr(swap, "_sessions_terminated", lambda *_: nullcontext())
    before = changed.databases()
    with changed.connect(), pytest.raises(errors.Timeout, match="accessed by other users"):
        changed.restore()
    assert changed.databases() == before
    assert changed.scalar("SELECT name FROM version") == "new"


def test_two_restores_of_one_database_at_once(changed) -> None:
    with changed.connect("postgres") as other:
        other.execute(
            "SELECT pg_advisory_lock(hashtextextended(%s, 0))",
            [f"postgres-operator: restore of {changed.database}"],
        )
        with pytest.raises(errors.Locked, match=changed.database):
            changed.restore()
    assert changed.scalar("SELECT name FROM version") == "new"
    changed.restore()


def test_real_concurrent_restores(changed) -> None:
    """One wins; the other fails with the reason, or comes after it."""
    results: list[object] = []

    def run() -> None:
        try:
            results.append(changed.restore())
        except errors.OperatorError as error:
            results.append(error)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    refused = [result for result in results if isinstance(result, errors.OperatorError)]
    assert all(isinstance(error, errors.Locked) for error in refused)
    assert len(refused) < 3
    assert changed.scalar("SELECT name FROM version") == "old"


def test_the_previous_database_is_closed_and_kept_until_its_time(changed, make_bench) -> None:
    name = changed.restore(keep_previous=timedelta(hours=1)).summary["previousDatabase"]
    assert name.startswith(f"{changed.database}_before_")
    with pytest.raises(psycopg.OperationalError, match="not currently accepting connections"):
        changed.connect(name)
    now = datetime.now(UTC)
    with changed.connect("postgres") as connection:
        assert drop_expired_previous(connection, now + timedelta(minutes=59), []) == []
        assert drop_expired_previous(connection, now + timedelta(minutes=61), []) == [name]
        assert drop_expired_previous(connection, now + timedelta(minutes=61), []) == []
    assert name not in changed.databases()


def test_one_clock_that_has_jumped_ahead_drops_nothing(changed, monkeypatch) -> None:
    class Ahead(datetime):
        @classmethod
        def now(cls, zone=None):
            return datetime.now(zone) + timedelta(days=365)

    name = changed.restore(keep_previous=timedelta(hours=1)).summary["previousDatabase"]
    monkeypatch.setattr(previous, "datetime", Ahead)
    with changed.connect("postgres") as connection:
        assert drop_expired_previous(connection, agreed_time(connection), []) == []
    assert name in changed.databases()


def test_a_previous_database_that_a_user_took_back_is_never_dropped(changed) -> None:
    name = changed.restore().summary["previousDatabase"]
    far = datetime.now(UTC) + timedelta(days=999)
    with changed.connect("postgres") as connection:
        connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        assert drop_expired_previous(connection, far, []) == []
        connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        connection.execute(f'ALTER DATABASE "{name}" RENAME TO mine')
        assert drop_expired_previous(connection, far, []) == []
    assert "mine" in changed.databases()


def test_comments_of_others_are_left_alone(changed) -> None:
    with changed.connect("postgres") as connection:
        for comment in ("text", "[]", '{"postgres-operator": 1}', '{"postgres-operator": {}}'):
            connection.execute(
                psycopg.sql.SQL("COMMENT ON DATABASE {} IS {}").format(
                    psycopg.sql.Identifier(changed.database), psycopg.sql.Literal(comment)
                )
            )
            connection.execute(f"ALTER DATABASE {changed.database} ALLOW_CONNECTIONS false")
            assert drop_expired_previous(connection, datetime.now(UTC), []) == []


def test_nothing_is_kept_if_that_is_asked_for(changed) -> None:
    before = changed.databases()
    assert changed.restore(keep_previous=timedelta(0)).summary["previousDatabase"] is None
    assert changed.databases() == before
    assert changed.scalar("SELECT name FROM version") == "old"


def test_restores_with_the_same_beginning_do_not_meet(changed) -> None:
    """The second one's scratch database would else be the first one's, which is in use."""
    first, second = (changed.restore_request(uid=f"restore-app{n}") for n in (1, 2))
    assert first.scratch != second.scratch
    previous = [changed.restore(uid=one.uid).summary["previousDatabase"] for one in (first, second)]
    assert {*previous, changed.database} == changed.databases()


def test_a_name_that_is_taken_stops_the_swap(changed) -> None:
    request = changed.restore_request()
    taken = f"{changed.database}_before_{request.uid[:8]}"
    changed.execute(f'CREATE DATABASE "{taken}"', "postgres")
    with pytest.raises(errors.RestoreFailed, match=taken):
        changed.restore(uid=request.uid)
    assert changed.scalar("SELECT name FROM version") == "new"


def test_a_clock_that_was_put_back_does_not_shorten_the_time(changed, monkeypatch) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime(2020, 1, 1, tzinfo=tz)

    monkeypatch.setattr(previous, "datetime", Clock)
    name = changed.restore(keep_previous=timedelta(hours=1)).summary["previousDatabase"]
    monkeypatch.undo()
    soon = datetime.now(UTC) + timedelta(minutes=50)
    with changed.connect("postgres") as connection:
        assert drop_expired_previous(connection, soon, []) == []
        assert drop_expired_previous(connection, soon + timedelta(hours=1), []) == [name]


def test_rehearsal_writes_nothing(changed) -> None:
    request = changed.restore_request()
    before = changed.databases()
    assert rehearse_restore(request) is True
    assert changed.databases() == before
    changed.restore(uid=request.uid)
    assert rehearse_restore(request) is False


def test_what_cannot_be_dropped_keeps_no_other_from_it(changed) -> None:
    stuck = changed.restore(keep_previous=timedelta(hours=1)).summary["previousDatabase"]
    name = changed.restore(keep_previous=timedelta(hours=1)).summary["previousDatabase"]
    subscription = "WITH (connect = false, enabled = false, slot_name = NONE)"
    far = datetime.now(UTC) + timedelta(days=1)
    problems: list[str] = []
    with changed.connect("postgres") as connection:
        connection.execute(f'ALTER DATABASE "{stuck}" ALLOW_CONNECTIONS true')
        with changed.connect(stuck) as inside:
            inside.execute(f"CREATE SUBSCRIPTION s CONNECTION '' PUBLICATION p {subscription}")
        connection.execute(f'ALTER DATABASE "{stuck}" ALLOW_CONNECTIONS false')
        try:
            assert drop_expired_previous(connection, far, problems) == [name]
        finally:
            connection.execute(f'ALTER DATABASE "{stuck}" ALLOW_CONNECTIONS true')
            with changed.connect(stuck) as inside:
                inside.execute("DROP SUBSCRIPTION s")
    assert len(problems) == 1
    assert stuck in problems[0]
    assert "subscription" in problems[0]


@pytest.mark.parametrize("committed", [True, False])
def test_a_session_that_breaks_at_the_swap_does_not_hide_how_it_ended(
    changed, monkeypatch, committed
) -> None:
    """As when the server's answer to COMMIT is lost; the first look finds no server either."""
    real_swap, real_connect = restore.swap, restore.connect
    lost = []

    def swap_and_break(connection, parameters, plan):
        if committed:
            real_swap(connection, parameters, plan)
        with changed.connect("postgres") as other:
            other.execute("SELECT pg_terminate_backend(%s)", [connection.info.backend_pid])
        monkeypatch.setattr(restore, "connect", connect_late)
        return real_swap(connection, parameters, plan)

    def connect_late(*arguments):
        if not lost:
            lost.append(True)
            raise errors.DatabaseNotReady("no server yet")
        return real_connect(*arguments)

    monkeypatch.setattr(restore, "swap", swap_and_break)
    if committed:
        assert changed.restore().summary["previousDatabase"] in changed.databases()
        assert changed.scalar("SELECT name FROM version") == "old"
    else:
        with pytest.raises(errors.OperatorError):
            changed.restore()
        assert changed.scalar("SELECT name FROM version") == "new"
    assert lost


def test_a_server_that_stays_away_leaves_the_end_unknown_and_says_so(changed, monkeypatch) -> None:
    real_swap = restore.swap

    def swap_and_vanish(connection, parameters, plan):
        done = real_swap(connection, parameters, plan)
        with changed.connect("postgres") as other:
            other.execute("SELECT pg_terminate_backend(%s)", [connection.info.backend_pid])
        monkeypatch.setattr(restore, "connect", refuse)
        connection.execute("SELECT 1")
        return done

    def refuse(*_):
        raise errors.DatabaseNotReady("no server")

    monkeypatch.setattr(restore, "swap", swap_and_vanish)
    monkeypatch.setattr(restore, "SETTLE_SECONDS", 0.0)
    with pytest.raises(errors.RestoreFailed, match=r"is not known.*_before_"):
        changed.restore()


def test_what_cannot_be_cleaned_up_does_not_fail_what_has_happened(changed, monkeypatch) -> None:
    def refuse(*_):
        raise errors.DatabaseNotReady("no server")

    monkeypatch.setattr(restore, "drop_expired_previous", refuse)
    assert changed.restore(keep_previous=timedelta(0)).summary["previousDatabase"] is None
    assert changed.scalar("SELECT name FROM version") == "old"


def test_only_the_restore_that_is_asked_for_counts(changed) -> None:
    uid = "0f8fad5b-d9cb-469f-a165-70867728950e"
    outcome = changed.restore(uid=uid).summary
    with changed.connect("postgres") as connection:
        assert was_restored(connection, changed.database, uid, [])
        assert was_restored(connection, changed.database, None, [outcome["location"]])
        assert not was_restored(connection, changed.database, None, [])
        assert not was_restored(connection, changed.database, "another-uid", ["pvc://x/another"])
        assert not was_restored(connection, "another", uid, [outcome["location"]])
