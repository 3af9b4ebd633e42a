"""Reads and writes schemas and extensions of a database, in a superuser's session in it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from psycopg import sql

from .connection import FIRST_WITHOUT_EVENT_TRIGGERS, Connection
from .extension_state import AvailableVersion, ExtensionState, SchemaState

_SCHEMAS = """
SELECT n.nspname, r.rolname, r.rolsuper
  FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_roles r ON r.oid = n.nspowner
 WHERE n.nspname = ANY (%s)
"""
_EXTENSIONS = """
SELECT e.extname, e.extversion, n.nspname, r.rolname
  FROM pg_catalog.pg_extension e
  JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
  JOIN pg_catalog.pg_roles r ON r.oid = e.extowner
 WHERE e.extname = ANY (%s)
"""
_VERSIONS = """
SELECT v.version, v.superuser, v.trusted, coalesce(v.schema, ''),
       coalesce(v.requires, '{}')::pg_catalog.text[], v.version = a.default_version
  FROM pg_catalog.pg_available_extension_versions v
  JOIN pg_catalog.pg_available_extensions a USING (name)
 WHERE v.name = %s ORDER BY v.version
"""
# A script finds names in its extension's schema and in those of the extensions that it requires:
# who can put a function or an operator there has it called by the superuser who runs the script.
_WRITABLE = """
SELECT n.nspname FROM pg_catalog.pg_namespace n
  JOIN pg_catalog.pg_roles o ON o.oid = n.nspowner
 WHERE (n.nspname = %(schema)s
        OR n.oid IN (SELECT extnamespace FROM pg_catalog.pg_extension
                      WHERE extname = ANY (%(requires)s)))
   AND (NOT o.rolsuper
        OR EXISTS (SELECT FROM pg_catalog.aclexplode(n.nspacl) a
                     LEFT JOIN pg_catalog.pg_roles g ON g.oid = a.grantee
                    WHERE a.privilege_type = 'CREATE' AND NOT coalesce(g.rolsuper, false))
        OR EXISTS (SELECT FROM pg_catalog.pg_roles u
                    WHERE NOT u.rolsuper AND u.oid IN (
                          SELECT proowner FROM pg_catalog.pg_proc WHERE pronamespace = n.oid
                           UNION ALL
                          SELECT oprowner FROM pg_catalog.pg_operator WHERE oprnamespace = n.oid
                           UNION ALL
                          SELECT typowner FROM pg_catalog.pg_type WHERE typnamespace = n.oid
                           UNION ALL
                          SELECT relowner FROM pg_catalog.pg_class WHERE relnamespace = n.oid)))
 ORDER BY 1
"""
_EVENT_TRIGGERS = """
SELECT e.evtname FROM pg_catalog.pg_event_trigger e
  JOIN pg_catalog.pg_proc p ON p.oid = e.evtfoid
  JOIN pg_catalog.pg_roles o ON o.oid = p.proowner
 WHERE e.evtenabled <> 'D' AND NOT o.rolsuper ORDER BY 1 LIMIT 1
"""


def read_schemas(connection: Connection, names: Collection[str]) -> dict[str, SchemaState]:
    """Return those of these schemas that there are."""
    rows: Any = connection.execute(_SCHEMAS, [list(names)]).fetchall()
    return {row[0]: SchemaState(*row) for row in rows}


def read_extensions(connection: Connection, names: Collection[str]) -> dict[str, ExtensionState]:
    """Return those of these extensions that were created."""
    rows: Any = connection.execute(_EXTENSIONS, [list(names)]).fetchall()
    return {row[0]: ExtensionState(*row) for row in rows}


def read_versions(connection: Connection, name: str) -> tuple[list[AvailableVersion], str]:
    """Return what the image has of an extension, and which version is the default one."""
    rows: Any = connection.execute(_VERSIONS, [name]).fetchall()
    versions = [AvailableVersion(row[0], row[1], row[2], row[3], tuple(row[4])) for row in rows]
    return versions, next((row[0] for row in rows if row[5]), "")


def writable_schemas(connection: Connection, schema: str, requires: Collection[str]) -> list[str]:
    """Return where others than superusers can have put what an extension's script may call.

    Args:
        schema: of the extension.
        requires: the extensions that it uses.
    """
    given = {"schema": schema, "requires": list(requires)}
    return [str(name) for (name,) in connection.execute(_WRITABLE, given)]


def find_users_event_trigger(connection: Connection) -> str:
    """Return an event trigger whose function is not a superuser's; empty where none would fire.

    From PostgreSQL 17 on none fires in this session.
    """
    if connection.info.server_version >= FIRST_WITHOUT_EVENT_TRIGGERS:
        return ""
    row = connection.execute(_EVENT_TRIGGERS).fetchone()
    return str(row[0]) if row else ""


def create_schema(connection: Connection, name: str, owner: str) -> None:
    """Create a schema for a role."""
    connection.execute(
        sql.SQL("CREATE SCHEMA {} AUTHORIZATION {}").format(
            sql.Identifier(name), sql.Identifier(owner)
        )
    )


def create_schema_for_extensions(connection: Connection, name: str) -> None:
    """Create a schema of the superuser, in which others find names and create nothing."""
    schema = sql.Identifier(name)
    connection.execute(sql.SQL("CREATE SCHEMA {}").format(schema))
    connection.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO PUBLIC").format(schema))


def alter_schema_owner(connection: Connection, name: str, owner: str) -> None:
    """Give a schema to another role."""
    connection.execute(
        sql.SQL("ALTER SCHEMA {} OWNER TO {}").format(sql.Identifier(name), sql.Identifier(owner))
    )


def drop_schema(connection: Connection, name: str) -> None:
    """Drop a schema; PostgreSQL refuses that while something is in it."""
    connection.execute(sql.SQL("DROP SCHEMA {}").format(sql.Identifier(name)))


def act_as(connection: Connection, role: str) -> None:
    """Have what follows in this transaction done with the rights of a role."""
    connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))


def create_extension(connection: Connection, name: str, schema: str, version: str) -> None:
    """Create an extension, and none that it requires.

    Args:
        schema: empty for the one that the extension itself names.
    """
    place = sql.SQL("SCHEMA {}" if schema else "").format(sql.Identifier(schema))
    connection.execute(
        sql.SQL("CREATE EXTENSION {} {} VERSION {}").format(
            sql.Identifier(name), place, sql.Literal(version)
        )
    )


def update_extension(connection: Connection, name: str, version: str) -> None:
    """Bring an extension to another version."""
    connection.execute(
        sql.SQL("ALTER EXTENSION {} UPDATE TO {}").format(
            sql.Identifier(name), sql.Literal(version)
        )
    )


def drop_extension(connection: Connection, name: str) -> None:
    """Drop an extension; PostgreSQL refuses that while something depends on it."""
    connection.execute(sql.SQL("DROP EXTENSION {}").format(sql.Identifier(name)))
