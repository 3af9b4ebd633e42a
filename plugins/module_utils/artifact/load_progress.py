"""The progress of pg_restore, as the target server reports it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..postgres.connection import ConnectionParameters, connect
from ..units import format_size
from .manifest import MATERIALIZED_VIEW, Manifest
from .progress import percent

_FIRST_WITH_COPY_PROGRESS = 140000
"""server_version_num of the first server that reports the progress of COPY."""

_LOADED = """
SELECT count(*) FILTER (WHERE n_tup_ins > 0), coalesce(sum(n_tup_ins), 0),
       pg_catalog.pg_database_size(pg_catalog.current_database())
  FROM pg_catalog.pg_stat_user_tables
"""
_BEING_LOADED = """
SELECT coalesce(sum(tuples_processed), 0) FROM pg_catalog.pg_stat_progress_copy
 WHERE datname = pg_catalog.current_database()
"""


@dataclass
class LoadProgress:
    """How far a load is.

    Attributes:
        parameters: of the database that is loaded, in which no other session writes.
        manifest: what it will hold.
    """

    parameters: ConnectionParameters
    manifest: Manifest
    _rows: int = 0

    def text(self) -> str:
        """Return it in words, such as "43% of the rows, 12 of 40 tables, 1.2Gi".

        Raises:
            OperatorError, psycopg.Error: the server cannot be asked.
        """
        tables, rows, size = self._ask()
        # A COPY that has just ended is in the statistics a second later.
        self._rows = max(self._rows, rows)
        total = self.manifest.rows
        if self._rows >= total:
            return f"all rows are there, {format_size(size)}; keys and indexes are made"
        wanted = [t for t in self.manifest.tables if t.rows and t.kind != MATERIALIZED_VIEW]
        return (
            f"{percent(self._rows, total)} of the rows, {min(tables, len(wanted))} of"
            f" {len(wanted)} tables, {format_size(size)}"
        )

    def _ask(self) -> tuple[int, int, int]:
        """Tables that have rows, rows that are there or on their way, bytes of the database."""
        with connect(self.parameters) as connection:
            row: Any = connection.execute(_LOADED).fetchone()
            tables, rows, size = row
            if connection.info.server_version >= _FIRST_WITH_COPY_PROGRESS:
                row = connection.execute(_BEING_LOADED).fetchone()
                rows += row[0]
        return tables, int(rows), size
