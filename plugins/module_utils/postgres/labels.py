"""Security labels of what all databases of a server share: of roles and of databases."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from .connection import Connection

_LABELS = """
SELECT r.rolname, l.provider, l.label
  FROM pg_catalog.pg_shseclabel l LEFT JOIN pg_catalog.pg_roles r
    ON r.oid = l.objoid AND l.classoid = 'pg_catalog.pg_authid'::pg_catalog.regclass
 WHERE r.rolname = ANY (%s)
    OR l.classoid = 'pg_catalog.pg_database'::pg_catalog.regclass
   AND l.objoid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = %s)
 ORDER BY r.rolname NULLS FIRST, l.provider
"""

# None can be made that begins like this.
_NO_ROLE = "pg_no_role"


@dataclass(frozen=True)
class Label:
    """What a provider of security labels says of a role, or of the database with ``role`` None."""

    role: str | None
    provider: str
    label: str


def read_labels(
    connection: Connection, database: str, roles: Collection[str] = ()
) -> tuple[Label, ...]:
    """The labels of a database and of roles."""
    rows: Any = connection.execute(_LABELS, [list(roles), database]).fetchall()
    return tuple(Label(*row) for row in rows)


def is_provider_loaded(connection: Connection, provider: str) -> bool:
    """Whether the session's server takes labels of a provider; nothing is labelled.

    No view lists the providers. SECURITY LABEL looks for the provider first, then for the object
    (ExecSecLabelStmt in src/backend/commands/seclabel.c).
    """
    try:
        connection.execute(
            sql.SQL("SECURITY LABEL FOR {} ON ROLE {} IS NULL").format(
                sql.Identifier(provider), sql.Identifier(_NO_ROLE)
            )
        )
    except psycopg.errors.UndefinedObject:
        return True
    except psycopg.errors.InvalidParameterValue:
        return False
    return True


def label_statement(label: Label, database: str) -> sql.Composed:
    """The SECURITY LABEL that sets it.

    Args:
        database: the name that the database has now.
    """
    return sql.SQL("SECURITY LABEL FOR {} ON {} {} IS {}").format(
        sql.Identifier(label.provider),
        sql.SQL("DATABASE" if label.role is None else "ROLE"),
        sql.Identifier(database if label.role is None else label.role),
        label.label,
    )


def apply_labels(
    connection: Connection, database: str, labels: Iterable[Label], role: str | None = None
) -> list[Label]:
    """Give a database labels, in a transaction.

    Args:
        role: with whose rights; None for those of the session.

    Returns:
        Those that were refused, as by a server that has not loaded their provider.
    """
    refused = []
    connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role or "none")))
    for label in labels:
        try:
            with connection.transaction():
                connection.execute(label_statement(label, database))
        except psycopg.Error:
            if connection.broken:
                raise
            refused.append(label)
    connection.execute("RESET ROLE")
    return refused
