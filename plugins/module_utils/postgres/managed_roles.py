"""Reads and writes the roles of a Database's users, in a superuser's session."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from psycopg import sql

from .connection import Connection
from .role_state import SERVERS_RESOURCES, Options, RoleState
from .roles import without_trace

# A role's right that no user is given: its own first, else that of a role that it is a member of,
# with or without INHERIT.
_ROLES = """
SELECT r.rolname, r.rolcanlogin, r.rolinherit, r.rolcreatedb, r.rolconnlimit,
       CASE WHEN pg_catalog.isfinite(r.rolvaliduntil)
            THEN pg_catalog.to_char(r.rolvaliduntil AT TIME ZONE 'UTC',
                                    'YYYY-MM-DD"T"HH24:MI:SS"Z"')
            ELSE r.rolvaliduntil::pg_catalog.text END,
       ARRAY(SELECT g.rolname::pg_catalog.text
               FROM pg_catalog.pg_auth_members m
               JOIN pg_catalog.pg_authid g ON g.oid = m.roleid WHERE m.member = r.oid),
       (SELECT ARRAY[p.rolname::pg_catalog.text,
                     CASE WHEN p.rolsuper THEN 'SUPERUSER'
                          WHEN p.rolreplication THEN 'REPLICATION'
                          WHEN p.rolbypassrls THEN 'BYPASSRLS'
                          WHEN p.rolcreaterole THEN 'CREATEROLE' ELSE '' END]
          FROM pg_catalog.pg_authid p
         WHERE (p.rolsuper OR p.rolreplication OR p.rolbypassrls OR p.rolcreaterole
                OR p.rolname = ANY (%(resources)s))
           AND pg_catalog.pg_has_role(r.oid, p.oid, 'MEMBER')
         ORDER BY p.oid = r.oid DESC, p.rolsuper DESC, p.rolname LIMIT 1),
       r.rolpassword
  FROM pg_catalog.pg_authid r WHERE r.rolname = ANY (%(names)s)
"""


def read_role_states(connection: Connection, names: Collection[str]) -> dict[str, RoleState]:
    """Return what the server has of the roles of these names, by their names, in one query."""
    given = {"names": list(names), "resources": list(SERVERS_RESOURCES)}
    rows: Any = connection.execute(_ROLES, given).fetchall()
    return {row[0]: _state(*row) for row in rows}


def _state(
    name: str,
    login: bool,
    inherit: bool,
    create_database: bool,
    connection_limit: int,
    valid_until: str | None,
    member_of: list[str],
    excess: list[str] | None,
    verifier: str | None,
) -> RoleState:
    options: Options = {
        "LOGIN": login,
        "INHERIT": inherit,
        "CREATEDB": create_database,
        "CONNECTION LIMIT": connection_limit,
    }
    if valid_until is not None:
        options["VALID UNTIL"] = valid_until
    reason = _describe(name, *excess) if excess else ""
    return RoleState(name, options, frozenset(member_of), reason, verifier)


def _describe(name: str, holder: str, attribute: str) -> str:
    """Return in words what a role has too much, which `holder` has given it."""
    if holder == name:
        return f"it has the attribute {attribute}"
    return f'it is a member of "{holder}"' + (f", which has {attribute}" if attribute else "")


def create_managed_role(
    connection: Connection, name: str, options: Options, verifier: str | None
) -> None:
    """Create a role; the server's log has neither its password nor the verifier."""
    _write_role(connection, "CREATE", name, options, verifier)


def alter_managed_role(
    connection: Connection, name: str, options: Options, verifier: str | None
) -> None:
    """Change these options of a role, and its password where there is a verifier."""
    _write_role(connection, "ALTER", name, options, verifier)


def _write_role(
    connection: Connection, verb: str, name: str, options: Options, verifier: str | None
) -> None:
    words = [_option(option, value) for option, value in options.items()]
    if verifier is not None:
        words.append(sql.SQL("PASSWORD {}").format(verifier))
    statement = sql.SQL("{} ROLE {} {}").format(
        sql.SQL("CREATE" if verb == "CREATE" else "ALTER"),
        sql.Identifier(name),
        sql.SQL(" ").join(words),
    )
    with connection.transaction():
        without_trace(connection)
        connection.execute(statement)


def _option(option: str, value: bool | int | str) -> sql.Composable:
    """Return an option as CREATE ROLE takes it.

    >>> _option("LOGIN", False).as_string()
    'NOLOGIN'
    >>> _option("CONNECTION LIMIT", 3).as_string()
    'CONNECTION LIMIT 3'
    """
    word = {
        "LOGIN": sql.SQL("LOGIN"),
        "INHERIT": sql.SQL("INHERIT"),
        "CREATEDB": sql.SQL("CREATEDB"),
        "CONNECTION LIMIT": sql.SQL("CONNECTION LIMIT"),
        "VALID UNTIL": sql.SQL("VALID UNTIL"),
    }[option]
    if isinstance(value, bool):
        return word if value else sql.SQL("NO{}").format(word)
    return sql.SQL("{} {}").format(word, sql.Literal(value))


def grant_role(connection: Connection, role: str, member: str) -> None:
    """Make one role a member of another."""
    connection.execute(
        sql.SQL("GRANT {} TO {}").format(sql.Identifier(role), sql.Identifier(member))
    )


def drop_managed_role(connection: Connection, name: str) -> None:
    """Drop a role; PostgreSQL refuses that where something belongs to it."""
    connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))
