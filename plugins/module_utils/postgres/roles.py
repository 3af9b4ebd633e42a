"""Roles of a server: what is known of them, and how they are made.

All that is read here may come back from an artifact, and that is input: names are identifiers,
texts are literals, and nothing is given here that a caller did not ask for.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Any

from psycopg import sql

from .connection import Connection
from .databases import Setting
from .own_names import ROLE_PREFIX
from .scram import is_verifier

PREDEFINED = "pg_"
"""How the names of roles begin that PostgreSQL has from the start, and which cannot be made."""

_FIRST_WITH_MEMBERSHIP_OPTIONS = 160000
"""server_version_num of the first server whose memberships have INHERIT and SET."""

_ROLES = """
SELECT rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication,
       rolbypassrls, rolconnlimit,
       CASE WHEN pg_catalog.isfinite(rolvaliduntil)
            THEN pg_catalog.to_char(rolvaliduntil AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
            ELSE rolvaliduntil::pg_catalog.text END,
       pg_catalog.shobj_description(oid, 'pg_authid'),
       CASE WHEN %s AND NOT rolsuper AND NOT rolreplication THEN rolpassword END
  FROM pg_catalog.pg_authid WHERE rolname = ANY (%s) ORDER BY rolname
"""

# One may be granted by several roles.
_MEMBERSHIPS = """
SELECT r.rolname, m.rolname, pg_catalog.bool_or(a.admin_option), {inherit}, {set}
  FROM pg_catalog.pg_auth_members a
  JOIN pg_catalog.pg_roles r ON r.oid = a.roleid JOIN pg_catalog.pg_roles m ON m.oid = a.member
 WHERE (r.rolname = ANY (%(names)s) OR m.rolname = ANY (%(names)s))
   AND NOT pg_catalog.starts_with(m.rolname, %(prefix)s)
 GROUP BY 1, 2 ORDER BY 1, 2
"""

_SETTINGS = """
SELECT rolname, pg_catalog.split_part(item, '=', 1),
       pg_catalog.substr(item, pg_catalog.strpos(item, '=') + 1)
  FROM pg_catalog.pg_db_role_setting s
  JOIN pg_catalog.pg_roles r ON r.oid = setrole, pg_catalog.unnest(setconfig) AS item
 WHERE setdatabase = 0 AND rolname = ANY (%s) ORDER BY 1, 2
"""

# What would write a statement into a log or a view, with the verifier in it.
_QUIET = {
    "log_statement": "none",
    "log_min_error_statement": "panic",
    "log_min_duration_statement": "-1",
    "log_min_duration_sample": "-1",
    "log_transaction_sample_rate": "0",
    "log_duration": "off",
    "track_activities": "off",
    "pg_stat_statements.track_utility": "off",
    "pgaudit.log": "none",
}


@dataclass(frozen=True)
class Role:
    """One role, with the attributes of CREATE ROLE.

    Attributes:
        connection_limit: -1 for none.
        valid_until: of its password; RFC 3339 in UTC, or `infinity`; None where it has no end.
        verifier: what the server compares a password with; None where there is none, or it was not
            asked for.
    """

    name: str
    superuser: bool = False
    inherit: bool = True
    create_role: bool = False
    create_database: bool = False
    login: bool = False
    replication: bool = False
    bypass_row_security: bool = False
    connection_limit: int = -1
    valid_until: str | None = None
    comment: str | None = None
    verifier: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Membership:
    """That ``member`` is one of ``role``, by whomever that was granted.

    Attributes:
        inherit, set: the options of PostgreSQL 16 and newer; None where the server has none.
    """

    role: str
    member: str
    admin: bool
    inherit: bool | None = None
    set: bool | None = None


def is_own(name: str) -> bool:
    """Whether the name is one that only this operator gives."""
    return name.startswith(ROLE_PREFIX)


def read_roles(
    connection: Connection, names: Collection[str], with_verifiers: bool = False
) -> tuple[Role, ...]:
    """The roles of these names that there are, in the order of their names.

    Args:
        with_verifiers: whether with those of passwords, but for superusers and roles that
            replicate: a restore makes no such role, so they have no use outside the server.
    """
    rows: Any = connection.execute(_ROLES, [with_verifiers, list(names)]).fetchall()
    found = (Role(*row) for row in rows)
    return tuple(
        role if is_verifier(role.verifier or "") else replace(role, verifier=None) for role in found
    )


def read_memberships(connection: Connection, names: Collection[str]) -> tuple[Membership, ...]:
    """Those of these roles in others, and of others in these; none of this operator's own roles."""
    known = connection.info.server_version >= _FIRST_WITH_MEMBERSHIP_OPTIONS
    option = "pg_catalog.bool_or(a.{}_option)" if known else "NULL"
    query = sql.SQL(_MEMBERSHIPS).format(
        inherit=sql.SQL(option.format("inherit")), set=sql.SQL(option.format("set"))
    )
    rows: Any = connection.execute(query, {"names": list(names), "prefix": ROLE_PREFIX}).fetchall()
    return tuple(Membership(*row) for row in rows)


def read_role_settings(connection: Connection, names: Collection[str]) -> tuple[Setting, ...]:
    """What ALTER ROLE ... SET has set for these roles in all databases."""
    rows: Any = connection.execute(_SETTINGS, [list(names)]).fetchall()
    return tuple(Setting(*row) for row in rows)


def without_trace(connection: Connection) -> None:
    """Have the statements of this transaction written to no log and no view of activities."""
    connection.execute(
        "SELECT pg_catalog.set_config(name, wanted.value, true)"
        " FROM unnest(%s::text[], %s::text[]) AS wanted(name, value)"
        " JOIN pg_catalog.pg_settings USING (name)",
        [list(_QUIET), list(_QUIET.values())],
    )


def create_role(connection: Connection, role: Role, comment: str, with_login: bool) -> None:
    """Make a role with what gives no right: INHERIT, connection limit, end of its password.

    Args:
        comment: its comment, which need not be the role's.
        with_login: whether it can log in, by the verifier that it must have then. No log has it.
    """
    login = sql.SQL("LOGIN PASSWORD {}" if with_login else "NOLOGIN").format(role.verifier)
    until = sql.SQL("VALID UNTIL {}" if role.valid_until else "").format(role.valid_until)
    with connection.transaction():
        without_trace(connection)
        connection.execute(
            sql.SQL("CREATE ROLE {} {} {} CONNECTION LIMIT {} {}").format(
                sql.Identifier(role.name),
                login,
                sql.SQL("INHERIT" if role.inherit else "NOINHERIT"),
                role.connection_limit,
                until,
            )
        )
        connection.execute(
            sql.SQL("COMMENT ON ROLE {} IS {}").format(sql.Identifier(role.name), comment)
        )


def grant_statement(membership: Membership) -> sql.Composed:
    """The GRANT that makes this membership."""
    options = ["ADMIN OPTION"] if membership.admin else []
    if membership.inherit is not None:
        options = [
            f"{name} {'TRUE' if value else 'FALSE'}"
            for name, value in (
                ("ADMIN", membership.admin),
                ("INHERIT", membership.inherit),
                ("SET", membership.set),
            )
        ]
    return sql.SQL("GRANT {} TO {}{}").format(
        sql.Identifier(membership.role),
        sql.Identifier(membership.member),
        sql.SQL(f" WITH {', '.join(options)}" if options else ""),
    )


def drop_role(connection: Connection, name: str) -> None:
    """Drop a role, which may be gone; psycopg.Error where something belongs to it."""
    connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name)))
