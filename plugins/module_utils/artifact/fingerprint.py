"""Row counts and fingerprints: what is in a database, whatever the order of its rows.

A table's fingerprint is the sum modulo 2^64 of a 64-bit hash of each row, the columns ordered by
name. It finds lost, doubled and altered rows; it is no cryptographic proof.

Two values count as the same if PostgreSQL writes them as the same text, as a dump does: 1.0 is
another numeric than 1.00, and -0 another float than 0. To write that text takes longer than all the
rest, so values of common types are hashed as they are stored. All others are hashed as text, and
settings of the session make equal values equal text everywhere.

Values of generated columns are in no dump and do not count: a restore computes them anew. Those
that are stored have a fingerprint of their own, by which a column that has changed is found.

The hash of a row is the exclusive or of its values' hashes, each seeded by its column, and that is
hashed once more: else a part of the sum, its lowest bit for one, would be the same when two rows
exchange a value.
"""

from __future__ import annotations

import itertools
import queue
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg
from psycopg import sql

from ..errors import InvalidInput, OperatorError
from ..postgres.cancellation import Cancellation, run_together
from ..postgres.connection import PARALLEL_FROM, Connection
from .manifest import (
    MATERIALIZED_VIEW,
    PARTITION,
    TABLE,
    GeneratedColumn,
    LargeObjects,
    SequenceState,
    TableEntry,
)
from .progress import Tally

Item = TypeVar("Item")

OpenSession = Callable[["Reader"], AbstractContextManager[Connection]]
"""Opens a session with canonical settings."""

Work = Callable[[], None]
"""Something to do beside the reading, in sessions of its own."""

_HASHES = {
    "bool": "hashint4extended({value}::int4, {seed})",
    # Not a cast, which would trim it.
    "bpchar": 'hashtextextended(textin(bpcharout({value})) COLLATE "C", {seed})',
    # PostgreSQL has one hash for both zeros.
    "float4": "CASE WHEN {value} = 0"
    ' THEN hashtextextended(textin(float4out({value})) COLLATE "C", {seed})'
    " ELSE hashfloat4extended({value}, {seed}) END",
    "float8": "CASE WHEN {value} = 0"
    ' THEN hashtextextended(textin(float8out({value})) COLLATE "C", {seed})'
    " ELSE hashfloat8extended({value}, {seed}) END",
    "int2": "hashint2extended({value}, {seed})",
    "int4": "hashint4extended({value}, {seed})",
    # The first of them folds the number's halves into one.
    "int8": "hashint8extended({value}, {seed}) # hashint8extended({value} >> 32, -{seed})",
    "json": 'hashtextextended(textin(json_out({value})) COLLATE "C", {seed})',
    "jsonb": 'hashtextextended(textin(jsonb_out({value})) COLLATE "C", {seed})',
    "text": 'hashtextextended({value} COLLATE "C", {seed})',
    "uuid": "uuid_hash_extended({value}, {seed})",
    "varchar": 'hashtextextended({value} COLLATE "C", {seed})',
}
"""Types of pg_catalog, and a hash of their values without loss, alike everywhere.

None has an OID in its values, as enums, regclass and composite types have, which is another one
after a restore. Of none has a value several stored forms that have not this hash in common, as
those of arrays have: with and without room for NULLs. "char" hashes differently on other
processors.
"""

_STORED_FORMS = {
    "bytea": "{value}",
    "date": "{value}",
    "interval": "interval_send({value})",
    "numeric": "numeric_send({value})",
    "time": "time_send({value})",
    "timestamp": "timestamp_send({value})",
    "timestamptz": "timestamptz_send({value})",
    "timetz": "timetz_send({value})",
}
"""The same for types of which the values are put into a row, since only that can be hashed.

Times of 8 bytes are sent since their own hash folds them into 4, the others since it takes for
equal what is not the same text.
"""

_CANONICAL_SETTINGS = {
    # Names in regclass and its like are then always qualified.
    "search_path": "",
    "quote_all_identifiers": "off",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "iso_8601",
    "TimeZone": "UTC",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "xmlbinary": "base64",
    # An error instead of a silent selection of rows.
    "row_security": "off",
    # Planning then reads no CHECK constraints, which may call what the table's owner has written.
    "constraint_exclusion": "off",
    "default_transaction_read_only": "on",
    # For its time, not for its result.
    "min_parallel_table_scan_size": PARALLEL_FROM,
}

