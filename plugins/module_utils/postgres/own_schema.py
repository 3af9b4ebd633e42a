"""The project's own tables on a server: in the maintenance database, which no dump carries."""

from __future__ import annotations

from typing import LiteralString

from .connection import Connection

_LOCK = "postgres-operator: history of restores"
_MAKE_SCHEMA = """
CREATE SCHEMA IF NOT EXISTS postgres_operator;
REVOKE ALL ON SCHEMA postgres_operator FROM PUBLIC;
"""


def make_tables(connection: Connection, definitions: LiteralString) -> None:
    """Make tables of the schema postgres_operator exist; it is for superusers only.

    Args:
        connection: an autocommit session of a superuser in the maintenance database.
        definitions: SQL that creates those which do not exist.
    """
    with connection.transaction():
        # IF NOT EXISTS alone does not keep two sessions from creating the same thing.
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [_LOCK])
        connection.execute(_MAKE_SCHEMA)
        connection.execute(definitions)
