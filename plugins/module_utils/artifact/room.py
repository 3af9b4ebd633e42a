"""Room for what is restored: whether there is enough before it begins.

A server whose volume is full stops: no database of it takes writes any more. So a restore that
would leave less than a reserve is refused before it writes anything. What takes more than was
estimated ends while a part of the reserve is still free, see ``room_watch``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg

from ..errors import NotEnoughRoom, OperatorError
from ..postgres.connection import Connection, ConnectionParameters, connect
from ..postgres.databases import database_size
from ..postgres.disk_space import (
    WAL_FOLDER,
    FileSystem,
    RoomUnknown,
    WalUsage,
    read_file_systems,
    read_wal_usage,
)
from ..units import first_of, format_size
from .replaced_database import list_kept
from .standby_sessions import list_standbys

MORE_ROOM = (
    "drop what is not needed there, or restore into a Database with more storage, and make another"
    " Restore"
)
"""The next step, for people."""


@dataclass(frozen=True)
class Room:
    """The room on a server, and what a restore takes of it.

    Attributes:
        file_systems: all that the server writes to.
        wal: its write-ahead log.
        data_bytes: what the restored database takes; None where the backup does not say.
        reclaimed_bytes: what is dropped before, as what a killed run of the same restore has left.
    """

    file_systems: Sequence[FileSystem]
    wal: WalUsage
    data_bytes: int | None
    reclaimed_bytes: int = 0

    @property
    def needed_bytes(self) -> int:
        """Data and write-ahead log; of data whose size is not known neither is counted."""
        return (self.data_bytes or 0) + self.wal_bytes

    @property
    def wal_bytes(self) -> int:
        """What the write-ahead log grows by: as much is written to it as is restored."""
        return self.wal.growth(self.data_bytes or 0)

    @property
    def lacks(self) -> bool:
        """Whether less than the reserve would be left.

        In which of several tablespaces a backup's tables are it does not say: so their file systems
        count together.
        """
        with_data = [one for one in self.file_systems if set(one.folders) != {WAL_FOLDER}]
        needed = self.needed_bytes - self.reclaimed_bytes
        for one in self.file_systems:
            if one not in with_data:
                needed -= self.wal_bytes
                if one.spare_bytes < self.wal_bytes:
                    return True
        return sum(one.spare_bytes for one in with_data) < needed

    def describe(self) -> str:
        """Return the figures in words."""
        places = "; ".join(map(describe_file_system, self.file_systems))
        if self.data_bytes is None:
            return places
        return (
            f"about {format_size(self.needed_bytes)} are needed, {format_size(self.data_bytes)} for"
            f" the database and {format_size(self.wal_bytes)} for write-ahead log; {places}"
        )


def describe_file_system(one: FileSystem) -> str:
    """Return the figures of one in words."""
    return (
        f"{format_size(max(one.free_bytes, 0))} of {format_size(one.size_bytes)} are free and"
        f" {format_size(one.reserved_bytes)} reserved"
    )


def describe_kept(kept: Sequence[tuple[str, int]]) -> str:
    """Return what can be dropped of earlier restores: names of databases and their sizes."""
    if not kept:
        return ""
    named = [f'"{name}" ({format_size(size)})' for name, size in kept]
    return f"drop replaced databases that are kept, {first_of(named)}, "


@dataclass(frozen=True)
class RoomRequest:
    """Whose room is needed for what.

    Attributes:
        primary: the server that is restored into, and a superuser.
        data_bytes: see ``Room``.
        scratch: the database that is restored into, which is dropped if it is there.
        what: what is restored, for people.
    """

    primary: ConnectionParameters
    data_bytes: int | None
    scratch: str
    what: str


def check_room(
    request: RoomRequest, connection: Connection, refuse: bool, standbys: bool = True
) -> list[str]:
    """Find out whether primary and standbys have room, since all write the same.

    Args:
        connection: a session of the primary in the maintenance database.
        refuse: whether too little is an error.
        standbys: whether they are asked, too.

    Returns:
        A warning for each server whose room is not known.

    Raises:
        NotEnoughRoom: less than the reserve would be left; nothing has been written.
    """
    warnings = []
    for name, server in _servers(request, connection if standbys else None):
        try:
            room = _read_room(request, server)
        except RoomUnknown as error:
            warnings.append(f"the free room on the volume of {name} was not known: {error}")
            continue
        if room.lacks and refuse:
            raise NotEnoughRoom(
                f"{request.what} was not restored, and nothing of it was written: it would leave"
                f" less room on the volume of {name} than is reserved: {room.describe()};"
                f" {describe_kept(list_kept(connection))}{MORE_ROOM}; if the database was bloated"
                " at the backup, so that it takes less now, set consent.tryWithoutRoom: true"
            )
    return warnings


def _servers(
    request: RoomRequest, connection: Connection | None
) -> list[tuple[str, ConnectionParameters]]:
    """Each server with its name for people; without a session of the primary only that."""
    _, standbys = list_standbys(connection) if connection else (None, [])
    replicas = [(f"replica {name}", request.primary.at(host)) for name, host in standbys]
    return [("the primary", request.primary), *replicas]


def _read_room(request: RoomRequest, server: ConnectionParameters) -> Room:
    """Ask a server.

    Raises:
        RoomUnknown
    """
    try:
        with connect(server.maintenance) as connection:
            return Room(
                read_file_systems(connection),
                read_wal_usage(connection),
                request.data_bytes,
                reclaimed_bytes=database_size(connection, request.scratch),
            )
    except (OperatorError, psycopg.Error) as error:
        raise RoomUnknown(" ".join(str(error).split())) from error
