"""The free room in the file systems that a server writes to, and how much its WAL may yet grow.

PostgreSQL has no function that returns free room (to 19), and a pod's volume cannot be asked from
outside: the kubelet's own figures take rights on nodes. So the server runs `df`, which Debian's and
Alpine's images have, by COPY ... FROM PROGRAM. That takes a superuser, or a member of
pg_execute_server_program; the command is a constant. It needs a table to copy into: one of the
session, since what comes into that is not logged. A standby can have none; there df writes into a
file of pg_stat_tmp, which no backup of the server has and each start of it empties.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from ..errors import OperatorError
from .connection import Connection, deadline

DATA_FOLDER = "."
WAL_FOLDER = "pg_wal/."
"""Below the data directory, in which a server process works."""

_MEBIBYTE = 1024 * 1024
_RESERVED_SHARE = 10
_RESERVED_AT_MOST = 5 * 1024 * _MEBIBYTE
_KEPT_AT_MOST = 1024 * _MEBIBYTE
_SECONDS = 30.0

# One line for each folder: its name, then what POSIX says that df -P prints of its file system. Of
# pg_tblspc there is one folder for each tablespace; without any the pattern itself remains, of
# which df prints nothing.
_COMMAND = (
    "for folder in . pg_wal/. pg_tblspc/*/.; do"
    ' echo "$folder $(LC_ALL=C df -P -k "$folder" 2>/dev/null | tail -n 1)"; done'
)
_TABLE = """
SET LOCAL synchronous_commit = off;
CREATE TEMPORARY TABLE IF NOT EXISTS pg_temp.disk_space (line text) ON COMMIT DELETE ROWS
"""
# No line is split, and no byte of a mount point's name is none of the encoding.
_COPY = (
    f"COPY pg_temp.disk_space FROM PROGRAM '{_COMMAND}'"
    r" WITH (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02', ENCODING 'LATIN1')"
)
_FILE = "pg_stat_tmp/postgres_operator_df"
# It is there whole or not at all; where the disk has no room for it an older one is no answer.
_WRITE_FILE = (
    f"COPY (SELECT WHERE false) TO PROGRAM '{{ {_COMMAND}; }} > {_FILE}.$$"
    f" && mv -f {_FILE}.$$ {_FILE}'"
)
_READ_FILE = """
SELECT pg_catalog.pg_read_binary_file(%(file)s) FROM pg_catalog.pg_stat_file(%(file)s)
 WHERE modification > pg_catalog.clock_timestamp() - interval '1 minute'
"""
_LINE = re.compile(
    r"(?P<folder>\S+) (?P<device>.+?)\s+(?P<size>\d+)\s+\d+\s+(?P<free>-?\d+)\s+\d+%"
    r"\s+(?P<mount>/.*)"
)

_WAL = """
SELECT (SELECT coalesce(pg_catalog.sum(size), 0)::bigint FROM pg_catalog.pg_ls_waldir()),
       pg_catalog.pg_size_bytes(pg_catalog.current_setting('max_wal_size')),
       (SELECT pg_catalog.count(*) FROM pg_catalog.pg_replication_slots
         WHERE NOT active AND restart_lsn IS NOT NULL),
       pg_catalog.pg_size_bytes(pg_catalog.current_setting('max_slot_wal_keep_size'))
