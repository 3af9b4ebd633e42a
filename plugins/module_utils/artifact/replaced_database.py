"""Databases that a restore has replaced: how they are named, marked, found and dropped."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from psycopg import sql

from ..errors import DatabaseNotReady
from ..postgres.connection import Connection
from ..postgres.databases import drop_database, drop_each
from ..postgres.errors import database_errors
from ..uids import short_uid

_MARK = "postgres-operator"
_NAME_BYTES = 40
"""With what is appended a name stays below PostgreSQL's limit of 63 bytes."""


def previous_name(database: str, uid: str) -> str:
    """The name for the database that restore ``uid`` replaces.

    >>> previous_name("app", "0f8fad5b-d9cb-469f-a165-70867728950e")
    'app_before_0f8fad5b'
    """
    cut = database.encode()[:_NAME_BYTES].decode(errors="ignore")
    return f"{cut}_before_{short_uid(uid)}"


@dataclass(frozen=True)
class Mark:
    """The comment of a database put aside.

    Attributes:
        name: its own name: a mark does not count once a user has renamed the database.
        previous_of: the name that it had.
        restore: UID of the restore.
        until: when it may be dropped.
    """

    name: str
    previous_of: str
    restore: str
    until: datetime

    def to_comment(self) -> str:
        """The comment's text."""
        until = self.until.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        mark = {
            "name": self.name,
            "previousOf": self.previous_of,
            "restore": self.restore,
            "until": until,
        }
        return json.dumps({_MARK: mark}, ensure_ascii=False)

    @classmethod
    def from_comment(cls, comment: str | None) -> Mark | None:
        """The mark in a comment, None if the comment is a user's."""
        try:
            mark = json.loads(comment or "")[_MARK]
            until = datetime.fromisoformat(mark["until"])
            name, previous_of = str(mark["name"]), str(mark["previousOf"])
            restore = str(mark["restore"])
        except (ValueError, KeyError, TypeError, RecursionError):
            return None
        return None if until.tzinfo is None else cls(name, previous_of, restore, until)


def put_aside(connection: Connection, mark: Mark) -> None:
    """Mark a database, already renamed, and forbid connections to it; can be rolled back."""
    database = sql.Identifier(mark.name)
    connection.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(database))
    connection.execute(
        sql.SQL("COMMENT ON DATABASE {} IS {}").format(database, sql.Literal(mark.to_comment()))
    )


def agreed_time(connection: Connection) -> datetime:
    """The earlier of two clocks, this machine's and the server's.

    One clock that has jumped ahead must not end the time for which a database is kept.
    """
    return min(_clocks(connection))


def kept_since(connection: Connection) -> datetime:
    """The later of the two clocks: one that was put back must not make that time shorter."""
    return max(_clocks(connection))


def _clocks(connection: Connection) -> tuple[datetime, datetime]:
    """This machine's clock and the server's."""
    row: Any = connection.execute("SELECT pg_catalog.clock_timestamp()").fetchone()
    return datetime.now(UTC), row[0]


def drop_expired_previous(connection: Connection, now: datetime, problems: list[str]) -> list[str]:
    """Drop the databases that were put aside and whose time is over; see ``drop_each``.

    One that a user has renamed or opened for connections stays.

    Args:
        now: with a time zone; see ``agreed_time``.

    Raises:
        OperatorError: DatabaseNotReady unless the cause has a name of its own.
    """

    def drop(name: str) -> bool:
        drop_database(connection, name)
        return True

    with database_errors("dropping databases that restores put aside", DatabaseNotReady):
        expired = [
            name
            for name, mark in _list_marked(connection)
            if mark.name == name and mark.until <= now
        ]
        return drop_each(connection, expired, drop, problems)


def list_kept(connection: Connection) -> list[tuple[str, int]]:
    """The databases that were put aside and are still there, each with its size in bytes."""
    names = [name for name, mark in _list_marked(connection) if mark.name == name]
    rows: Any = connection.execute(
        "SELECT datname, pg_catalog.pg_database_size(oid) FROM pg_catalog.pg_database"
        " WHERE datname = ANY(%s) ORDER BY 2 DESC",
        [names],
    ).fetchall()
    return [(str(name), int(size)) for name, size in rows]


def _list_marked(connection: Connection) -> list[tuple[str, Mark]]:
    rows: Any = connection.execute(
        "SELECT datname, shobj_description(oid, 'pg_database') FROM pg_catalog.pg_database"
        " WHERE NOT datallowconn AND NOT datistemplate"
    ).fetchall()
    marked = ((name, Mark.from_comment(comment)) for name, comment in rows)
    return [(name, mark) for name, mark in marked if mark is not None]
