"""What a server says of its pg_hba.conf."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from psycopg import sql

from ..errors import DatabaseNotReady
from .connection import Connection
from .errors import translate

_FILE = "SELECT pg_catalog.pg_read_file(pg_catalog.current_setting('hba_file'))"
_ERRORS = """
SELECT line_number, error FROM pg_catalog.pg_hba_file_rules WHERE error IS NOT NULL ORDER BY 1
"""
_EXISTS = "SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = %s"


@dataclass(frozen=True)
class HbaFile:
    """A server's pg_hba.conf, as it is now.

    Attributes:
        lines: without comments and empty ones.
        error: what the server does not take of it, in its words; empty for nothing. With such a
            file it goes on with what it had loaded before, and does not start.
    """

    lines: list[str]
    error: str = ""


def read_hba_file(connection: Connection) -> HbaFile:
    """Read pg_hba.conf, and what the server says of it.

    Raises:
        OperatorError: DatabaseNotReady unless the cause has a name of its own.
    """
    try:
        file = connection.execute(_FILE).fetchone()
        errors = connection.execute(_ERRORS).fetchall()
    except psycopg.Error as error:
        raise translate(error, "reading pg_hba.conf", DatabaseNotReady) from error
    written = str(file[0] if file else "").splitlines()
    found = ""
    if errors:
        number, words = int(str(errors[0][0])), str(errors[0][1])
        line = written[number - 1] if 0 < number <= len(written) else f"line {number}"
        found = f"{words}, in: {line}"
    return HbaFile([line for line in written if line and not line.startswith("#")], found)


def ensure_group(connection: Connection, name: str) -> None:
    """Make a role exist that only others are members of.

    Raises:
        OperatorError: DatabaseNotReady unless the cause has a name of its own.
    """
    try:
        if connection.execute(_EXISTS, [name]).fetchone() is None:
            connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(name)))
    except psycopg.errors.DuplicateObject:
        return
    except psycopg.Error as error:
        raise translate(error, f"making the role {name}", DatabaseNotReady) from error
