"""One snapshot of a database that the dump and all fingerprints share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import psycopg
from psycopg import sql

from ..errors import BackupFailed
from ..postgres.connection import Connection, ConnectionParameters, connect
from ..postgres.session_roles import SessionRoles
from .fingerprint import (
    OpenSession,
    Reader,
    Relation,
    list_extension_tables,
    list_sequences,
    list_tables,
)
from .lock_waits import PATIENCE_SECONDS, find_holder, given_up, lock_cycle
from .manifest import MATERIALIZED_VIEW
from .readers import Readers

LOCK_WAIT_SECONDS = 60
"""How long a lock is waited for before those that are held are given up for others to go on."""
# Their first session holds the tables already. Who waits here has an ALTER TABLE before it in the
# queue, which itself waits for that session: none of the two would ever go on.
SHARED_LOCK_WAIT_SECONDS = 5
_ATTEMPTS = 20
_TABLES_PER_STATEMENT = 500

# A row lock: to rename or drop a schema takes one that conflicts with it, to grant or to make
# something in it does not.
_LOCK_SCHEMAS = """
SELECT nspname FROM pg_catalog.pg_namespace
 WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' FOR KEY SHARE
"""

# Names as they are now, not as the snapshot has them.
_RENAMED = """
SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = relnamespace
 WHERE c.relkind IN ('r', 'S') AND c.relpersistence <> 't'
   AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND pg_catalog.to_regclass(pg_catalog.format('%I.%I', nspname, relname)) IS DISTINCT FROM c.oid
 LIMIT 1
