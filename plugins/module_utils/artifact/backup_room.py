"""Whether there is room for a backup, before it is written.

How much a dump takes is not known before it is made. What is known is the previous backup: with as
many rows the next one takes about as much. Values may have become shorter, so only half of that is
required; and where the server has lost its statistics, which count the rows, nothing is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import NotEnoughRoom
from ..postgres.connection import Connection
from ..postgres.disk_space import FileSystem, RoomUnknown, local_file_system
from ..store.filesystem import FilesystemStore
from ..units import format_size
from .progress import Progress
from .stored_files import ArtifactStore

_ROWS = "SELECT coalesce(pg_catalog.sum(n_live_tup), 0)::bigint FROM pg_catalog.pg_stat_user_tables"
_ENCRYPTED_TOO = 2
"""A file is in the spool as it is and encrypted, for a moment."""


@dataclass(frozen=True)
class PreviousBackup:
    """A backup of the same whole database, made in the same way.

    Attributes:
        size_bytes: of the dump's files.
        rows: of all tables.
    """

    size_bytes: int
    rows: int

    def expected_bytes(self, rows: int) -> int:
        """Return what another one takes at most, with so many rows."""
        return self.size_bytes * min(rows, self.rows) // self.rows if self.rows else 0


@dataclass(frozen=True)
class Place:
    """Where a backup is written.

    Attributes:
        what: the place, for people.
        file_system: what it is in.
        expected_bytes: what the backup takes there.
    """

    what: str
    file_system: FileSystem
    expected_bytes: int

    @property
    def lacks(self) -> bool:
        """Whether not even half of what is expected is free."""
        return self.file_system.free_bytes < self.expected_bytes // 2

    @property
    def may_lack(self) -> bool:
        """Whether less than what is expected is free."""
        return self.file_system.free_bytes < self.expected_bytes

    def describe(self) -> str:
        """Return the figures in words."""
        free, size = self.file_system.free_bytes, self.file_system.size_bytes
        return (
            f"as the previous backup was, it takes about {format_size(self.expected_bytes)} in"
            f" {self.what}, where {format_size(free)} of {format_size(size)} are free"
        )


def check_backup_room(
    store: ArtifactStore,
    previous: PreviousBackup,
    connection: Connection,
    table_sizes: Mapping[tuple[str, str], int],
    progress: Progress,
) -> None:
    """Refuse to begin where the backup certainly has no room; say where it may have none.

    Args:
        connection: a session in the database.
        table_sizes: of all tables of the database.
        progress: gets a line where there may be too little.

    Raises:
        NotEnoughRoom
    """
    row: Any = connection.execute(_ROWS).fetchone()
    for place in _places(store, previous.expected_bytes(int(row[0])), list(table_sizes.values())):
        if place.lacks:
            raise NotEnoughRoom(
                f"the backup was not begun: {place.describe()}; delete Backups that are not needed,"
                " or make room there, and make another Backup"
            )
        if place.may_lack:
            progress.say(f"There may be too little room: {place.describe()}")


def _places(store: ArtifactStore, expected: int, table_sizes: list[int]) -> list[Place]:
    """The folders that are written to; of one that cannot be asked nothing is said."""
    folders: list[tuple[str, Path, int]] = []
    if isinstance(store.files, FilesystemStore):
        folders.append((f"the volume at {store.files.root}", store.files.root, expected))
    if store.spool and not store.direct:
        largest = max(table_sizes, default=0) * expected // max(sum(table_sizes), 1)
        largest *= _ENCRYPTED_TOO if store.key else 1
        folders.append((f"the spool {store.spool} on the node's disk", store.spool, largest))
    places = []
    for what, folder, size in folders:
        try:
            places.append(Place(what, local_file_system(folder), size))
        except RoomUnknown:
            continue
    return places
