"""Which WAL is missing in the archive between the oldest backup and the newest segment."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

from ...archive.gaps import Gap, Way, find_gaps
from ...archive.history import parse_history
from ...archive.names import format_lsn, parse_lsn
from ...archive.wal_archive import WalArchive
from ...errors import BackupFailed, BackupLocationMissing
from ...postgres.base_backup import timeline_history
from ...postgres.connection import ConnectionParameters, connect
from ...postgres.errors import database_errors
from ...units import format_time
from .artifact import PhysicalArtifact

MOST = 5
"""How many gaps are described: a Job's result is short."""

_WAITING = """
SELECT pg_catalog.regexp_replace(name, '[.]ready$', '')
  FROM pg_catalog.pg_ls_archive_statusdir()
 WHERE name LIKE '%.ready'
"""


def describe_gaps(
    artifact: PhysicalArtifact,
    oldest_end: str | None,
    primary: ConnectionParameters,
    replication: ConnectionParameters,
) -> dict[str, Any]:
    """List the archive beside a backup that was just made.

    A segment that the primary has not handed over yet, while later ones were stored, is not
    missing.

    Args:
        oldest_end: the LSN at which the oldest other backup of the archive ends, which has the WAL
            before that itself; None where there is none.
        primary: the server, and a superuser.
        replication: the server, and a role with REPLICATION.

    Returns:
        ``gaps``, the newest MOST ones, the oldest of them first; each with ``segment``, the first
        one that is missing; ``segments``, how many are; ``startLSN`` and ``endLSN``, the first byte
        that is missing and the first one that is there again; and ``from``, when the segment before
        them was stored, if that is there. ``moreGaps``, how many older ones there are.

    Raises:
        BackupFailed, DatabaseNotReady, InvalidInput, StoreDenied, StoreUnreachable
    """
    manifest = artifact.manifest
    size = manifest.server.wal_segment_bytes
    way = _way(artifact, replication)
    end = min(parse_lsn(oldest_end or manifest.end_lsn), parse_lsn(manifest.end_lsn))
    # At the first byte of a segment the end is that of the one before.
    first = (end - 1) // size + 1
    found = find_gaps(artifact.archive, way, first)
    if found.gaps:
        # After the first list: what was missing in it waits, was stored meanwhile, or is lost.
        waiting = _waiting(primary)
        found = find_gaps(artifact.archive, way, first, found.newest, waiting)
    gaps = [_describe(artifact.archive, way, gap) for gap in found.gaps[-MOST:]]
    more = len(found.gaps) - len(gaps)
    return {"gaps": gaps, **({"moreGaps": more} if more else {})}


def _way(artifact: PhysicalArtifact, replication: ConnectionParameters) -> Way:
    manifest = artifact.manifest
    size = manifest.server.wal_segment_bytes
    if manifest.timeline == 1:
        return Way(1, segment_bytes=size)
    text = timeline_history(replication, manifest.timeline).decode(errors="replace")
    return Way(manifest.timeline, parse_history(text, manifest.timeline), size)


def _waiting(primary: ConnectionParameters) -> set[str]:
    with (
        database_errors("asking which WAL waits to be archived", BackupFailed),
        connect(primary) as connection,
    ):
        return {str(name) for (name,) in connection.execute(_WAITING).fetchall()}


def _describe(archive: WalArchive, way: Way, gap: Gap) -> dict[str, Any]:
    size = way.segment_bytes
    described: dict[str, Any] = {
        "segment": way.name(gap.first),
        "segments": gap.last - gap.first + 1,
        "startLSN": format_lsn(gap.first * size),
        "endLSN": format_lsn((gap.last + 1) * size),
    }
    try:
        stored = archive.stored_time(way.name(gap.first - 1)) if gap.first else None
    except BackupLocationMissing:
        stored = None
    if stored is None:
        return described
    # Rounded up: a transaction of the last second is in that segment.
    moment = datetime.fromtimestamp(math.ceil(stored.timestamp()), UTC)
    return described | {"from": format_time(moment)}
