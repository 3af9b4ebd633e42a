"""Reads what belongs to a database and is in no dump of it: its properties, and its roles."""

from __future__ import annotations

from collections.abc import Collection

from ..postgres.connection import Connection
from ..postgres.databases import read_grants, read_properties
from ..postgres.labels import read_labels
from ..postgres.roles import read_memberships, read_role_settings, read_roles
from .manifest import DatabaseProperties, Globals


def read_database_properties(connection: Connection, database: str) -> DatabaseProperties:
    """The properties of a database that exists."""
    found = read_properties(connection, database)
    assert found is not None
    return DatabaseProperties(
        connection_limit=found.connection_limit,
        comment=found.comment,
        grants=read_grants(connection, database),
        settings=found.settings,
    )


def read_globals(
    connection: Connection, database: str, roles: Collection[str], with_verifiers: bool = False
) -> Globals:
    """What the server has of these roles, and for the database.

    Args:
        database: its tablespace is empty where it does not exist.
        with_verifiers: whether those of passwords too.
    """
    found = read_properties(connection, database)
    return Globals(
        tablespace=found.tablespace if found else "",
        roles=read_roles(connection, roles, with_verifiers),
        memberships=read_memberships(connection, roles),
        settings=read_role_settings(connection, roles),
        labels=read_labels(connection, database, roles),
    )
