"""Roles for the sessions of one run in which code of a database's users may be executed.

A user's function in a CHECK constraint, an index or a materialized view is executed in a session
that loads or reads the table; even planning a SELECT evaluates the predicates of partial indexes.
So no superuser does that: the run makes roles that can log in until it ends, and that are no more
than the work takes. ``SET ROLE`` would not do, since the function could take it back.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import psycopg
from psycopg import sql

from ..errors import Locked
from ..uids import short_uid
from .connection import (
    FIRST_WITHOUT_EVENT_TRIGGERS,
    SUPERUSER_SETTINGS,
    WITHOUT_EVENT_TRIGGERS,
    Connection,
    ConnectionParameters,
    connect,
)
from .own_names import ROLE_PREFIX, SESSION_GROUP
from .scram import make_verifier

_MARK = "postgres-operator: a role for the sessions of one run, dropped when that has ended"
# The server notices within a minute that a client has vanished.
_LOCK_WAIT_SECONDS = 120
_FIRST_MAJOR_WITH_RESERVED_CONNECTIONS = 16

_MARKED = """
SELECT rolname, pg_catalog.split_part(rolname, '_', 3) FROM pg_catalog.pg_roles
 WHERE pg_catalog.starts_with(rolname, %s) AND NOT rolsuper
   AND pg_catalog.shobj_description(oid, 'pg_authid') = %s
 ORDER BY 1
"""


@dataclass
class SessionRoles:
    """The roles of one run.

    Attributes:
        server: how the superuser reaches the server that they are on, by its address: what is
            done with them does not depend on a name server, nor on what the name stands for later.
        uid: of the run.
    """

    server: ConnectionParameters
    uid: str
    _connection: Connection
    _folder: Path
    _made: dict[str, str] = field(default_factory=dict)

    def execute(self, statement: sql.Composed) -> None:
        """Run a statement in the maintenance database, as the superuser."""
        self._connection.execute(statement)

    def make(self, dbname: str) -> ConnectionParameters:
        """Make a role with no rights at all.

        Returns:
            How it logs in to that database, even to one that not everybody may connect to.
        """
        role = f"{ROLE_PREFIX}{short_uid(self.uid)}_{len(self._made)}"
        password = secrets.token_urlsafe(32)
        name = sql.Identifier(role)
        verifier = make_verifier(self._connection, role, password)
        with self._connection.transaction():
            self.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(name, verifier))
            self.execute(sql.SQL("COMMENT ON ROLE {} IS {}").format(name, _MARK))
            self._made[role] = verifier
            if self._connection.info.server_version // 10000 >= (
                _FIRST_MAJOR_WITH_RESERVED_CONNECTIONS
            ):
                self.grant("pg_use_reserved_connections", role)
            self._join_group(role)
            self._give_settings(role)
            self._let_connect(role, dbname)
        file = self._folder / role
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(password)
        # A scratch server asks for no password.
        trusted = self.server.password_file is None and self.server.tls.sslcert is None
        parameters = self.server.as_user(role, None if trusted else file)
        return replace(parameters, dbname=dbname)

    def make_reader(
        self, dbname: str, owner: str, bypasses_row_security: bool
    ) -> ConnectionParameters:
        """Make a role that has the rights of one other.

        Args:
            owner: that other one; empty to read everything there is, which includes the verifiers
                of passwords.
            bypasses_row_security: whether it sees all rows, whatever policies say.

        Returns:
            As ``make``.
        """
        parameters = self.make(dbname)
        if bypasses_row_security:
            self.let_bypass_row_security(parameters.user)
        self.grant(owner or "pg_read_all_data", parameters.user)
        return parameters

    def find_changed(self) -> str:
        """Return a role that has another password than it was made with; empty if there is none.

        Any role may change its own, and others who know the new one can log in as the role. It
        cannot put the old one back: the roles that load cannot read it.
        """
        stored = self._connection.execute(
            "SELECT rolname, rolpassword FROM pg_catalog.pg_authid WHERE rolname = ANY (%s)",
            [list(self._made)],
        )
        passwords = {str(role): password for role, password in stored}
        return next((role for role in self._made if passwords.get(role) != self._made[role]), "")

    def let_bypass_row_security(self, role: str) -> None:
        """Let a role see all rows, whatever policies say."""
        self.execute(sql.SQL("ALTER ROLE {} BYPASSRLS").format(sql.Identifier(role)))

    def grant(self, role: str, member: str) -> None:
        """Make one role a member of another."""
        self.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(role), sql.Identifier(member)))

    def _join_group(self, role: str) -> None:
        """Let it in before lines of pg_hba.conf that a user has written, where there are any."""
        found = self._connection.execute(
            "SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = %s AND NOT rolcanlogin",
            [SESSION_GROUP],
        )
        if found.fetchone() is not None:
            self.grant(SESSION_GROUP, role)

    def _give_settings(self, role: str) -> None:
        """Give it those that it may not set itself; they count more than a database's."""
        settings = dict(SUPERUSER_SETTINGS)
        if self._connection.info.server_version >= FIRST_WITHOUT_EVENT_TRIGGERS:
            settings[WITHOUT_EVENT_TRIGGERS] = "off"
        for name, value in settings.items():
            self.execute(
                sql.SQL("ALTER ROLE {} SET {} TO {}").format(
                    sql.Identifier(role), sql.Identifier(name), sql.Literal(value)
                )
            )

    def _let_connect(self, role: str, dbname: str) -> None:
        row = self._connection.execute(
            "SELECT pg_catalog.has_database_privilege(%s, oid, 'CONNECT')"
            "  FROM pg_catalog.pg_database WHERE datname = %s",
            [role, dbname],
        ).fetchone()
        if row is not None and not row[0]:
            self._connection.execute(
                sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(
                    sql.Identifier(dbname), sql.Identifier(role)
                )
            )


