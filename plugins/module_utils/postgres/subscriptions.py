"""Subscriptions: they keep a database from being dropped, and stay with it when it is renamed."""

from __future__ import annotations

from typing import Any

from psycopg import sql

from .connection import Connection, ConnectionParameters, connect
from .databases import drop_database

# In a catalog that all databases share.
_SUBSCRIPTIONS = """
SELECT subname FROM pg_catalog.pg_subscription s
  JOIN pg_catalog.pg_database d ON d.oid = s.subdbid
 WHERE d.datname = %s ORDER BY 1
"""

_ENABLED = """
SELECT datname, subname FROM pg_catalog.pg_subscription s
  JOIN pg_catalog.pg_database d ON d.oid = s.subdbid
 WHERE subenabled AND datallowconn ORDER BY 1, 2
"""


def list_subscriptions(connection: Connection, database: str) -> list[str]:
    """The names of those in a database of the server."""
    return [str(name) for (name,) in connection.execute(_SUBSCRIPTIONS, [database])]


def drop_with_subscriptions(
    connection: Connection, server: ConnectionParameters, database: str
) -> None:
    """Drop a database that a restore has made, if it exists, and the subscriptions in it.

    The publisher is not asked: their replication slots there are those of the database that was
    backed up.

    Args:
        connection: an autocommit session of a superuser in another database.
        server: how to connect to the one that is dropped.
    """
    names = list_subscriptions(connection, database)
    if names:
        with connect(server, database) as inside:
            for name in map(sql.Identifier, names):
                inside.execute(sql.SQL("ALTER SUBSCRIPTION {} DISABLE").format(name))
                inside.execute(sql.SQL("ALTER SUBSCRIPTION {} SET (slot_name = NONE)").format(name))
                inside.execute(sql.SQL("DROP SUBSCRIPTION {}").format(name))
    drop_database(connection, database)


def disable_subscriptions(connection: Connection, server: ConnectionParameters) -> list[str]:
    """Disable those of all databases: a copy of a server must not take what the server waits for.

    Args:
        connection: a session of a superuser.
        server: how to connect to the databases.

    Returns:
        Their names, as ``database.subscription``; those that were disabled before are not among
        them.
    """
    disabled = []
    rows: list[Any] = connection.execute(_ENABLED).fetchall()
    for database, name in rows:
        with connect(server, database) as inside:
            inside.execute(sql.SQL("ALTER SUBSCRIPTION {} DISABLE").format(sql.Identifier(name)))
        disabled.append(f"{database}.{name}")
    return disabled