"""


@dataclass(frozen=True)
class Snapshot:
    """An exported snapshot; it is valid as long as its ``connection`` keeps its transaction.

    Attributes:
        readers: who reads tables and sequences, and is no superuser.
        connection: a superuser's, for the catalogs and large objects only.
        keeper: another one of a superuser, which holds the locks that a read-only transaction
            cannot have.
        name: what ``pg_dump --snapshot`` takes.
        tables: all tables that can be seen; ordinary ones are locked in ACCESS SHARE mode.
        extension_tables: the same of tables that belong to extensions.
        sequences: all sequences that can be seen, locked in the same mode.
    """

    readers: Readers
    connection: Connection
    keeper: Connection
    name: str
    tables: list[Relation]
    extension_tables: list[Relation]
    sequences: list[Relation]

    @contextmanager
    def session(self, reader: Reader) -> Iterator[Connection]:
        """Another session that sees the same.

        Raises:
            LockCycle: it has waited SHARED_LOCK_WAIT_SECONDS for a lock.
        """
        with self.patient_session(reader) as connection:
            connection.execute(f"SET lock_timeout = '{SHARED_LOCK_WAIT_SECONDS}s'")
            try:
                yield connection
            except psycopg.errors.LockNotAvailable as error:
                raise lock_cycle("what it reads") from error

    @contextmanager
    def patient_session(self, reader: Reader) -> Iterator[Connection]:
        """The same without a limit: where ``LockWaits`` watches."""
        with self.readers.session(reader) as connection:
            _begin(connection)
            connection.execute(
                sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(self.name))
            )
            yield connection

    @contextmanager
    def locking_sessions(self, tables: Sequence[Relation]) -> Iterator[OpenSession]:
        """Sessions that have locked what each is to read, for one that reads at a time.

        Raises:
            LockCycle: another session has asked for one of the locks.
        """
        mine: dict[Reader, list[Relation]] = {}
        for table in tables:
            mine.setdefault(table.reader, []).append(table)
        sessions: dict[Reader, Connection] = {}
        with ExitStack() as stack:
            for reader, relations in mine.items():
                sessions[reader] = stack.enter_context(self.session(reader))
                _lock(sessions[reader], relations, SHARED_LOCK_WAIT_SECONDS)

            @contextmanager
            def open_session(reader: Reader) -> Iterator[Connection]:
                yield sessions[reader]

            yield open_session


@contextmanager
def locked_snapshot(
    parameters: ConnectionParameters, roles: SessionRoles, say: Callable[[str], None] | None = None
) -> Iterator[Snapshot]:
    """Lock what is read by name, then take and export a snapshot, in a read-only transaction.

    Args:
        parameters: the database, and a superuser.
        roles: of the run.
        say: takes a text that says what is waited for.

    The locks on tables come first because TRUNCATE and rewriting ALTER TABLEs do not obey
    snapshots: a table changed by one after the snapshot but before pg_dump's own lock looks empty
    to it.

    No name may come to stand for something else while it is read. PostgreSQL looks names up as
    they are now, whatever the snapshot is; and pg_dump, a superuser, reads a sequence by a SELECT
    (before PostgreSQL 18), which would execute functions in an index of the table that its owner
    has put in its place. So sequences are locked too, and schemas are kept from being renamed.
    A table that is read with more rights than its owner has is locked against indexes.

    Raises:
        Timeout: something stayed locked by another session for PATIENCE_SECONDS; it is named.
        BackupFailed: tables were created and dropped all the time.
    """
    readers = Readers(roles, parameters.dbname)
    started = time.monotonic()
    attempts = 0
    with connect(parameters) as connection, connect(parameters) as keeper:
        while attempts < _ATTEMPTS:
            try:
                snapshot = _try_snapshot(readers, connection, keeper)
            except psycopg.errors.LockNotAvailable as error:
                # Sessions that waited for this run go on now.
                for session in (connection, keeper):
                    session.execute("ROLLBACK")
                waited = time.monotonic() - started
                holder = find_holder(parameters, [])
                if waited >= PATIENCE_SECONDS:
                    if holder is not None:
                        raise given_up(holder, waited) from error
                    raise
                if say and holder:
                    say(f"Waiting: {holder}")
                continue
            if snapshot is not None:
                yield snapshot
                return
            attempts += 1
    raise BackupFailed(
        f'tables of database "{parameters.dbname}" are created and dropped too fast to be locked:'
        " take the backup when no migration runs"
    )


def _try_snapshot(readers: Readers, connection: Connection, keeper: Connection) -> Snapshot | None:
    """A snapshot whose tables were all locked before it was taken, None if that failed."""
    schemas = _lock_schemas(keeper)
    wanted = [*list_tables(connection), *list_extension_tables(connection)]
    _begin(connection)
    try:
        _lock(connection, wanted, LOCK_WAIT_SECONDS)
        _lock_indexes(keeper, wanted)
        row = connection.execute("SELECT pg_catalog.pg_export_snapshot()").fetchone()
        assert row is not None
        tables, sequences = list_tables(connection), list_sequences(connection)
        extension_tables = list_extension_tables(connection)
        _lock_sequences(connection, sequences)
        renamed = connection.execute(_RENAMED).fetchone()
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        connection.execute("ROLLBACK")
        return None
    read = [*tables, *extension_tables]
    unlocked = _locks(read) - _locks(wanted)
    unlocked |= {one.key for one in (*read, *sequences) if one.schema not in schemas}
    if unlocked or renamed:
        connection.execute("ROLLBACK")
        return None
    return Snapshot(readers, connection, keeper, str(row[0]), tables, extension_tables, sequences)


def _begin(connection: Connection) -> None:
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")


def _lock_schemas(keeper: Connection) -> set[str]:
    """Keep schemas from being renamed or dropped, in a transaction of its own, which writes.

    Returns:
        Their names.
    """
    keeper.execute("ROLLBACK")
    keeper.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
    keeper.execute(f"SET LOCAL lock_timeout = '{LOCK_WAIT_SECONDS}s'")
    return {str(name) for (name,) in keeper.execute(_LOCK_SCHEMAS)}


def _lock(connection: Connection, tables: Sequence[Relation], wait_seconds: float) -> None:
    """Lock what can be locked: LOCK refuses materialized views. Takes no snapshot yet."""
    connection.execute(f"SET LOCAL lock_timeout = '{wait_seconds}s'")
    names = [
        sql.SQL("ONLY {}").format(table.identifier)
        for table in tables
        if table.kind != MATERIALIZED_VIEW
    ]
    for chunk in _chunks(names):
        connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(chunk))


def _lock_indexes(keeper: Connection, tables: list[Relation]) -> None:
    """Keep indexes and statistics objects from being made, where they would be executed."""
    names = [sql.SQL("ONLY {}").format(each.identifier) for each in tables if each.without_code]
    for chunk in _chunks(names):
        keeper.execute(sql.SQL("LOCK TABLE {} IN SHARE UPDATE EXCLUSIVE MODE").format(chunk))


def _locks(tables: list[Relation]) -> set[tuple[object, ...]]:
    """What has to be locked of tables."""
    return {(*table.key, table.without_code) for table in tables}


def _lock_sequences(connection: Connection, sequences: list[Relation]) -> None:
    """Lock them in ACCESS SHARE mode, until the transaction ends.

    LOCK refuses sequences. To prepare a statement locks what it names, and executes nothing.
    """
    names = [
        sql.SQL("{} AS {}").format(sequence.identifier, sql.Identifier(f"s{number}"))
        for number, sequence in enumerate(sequences)
    ]
    for chunk in _chunks(names):
        connection.execute(sql.SQL("PREPARE lock_sequences AS SELECT FROM {}").format(chunk))
        connection.execute("DEALLOCATE lock_sequences")


def _chunks(names: Sequence[sql.Composable]) -> Iterator[sql.Composed]:
    """The names as lists of SQL, of a length that a statement can have."""
    for start in range(0, len(names), _TABLES_PER_STATEMENT):
        yield sql.SQL(", ").join(names[start : start + _TABLES_PER_STATEMENT])