@contextmanager
def session_roles(server: ConnectionParameters, uid: str) -> Iterator[SessionRoles]:
    """Roles that are dropped when the block ends, and those that a killed run of the UID has left.

    Args:
        server: a superuser, and the maintenance database as ``dbname``.

    Raises:
        Locked: another run of the UID goes on. Others: what ``connect`` raises.
    """
    with (
        connect(server) as connection,
        tempfile.TemporaryDirectory(prefix="postgres-operator-") as folder,
    ):
        _lock(connection, short_uid(uid))
        _drop(connection, [role for role, owner in _marked(connection) if owner == short_uid(uid)])
        here = server.at(connection.info.hostaddr)
        roles = SessionRoles(here, uid, connection, Path(folder))
        try:
            yield roles
        finally:
            # What cannot be dropped now is dropped when the operator next reconciles the Database.
            if not connection.broken:
                with suppress(psycopg.Error):
                    _drop(connection, list(roles._made))


def _lock(connection: Connection, run: str) -> None:
    """Hold the lock of a run as long as the session lasts."""
    try:
        connection.execute(f"SET lock_timeout = '{_LOCK_WAIT_SECONDS}s'")
        connection.execute(
            "SELECT pg_catalog.pg_advisory_lock(pg_catalog.hashtextextended(%s, 0))",
            [_lock_name(run)],
        )
    except psycopg.errors.LockNotAvailable:
        raise Locked(
            f"another run of {run} is running: wait for its end, or end its sessions"
        ) from None
    connection.execute("SET lock_timeout = 0")


def drop_abandoned_roles(connection: Connection) -> list[str]:
    """Drop the roles of runs that were killed: after the databases that they may have left.

    Args:
        connection: an autocommit session of a superuser in the maintenance database.

    Returns:
        Their names. One that still owns something, in a database that is to be dropped, stays.
    """
    dropped = []
    for role, run in _marked(connection):
        row = connection.execute(
            "SELECT pg_catalog.pg_try_advisory_lock(pg_catalog.hashtextextended(%s, 0))",
            [_lock_name(run)],
        ).fetchone()
        if row is None or not row[0]:
            continue
        try:
            _drop(connection, [role])
            dropped.append(role)
        except psycopg.errors.DependentObjectsStillExist:
            continue
        finally:
            if not connection.broken:
                connection.execute(
                    "SELECT pg_catalog.pg_advisory_unlock(pg_catalog.hashtextextended(%s, 0))",
                    [_lock_name(run)],
                )
    return dropped


def _lock_name(run: str) -> str:
    return f"postgres-operator: sessions of {run}"


def _marked(connection: Connection) -> list[tuple[str, str]]:
    """Name of each role, and the short UID of its run."""
    return [
        (str(role), str(run)) for role, run in connection.execute(_MARKED, [ROLE_PREFIX, _MARK])
    ]


def _drop(connection: Connection, roles: list[str]) -> None:
    for role in roles:
        name = sql.Identifier(role)
        # What was granted to it on the server itself: to connect to a database, for one.
        connection.execute(sql.SQL("DROP OWNED BY {}").format(name))
        connection.execute(sql.SQL("DROP ROLE {}").format(name))
