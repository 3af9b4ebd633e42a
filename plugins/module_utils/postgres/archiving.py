"""How far the archiving of a server's WAL is, over SQL."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.rows import class_row

from ..errors import DatabaseNotReady
from .connection import Connection
from .errors import translate

_FAILING_BYTES = 4096
# PostgreSQL 14 to 16 have pg_read_file without an error for a missing file in this form only.
_ARCHIVING = """
SELECT current_setting('archive_mode') AS mode,
       coalesce(s.last_archived_wal, '') AS last_wal, s.last_archived_time AS last_time,
       CASE WHEN s.last_archived_wal ~ '^[0-9A-F]{24}$'
            THEN (pg_stat_file('pg_wal/' || s.last_archived_wal, true)).modification
        END AS last_written,
       coalesce(ready.count, 0)::int AS pending, ready.oldest,
       coalesce(pg_read_file(%(failing)s, 0, %(limit)s, true), '') AS failing,
       now() AS now
  FROM pg_stat_archiver AS s,
       (SELECT count(*), min(modification) AS oldest
          FROM pg_ls_archive_statusdir()
         WHERE name LIKE '%%.ready') AS ready
"""


@dataclass(frozen=True)
class Archiving:
    """What one server says.

    Attributes:
        mode: archive_mode.
        last_wal: the file that was archived last since the statistics were reset; empty if none.
        last_time: when that was.
        last_written: when something was written to it last, if it is a segment and still there:
            later transactions are in later segments.
        pending: the files that wait to be archived.
        oldest: since when the oldest of them waits.
        failing: what the archiver has written of why it can store nothing; empty where it can.
        now: the server's time.
    """

    mode: str
    last_wal: str
    last_time: datetime | None
    last_written: datetime | None
    pending: int
    oldest: datetime | None
    failing: str
    now: datetime


def read_archiving(connection: Connection, failing: str) -> Archiving:
    """Query a server in a superuser's session.

    Args:
        failing: the path of the file that the archiver writes why it can store nothing.

    Raises:
        OperatorError: DatabaseNotReady unless the cause has a name of its own.
    """
    values = {"failing": failing, "limit": _FAILING_BYTES}
    try:
        with connection.cursor(row_factory=class_row(Archiving)) as cursor:
            found = cursor.execute(_ARCHIVING, values).fetchone()
    except psycopg.Error as error:
        raise translate(error, "querying how far archiving is", DatabaseNotReady) from error
    assert found is not None
    return found