"""


class RoomUnknown(Exception):
    """How much room is free could not be found out, which is no reason to fail."""


@dataclass(frozen=True)
class FileSystem:
    """A file system.

    Attributes:
        folders: those in it that were asked for.
        size_bytes: of all of it.
        free_bytes: what the server may still use; root may have more.
    """

    folders: tuple[str, ...]
    size_bytes: int
    free_bytes: int

    @property
    def reserved_bytes(self) -> int:
        """What is to stay free for all else: a tenth, but at most 5 GiB.

        The write-ahead log of applications, which by default grows to 1 GiB between checkpoints,
        their temporary files, and what they add until more storage is there. On a large volume a
        tenth would be far more than that.
        """
        return min(self.size_bytes // _RESERVED_SHARE, _RESERVED_AT_MOST)

    @property
    def kept_bytes(self) -> int:
        """What has to stay free while something loads: half of that, but at most 1 GiB.

        It is for what is written until the next look, and until the write-ahead log is removed.
        """
        return min(self.reserved_bytes // 2, _KEPT_AT_MOST)

    @property
    def spare_bytes(self) -> int:
        """What is free beyond that; negative where less is free."""
        return self.free_bytes - self.reserved_bytes


@dataclass(frozen=True)
class WalUsage:
    """The write-ahead log of a server.

    Attributes:
        present_bytes: what it takes now.
        limit_bytes: what it may take while much is written; None without a limit.
    """

    present_bytes: int
    limit_bytes: int | None

    def growth(self, written_bytes: int) -> int:
        """Return how much more it may take while so much of it is written."""
        if self.limit_bytes is None:
            return written_bytes
        return min(written_bytes, max(self.limit_bytes - self.present_bytes, 0))


def local_file_system(folder: Path) -> FileSystem:
    """Return the file system of a folder of this machine.

    Raises:
        RoomUnknown: it cannot be asked.
    """
    try:
        found = os.statvfs(folder)
    except OSError as error:
        raise RoomUnknown(f"the file system of {folder} cannot be asked: {error}") from error
    return FileSystem(
        (str(folder),), found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize
    )


def read_file_systems(connection: Connection) -> list[FileSystem]:
    """Return the file systems of a server's data directory, write-ahead log and tablespaces.

    Args:
        connection: an autocommit session in the maintenance database. It is ended if its server's
            disk does not answer.

    Raises:
        RoomUnknown: they cannot be asked: the session's role may not run programs, or the image
            has no df.
    """
    try:
        with deadline(connection, _SECONDS, "asking for the free room"):
            row: Any = connection.execute("SELECT pg_catalog.pg_is_in_recovery()").fetchone()
            lines = (_run_on_standby if row[0] else _run_on_primary)(connection)
    except (psycopg.Error, OperatorError) as error:
        text = " ".join(str(error).split())
        raise RoomUnknown(f"the server does not run df: {text}") from error
    found = parse_file_systems(lines)
    if not any(DATA_FOLDER in one.folders for one in found):
        raise RoomUnknown("df of the server's image prints nothing of the data directory")
    return found


def _run_on_primary(connection: Connection) -> list[str]:
    with connection.transaction():
        connection.execute(_TABLE)
        connection.execute(_COPY)
        rows: Any = connection.execute("SELECT line FROM pg_temp.disk_space").fetchall()
    return [line for (line,) in rows]


def _run_on_standby(connection: Connection) -> list[str]:
    connection.execute(_WRITE_FILE)
    row: Any = connection.execute(_READ_FILE, {"file": _FILE}).fetchone()
    return [] if row is None else bytes(row[0]).decode("latin1").splitlines()


def parse_file_systems(lines: Iterable[str]) -> list[FileSystem]:
    """Return what df has printed, each file system once; other lines are left out.

    >>> parse_file_systems([". /dev/sda 1000 400 600 40% /data", "pg_tblspc/*/. "])
    [FileSystem(folders=('.',), size_bytes=1024000, free_bytes=614400)]
    """
    found: dict[tuple[str, str], FileSystem] = {}
    for match in filter(None, map(_LINE.fullmatch, lines)):
        key = match["device"], match["mount"]
        folders = found[key].folders if key in found else ()
        size, free = int(match["size"]) * 1024, int(match["free"]) * 1024
        found[key] = FileSystem((*folders, match["folder"]), size, free)
    return list(found.values())


def read_wal_usage(connection: Connection) -> WalUsage:
    """Return what the write-ahead log takes, and may take.

    It grows to max_wal_size between checkpoints; a replication slot that nothing streams from keeps
    all of it, up to max_slot_wal_keep_size.
    """
    row: Any = connection.execute(_WAL).fetchone()
    present, between_checkpoints, idle_slots, kept_by_slots = map(int, row)
    if not idle_slots:
        return WalUsage(present, between_checkpoints)
    unlimited = kept_by_slots < 0
    return WalUsage(present, None if unlimited else max(between_checkpoints, kept_by_slots))
