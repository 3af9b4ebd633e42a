"""The project's own tables on a server: in the maintenance database, which no dump carries."""

from __future__ import annotations

from typing import LiteralString

from psycopg import sql

from .connection import Connection

_LOCK = "postgres-operator: history of restores"
_MAKE_SCHEMA = """
CREATE SCHEMA IF NOT EXISTS postgres_operator;
REVOKE ALL ON SCHEMA postgres_operator FROM PUBLIC;
"""
# A member of pg_write_all_data writes into any table, whatever its privileges; but row security, of
# which there is no policy, is for all but superusers. What is here has databases dropped.
UNPROTECTED = """
SELECT c.relname FROM pg_catalog.pg_class c
 WHERE c.relnamespace = pg_catalog.to_regnamespace('postgres_operator')
   AND c.relkind = 'r' AND NOT c.relrowsecurity
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
        protect_tables(connection)


def protect_tables(connection: Connection) -> None:
    """Keep the tables from all roles but superusers."""
    for (name,) in connection.execute(UNPROTECTED).fetchall():
        table = sql.Identifier("postgres_operator", str(name))
        connection.execute(sql.SQL("ALTER TABLE {} ENABLE ROW LEVEL SECURITY").format(table))
