"""Room for what is restored: whether there is enough before it begins, and while it loads.

A server whose volume is full stops: no database of it takes writes any more. So a restore that
would leave less than a reserve is refused before it writes anything, and one that takes more than
was estimated ends while a part of the reserve is still free.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psycopg

from ..errors import NotEnoughRoom, OperatorError
from ..postgres.connection import ConnectionParameters, connect
from ..postgres.disk_space import (
    WAL_FOLDER,
    FileSystem,
    RoomUnknown,
    WalUsage,
)
from ..units import first_of, format_size

Look = Callable[[psycopg.Connection[tuple[object, ...]]], Sequence[FileSystem]]
"""Returns the file systems that a server writes to; takes a superuser's session in it."""

# No disk writes faster than this: so a look is never too late, and seldom where much is free.
_BYTES_PER_SECOND = 1024 * 1024 * 1024
_SHORTEST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0
_THREAD_SECONDS = 60.0

_END_SESSIONS = """
SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
 WHERE datname = %s AND pid <> pg_catalog.pg_backend_pid()
"""


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


@contextmanager
def room_kept(
    server: ConnectionParameters, database: str, look: Look, next_step: str
) -> Iterator[None]:
    """Watch the free room while a database is filled, and end its sessions before the server stops.

    Where the room cannot be known, nothing is watched.

    Args:
        server: a superuser.
        database: the one that is filled, in which nobody else works.
        next_step: what to do if there is too little, for people.

    Raises:
        NotEnoughRoom: less was free than ``kept_bytes``; what the block raised is its cause.
    """
    watch = _Watch(server, database, look)
    thread = threading.Thread(target=watch.run, name="room", daemon=True)
    thread.start()
    try:
        yield
    except (OperatorError, psycopg.Error) as error:
        if watch.lowest is None:
            raise
        kept = format_size(watch.lowest.kept_bytes)
        raise NotEnoughRoom(
            f'loading database "{database}" was given up before the disk was full:'
            f" {describe_file_system(watch.lowest)}, and {kept} have to stay free while it loads;"
            f" {next_step}"
        ) from error
    finally:
        watch.over.set()
        thread.join(_THREAD_SECONDS)


class _Watch:
    """Looks at the free room until it is over.

    Attributes:
        lowest: the file system that has too little free room; None while all have enough.
    """

    def __init__(self, server: ConnectionParameters, database: str, look: Look) -> None:
        self.over = threading.Event()
        self.lowest: FileSystem | None = None
        self._server = server
        self._database = database
        self._look = look

    def run(self) -> None:
        """Look, in a session of its own, and in another one where that has broken."""
        while not self.over.is_set():
            with suppress(OperatorError, psycopg.Error), connect(self._server) as connection:
                try:
                    self._watch(connection)
                except RoomUnknown:
                    if not connection.closed:
                        return
            self.over.wait(_LONGEST_PAUSE)

    def _watch(self, connection: psycopg.Connection[tuple[object, ...]]) -> None:
        pause = 0.0
        while not self.over.wait(pause):
            found = self._look(connection)
            lowest = min(found, key=lambda one: one.free_bytes - one.kept_bytes)
            margin = lowest.free_bytes - lowest.kept_bytes
            pause = min(max(margin / _BYTES_PER_SECOND, _SHORTEST_PAUSE), _LONGEST_PAUSE)
            # The thread has sessions again and again: until it is over none of them goes on.
            if margin < 0 or self.lowest is not None:
                self.lowest = self.lowest or lowest
                pause = _SHORTEST_PAUSE
                connection.execute(_END_SESSIONS, [self._database])
