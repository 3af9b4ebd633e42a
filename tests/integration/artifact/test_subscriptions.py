"""Subscriptions in a database: what a restore makes is dropped with them; what stays is named."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import timedelta

import pytest
from ansible_collections.postgres.operator.plugins.module_utils import errors
from ansible_collections.postgres.operator.plugins.module_utils.artifact import restore
from ansible_collections.postgres.operator.plugins.module_utils.artifact.history import (
    announce_scratch,
    drop_abandoned_scratch,
    ensure_history,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.verify import (
    VerifyRequest,
    verify_artifact,
)

NAME = 'news "of" you'
QUOTED = '"news ""of"" you"'


@pytest.fixture
def publisher() -> Iterator[socket.socket]:
    """What would be a publisher; nobody may connect to it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield listening
        with pytest.raises(BlockingIOError):
            listening.accept()


def subscribe(bench, port: int, database: str | None = None) -> None:
    bench.execute(
        f"CREATE SUBSCRIPTION {QUOTED} CONNECTION 'host=127.0.0.1 port={port} dbname=x'"
        " PUBLICATION p WITH (connect = false, slot_name = 'news')",
        database,
    )


@pytest.fixture
def subscribed(bench, publisher) -> Iterator[object]:
    """A bench with a subscription in its database; those of all databases go in the end."""
    subscribe(bench, publisher.getsockname()[1])
    yield bench
    with bench.connect("postgres") as connection:
        connection.execute("SELECT pg_catalog.set_config('search_path', '', false)")
        rows = connection.execute(
            "SELECT d.datname FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid"
        ).fetchall()
        for (name,) in rows:
            connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
            bench.execute(f"ALTER SUBSCRIPTION {QUOTED} DISABLE", name)
            bench.execute(f"ALTER SUBSCRIPTION {QUOTED} SET (slot_name = NONE)", name)
            bench.execute(f"DROP SUBSCRIPTION {QUOTED}", name)


def subscriptions(bench) -> dict[str, tuple[str, str, bool]]:
    with bench.connect("postgres") as connection:
        rows = connection.execute(
            "SELECT d.datname, s.subname, s.subslotname, s.subenabled"
            "  FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid"
        ).fetchall()
    return {name: tuple(row) for name, *row in rows}


def test_a_verification_and_a_dry_run(subscribed, scratch) -> None:
    before = subscribed.databases()
    subscribed.backup()
    verify_artifact(VerifyRequest(subscribed.store, subscribed.location, scratch, jobs=2))
    summary = subscribed.restore(dry_run=True).summary
    assert summary["difference"]["different"] == 0
    assert subscribed.databases() == before


@pytest.mark.parametrize("keep", [timedelta(0), timedelta(hours=1)])
def test_what_stays_on_the_replaced_database_is_told(subscribed, keep) -> None:
    subscribed.backup()
    request = subscribed.restore_request(keep_previous=keep, ends_replication=True)
    warning = restore.restore_artifact(request).summary["warning"]
    previous = f"{subscribed.database}_before_{request.uid[:8]}"
    assert f'in the replaced database "{previous}"' in warning
    assert QUOTED in warning
    assert subscriptions(subscribed) == {
        subscribed.database: (NAME, "news", False),
        previous: (NAME, "news", False),
    }
    again = restore.restore_artifact(request)
    assert again.repeated
    assert again.summary["warning"] == warning


def test_a_failed_restore_leaves_nothing(subscribed, monkeypatch) -> None:
    subscribed.backup()
    before = subscribed.databases()

    def fail(*_: object) -> None:
        raise errors.RestoreFailed("before the swap")

    monkeypatch.setattr(restore, "swap", fail)
    with pytest.raises(errors.RestoreFailed, match="before the swap"):
        subscribed.restore(ends_replication=True)
    assert subscribed.databases() == before


def test_what_a_killed_restore_has_left_is_dropped(subscribed, publisher) -> None:
    scratch = "restore_0123abcd"
    subscribed.execute(f"CREATE DATABASE {scratch}", "postgres")
    subscribe(subscribed, publisher.getsockname()[1], scratch)
    problems: list[str] = []
    with subscribed.connect("postgres") as connection:
        ensure_history(connection)
        announce_scratch(connection, scratch, scratch)
        server = subscribed.parameters.maintenance
        assert drop_abandoned_scratch(connection, server, problems) == [scratch]
    assert problems == []
    assert scratch not in subscribed.databases()


def test_one_whose_worker_comes_again_and_again(subscribed) -> None:
    """It is in the way of renaming the database."""
    subscribed.backup()
    subscribed.execute(f"ALTER SUBSCRIPTION {QUOTED} CONNECTION 'host=127.0.0.1 port=1 dbname=x'")
    subscribed.execute(f"ALTER SUBSCRIPTION {QUOTED} ENABLE")
    assert QUOTED in subscribed.restore(ends_replication=True).summary["warning"]


def test_without_consent_it_is_refused_before_anything_is_loaded(subscribed, monkeypatch) -> None:
    subscribed.backup()
    before = subscribed.databases()

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("found only after something was loaded")

    monkeypatch.setattr(restore, "load_and_compare", fail)
    with pytest.raises(errors.DatabaseInUse, match=r'subscription "news ""of"" you" would stay'):
        subscribed.restore()
    assert subscribed.databases() == before
