"""Which reason a message stands for."""

from __future__ import annotations

import psycopg
import pytest
from ansible_collections.postgres.operator.plugins.module_utils.errors import (
    BackupFailed,
    NoSpace,
    OperatorError,
    RestoreFailed,
)
from ansible_collections.postgres.operator.plugins.module_utils.postgres.errors import (
    classify_text,
    translate,
    without_values,
)

FATAL = 'pg_dump: error: connection to server at "h" (10.0.0.1), port 5432 failed: '


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (FATAL + 'FATAL:  password authentication failed for user "u"', "AuthFailed"),
        (FATAL + "fe_sendauth: no password supplied", "AuthFailed"),
        (FATAL + 'FATAL:  no pg_hba.conf entry for host "h", user "u"', "AuthFailed"),
        (FATAL + 'FATAL:  role "u" is not permitted to log in', "AuthFailed"),
        (FATAL + 'FATAL:  database "a b" does not exist', "DatabaseNotFound"),
        (FATAL + "Connection refused\n\tIs the server running?", "DatabaseNotReady"),
        (FATAL + "FATAL:  the database system is starting up", "DatabaseNotReady"),
        (FATAL + "FATAL:  sorry, too many clients already", "DatabaseNotReady"),
        (FATAL + "timeout expired", "Timeout"),
        (
            'could not translate host name "h" to address: Name or service not known',
            "DatabaseNotReady",
        ),
        ("pg_dump: error: could not write to file: No space left on device", "NoSpace"),
        ('ERROR:  could not extend file "base/1/2": No space left on device', "NoSpace"),
        ("pg_dump: error: Disk quota exceeded", "NoSpace"),
        (
            "pg_dump: error: aborting because of server version mismatch\n"
            "pg_dump: detail: server version: 17.6; pg_dump version: 15.20",
            "ServerVersionUnsupported",
        ),
        ("ERROR:  canceling statement due to lock timeout", "Timeout"),
        ("server closed the connection unexpectedly", "DatabaseNotReady"),
        ('ERROR:  type "no_such" does not exist', "RestoreFailed"),
        ('ERROR:  permission denied for table "t"', "RestoreFailed"),
        ("", "RestoreFailed"),
    ],
)
def test_reasons_of_messages(text: str, reason: str) -> None:
    assert classify_text(text, RestoreFailed).reason == reason


def test_exceptions_are_known_by_their_sqlstate() -> None:
    error = translate(psycopg.errors.DiskFull("voll"), 'backing up database "app"', BackupFailed)
    assert isinstance(error, NoSpace)
    assert error.message == 'backing up database "app" failed: voll'
    error = translate(psycopg.errors.AdminShutdown("x"), "working", BackupFailed)
    assert error.reason == "DatabaseNotReady"
    error = translate(psycopg.errors.UndefinedTable("x"), "working", BackupFailed)
    assert error.reason == "BackupFailed"


def test_reasons_are_the_names_of_classes() -> None:
    assert NoSpace.reason == "NoSpace"
    assert NoSpace("text").message == "text"
    assert issubclass(NoSpace, OperatorError)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (
            "DETAIL:  Key (email, at)=(a@b.c, 1 (x)) is duplicated.",
            "DETAIL:  Key (email, at)=(...) is duplicated.",
        ),
        (
            'DETAIL:  Key (a)=(secret) is not present in table "b".',
            'DETAIL:  Key (a)=(...) is not present in table "b".',
        ),
        (
            "DETAIL:  Failing row contains (1, secret).\npg_restore: warning: errors",
            "DETAIL:  Failing row contains (...).\npg_restore: warning: errors",
        ),
        (
            'CONTEXT:  COPY t, line 1, column a: "sec\nret"\npg_restore: the end',
            'CONTEXT:  COPY t, line 1, column a: "..."\npg_restore: the end',
        ),
        ('CONTEXT:  COPY t, line 1: "1,sec', 'CONTEXT:  COPY t, line 1: "...'),
        (
            'ERROR:  could not open extension control file "/usr/share/x.control"',
            'ERROR:  could not open extension control file "/usr/share/x.control"',
        ),
    ],
)
def test_what_postgres_quotes_of_a_row_is_left_out(text: str, left: str) -> None:
    assert without_values(text) == left


def test_an_error_of_the_server_reports_no_value_of_a_row() -> None:
    broken = psycopg.errors.UniqueViolation("duplicate\nDETAIL:  Key (a)=(secret) already exists.")
    message = translate(broken, "restoring", RestoreFailed).message
    assert message == "restoring failed: duplicate DETAIL: Key (a)=(...) already exists."