# What a function that was executed in the session has set is set back, by what looks no name up.
_MAKE_CANONICAL = sql.SQL("; ").join(
    sql.SQL("SET {} TO {}").format(sql.Identifier(name), sql.Literal(value))
    for name, value in _CANONICAL_SETTINGS.items()
)

# Members of extensions are not dumped: CREATE EXTENSION makes them. Of those that the extension has
# marked (pg_extension_config_dump) rows are, unless it came with template0: pg_dump's own rule.
#
# The last column is the topmost ancestor that is partitioned by hash.
#
# An owner who may not use the schema cannot read the table. It cannot make an index on it either,
# until it gets the right back.
_RELATIONS = """
WITH RECURSIVE exact (oid, name) AS (
    SELECT oid, typname::text FROM pg_catalog.pg_type
     WHERE typnamespace = 'pg_catalog'::regnamespace AND typname = ANY(%(exact)s)
     UNION ALL
    SELECT domain.oid, exact.name FROM pg_catalog.pg_type domain
      JOIN exact ON domain.typbasetype = exact.oid)
SELECT n.nspname, c.relname, c.relkind, c.relispartition, c.relispopulated,
       CASE WHEN o.rolsuper
              OR NOT pg_catalog.has_schema_privilege(o.oid, n.oid, 'USAGE')
                 AND NOT EXISTS (SELECT FROM pg_catalog.pg_index
                                  WHERE indrelid = c.oid AND num_nulls(indexprs, indpred) < 2)
                 AND NOT EXISTS (SELECT FROM pg_catalog.pg_statistic_ext
                                  WHERE stxrelid = c.oid AND stxexprs IS NOT NULL)
            THEN '' ELSE o.rolname END, c.relforcerowsecurity, o.rolsuper,
       ARRAY(SELECT ARRAY[attname::text, exact.name, attgenerated::text]
               FROM pg_catalog.pg_attribute LEFT JOIN exact ON exact.oid = atttypid
              WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped
              ORDER BY attname COLLATE "C"),
       e.extname,
       CASE WHEN e.oid >= 16384 AND c.oid = ANY(e.extconfig)
            THEN e.extcondition[pg_catalog.array_position(e.extconfig, c.oid)] END,
       CASE WHEN c.relispartition THEN
           (SELECT ARRAY[an.nspname::text, a.relname::text]
              FROM pg_catalog.pg_partition_ancestors(c.oid) WITH ORDINALITY AS above(oid, level)
              JOIN pg_catalog.pg_partitioned_table t ON t.partrelid = above.oid
              JOIN pg_catalog.pg_class a ON a.oid = above.oid
              JOIN pg_catalog.pg_namespace an ON an.oid = a.relnamespace
             WHERE t.partstrat = 'h' ORDER BY above.level DESC LIMIT 1) END
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_database d ON d.datname = pg_catalog.current_database()
  JOIN pg_catalog.pg_roles o
    ON o.oid = CASE c.relowner WHEN 'pg_database_owner'::regrole THEN d.datdba ELSE c.relowner END
  LEFT JOIN (pg_catalog.pg_depend p JOIN pg_catalog.pg_extension e ON e.oid = p.refobjid)
    ON p.classid = 'pg_catalog.pg_class'::regclass AND p.objid = c.oid AND p.deptype = 'e'
 WHERE c.relkind = ANY(%(kinds)s::"char"[]) AND c.relpersistence <> 't'
   AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND (e.oid IS NOT NULL) = %(of_extensions)s
 ORDER BY o.rolname, c.relforcerowsecurity, c.relpages DESC, n.nspname, c.relname
"""

# The last hash is that of the number of columns, seeded with the row's: all 64 bits of it count, as
# they would not if it were the value. ONLY: children count themselves.
_TABLE_CONTENT = sql.SQL("SELECT count(*), coalesce(sum({hash}), 0) FROM ONLY {table} {condition}")
_LAST_HASH = sql.SQL("hashint4extended({number}, {hash})")

# Each value is hashed with its row: another one may have had it before. The subquery is not merged,
# so that a row is hashed once.
_GENERATED_CONTENT = sql.SQL(
    "SELECT count(*), coalesce(sum(hash), 0), {sums}"
    " FROM (SELECT {hashes} FROM ONLY {table} {condition} OFFSET 0) AS hashed"
)
_GENERATED_SUM = sql.SQL("coalesce(sum(hashint4extended(1, hash # {column})), 0)")

