"""Makes sure of the application's role and database; writes only what differs."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from psycopg import sql

from ..errors import DatabaseGone, DatabaseNotReady
from . import scram
from .connection import Connection
from .errors import translate
from .own_schema import UNPROTECTED, make_tables, protect_tables
from .roles import without_trace

_CREATE_ROLE = sql.SQL("CREATE ROLE {role} LOGIN PASSWORD {verifier}")
_SET_PASSWORD = sql.SQL("ALTER ROLE {role} PASSWORD {verifier}")
_GRANT_LOGIN = sql.SQL("ALTER ROLE {role} LOGIN")
_CREATE_DATABASE = sql.SQL(
    "CREATE DATABASE {database} OWNER {role} TEMPLATE template0 ENCODING 'UTF8' {locale}"
)
_FIND = sql.SQL(
    "SELECT EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = %s),"
    " to_regclass('postgres_operator.databases') IS NOT NULL, EXISTS ({})"
)
# Beside what restores record, in the maintenance database: one that is missing there was never
# made, or a user has dropped or renamed it.
_KNOWN = "CREATE TABLE IF NOT EXISTS postgres_operator.databases (name text PRIMARY KEY)"
_FIRST_MAJOR_WITH_BUILTIN_PROVIDER = 17
_FIRST_MAJOR_WITH_PROVIDERS = 15


@dataclass(frozen=True)
class ProvisionResult:
    """What was written."""

    role_created: bool = False
    login_granted: bool = False
    password_changed: bool = False
    database_created: bool = False

    @property
    def changed(self) -> bool:
        """Whether anything was."""
        return any(
            (self.role_created, self.login_granted, self.password_changed, self.database_created)
        )


def ensure_role_and_database(
    connection: Connection, username: str, password: str, database: str
) -> ProvisionResult:
    """Make sure that a role can log in with ``password`` and that a database exists.

    A new database belongs to the role, is UTF8 and sorts by C.UTF-8, which depends on no C
    library. The owner of an existing one is left alone. One that was there and is missing is not
    made again, since an empty one would pass for it, in its backups too.

    Neither the server's log nor its statistics ever see the password, nor the verifier that is made
    here of it.

    Args:
        connection: an autocommit session of a superuser in the maintenance database.

    Raises:
        DatabaseGone: the database was dropped or renamed.
        OperatorError: DatabaseNotReady unless the cause has a name of its own.
    """
    try:
        role = _ensure_role(connection, username, password)
        created = _ensure_database(connection, username, database)
    except psycopg.Error as error:
        action = f'preparing role "{username}" and database "{database}"'
        raise translate(error, action, DatabaseNotReady) from error
    return ProvisionResult(*role, database_created=created)


def _ensure_role(connection: Connection, username: str, password: str) -> tuple[bool, bool, bool]:
    """Returns whether the role was created, was granted LOGIN, had its password changed."""
    row = connection.execute(
        "SELECT rolcanlogin, rolpassword FROM pg_catalog.pg_authid WHERE rolname = %s", [username]
    ).fetchone()
    role = sql.Identifier(username)
    if row is None:
        verifier = scram.make_verifier(connection, username, password)
        _set_password(connection, _CREATE_ROLE.format(role=role, verifier=verifier))
        return True, False, False
    can_login, current = row
    if not can_login:
        connection.execute(_GRANT_LOGIN.format(role=role))
    known = current if isinstance(current, str) else None
    same = scram.matches(password, known)
    if not same:
        verifier = scram.make_verifier(connection, username, password)
        _set_password(connection, _SET_PASSWORD.format(role=role, verifier=verifier))
    return False, not can_login, not same


def _set_password(connection: Connection, statement: sql.Composed) -> None:
    with connection.transaction():
        without_trace(connection)
        connection.execute(statement)


def _ensure_database(connection: Connection, username: str, database: str) -> bool:
    found = connection.execute(_FIND.format(sql.SQL(UNPROTECTED)), [database]).fetchone()
    assert found is not None
    exists, has_table, unprotected = found
    if unprotected:
        protect_tables(connection)
    known = bool(has_table) and _is_known(connection, database)
    if exists:
        if not known:
            remember_database(connection, database)
        return False
    if known:
        name = sql.Identifier(database).as_string()
        raise DatabaseGone(
            f"database {name}, which this server had, is gone: make a Restore of a Backup, or give"
            f" it back its name (ALTER DATABASE ... RENAME TO {name}), or begin with an empty one"
            f" (CREATE DATABASE {name} OWNER {sql.Identifier(username).as_string()})"
        )
    create_database(connection, username, database)
    return True


def create_database(connection: Connection, owner: str, database: str) -> None:
    """Create a database that is UTF8 and sorts by C.UTF-8, and note that there is one."""
    connection.execute(
        _CREATE_DATABASE.format(
            database=sql.Identifier(database),
            role=sql.Identifier(owner),
            locale=_portable_locale(connection.info.server_version // 10000),
        )
    )
    remember_database(connection, database)


def _is_known(connection: Connection, database: str) -> bool:
    row = connection.execute(
        "SELECT 1 FROM postgres_operator.databases WHERE name = %s", [database]
    ).fetchone()
    return row is not None


def remember_database(connection: Connection, database: str) -> None:
    """Note that there is a database of this name: one that is gone then is not made again."""
    make_tables(connection, _KNOWN)
    connection.execute(
        "INSERT INTO postgres_operator.databases (name) VALUES (%s) ON CONFLICT DO NOTHING",
        [database],
    )


def forget_database(connection: Connection, database: str) -> None:
    """Note that a database of this name was dropped on purpose: it may be made again."""
    connection.execute("DELETE FROM postgres_operator.databases WHERE name = %s", [database])


def _portable_locale(major: int) -> sql.SQL:
    """C.UTF-8, from the server itself where it has it, else from the C library.

    LC_COLLATE and LC_CTYPE are C beside the builtin provider: every C library has that one.
    """
    if major >= _FIRST_MAJOR_WITH_BUILTIN_PROVIDER:
        return sql.SQL(
            "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LC_COLLATE 'C' LC_CTYPE 'C'"
        )
    if major >= _FIRST_MAJOR_WITH_PROVIDERS:
        return sql.SQL("LOCALE_PROVIDER libc LC_COLLATE 'C.UTF-8' LC_CTYPE 'C.UTF-8'")
    return sql.SQL("LC_COLLATE 'C.UTF-8' LC_CTYPE 'C.UTF-8'")
