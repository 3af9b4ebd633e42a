"""Reads and writes a Database's further databases, in a superuser's session."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from psycopg import sql

from .connection import Connection
from .database_state import DatabaseState

_DATABASES = """
SELECT wanted.name, d.oid IS NOT NULL, k.name IS NOT NULL, coalesce(r.rolname, ''),
       coalesce(r.rolsuper, false), coalesce(d.datconnlimit, -1)
  FROM pg_catalog.unnest(%s::pg_catalog.text[]) AS wanted(name)
  LEFT JOIN pg_catalog.pg_database d ON d.datname = wanted.name
  LEFT JOIN pg_catalog.pg_roles r ON r.oid = d.datdba
  LEFT JOIN postgres_operator.databases k ON k.name = wanted.name
"""


def read_database_states(
    connection: Connection, names: Collection[str]
) -> dict[str, DatabaseState]:
    """Return what the server has of the databases of these names, in one query.

    Args:
        connection: in the maintenance database, after `ensure_role_and_database`.
    """
    rows: Any = connection.execute(_DATABASES, [list(names)]).fetchall()
    return {row[0]: DatabaseState(*row) for row in rows}


def alter_database_owner(connection: Connection, name: str, owner: str) -> None:
    """Give a database to another role."""
    connection.execute(
        sql.SQL("ALTER DATABASE {} OWNER TO {}").format(sql.Identifier(name), sql.Identifier(owner))
    )


def alter_connection_limit(connection: Connection, name: str, limit: int) -> None:
    """Limit the connections to a database; -1 for no limit."""
    connection.execute(
        sql.SQL("ALTER DATABASE {} CONNECTION LIMIT {}").format(
            sql.Identifier(name), sql.Literal(limit)
        )
    )


def drop_managed_database(connection: Connection, name: str) -> None:
    """Drop a database; PostgreSQL refuses that while there is a session in it."""
    connection.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))
