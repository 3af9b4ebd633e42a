"""Turns what PostgreSQL says (SQLSTATE, or the text of its programs) into the project's errors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from ..errors import (
    AuthFailed,
    DatabaseNotFound,
    DatabaseNotReady,
    LockCycle,
    NoConnectionFree,
    NoSpace,
    OperatorError,
    ServerVersionUnsupported,
    Timeout,
)

# Errors of a failed connection carry no SQLSTATE in libpq, and pg_dump prints only text:
# so both are recognised by the messages of the C locale. The first match wins.
_TEXTS: tuple[tuple[re.Pattern[str], type[OperatorError]], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), error)
    for pattern, error in (
        (r"no space left on device|disk quota exceeded|could not extend file", NoSpace),
        (r"server version mismatch", ServerVersionUnsupported),
        (
            r"password authentication failed|no password supplied|no pg_hba\.conf entry"
            r'|authentication failed for user|role "[^"]*" does not exist'
            r'|role "[^"]*" is not permitted to log in|role with OID \d+ does not exist'
            r"|pg_hba\.conf rejects|requires a valid client certificate|tlsv1 alert unknown ca"
            r"|authentication method requirement|certificate verify failed"
            r"|does not match host name",
            AuthFailed,
        ),
        (r'database "[^\n]*" does not exist', DatabaseNotFound),
        (r"too many clients already|remaining connection slots are reserved", NoConnectionFree),
        # A process of pg_dump -j that finds another session before it in the queue for a table.
        (r"could not obtain lock on relation", LockCycle),
        (r"due to lock timeout|due to statement timeout|timeout expired", Timeout),
        (
            r"connection refused|could not translate host name|name or service not known"
            r"|no such file or directory[^\n]*\n[^\n]*running locally|the database system is"
            r"|server closed the connection unexpectedly|terminating connection"
            r"|connection timed out|no route to host|network is unreachable"
            r"|connection to server was lost|could not connect to server",
            DatabaseNotReady,
        ),
    )
)

_SQLSTATES: dict[str, type[OperatorError]] = {
    "53100": NoSpace,
    "28000": AuthFailed,
    "28P01": AuthFailed,
    "3D000": DatabaseNotFound,
    "55P03": Timeout,
    "57014": Timeout,
    "25006": DatabaseNotReady,
    "53300": NoConnectionFree,
}
_CONNECTION_CLASSES = ("08", "57")

# Where PostgreSQL quotes what is in a row: the key that is there twice or missing, the row that
# fails a constraint, the field or line that COPY has stumbled on. A value may have line breaks.
_VALUES = re.compile(
    r"(?P<before>\)=\(|Failing row contains \(|COPY [^\n]*?, line \d+(?:, column [^\n]*?)?: \")"
    r".*?(?P<after>\)(?: is | already |\.| conflicts )|\"(?=\n|$)|$)",
    re.DOTALL,
)


def without_values(text: str) -> str:
    """Return what PostgreSQL wrote without what it quotes of a row: a status is not the place.

    >>> without_values("DETAIL:  Key (id)=(1) already exists.")
    'DETAIL:  Key (id)=(...) already exists.'
    """
    return _VALUES.sub(r"\g<before>...\g<after>", text)


def classify_text(text: str, default: type[OperatorError]) -> type[OperatorError]:
    """The error class for what a client program wrote, ``default`` if nothing is recognised.

    >>> classify_text("FATAL:  password authentication failed for user \\"a\\"", NoSpace).__name__
    'AuthFailed'
    """
    for pattern, error in _TEXTS:
        if pattern.search(text):
            return error
    return default


def classify_exception(error: psycopg.Error, default: type[OperatorError]) -> type[OperatorError]:
    """The error class for an exception of psycopg: by SQLSTATE if there is one, else by text."""
    sqlstate = error.sqlstate
    if sqlstate is None:
        return classify_text(str(error), default)
    if sqlstate in _SQLSTATES:
        return _SQLSTATES[sqlstate]
    if sqlstate.startswith(_CONNECTION_CLASSES):
        return DatabaseNotReady
    return default


def translate(error: psycopg.Error, action: str, default: type[OperatorError]) -> OperatorError:
    """An error that says what was being done (``action``, such as 'connecting to "app"')."""
    detail = " ".join(without_values(str(error)).split())
    return classify_exception(error, default)(f"{action} failed: {detail}")


@contextmanager
def database_errors(action: str, default: type[OperatorError]) -> Iterator[None]:
    """Translate what psycopg raises in the block."""
    try:
        yield
    except psycopg.Error as error:
        raise translate(error, action, default) from error
