"""A Database's further databases: made, changed and dropped on a server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from ansible_collections.postgres.operator.plugins.module_utils.postgres.connection import (
    ConnectionParameters,
    connect,
)
from ansible_collections.postgres.operator.plugins.module_utils.postgres.provision import (
    ensure_role_and_database,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.differences import (
    Differences,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.further_databases import (
    ensure_databases,
    read_databases,
)
from psycopg import sql
from settling import settle

AWKWARD = ('Größe "x"', "a.b", "select", "1 'x'; --", "dbname=x host=nowhere", "ä" * 31)
NAMES = ("appdb", "stats", "Other-1", "loading", *AWKWARD)


class World:
    """A server, and what a reconcile does with it."""

    def __init__(self, server: Any, own: psycopg.Connection) -> None:
        self.server, self.own = server, own
        self.parameters = ConnectionParameters(
            server.host, server.port, server.user, password_file=server.password_file
        )

    def reconcile(self, *databases: dict[str, Any]) -> Differences:
        differences = Differences()
        with connect(self.parameters) as connection:
            ensure_role_and_database(connection, "owner", "secret", "appdb")
            found = read_databases({"databaseName": "appdb", "databases": list(databases)})
            ensure_databases(connection, found, "owner", differences)
        return differences

    def settle(self, *databases: dict[str, Any]) -> None:
        settle(self.reconcile, *databases)

    def database(self, name: str) -> tuple[str, int, str] | None:
        return self.own.execute(
            "SELECT datdba::regrole::text, datconnlimit, pg_encoding_to_char(encoding)"
            "  FROM pg_database WHERE datname = %s",
            [name],
        ).fetchone()


@pytest.fixture
def world(postgres_server) -> Iterator[World]:
    with postgres_server.connect() as own:
        clean(own)
        own.execute("CREATE ROLE alice LOGIN")
        yield World(postgres_server, own)
        clean(own)


def clean(own: psycopg.Connection) -> None:
    for name in NAMES:
        quoted = sql.Identifier(name)
        own.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(quoted))
    own.execute("DROP ROLE IF EXISTS alice, owner")
    own.execute("DROP SCHEMA IF EXISTS postgres_operator CASCADE")


def test_a_database_has_any_name(world) -> None:
    for name in AWKWARD:
        world.own.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(name)))
    try:
        world.settle(*({"name": name, "owner": name} for name in AWKWARD))
        for name in AWKWARD:
            row = world.own.execute(
                "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = %s", [name]
            )
            assert row.fetchone() == (name,)
        world.settle(*({"name": name, "ensure": "absent"} for name in AWKWARD))
        assert [name for name in AWKWARD if world.database(name)] == []
    finally:
        clean(world.own)
        for name in AWKWARD:
            world.own.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def test_making_and_changing(world) -> None:
    world.settle({"name": "stats"}, {"name": "Other-1", "owner": "alice", "connectionLimit": 4})
    assert world.database("stats") == ("owner", -1, "UTF8")
    assert world.database("Other-1") == ("alice", 4, "UTF8")
    world.settle({"name": "stats", "owner": "alice", "connectionLimit": 0})
    assert world.database("stats") == ("alice", 0, "UTF8")


def test_what_was_changed_by_hand_is_changed_back_where_the_spec_names_it(world) -> None:
    world.settle({"name": "stats", "owner": "owner"}, {"name": "Other-1"})
    world.own.execute("ALTER DATABASE stats OWNER TO alice")
    world.own.execute('ALTER DATABASE "Other-1" OWNER TO alice')
    world.settle({"name": "stats", "owner": "owner"}, {"name": "Other-1"})
    assert world.database("stats")[0] == "owner"
    assert world.database("Other-1")[0] == "alice"


def test_only_what_is_to_be_absent_is_dropped(world) -> None:
    world.settle({"name": "stats"})
    assert not world.reconcile().changed
    assert world.database("stats") is not None
    absent = {"name": "stats", "ensure": "absent"}
    with world.server.connect("stats"):
        [message] = world.reconcile(absent).messages
    assert message.startswith('database stats: database "stats" is being accessed by other users')
    world.settle(absent)
    assert world.database("stats") is None
    world.settle({"name": "stats"})


def test_one_that_was_dropped_by_hand_is_not_made_again_empty(world) -> None:
    world.settle({"name": "stats"})
    world.own.execute("DROP DATABASE stats")
    for _ in range(2):
        [message] = world.reconcile({"name": "stats"}).messages
        assert 'database "stats", which this server had, is gone' in message
    assert world.database("stats") is None
    # What the message says.
    world.settle({"name": "stats", "ensure": "absent"})
    world.settle({"name": "stats"})


@pytest.mark.parametrize("ensure", ["present", "absent"])
def test_one_of_a_superuser_is_left_alone(world, ensure: str) -> None:
    """As the one that a Restore loads into is, which nobody else may connect to."""
    world.own.execute("CREATE DATABASE loading")
    entry = {"name": "loading", "owner": "alice", "ensure": ensure, "connectionLimit": 1}
    [message] = world.reconcile(entry).messages
    assert 'database "loading" belongs to "postgres", a superuser' in message
    assert world.database("loading") == ("postgres", -1, "UTF8")


def test_one_that_fails_does_not_stop_the_others(world) -> None:
    found = world.reconcile({"name": "stats", "owner": "nobody"}, {"name": "Other-1"})
    assert found.messages == ['database stats: role "nobody" does not exist']
    assert world.database("stats") is None
    assert world.database("Other-1") is not None
