"""Connections: how a server is verified, and how a client authenticates.

The password comes from a file into memory or a private PGPASSFILE. It is never put into arguments,
the environment or messages.
"""

from __future__ import annotations

import os
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
from psycopg import conninfo, pq

from ..errors import DatabaseNotReady, InvalidInput, OperatorError, SecretMissing, Timeout
from .errors import translate

Connection = psycopg.Connection[tuple[object, ...]]

MAINTENANCE_DATABASE = "postgres"
"""Where sessions live that create, rename or drop other databases."""

CONNECT_TIMEOUT_SECONDS = 10

# Pauses between attempts where the cluster's name server cannot answer now (EAI_AGAIN), which it
# does after a restart of its own or under load. What it answers is taken at once.
_NAME_PAUSES_SECONDS = (0.5, 1, 2, 4, 8, 8, 8)
_NAME_LATER = f"[Errno {socket.EAI_AGAIN}]"

# A server that has vanished without a word is noticed after a minute; the kernel's default is two
# hours, and fifteen minutes for what was sent and never acknowledged.
_CLIENT_KEEPALIVE: dict[str, Any] = {
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}

# A role's or a database's own limits are for its applications, not for hours of copying.
# These could fail a session's very first statement, so they come with its start: a database's owner
# may even set the role that sessions in it have.
# The last two decide how values are read, in statements and by COPY.
_STARTUP_OPTIONS = (
    "-c statement_timeout=0 -c default_transaction_read_only=off -c role=none"
    " -c standard_conforming_strings=on -c array_nulls=on"
    " -c datestyle=ISO -c intervalstyle=postgres"
)

# What only a superuser's session may set, and what sessions of others are given with their role. A
# database may have a limit for temporary files that no sort of a large index can keep, and the
# server's messages are read.
SUPERUSER_SETTINGS = {"temp_file_limit": "-1", "lc_messages": "C"}
# Event triggers that fire at a login would write into a database that is only to be read, or refuse
# the session.
WITHOUT_EVENT_TRIGGERS = "event_triggers"
FIRST_WITHOUT_EVENT_TRIGGERS = 170000
"""server_version_num of the first server that has the setting, and such triggers."""

# No schema of a user comes before PostgreSQL's own: else what a user has created, such as an
# operator public.!~ (name, name), would be executed in this session.
_SEARCH_PATH = "-c search_path=pg_catalog,pg_temp"
_QUIET = "log_min_messages"

_SESSION_SETTINGS = {
    # A table that its owner replaces by a view between two statements is not read.
    "restrict_nonsystem_relation_kind": "view, foreign-table",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    "transaction_timeout": "0",
    # A vanished client must not keep locks: the server's default keepalive is two hours.
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    "client_connection_check_interval": "10s",
}


PARALLEL_FROM = "256MB"
"""The size of a table from which on parallel workers help to load or read it.

The server has them from 8 MB on. But where several tables are worked on at the same time, they find
no processor that is free, and the start of each takes as long as reading some MB.
"""

# Older clients do not know the setting require_auth, and refuse it; of the environment they read
# what they know.
REQUIRE_AUTH_VERSION = 160000


@dataclass(frozen=True)
class Tls:
    """How a client knows the server by its certificate, and the certificate that it shows itself.

    Attributes:
        sslmode: as libpq takes it; `verify-full` checks the name too. Nothing of this is used on a
            Unix socket.
        sslrootcert: file with the certificates of the authorities that are trusted.
        sslcert: file with the client's certificate; None where a password says who asks.
        sslkey: file with its key, which only its owner may read, or root's group.
    """

    sslmode: str = "prefer"
    sslrootcert: Path | None = None
    sslcert: Path | None = None
    sslkey: Path | None = None

    def conninfo(self) -> dict[str, str]:
        """libpq's settings."""
        return {name: str(value) for name, value in vars(self).items() if value is not None}


