"""What tables take on the server, for the manifest.

An index is not locked for that, that of a TOAST table neither: one that is being built anew
(REINDEX) would keep the backup waiting. So its size is that of its last VACUUM, ANALYZE or creation
(pg_class.relpages).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from ..postgres.connection import Connection
from .manifest import TableEntry

Key = tuple[str, str]
"""Schema and name of a table."""

_TABLES = """
SELECT n.nspname, c.relname,
       pg_catalog.pg_relation_size(c.oid)
         + coalesce(pg_catalog.pg_relation_size(nullif(c.reltoastrelid, 0)), 0)
         + pg_catalog.current_setting('block_size')::bigint
         * (SELECT coalesce(pg_catalog.sum(i.relpages), 0)::bigint FROM pg_catalog.pg_index x
              JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
             WHERE x.indrelid IN (c.oid, c.reltoastrelid))
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'r' AND c.relpersistence <> 't'
   AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
"""


def read_table_sizes(connection: Connection) -> dict[Key, int]:
    """Bytes of each table and partition, with its indexes and TOAST.

    Args:
        connection: one that has locked the tables: it waits for no one then.
    """
    rows: Any = connection.execute(_TABLES)
    return {(schema, name): int(size) for schema, name, size in rows if size is not None}


def with_sizes(entries: Iterable[TableEntry], sizes: dict[Key, int]) -> list[TableEntry]:
    """The entries, each with its table's size where the backup has its rows."""
    return [
        replace(entry, size_bytes=sizes.get((entry.schema, entry.name), 0) * entry.populated)
        for entry in entries
    ]
