"""What is to be done for the databases of a Database's spec; without a server."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.errors import (
    DatabaseGone,
    InvalidInput,
)
from ansible_collections.postgres.operator.plugins.module_utils.postgres.database_state import (
    DatabaseState,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.databases import (
    DatabaseChange,
    find_database_change,
    read_database,
)

THERE = DatabaseState("stats", True, True, "owner")
NEVER = DatabaseState("stats", False, False)
ABSENT = {"ensure": "absent"}


@pytest.mark.parametrize(
    ("entry", "found", "change"),
    [
        ({}, NEVER, DatabaseChange(create=True)),
        (
            {"owner": "alice", "connectionLimit": 3},
            NEVER,
            DatabaseChange(create=True, connection_limit=3),
        ),
        ({}, THERE, DatabaseChange()),
        ({}, DatabaseState("stats", True, True, "other", False, 7), DatabaseChange()),
        ({"owner": "owner", "connectionLimit": -1}, THERE, DatabaseChange()),
        ({"owner": "alice"}, THERE, DatabaseChange(owner="alice")),
        ({"connectionLimit": 0}, THERE, DatabaseChange(connection_limit=0)),
        ({}, DatabaseState("stats", True, False, "owner"), DatabaseChange(remember=True)),
        (ABSENT, THERE, DatabaseChange(drop=True, forget=True)),
        (ABSENT, DatabaseState("stats", False, True), DatabaseChange(forget=True)),
        (ABSENT, NEVER, DatabaseChange()),
    ],
)
def test_only_what_differs_is_written(
    entry: dict[str, Any], found: DatabaseState, change: DatabaseChange
) -> None:
    got = find_database_change(read_database({"name": "stats"} | entry, "app"), found)
    assert got == change
    assert bool(got) == (change != DatabaseChange())


def test_one_that_was_dropped_by_hand_is_not_made_again() -> None:
    with pytest.raises(DatabaseGone, match="which this server had, is gone"):
        find_database_change(
            read_database({"name": "stats"}, "app"), DatabaseState("stats", False, True)
        )


@pytest.mark.parametrize("entry", [{}, ABSENT, {"owner": "alice"}])
def test_one_of_a_superuser_is_left_alone(entry: dict[str, Any]) -> None:
    found = DatabaseState("stats", True, True, "postgres", of_superuser=True)
    with pytest.raises(InvalidInput, match='belongs to "postgres", a superuser'):
        find_database_change(read_database({"name": "stats"} | entry, "app"), found)


def test_the_databases_own_one_is_never_dropped_or_given_away() -> None:
    entry = {"name": "app", "ensure": "absent", "owner": "alice", "connectionLimit": 3}
    found = DatabaseState("app", True, True, "owner")
    change = find_database_change(read_database(entry, "app"), found)
    assert change == DatabaseChange(connection_limit=3)
