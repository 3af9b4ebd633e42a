"""Statistics for the planner, which a dump does not carry."""

from __future__ import annotations

from typing import Any

from psycopg import sql

from ..postgres.connection import Connection
from .fingerprint import Work

# ANALYZE of a partitioned table is one of its partitions too. The system's own tables came with
# template0, and so did their statistics.
_TABLES = """
SELECT n.nspname, c.relname
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'm') AND NOT c.relispartition AND c.relpersistence <> 't'
   AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
 ORDER BY c.relkind = 'p' DESC, c.relpages DESC
"""


def list_analyses(connection: Connection) -> list[Work]:
    """One ANALYZE for each table of the session's database, the largest first."""
    tables: Any = connection.execute(_TABLES).fetchall()
    return [_analysis(sql.Identifier(schema, name)) for schema, name in tables]


def _analysis(table: sql.Identifier) -> Work:
    def analyze(connection: Connection) -> None:
        with connection.transaction():
            # What a statistics object computes may need the database's own.
            connection.execute("SET LOCAL search_path TO DEFAULT")
            # See ``load``.
            connection.execute("SET LOCAL synchronous_commit TO off")
            connection.execute(sql.SQL("ANALYZE {}").format(table))

    return analyze
