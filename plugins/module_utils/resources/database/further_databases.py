"""Makes the databases of a Database's spec what it says, on the primary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...postgres import managed_databases
from ...postgres.connection import Connection, deadline
from ...postgres.provision import create_database, forget_database, remember_database
from .databases import DatabaseChange, NamedDatabase, find_database_change, read_database
from .differences import Differences

# A large database is dropped in a moment, but waits for a checkpoint.
_WRITE_SECONDS = 120.0


def read_databases(spec: dict[str, Any]) -> list[NamedDatabase]:
    """Return the databases that a spec names."""
    return [read_database(entry, spec["databaseName"]) for entry in spec.get("databases", ())]


def ensure_databases(
    connection: Connection,
    databases: Sequence[NamedDatabase],
    username: str,
    differences: Differences,
) -> None:
    """Create, change and drop databases; write only what differs.

    Args:
        connection: an autocommit session of a superuser in the maintenance database, after
            `ensure_role_and_database`.
        username: to whom a new database belongs whose owner the spec does not name.

    Raises:
        psycopg.Error: the session has ended.
    """
    if not databases:
        return
    states = managed_databases.read_database_states(connection, [one.name for one in databases])
    for wanted in databases:
        with differences.of(f"database {wanted.name}"):
            change = find_database_change(wanted, states[wanted.name])
            if change:
                with deadline(connection, _WRITE_SECONDS, "changing a database"):
                    _write(connection, wanted, change, wanted.owner or username)
                differences.changed = True


def _write(
    connection: Connection, wanted: NamedDatabase, change: DatabaseChange, owner: str
) -> None:
    if change.drop:
        managed_databases.drop_managed_database(connection, wanted.name)
    if change.forget:
        forget_database(connection, wanted.name)
    if change.create:
        create_database(connection, owner, wanted.name)
    if change.remember:
        remember_database(connection, wanted.name)
    if change.owner is not None:
        managed_databases.alter_database_owner(connection, wanted.name, change.owner)
    if change.connection_limit is not None:
        managed_databases.alter_connection_limit(connection, wanted.name, change.connection_limit)