# pg_dump reads holes of sparse objects as zeros and pg_restore writes them: so pages are
# compared without their trailing zeros, and the size is compared on its own.
_LARGE_OBJECTS = """
SELECT (SELECT count(*) FROM pg_catalog.pg_largeobject_metadata),
       (SELECT coalesce(sum(size), 0) FROM
           (SELECT max(pageno::bigint * (current_setting('block_size')::bigint / 4) + length(data))
                   AS size FROM pg_catalog.pg_largeobject GROUP BY loid) AS sizes),
       (SELECT coalesce(sum({hash}), 0)
          FROM pg_catalog.pg_largeobject, rtrim(data, '\\x00'::bytea) AS content
         WHERE length(content) > 0)
"""

HASH_PAGE = "hashint4extended(pageno, hash_record_extended(ROW(int8send(loid::int8), content), 0))"

_SEQUENCES_PER_STATEMENT = 500


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        exact_type: which of ``_HASHES`` or ``_STORED_FORMS`` it is of, or its domain is over; None
            if of none.
        generated: pg_attribute's attgenerated: empty if it is not, 's' if it is stored, 'v' if it
            is virtual.
    """

    name: str
    exact_type: str | None
    generated: str = ""


@dataclass(frozen=True)
class Reader:
    """With whose rights a table or sequence is read.

    Planning a SELECT evaluates what it can of the expressions of the table's indexes and statistics
    objects, so functions that its owner has written, also in an index made meanwhile.

    Attributes:
        owner: the owner: what it has written gets no more rights than it has. Empty for a role that
            may read everything and no more: where a superuser is the owner, or one who may not use
            the table's schema, as long as there are no such expressions.
        bypasses_row_security: whether its policies are applied to the owner too, who then cannot
            read all rows.
    """

    owner: str = ""
    bypasses_row_security: bool = False


@dataclass(frozen=True)
class Relation:
    """A table, partition, materialized view or sequence as the catalog has it.

    Attributes:
        reader: with whose rights it is read.
        without_code: whether it is read with more rights than its owner has, so that no index and
            no statistics object with an expression may come to it meanwhile.
        extension: the name of the one that it belongs to; empty for none.
        condition: of a table whose rows that extension has dumped: which of them, in SQL; empty for
            all. None for other tables.
        hash_root: schema and name of the topmost table partitioned by hash that it is a partition
            of; None for none.
    """

    schema: str
    name: str
    kind: str
    populated: bool
    reader: Reader
    without_code: bool
    columns: tuple[Column, ...]
    extension: str = ""
    condition: str | None = None
    hash_root: tuple[str, str] | None = None

    @property
    def key(self) -> tuple[str, str]:
        """Schema and name."""
        return self.schema, self.name

    @property
    def identifier(self) -> sql.Identifier:
        """Its quoted, qualified name."""
        return sql.Identifier(self.schema, self.name)


RowHash = Callable[[Sequence[Column]], sql.Composable]
"""Makes the expression for the hash of a row, from the columns ordered by name."""


def make_canonical(connection: Connection) -> None:
    """Make the session print values in the one way that fingerprints rely on, and write nothing.

    Also look up names in pg_catalog only: else the functions that hash could be the owner's.

    Args:
        connection: no superuser's: planning alone may execute functions of a table's owner. See
            ``SessionRoles.make_reader``.
    """
    connection.execute(_MAKE_CANONICAL)


def list_tables(connection: Connection) -> list[Relation]:
    """Everything that holds rows of its own, by owner and then the largest first."""
    return _list_relations(connection, ["r", "m"])


def list_extension_tables(connection: Connection) -> list[Relation]:
    """The tables that belong to extensions, which have no definition in a dump; in the same order.

    No materialized views, which are derived, and no partitioned tables, whose partitions have the
    rows.
    """
    return _list_relations(connection, ["r"], of_extensions=True)


def list_sequences(connection: Connection) -> list[Relation]:
    """All sequences, those of identity columns too."""
    return _list_relations(connection, ["S"])


def _list_relations(
    connection: Connection, kinds: list[str], of_extensions: bool = False
) -> list[Relation]:
    rows: Any = connection.execute(
        _RELATIONS,
        {"kinds": kinds, "exact": [*_HASHES, *_STORED_FORMS], "of_extensions": of_extensions},
    )
    return [_relation(*row) for row in rows]


def _relation(
    schema: str,
    name: str,
    relkind: str,
    is_partition: bool,
    populated: bool,
    owner: str,
    forced: bool,
    of_superuser: bool,
    columns: list[tuple[str, str | None]],
    extension: str | None,
    condition: str | None,
    hash_root: list[str] | None,
) -> Relation:
    """From a row of _RELATIONS."""
    return Relation(
        schema,
        name,
        _kind(relkind, is_partition),
        populated,
        Reader(owner, forced),
        not (owner or of_superuser),
        tuple(Column(*column) for column in columns),
        extension or "",
        condition,
        (hash_root[0], hash_root[1]) if hash_root else None,
    )


def _kind(relkind: str, is_partition: bool) -> str:
    if relkind == "m":
        return MATERIALIZED_VIEW
    return PARTITION if is_partition else TABLE


def fingerprint_tables(
    open_session: OpenSession,
    tables: Sequence[Relation],
    workers: int,
    cancellation: Cancellation,
    further: Sequence[Work] = (),
    tally: Tally | None = None,
    older_hash: RowHash | None = None,
) -> list[TableEntry]:
    """Count and fingerprint tables.

    Args:
        open_session: one session at a time for each worker.
        workers: how many tables are read at the same time.
        cancellation: ends running queries if something else has failed.
        further: what workers do when no table is left to begin with.
        tally: counts the tables that are done, and their rows.
        older_hash: for backups of an older format, in which generated columns counted.

    Returns:
        One entry per table, ordered by schema and name.
    """
    entries: list[TableEntry] = []

    waiting: queue.SimpleQueue[Relation] = queue.SimpleQueue()
    for table in tables:
        waiting.put(table)
    rest: queue.SimpleQueue[Work] = queue.SimpleQueue()
    for work in further:
        rest.put(work)

    def read() -> None:
        for reader, mine in itertools.groupby(_drain(waiting, cancellation), _reader_of):
            with open_session(reader) as connection, cancellation.calls(connection.cancel_safe):
                for table in mine:
                    entry = _fingerprint_table(connection, table, older_hash)
                    entries.append(entry)
                    if tally:
                        tally.add(entry.rows)
        for work in _drain(rest, cancellation):
            work()

    run_together(cancellation, [read] * min(workers, waiting.qsize() + rest.qsize()))
    return sorted(entries, key=lambda entry: (entry.schema, entry.name))


def _reader_of(relation: Relation) -> Reader:
    return relation.reader


def _drain(waiting: queue.SimpleQueue[Item], cancellation: Cancellation) -> Iterator[Item]:
    while not cancellation.requested:
        try:
            yield waiting.get_nowait()
        except queue.Empty:
            return


def _fingerprint_table(
    connection: Connection, table: Relation, older_hash: RowHash | None
) -> TableEntry:
    """Read a table; of a materialized view nothing is compared but whether it is populated.

    It cannot be locked either: a DROP or REFRESH beside the reading would fail a good backup.
    """
    rows, total, totals = 0, 0, []
    stored = [] if older_hash else [one for one in table.columns if one.generated == "s"]
    if table.populated and table.kind != MATERIALIZED_VIEW:
        statement = _content_statement(table, stored, older_hash)
        try:
            with connection.transaction() as reading:
                # Planning the table before may have executed a function that has changed settings.
                make_canonical(connection)
                rows, total, *totals = _single_row(connection, statement)
                # Planning locks each index of the table; kept to the end of the snapshot, those
                # of all tables are more than a server has room for.
                raise psycopg.Rollback(reading)
        except psycopg.errors.InsufficientPrivilege as error:
            raise _unreadable(table, error) from error
    return TableEntry(
        schema=table.schema,
        name=table.name,
        kind=table.kind,
        populated=table.populated,
        rows=rows,
        fingerprint=_as_fingerprint(total),
        generated=tuple(
            GeneratedColumn(column.name, _as_fingerprint(of_column))
            for column, of_column in zip(stored, totals or [0] * len(stored), strict=True)
        ),
    )


def _content_statement(
    table: Relation, stored: Sequence[Column], older_hash: RowHash | None
) -> sql.Composed:
    """What counts and fingerprints a table, and each of the stored generated columns."""
    # The extension's own words, as pg_dump takes them, but in no superuser's session.
    condition = sql.SQL(table.condition or "")
    if older_hash:
        hash_ = older_hash(table.columns)
    else:
        hash_ = hash_row([column for column in table.columns if not column.generated])
    if not stored:
        return _TABLE_CONTENT.format(hash=hash_, table=table.identifier, condition=condition)
    names = [sql.Identifier(f"generated{number}") for number in range(len(stored))]
    hashes = [sql.SQL("{} AS hash").format(hash_)]
    for column, name in zip(stored, names, strict=True):
        hashes.append(sql.SQL("{} AS {}").format(hash_row([column]), name))
    return _GENERATED_CONTENT.format(
        sums=sql.SQL(", ").join(_GENERATED_SUM.format(column=name) for name in names),
        hashes=sql.SQL(", ").join(hashes),
        table=table.identifier,
        condition=condition,
    )


def _unreadable(table: Relation, error: psycopg.Error) -> OperatorError:
    name = table.identifier.as_string()
    return InvalidInput(
        f"table {name} cannot be read with the rights of its owner {table.reader.owner}"
        f" ({' '.join(str(error).split())}): give the owner SELECT on it, USAGE on its schema and"
        " EXECUTE on the functions of its indexes"
    )


def hash_row(columns: Sequence[Column]) -> sql.Composable:
    """The expression for the hash of a row."""
    hashes: list[sql.Composable] = []
    stored, others = [], []
    for seed, column in enumerate(columns, 1):
        name = sql.Identifier(column.name)
        if column.exact_type is None:
            others.append(name)
            continue
        # Without its domain, which hashes no otherwise and may have an operator of its own.
        value = sql.SQL("{}::{}").format(name, sql.Identifier("pg_catalog", column.exact_type))
        if column.exact_type in _STORED_FORMS:
            stored.append(sql.SQL(_STORED_FORMS[column.exact_type]).format(value=value))
        else:
            hash_ = sql.SQL(_HASHES[column.exact_type]).format(value=value, seed=sql.Literal(seed))
            hashes.append(sql.SQL("coalesce({}, 0)").format(hash_))
    for values, form in (
        (stored, "hash_record_extended(ROW({values}), {seed})"),
        (others, 'hashtextextended(ROW({values})::text COLLATE "C", {seed})'),
    ):
        if values:
            seed = len(columns) + len(hashes) + 1
            together = sql.SQL(", ").join(values)
            hashes.append(sql.SQL(form).format(values=together, seed=sql.Literal(seed)))
    all_hashes = sql.SQL(" # ").join(hashes) if hashes else sql.Literal(0)
    return _LAST_HASH.format(number=sql.Literal(len(columns)), hash=all_hashes)


def read_large_objects(connection: Connection, page_hash: str = HASH_PAGE) -> LargeObjects:
    """Count, size and fingerprint of all large objects together.

    Args:
        page_hash: the expression for the hash of a page of one; another one for backups of an older
            format.
    """
    statement = sql.SQL(_LARGE_OBJECTS).format(hash=sql.SQL(page_hash))
    count, size, total = _single_row(connection, statement)
    return LargeObjects(count=count, size_bytes=int(size), fingerprint=_as_fingerprint(total))


def read_sequences(
    open_session: OpenSession, sequences: Sequence[Relation]
) -> dict[tuple[str, str], SequenceState]:
    """The state of each sequence, by schema and name."""
    states: dict[tuple[str, str], SequenceState] = {}
    for reader, group in itertools.groupby(sequences, _reader_of):
        mine = list(group)
        with open_session(reader) as connection:
            for start in range(0, len(mine), _SEQUENCES_PER_STATEMENT):
                states |= _read_states(connection, mine[start : start + _SEQUENCES_PER_STATEMENT])
    return states


def _read_states(
    connection: Connection, sequences: Sequence[Relation]
) -> dict[tuple[str, str], SequenceState]:
    statement = sql.SQL(" UNION ALL ").join(
        sql.SQL("SELECT {}, last_value, is_called FROM {}").format(
            sql.Literal(number), sequence.identifier
        )
        for number, sequence in enumerate(sequences)
    )
    rows: Any = connection.execute(statement)
    return {
        sequences[number].key: SequenceState(last_value, is_called)
        for number, last_value, is_called in rows
    }


def _single_row(connection: Connection, statement: sql.SQL | sql.Composed) -> Any:
    row = connection.execute(statement).fetchone()
    assert row is not None
    return row


def add_fingerprints(fingerprints: Iterable[str]) -> str:
    """The fingerprint of all the rows that several are of, as if they were of one table.

    >>> add_fingerprints(["ffffffffffffffff", "0000000000000003"])
    '0000000000000002'
    """
    return _as_fingerprint(sum(int(one, 16) for one in fingerprints))


def _as_fingerprint(total: Any) -> str:
    """16 hex digits of a sum of signed 64-bit hashes.

    >>> _as_fingerprint(-1)
    'ffffffffffffffff'
    """
    return f"{int(total) % 2**64:016x}"
