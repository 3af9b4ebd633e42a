"""Ends what loads a database before the disk of its server is full."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import psycopg

from ..errors import NotEnoughRoom, OperatorError
from ..postgres.connection import Connection, ConnectionParameters, connect
from ..postgres.disk_space import FileSystem, RoomUnknown
from ..units import format_size
from .room import describe_file_system

Look = Callable[[Connection], Sequence[FileSystem]]
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

    def _watch(self, connection: Connection) -> None:
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