@dataclass(frozen=True)
class ConnectionParameters:
    """How to reach one server.

    Attributes:
        host: name, address, or folder of the Unix socket. With `verify-full` the name that the
            server's certificate must have.
        port: TCP port, or the number in the socket's name.
        user: role to log in as.
        dbname: the database, unless a function is given another one.
        password_file: file that holds the password and nothing else (one line end at its end
            is ignored); None where the server asks for none.
        tls: how the server is known.
        hostaddr: the address to connect to where it is not the one that `host` stands for.
        superuser: whether the role is expected to be a superuser, see ``superuser_options``.
    """

    host: str
    port: int
    user: str
    dbname: str = MAINTENANCE_DATABASE
    password_file: Path | None = None
    tls: Tls = Tls()
    hostaddr: str = ""
    superuser: bool = True

    def as_user(self, user: str, password_file: Path | None) -> ConnectionParameters:
        """The same server, checked the same way, as a role without a certificate or rights."""
        tls = replace(self.tls, sslcert=None, sslkey=None)
        return replace(self, user=user, password_file=password_file, tls=tls, superuser=False)

    def at(self, address: str) -> ConnectionParameters:
        """Another server of the same cluster, whose certificate has the same names."""
        return replace(self, hostaddr=address)

    @property
    def require_auth(self) -> str | None:
        """The authentication that the client accepts, as libpq takes it; None for any.

        With a certificate the server must ask for nothing else: `none` is libpq's word for that. A
        password is never given away to a server that does not know it already.
        """
        if self.tls.sslcert is not None:
            return "none"
        return "scram-sha-256" if self.password_file is not None else None

    @property
    def maintenance(self) -> ConnectionParameters:
        """The same server, through the maintenance database."""
        return replace(self, dbname=MAINTENANCE_DATABASE)

    def read_password(self) -> str | None:
        """The password as it is in the file now, None if there is no file to read.

        Raises:
            SecretMissing: the file is missing, unreadable or empty.
            InvalidInput: it holds a line end or a NUL, which no password file can express.
        """
        if self.password_file is None:
            return None
        try:
            text = Path(self.password_file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SecretMissing(
                f"cannot read the password file {self.password_file}:"
                f" {getattr(error, 'strerror', None) or 'not UTF-8'}; mount the credentials Secret"
            ) from None
        password = text.removesuffix("\n").removesuffix("\r")
        if not password:
            raise SecretMissing(f"the password file {self.password_file} is empty")
        if any(character in password for character in "\n\r\0"):
            raise InvalidInput(
                f"the password in {self.password_file} spans several lines: use a single line"
            )
        return password

    def conninfo(self, dbname: str | None = None, options: str = "") -> str:
        """libpq's connection string, without a password.

        Programs are always given this and never a bare name: they would take a database
        called ``a=b`` for a connection string.

        Args:
            options: further settings for the session, as the server's command line takes them.
        """
        return conninfo.make_conninfo(
            host=self.host,
            hostaddr=self.hostaddr or None,
            port=self.port,
            user=self.user,
            dbname=dbname or self.dbname,
            **self.tls.conninfo(),
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            application_name="postgres-operator",
            **_CLIENT_KEEPALIVE,
            options=f"{_STARTUP_OPTIONS} {options}".rstrip(),
        )


def connect(
    parameters: ConnectionParameters, dbname: str | None = None, own_search_path: bool = False
) -> Connection:
    """Open a session in autocommit mode, without the time limits of roles and databases.

    Names that are not qualified are those of pg_catalog.

    Args:
        parameters: the server; its ``dbname`` unless ``dbname`` is given.
        own_search_path: keep that of the role and the database: in no superuser's session.

    Raises:
        AuthFailed, DatabaseNotFound, DatabaseNotReady, Timeout, SecretMissing.
    """
    parameters = replace(parameters, dbname=dbname or parameters.dbname)
    options = "" if own_search_path else _SEARCH_PATH
    with _connection_errors(parameters):
        try:
            connection = _open(parameters, f"{options} {superuser_options(parameters)}")
        except psycopg.OperationalError as error:
            # By now another server has the name, of an older version.
            if WITHOUT_EVENT_TRIGGERS not in str(error):
                raise
            _options.pop(_server_of(parameters), None)
            connection = _open(parameters, f"{options} {superuser_options(parameters)}")
        _apply_session_settings(connection)
    return connection


@contextmanager
def _connection_errors(parameters: ConnectionParameters) -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        where = f"{parameters.host}:{parameters.port}"
        action = f'connecting to database "{parameters.dbname}" at {where}'
        raise translate(error, action, DatabaseNotReady) from error


# What ``superuser_options`` has found out.
_options: dict[tuple[str, int, str], str] = {}


def superuser_options(parameters: ConnectionParameters) -> str:
    """Options for a session: what only a superuser may set, and the server knows.

    That comes with the start of a session, since triggers may fire then; but a setting that the
    server does not know refuses the session, and its version is not known before. So a first
    session tries it, without leaving an error in the server's log.

    Raises:
        OperatorError: what ``connect`` raises.
    """
    if not parameters.superuser:
        return ""
    server = _server_of(parameters)
    if server not in _options:
        with _connection_errors(parameters):
            _options[server] = _find_options(parameters)
    return _options[server]


def _server_of(parameters: ConnectionParameters) -> tuple[str, int, str]:
    return parameters.host, parameters.port, parameters.user


def _find_options(parameters: ConnectionParameters) -> str:
    settings = " ".join(f"-c {name}={value}" for name, value in SUPERUSER_SETTINGS.items())
    silent = f"-c {WITHOUT_EVENT_TRIGGERS}=off"
    try:
        _open(parameters, f"-c {_QUIET}=panic {settings} {silent}").close()
    except psycopg.OperationalError as error:
        # In whatever language.
        if WITHOUT_EVENT_TRIGGERS in str(error):
            return settings
        # No superuser, as a module can be given one.
        if _QUIET in str(error):
            return ""
        raise
    return f"{settings} {silent}"


def _open(parameters: ConnectionParameters, options: str) -> Connection:
    """Open a session, again where the name could not be looked up for a reason that passes."""
    settings, password = parameters.conninfo(options=options), parameters.read_password()
    require_auth = parameters.require_auth if pq.version() >= REQUIRE_AUTH_VERSION else None

    def attempt() -> Connection:
        return psycopg.connect(
            settings, autocommit=True, password=password, require_auth=require_auth
        )

    for pause in _NAME_PAUSES_SECONDS:
        try:
            return attempt()
        except psycopg.OperationalError as error:
            if _NAME_LATER not in str(error):
                raise
        time.sleep(pause)
    return attempt()


def _apply_session_settings(connection: Connection) -> None:
    """Set those settings that this version of the server has.

    The client's encoding is the database's own, or names may have no equivalent in it. In SQL_ASCII
    a name is any bytes, which the server converts for nobody: read as LATIN1, each is a character.
    """
    connection.execute(
        "SELECT pg_catalog.set_config(name, wanted.value, false)"
        " FROM unnest(%s::text[], %s::text[]) AS wanted(name, value)"
        " JOIN pg_catalog.pg_settings USING (name)"
        " UNION ALL SELECT pg_catalog.set_config('client_encoding', CASE encoding"
        " WHEN 'SQL_ASCII' THEN 'LATIN1' ELSE encoding END, false)"
        " FROM pg_catalog.current_setting('server_encoding') AS encoding",
        [list(_SESSION_SETTINGS), list(_SESSION_SETTINGS.values())],
    )


@contextmanager
def deadline(connection: Connection, seconds: float, action: str) -> Iterator[None]:
    """End the session where the block takes longer.

    A statement_timeout is the server's: one whose disk stalls never comes to look at it, while its
    kernel goes on acknowledging, so that keepalives do not detect it.

    Args:
        action: what is done in the block, such as "looking at the primary".

    Raises:
        Timeout: it took longer.
    """
    late = threading.Event()

    def end() -> None:
        late.set()
        with (
            suppress(OSError, psycopg.Error),
            socket.socket(fileno=os.dup(connection.fileno())) as session,
        ):
            session.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (psycopg.Error, OperatorError) as error:
        if not late.is_set():
            raise
        raise Timeout(
            f"{action} took longer than {seconds:g} s: the server's disk may be stalled, or a lock"
            " be held; see its log, and pg_stat_activity"
        ) from error
    finally:
        timer.cancel()


@contextmanager
def program_environment(parameters: ConnectionParameters) -> Iterator[dict[str, str]]:
    """The environment for libpq programs: it names a PGPASSFILE that lives as long as the block.

    The file has mode 0600 in a folder of mode 0700. Messages come in English, since reasons
    are read from them.
    """
    password = parameters.read_password()
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PGPASSWORD", "PGPASSFILE", "PGREQUIREAUTH")
    }
    environment["LC_ALL"] = "C"
    if parameters.require_auth is not None:
        environment["PGREQUIREAUTH"] = parameters.require_auth
    with tempfile.TemporaryDirectory(prefix="postgres-operator-") as folder:
        passfile = Path(folder, "pgpass")
        descriptor = os.open(passfile, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            if password is not None:
                file.write(f"*:*:*:*:{_escape_passfile(password)}\n")
        environment["PGPASSFILE"] = str(passfile)
        yield environment


def _escape_passfile(password: str) -> str:
    """Escape what separates fields in a password file.

    >>> _escape_passfile("a:b")
    'a\\\\:b'
    """
    return password.replace("\\", "\\\\").replace(":", "\\:")
