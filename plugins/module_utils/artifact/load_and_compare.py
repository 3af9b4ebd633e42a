"""Restores an artifact into an empty database and compares that with the manifest."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ..postgres.cancellation import Cancellation
from ..postgres.connection import ConnectionParameters, connect
from ..units import format_size, join_warnings
from .artifact import Artifact
from .compare import compare_content, compare_views, tables_tally
from .extension_versions import naming_other_versions
from .load_contents import LoadRequest, load_contents
from .manifest import MATERIALIZED_VIEW, Manifest
from .progress import Progress, percent
from .readers import Readers

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


@dataclass(frozen=True)
class Restored:
    """What was loaded and compared.

    Attributes:
        artifact: as if it held just what was loaded.
        warning: what differs and is no failure, see ``compare_content``; and which tables have no
            statistics.
    """

    artifact: Artifact
    warning: str

    def with_warning(self, warning: str) -> Restored:
        """The same with one more ``warning``; an empty one is none."""
        return replace(self, warning=join_warnings(self.warning, warning))

    def summary(self) -> dict[str, Any]:
        """``Artifact.summary()``, with the ``warning`` if there is one."""
        return self.artifact.summary(self.warning)


def load_and_compare(request: LoadRequest, progress: Progress, with_statistics: bool) -> Restored:
    """Load all that was asked for, compare every row, and give everything to its owner.

    Args:
        with_statistics: whether the planner gets its statistics, beside the comparison.

    Raises:
        OperatorError: as ``load_contents``; ``request.failure`` too where the contents differ.
    """
    # The server that the roles are on.
    here = request.parameters.at(request.roles.server.hostaddr)
    request = replace(request, parameters=here)
    figures = _LoadProgress(request.parameters, request.artifact.manifest)
    with connect(request.parameters) as connection:
        with progress.step("Restoring into it", figures.text), naming_other_versions(request):
            loaded = load_contents(request, connection)
        manifest = loaded.artifact.manifest
        readers = Readers(request.roles, request.parameters.dbname, request.as_superuser)
        tally, cancellation = tables_tally(), Cancellation()
        with progress.step("Comparing it with the manifest", tally.text):
            warning = compare_content(
                connection,
                readers,
                manifest,
                request.jobs,
                cancellation,
                request.failure,
                loaded.analyses(cancellation) if with_statistics else (),
                tally,
            )
        with progress.step("Giving everything to its owner"):
            loaded.hand_over()
            compare_views(connection, manifest, request.failure)
    return Restored(loaded.artifact, join_warnings(warning, loaded.warning))


@dataclass
class _LoadProgress:
    """How far pg_restore is, as the target server reports it.

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
