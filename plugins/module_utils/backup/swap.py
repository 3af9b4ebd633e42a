"""Puts the restored database in the live one's place, in one transaction, and remembers that.

While RENAME waits for the live database's sessions to end, its lock keeps new ones waiting: so
there is no moment in which a crash could leave the database without a name or refusing
connections, and nobody ever sees anything but the old or the new content.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql

from ..errors import Locked, RestoreFailed, Timeout
from ..postgres.connection import Connection, ConnectionParameters, connect
from ..postgres.databases import Properties, bring_up_to_date, read_properties
from .previous import Mark, previous_name, put_aside

_ATTEMPTS = 6
"""Each waits up to 5 s (PostgreSQL's CountOtherDBBackends) for sessions that will not end."""

_LOCK_TIMEOUT_SECONDS = 10
_TERMINATE_EVERY_SECONDS = 0.02

# In the maintenance database, which is never restored: written by the transaction that swaps,
# and carried by no dump. It outlives the database put aside, whose comment would not do.
_HISTORY = """
CREATE SCHEMA IF NOT EXISTS postgres_operator;
REVOKE ALL ON SCHEMA postgres_operator FROM PUBLIC;
CREATE TABLE IF NOT EXISTS postgres_operator.restores (
    uid text PRIMARY KEY,
    database text NOT NULL,
    outcome jsonb NOT NULL,
    swapped_at timestamptz NOT NULL DEFAULT now()
);
"""
_HISTORY_LOCK = "postgres-operator: history of restores"


@dataclass(frozen=True)
class Swap:
    """One replacement.

    Attributes:
        uid: of the restore.
        live: name of the database to replace; it need not exist.
        scratch: name of the database to put there.
        scratch_properties: what ``scratch`` was created with.
        keep_previous: how long the old one is kept.
        outcome: remembered, and given back to a run that comes again.
    """

    uid: str
    live: str
    scratch: str
    scratch_properties: Properties
    keep_previous: timedelta
    outcome: dict[str, Any]

    @property
    def previous(self) -> str:
        """The name that the old database gets."""
        return previous_name(self.live, self.uid)


@contextmanager
def database_lock(connection: Connection, database: str, wait_seconds: float) -> Iterator[None]:
    """Hold the lock of one database's restores as long as the session lasts.

    Args:
        wait_seconds: patience with a predecessor whose session is about to end.

    Raises:
        Locked: another restore holds it.
    """
    key = f"postgres-operator: restore of {database}"
    try:
        connection.execute(f"SET lock_timeout = {max(int(wait_seconds * 1000), 1)}")
        connection.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [key])
    except psycopg.errors.LockNotAvailable:
        raise Locked(
            f'another restore of database "{database}" is running: wait for it or delete it'
        ) from None
    connection.execute("SET lock_timeout = 0")
    try:
        yield
    finally:
        if not connection.broken:
            connection.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", [key])


def find_outcome(connection: Connection, uid: str) -> dict[str, Any] | None:
    """What a restore that has swapped already left behind, None if it has not."""
    exists = connection.execute("SELECT to_regclass('postgres_operator.restores')").fetchone()
    if exists is None or exists[0] is None:
        return None
    row: Any = connection.execute(
        "SELECT outcome FROM postgres_operator.restores WHERE uid = %s", [uid]
    ).fetchone()
    return None if row is None else dict(row[0])


def swap(connection: Connection, parameters: ConnectionParameters, plan: Swap) -> dict[str, Any]:
    """Replace the live database; with ``keep_previous`` zero the old one has expired at once.

    Args:
        connection: an autocommit session of a superuser in the maintenance database.
        parameters: for a second session that ends the sessions of the live database.

    Returns:
        What is remembered: ``plan.outcome`` with previousDatabase, the name of the old database
        if it is kept.

    Raises:
        Timeout: sessions, prepared transactions or locks stayed in the way.
        RestoreFailed: there is a database with the name meant for the old one.
    """
    _ensure_history(connection)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with _sessions_terminated(parameters, (plan.live, plan.scratch)):
                return _swap_once(connection, plan)
        except (psycopg.errors.ObjectInUse, psycopg.errors.LockNotAvailable) as error:
            if attempt == _ATTEMPTS:
                detail = " ".join(str(error).split())
                raise Timeout(f'database "{plan.live}" cannot be replaced: {detail}') from error
    raise AssertionError("unreachable: the last attempt returns or raises")


def _ensure_history(connection: Connection) -> None:
    with connection.transaction():
        # IF NOT EXISTS alone does not keep two sessions from creating the same thing.
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [_HISTORY_LOCK])
        connection.execute(_HISTORY)


def _swap_once(connection: Connection, plan: Swap) -> dict[str, Any]:
    """The transaction."""
    previous = None
    with connection.transaction():
        connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT_SECONDS}s'")
        live = read_properties(connection, plan.live)
        if live is not None:
            previous = plan.previous
            _rename(connection, plan.live, previous)
            # Read again, now that it is locked: somebody may have changed it meanwhile.
            live = read_properties(connection, previous)
            assert live is not None
            bring_up_to_date(connection, plan.scratch, plan.scratch_properties, live)
        _rename(connection, plan.scratch, plan.live)
        if previous is not None:
            until = datetime.now(UTC) + plan.keep_previous
            put_aside(connection, Mark(previous, plan.live, plan.uid, until))
        outcome = plan.outcome | {"previousDatabase": previous if plan.keep_previous else None}
        connection.execute(
            "INSERT INTO postgres_operator.restores (uid, database, outcome) VALUES (%s, %s, %s)",
            [plan.uid, plan.live, json.dumps(outcome)],
        )
    return outcome


def _rename(connection: Connection, old: str, new: str) -> None:
    try:
        connection.execute(
            sql.SQL("ALTER DATABASE {} RENAME TO {}").format(
                sql.Identifier(old), sql.Identifier(new)
            )
        )
    except psycopg.errors.DuplicateDatabase as error:
        raise RestoreFailed(
            f'database "{old}" cannot be renamed: there is a database "{new}"; drop or rename it'
        ) from error


@contextmanager
def _sessions_terminated(
    parameters: ConnectionParameters, databases: tuple[str, ...]
) -> Iterator[None]:
    """End all sessions of databases, again and again, while the block runs."""
    over = threading.Event()
    with connect(parameters) as connection:
        # By OID: the names change meanwhile.
        row: Any = connection.execute(
            "SELECT array_agg(oid) FROM pg_catalog.pg_database WHERE datname = ANY(%s)",
            [list(databases)],
        ).fetchone()

        def terminate() -> None:
            # If this session breaks, RENAME says which sessions were in its way.
            with suppress(psycopg.Error):
                while not over.is_set():
                    connection.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity"
                        " WHERE datid = ANY(%s)",
                        [row[0]],
                    )
                    over.wait(_TERMINATE_EVERY_SECONDS)

        thread = threading.Thread(target=terminate, name="terminate-sessions")
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
