"""Makes a logical artifact of one database of a server that was recovered.

From there on all is as for any other backup: it is loaded into the live cluster, compared and
swapped in. What can run code of users, which is this server, has no credentials: the files that it
reads are local ones.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...errors import RestoreFailed
from ...postgres.connection import connect
from ...postgres.programs import program_version
from ...postgres.scratch import ScratchServer, existing_server
from ...store.filesystem import FilesystemStore
from ...store.protocol import Location
from ...units import join_warnings, plural
from ..create import BackupRequest, create_artifact
from ..dump import Compression
from ..progress import Progress
from ..selection import Selection
from ..stored_files import ArtifactStore
from .recover import HELD_SETTINGS

_SPARE_CONNECTIONS = 10
_FIRST_WITH_LZ4 = 16


@dataclass(frozen=True)
class ExtractRequest:
    """What to make an artifact of.

    Attributes:
        server: the folder that ``recover`` has made, with the data directory ``data``.
        database: its name.
        target: an empty folder.
        location: of the physical backup; the artifact has it, too.
        jobs: processes that pg_dump works with.
        selection: whose rows are taken; None for all.
    """

    server: Path
    database: str
    target: Path
    location: Location
    jobs: int = 1
    selection: Selection | None = None


def server_settings(jobs: int) -> dict[str, str]:
    """What a recovered server is started with, to be read."""
    return {
        "max_connections": str(2 * jobs + _SPARE_CONNECTIONS),
        # What was prepared at the moment is still there.
        **HELD_SETTINGS,
    }


def extract(request: ExtractRequest, progress: Progress | None = None) -> dict[str, Any]:
    """Start the server, dump the database into a new artifact, and shut the server down.

    Returns:
        ``Artifact.summary()``.

    Raises:
        DatabaseNotFound: the server had no such database at the moment.
        As ``create_artifact``.
    """
    progress = progress or Progress()
    settings = server_settings(request.jobs)
    with existing_server(request.server, settings, RestoreFailed) as server:
        backup = BackupRequest(
            parameters=replace(server.parameters, dbname=request.database),
            store=ArtifactStore(FilesystemStore(request.target)),
            location=request.location,
            jobs=request.jobs,
            compression=_quick_compression(),
            selection=request.selection,
        )
        outcome = create_artifact(backup, progress)
        summary = outcome.summary()
        warning = join_warnings(summary.get("warning"), _describe_prepared(server, request))
        return summary | ({"warning": warning} if warning else {})


def _quick_compression() -> Compression:
    """It is read once, from a local disk, some minutes later."""
    if program_version("pg_dump").major < _FIRST_WITH_LZ4:
        return Compression("gzip", 1)
    return Compression("lz4")


def _describe_prepared(server: ScratchServer, request: ExtractRequest) -> str:
    """Say what was prepared at the moment and is not restored, as it was not committed."""
    with connect(server.parameters) as connection:
        rows: Any = connection.execute(
            "SELECT gid FROM pg_catalog.pg_prepared_xacts WHERE database = %s", [request.database]
        ).fetchall()
    if not rows:
        return ""
    return f"{plural(len(rows), 'transaction')} prepared at that moment is not restored"
