"""Row counts and fingerprints: what is in a database, whatever the order of its rows.

A table's fingerprint is the sum modulo 2^64 of a 64-bit hash of each row's text, the columns
ordered by name. It finds lost, doubled and altered rows; it is no cryptographic proof. Settings
of the session make equal values equal text everywhere.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from ..postgres.cancellation import Cancellation, run_together
from ..postgres.connection import Connection
from .manifest import (
    MATERIALIZED_VIEW,
    PARTITION,
    TABLE,
    LargeObjects,
    SequenceState,
    TableEntry,
)

OpenSession = Callable[[], AbstractContextManager[Connection]]

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
}

# Members of extensions are not dumped: CREATE EXTENSION makes them.
_RELATIONS = """
SELECT c.oid, n.nspname, c.relname, c.relkind, c.relispartition, c.relispopulated,
       ARRAY(SELECT attname::text FROM pg_catalog.pg_attribute
              WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped
              ORDER BY attname COLLATE "C")
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = ANY(%s::"char"[]) AND c.relpersistence <> 't'
   AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend
                    WHERE classid = 'pg_catalog.pg_class'::regclass AND objid = c.oid
                      AND deptype = 'e')
 ORDER BY c.relpages DESC, n.nspname, c.relname
"""

# COLLATE "C" since the hash of text depends on its collation. ONLY: children count themselves.
_TABLE_CONTENT = sql.SQL(
    "SELECT count(*),"
    '       coalesce(sum(hashtextextended(ROW({columns})::text COLLATE "C", 0)), 0)'
    "  FROM ONLY {table}"
)

# pg_dump reads holes of sparse objects as zeros and pg_restore writes them: so pages are
# compared without their trailing zeros, and the size is compared on its own.
_LARGE_OBJECTS = """
SELECT (SELECT count(*) FROM pg_catalog.pg_largeobject_metadata),
       (SELECT coalesce(sum(size), 0) FROM
           (SELECT max(pageno::bigint * (current_setting('block_size')::bigint / 4) + length(data))
                   AS size FROM pg_catalog.pg_largeobject GROUP BY loid) AS sizes),
       (SELECT coalesce(sum(hashtextextended(
                   (loid::text || ':' || pageno::text || ':' || encode(content, 'hex'))
                   COLLATE "C", 0)), 0)
          FROM pg_catalog.pg_largeobject, rtrim(data, '\\x00'::bytea) AS content
         WHERE length(content) > 0)
"""

_SEQUENCES_PER_STATEMENT = 500


@dataclass(frozen=True)
class Relation:
    """A table, partition, materialized view or sequence as the catalog has it."""

    schema: str
    name: str
    kind: str
    populated: bool
    columns: tuple[str, ...]

    @property
    def key(self) -> tuple[str, str]:
        """Schema and name."""
        return self.schema, self.name

    @property
    def identifier(self) -> sql.Identifier:
        """Its quoted, qualified name."""
        return sql.Identifier(self.schema, self.name)


def make_canonical(connection: Connection) -> None:
    """Make the session print values in the one way that fingerprints rely on."""
    connection.execute(
        "SELECT set_config(name, value, false) FROM unnest(%s::text[], %s::text[])"
        " AS wanted(name, value)",
        [list(_CANONICAL_SETTINGS), list(_CANONICAL_SETTINGS.values())],
    )


def list_tables(connection: Connection) -> list[Relation]:
    """Everything that holds rows of its own, the largest first."""
    return _list_relations(connection, ["r", "m"])


def list_sequences(connection: Connection) -> list[Relation]:
    """All sequences, those of identity columns too."""
    return _list_relations(connection, ["S"])


def _list_relations(connection: Connection, kinds: list[str]) -> list[Relation]:
    rows: Any = connection.execute(_RELATIONS, [kinds])
    return [
        Relation(schema, name, _kind(relkind, is_partition), populated, tuple(columns))
        for _, schema, name, relkind, is_partition, populated, columns in rows
    ]


def _kind(relkind: str, is_partition: bool) -> str:
    if relkind == "m":
        return MATERIALIZED_VIEW
    return PARTITION if is_partition else TABLE


def fingerprint_tables(
    open_session: OpenSession,
    tables: Sequence[Relation],
    workers: int,
    cancellation: Cancellation,
) -> list[TableEntry]:
    """Count and fingerprint tables.

    Args:
        open_session: makes a session with canonical settings, one for each worker.
        workers: how many tables are read at the same time.
        cancellation: ends running queries if something else has failed.

    Returns:
        One entry per table, ordered by schema and name.
    """
    waiting: queue.SimpleQueue[Relation] = queue.SimpleQueue()
    for table in tables:
        waiting.put(table)
    entries: list[TableEntry] = []

    def work() -> None:
        with open_session() as connection, cancellation.calls(connection.cancel_safe):
            for table in _drain(waiting, cancellation):
                entries.append(_fingerprint_table(connection, table))

    run_together(cancellation, [work] * min(workers, len(tables)))
    return sorted(entries, key=lambda entry: (entry.schema, entry.name))


def _drain(waiting: queue.SimpleQueue[Relation], cancellation: Cancellation) -> Iterator[Relation]:
    while not cancellation.requested:
        try:
            yield waiting.get_nowait()
        except queue.Empty:
            return


def _fingerprint_table(connection: Connection, table: Relation) -> TableEntry:
    rows, total = 0, 0
    if table.populated:
        rows, total = _single_row(
            connection,
            _TABLE_CONTENT.format(
                columns=sql.SQL(", ").join(map(sql.Identifier, table.columns)),
                table=table.identifier,
            ),
        )
    return TableEntry(
        schema=table.schema,
        name=table.name,
        kind=table.kind,
        populated=table.populated,
        rows=rows,
        fingerprint=_as_fingerprint(total),
    )


def read_large_objects(connection: Connection) -> LargeObjects:
    """Count, size and fingerprint of all large objects together."""
    count, size, total = _single_row(connection, sql.SQL(_LARGE_OBJECTS))
    return LargeObjects(count=count, size_bytes=int(size), fingerprint=_as_fingerprint(total))


def read_sequences(
    connection: Connection, sequences: Sequence[Relation]
) -> dict[tuple[str, str], SequenceState]:
    """The state of each sequence, by schema and name."""
    states: dict[tuple[str, str], SequenceState] = {}
    for start in range(0, len(sequences), _SEQUENCES_PER_STATEMENT):
        chunk = sequences[start : start + _SEQUENCES_PER_STATEMENT]
        statement = sql.SQL(" UNION ALL ").join(
            sql.SQL("SELECT {}, last_value, is_called FROM {}").format(
                sql.Literal(number), sequence.identifier
            )
            for number, sequence in enumerate(chunk)
        )
        rows: Any = connection.execute(statement)
        for number, last_value, is_called in rows:
            sequence = chunk[number]
            states[sequence.key] = SequenceState(last_value, is_called)
    return states


def _single_row(connection: Connection, statement: sql.SQL | sql.Composed) -> Any:
    row = connection.execute(statement).fetchone()
    assert row is not None
    return row


def _as_fingerprint(total: Any) -> str:
    """16 hex digits of a sum of signed 64-bit hashes.

    >>> _as_fingerprint(-1)
    'ffffffffffffffff'
    """
    return f"{int(total) % 2**64:016x}"
