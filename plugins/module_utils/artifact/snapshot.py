"""One snapshot of a database that the dump and all fingerprints share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg import sql

from ..errors import BackupFailed
from ..postgres.connection import Connection, ConnectionParameters, connect
from ..postgres.session_roles import SessionRoles
from .fingerprint import Reader, Relation, list_tables
from .manifest import MATERIALIZED_VIEW
from .readers import Readers

LOCK_WAIT_SECONDS = 60
# Their first session holds the tables already. Who waits here has an ALTER TABLE before it in the
# queue, which itself waits for that session: none of the two would ever go on.
SHARED_LOCK_WAIT_SECONDS = 5
_ATTEMPTS = 5
_TABLES_PER_STATEMENT = 500


@dataclass(frozen=True)
class Snapshot:
    """An exported snapshot; it is valid as long as its ``connection`` keeps its transaction.

    Attributes:
        readers: who reads tables and sequences, and is no superuser.
        connection: a superuser's, for the catalogs and large objects only.
        name: what ``pg_dump --snapshot`` takes.
        tables: all tables that can be seen; ordinary ones are locked in ACCESS SHARE mode.
    """

    readers: Readers
    connection: Connection
    name: str
    tables: list[Relation]

    @contextmanager
    def session(self, reader: Reader) -> Iterator[Connection]:
        """Another session that sees the same.

        It waits SHARED_LOCK_WAIT_SECONDS for a lock; psycopg.errors.LockNotAvailable then.
        """
        with self.readers.session(reader) as connection:
            connection.execute(f"SET lock_timeout = '{SHARED_LOCK_WAIT_SECONDS}s'")
            _begin(connection)
            connection.execute(
                sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(self.name))
            )
            yield connection


@contextmanager
def locked_snapshot(parameters: ConnectionParameters, roles: SessionRoles) -> Iterator[Snapshot]:
    """Lock all tables, then take and export a snapshot, in a read-only transaction.

    Args:
        parameters: the database, and a superuser.
        roles: of the run.

    The locks come first because TRUNCATE and rewriting ALTER TABLEs do not obey snapshots: a
    table changed by one after the snapshot but before pg_dump's own lock looks empty to it.

    Raises:
        Timeout: a table stayed locked by another session for LOCK_WAIT_SECONDS.
        BackupFailed: tables were created and dropped all the time.
    """
    readers = Readers(roles, parameters.dbname)
    with connect(parameters) as connection:
        for _ in range(_ATTEMPTS):
            snapshot = _try_snapshot(readers, connection)
            if snapshot is not None:
                yield snapshot
                return
    raise BackupFailed(
        f'tables of database "{parameters.dbname}" are created and dropped too fast to be locked:'
        " take the backup when no migration runs"
    )


def _try_snapshot(readers: Readers, connection: Connection) -> Snapshot | None:
    """A snapshot whose tables were all locked before it was taken, None if that failed."""
    wanted = list_tables(connection)
    _begin(connection)
    try:
        _lock(connection, wanted)
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        connection.execute("ROLLBACK")
        return None
    row = connection.execute("SELECT pg_catalog.pg_export_snapshot()").fetchone()
    assert row is not None
    seen = list_tables(connection)
    if {table.key for table in seen} - {table.key for table in wanted}:
        connection.execute("ROLLBACK")
        return None
    return Snapshot(readers, connection, str(row[0]), seen)


def _begin(connection: Connection) -> None:
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")


def _lock(connection: Connection, tables: list[Relation]) -> None:
    """Lock what can be locked: LOCK refuses materialized views. Takes no snapshot yet."""
    connection.execute(f"SET LOCAL lock_timeout = '{LOCK_WAIT_SECONDS}s'")
    names = [
        sql.SQL("ONLY {}").format(table.identifier)
        for table in tables
        if table.kind != MATERIALIZED_VIEW
    ]
    for start in range(0, len(names), _TABLES_PER_STATEMENT):
        chunk = sql.SQL(", ").join(names[start : start + _TABLES_PER_STATEMENT])
        connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(chunk))
