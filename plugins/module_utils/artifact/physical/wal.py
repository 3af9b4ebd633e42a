"""The archive that a physical artifact is stored beside, and the wait for a segment of it."""

from __future__ import annotations

import time

from ...archive.wal_archive import StoredFile, WalArchive
from ...errors import OperatorError
from ...store.protocol import Location
from ..stored_files import ArtifactStore

PATIENCE_SECONDS = 600.0
"""How long WAL may take to be archived."""

_POLL_SECONDS = 0.5


def archive_beside(store: ArtifactStore, location: Location, name: str) -> WalArchive:
    """Return the archive in the folder of a name, beside that of an artifact."""
    place = Location(location.namespace, location.database, name)
    return WalArchive(store.files, place, store.key, store.spool)


def await_segment(
    archive: WalArchive, name: str, deadline: float, failure: OperatorError
) -> StoredFile:
    """Wait until a segment is archived.

    Args:
        deadline: until when, by time.monotonic.
        failure: the error if it was not archived by then.

    Raises:
        ArchiveConflict: the archive has several contents of that name.
    """
    while True:
        found = archive.find(name)
        if found:
            return found
        if time.monotonic() > deadline:
            raise failure
        time.sleep(_POLL_SECONDS)
