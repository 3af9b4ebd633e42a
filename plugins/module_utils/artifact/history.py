"""What restores record on the server itself: how they ended, and what they have not finished.

It lies in the maintenance database, which is never restored, and no dump carries it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg

from ..errors import DatabaseNotReady, Locked
from ..postgres.connection import Connection, ConnectionParameters
from ..postgres.databases import drop_each
from ..postgres.errors import database_errors
from ..postgres.own_schema import make_tables
from ..postgres.subscriptions import drop_with_subscriptions
from ..uids import short_uid

# The database put aside outlives its comment, so that would not do for the outcome. A scratch
# database is written down before it is created: so none is forgotten, whenever a run is killed.
_HISTORY = """
CREATE TABLE IF NOT EXISTS postgres_operator.restores (
    uid text PRIMARY KEY,
    database text NOT NULL,
    outcome jsonb NOT NULL,
    swapped_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS postgres_operator.scratch_databases (
    name text PRIMARY KEY,
    locked_database text NOT NULL
);
"""


def scratch_name(uid: str) -> str:
    """The name of the database that restore ``uid`` restores into first."""
    return f"restore_{short_uid(uid)}"


@contextmanager
def database_lock(connection: Connection, database: str, wait_seconds: float) -> Iterator[None]:
    """Hold the lock of one database's restores as long as the session lasts.

    Args:
        wait_seconds: patience with a predecessor whose session is about to end.

    Raises:
        Locked: another restore holds it.
    """
    try:
        connection.execute(f"SET lock_timeout = {max(int(wait_seconds * 1000), 1)}")
        connection.execute(
            "SELECT pg_advisory_lock(hashtextextended(%s, 0))", [_lock_name(database)]
        )
    except psycopg.errors.LockNotAvailable:
        raise Locked(
            f'another restore of database "{database}" is running: wait for its end, or delete it,'
            " then make another Restore"
        ) from None
    connection.execute("SET lock_timeout = 0")
    try:
        yield
    finally:
        if not connection.broken:
            _unlock(connection, database)


def _lock_name(database: str) -> str:
    return f"postgres-operator: restore of {database}"


def _unlock(connection: Connection, database: str) -> None:
    connection.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", [_lock_name(database)])


def ensure_history(connection: Connection) -> None:
    """Make the tables exist."""
    make_tables(connection, _HISTORY)


def _exists(connection: Connection, table: str) -> bool:
    row = connection.execute(
        "SELECT to_regclass(%s) IS NOT NULL", [f"postgres_operator.{table}"]
    ).fetchone()
    return row is not None and row[0] is True


def find_outcome(connection: Connection, uid: str) -> dict[str, Any] | None:
    """What a restore that has swapped already left behind, None if it has not."""
    if not _exists(connection, "restores"):
        return None
    row: Any = connection.execute(
        "SELECT outcome FROM postgres_operator.restores WHERE uid = %s", [uid]
    ).fetchone()
    return None if row is None else dict(row[0])


def was_restored(
    connection: Connection, database: str, uid: str | None, locations: Sequence[str]
) -> bool:
    """Whether a restore has put a database of that name in place, on these volumes.

    Args:
        uid: of the restore that is asked for; None where that is not known.
        locations: of artifacts; a restore of one of them counts too.
    """
    if not _exists(connection, "restores"):
        return False
    row = connection.execute(
        "SELECT 1 FROM postgres_operator.restores WHERE database = %s"
        " AND (uid = %s OR outcome->>'location' = ANY(%s)) LIMIT 1",
        [database, uid, list(locations)],
    ).fetchone()
    return row is not None


def remember_outcome(
    connection: Connection, uid: str, database: str, outcome: Mapping[str, Any]
) -> None:
    """Write down how a restore ended; in the transaction that swaps."""
    connection.execute(
        "INSERT INTO postgres_operator.restores (uid, database, outcome) VALUES (%s, %s, %s)",
        [uid, database, json.dumps(outcome)],
    )


def announce_scratch(connection: Connection, name: str, locked_database: str) -> None:
    """Write down that a scratch database is about to be created.

    Args:
        locked_database: the lock that is held for as long as it is in use.
    """
    connection.execute(
        "INSERT INTO postgres_operator.scratch_databases (name, locked_database) VALUES (%s, %s)"
        " ON CONFLICT (name) DO UPDATE SET locked_database = excluded.locked_database",
        [name, locked_database],
    )


def forget_scratch(connection: Connection, name: str) -> None:
    """Strike a scratch database off: it was dropped, or has become the live one."""
    connection.execute("DELETE FROM postgres_operator.scratch_databases WHERE name = %s", [name])


def drop_scratch(connection: Connection, server: ConnectionParameters, name: str) -> None:
    """Drop a scratch database that was announced; see ``drop_with_subscriptions``."""
    drop_with_subscriptions(connection, server, name)
    forget_scratch(connection, name)


def drop_abandoned_scratch(
    connection: Connection, server: ConnectionParameters, problems: list[str]
) -> list[str]:
    """Drop the scratch databases whose runs were killed for good; see ``drop_each``.

    Args:
        connection: in the maintenance database.
        server: how to connect to another database of it.

    Raises:
        OperatorError: DatabaseNotReady unless the cause has a name of its own.
    """
    with database_errors("dropping scratch databases of ended restores", DatabaseNotReady):
        if not _exists(connection, "scratch_databases"):
            return []
        rows: Any = connection.execute(
            "SELECT name, locked_database FROM postgres_operator.scratch_databases ORDER BY name"
        ).fetchall()
        locks = dict(rows)

        def drop(name: str) -> bool:
            return _drop_if_unlocked(connection, server, name, locks[name])

        return drop_each(connection, locks, drop, problems)


def _drop_if_unlocked(
    connection: Connection, server: ConnectionParameters, name: str, locked_database: str
) -> bool:
    """Drop one unless its restore runs, which holds the lock from the beginning to the end."""
    row = connection.execute(
        "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [_lock_name(locked_database)]
    ).fetchone()
    if row is None or not row[0]:
        return False
    try:
        # Read again, now that no restore can come between: it may have ended by itself.
        found = connection.execute(
            "SELECT 1 FROM postgres_operator.scratch_databases WHERE name = %s", [name]
        ).fetchone()
        if found is not None:
            drop_scratch(connection, server, name)
        return found is not None
    finally:
        if not connection.broken:
            _unlock(connection, locked_database)
