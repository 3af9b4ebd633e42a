"""Roles and databases: made once, changed only when they differ, passwords never in the log."""

from __future__ import annotations

import time
import uuid

import psycopg
import pytest
from ansible_collections.postgres.operator.plugins.module_utils import errors
from ansible_collections.postgres.operator.plugins.module_utils.postgres import observe
from ansible_collections.postgres.operator.plugins.module_utils.postgres.connection import (
    ConnectionParameters,
    connect,
    deadline,
)
from ansible_collections.postgres.operator.plugins.module_utils.postgres.errors import (
    database_errors,
)
from ansible_collections.postgres.operator.plugins.module_utils.postgres.observe import inspect
from ansible_collections.postgres.operator.plugins.module_utils.postgres.provision import (
    ensure_role_and_database,
)
from psycopg import sql

ROLE = 'rôle "x"; --'
DATABASE = "dätabase 'x'"


@pytest.fixture
def superuser(postgres_server):
    parameters = ConnectionParameters(
        postgres_server.host,
        postgres_server.port,
        postgres_server.user,
        password_file=postgres_server.password_file,
    )
    with connect(parameters) as connection:
        yield connection
    with connect(parameters) as connection:
        connection.execute(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(DATABASE))
        )
        connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(ROLE)))
        connection.execute("DROP SCHEMA IF EXISTS postgres_operator CASCADE")


def can_log_in(server, password: str) -> bool:
    try:
        server.connect(DATABASE, user=ROLE, password=password).close()
    except psycopg.OperationalError:
        return False
    return True


# ASCII; one that SASLprep changes (a soft hyphen and a ligature); one that it forbids.
@pytest.mark.parametrize("password", ["pläin' \\", "so\u00adft ﬁsh", "bell\u0007", "日本 🐘"])
def test_making_and_changing(superuser, postgres_server, password) -> None:
    before = len(postgres_server.log)
    first = ensure_role_and_database(superuser, ROLE, password, DATABASE)
    assert (first.role_created, first.database_created) == (True, True)
    assert can_log_in(postgres_server, password)
    assert not can_log_in(postgres_server, password + "x")

    assert not ensure_role_and_database(superuser, ROLE, password, DATABASE).changed

    new = f"new-{uuid.uuid4()}"
    changed = ensure_role_and_database(superuser, ROLE, new, DATABASE)
    assert changed.password_changed
    assert not changed.role_created
    assert not changed.database_created
    assert can_log_in(postgres_server, new)
    assert not can_log_in(postgres_server, password)
    assert new not in postgres_server.log
    # Of which a short password could be found by trying.
    assert "SCRAM-SHA-256$" not in postgres_server.log[before:]


def test_what_it_repairs(superuser, postgres_server) -> None:
    ensure_role_and_database(superuser, ROLE, "secret", DATABASE)
    superuser.execute(sql.SQL("ALTER ROLE {} NOLOGIN PASSWORD NULL").format(sql.Identifier(ROLE)))
    again = ensure_role_and_database(superuser, ROLE, "secret", DATABASE)
    assert (again.login_granted, again.password_changed) == (True, True)
    assert can_log_in(postgres_server, "secret")


def test_the_database_belongs_to_the_role_and_sorts_portably(superuser) -> None:
    ensure_role_and_database(superuser, ROLE, "secret", DATABASE)
    row = superuser.execute(
        "SELECT pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datcollate"
        "  FROM pg_database WHERE datname = %s",
        [DATABASE],
    ).fetchone()
    assert row[:2] == (ROLE, "UTF8")
    assert row[2] in ("C.UTF-8", "C")


def test_looking_at_a_primary(superuser) -> None:
    ensure_role_and_database(superuser, ROLE, "secret", DATABASE)
    before = superuser.execute("SELECT pg_current_wal_flush_lsn()").fetchone()[0]
    seen = inspect(superuser, DATABASE, ROLE)
    after = superuser.execute("SELECT pg_current_wal_flush_lsn()").fetchone()[0]
    assert (seen.in_recovery, seen.writable, seen.timeline) == (False, True, 1)
    assert (seen.database_exists, seen.role_exists) == (True, True)
    assert seen.database_size_bytes > 1_000_000
    assert seen.standbys == ()
    assert before != after, "writable was proven by WAL that reached the disk"
    missing = inspect(superuser, "no such", "nobody")
    assert (missing.database_exists, missing.role_exists) == (False, False)
    assert missing.database_size_bytes is None


def test_a_primary_that_has_written_is_not_made_to_write(superuser, monkeypatch) -> None:
    """Where it is queried every minute: an idle server would end a segment after each test."""
    superuser.execute("SELECT pg_logical_emit_message(true, 'test', 'now')")
    tests = []
    monkeypatch.setattr(observe, "_can_write", lambda _: bool(tests.append(1)))
    assert inspect(superuser, DATABASE, ROLE, sparing=True).writable
    assert tests == []
    assert not inspect(superuser, DATABASE, ROLE).writable
    monkeypatch.setattr(observe, "_WRITTEN", observe._WRITTEN.replace("9 minutes", "-1"))
    assert not inspect(superuser, DATABASE, ROLE, sparing=True).writable
    assert len(tests) == 2


def test_an_error_names_what_was_prepared(superuser) -> None:
    with pytest.raises(errors.OperatorError, match='role "pg_reserved"'):
        ensure_role_and_database(superuser, "pg_reserved", "secret", DATABASE)


def test_a_database_that_was_there_is_not_made_again(superuser) -> None:
    ensure_role_and_database(superuser, ROLE, "secret", DATABASE)
    superuser.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(DATABASE)))
    for _ in range(2):
        with pytest.raises(errors.DatabaseGone, match="make a Restore of a Backup"):
            ensure_role_and_database(superuser, ROLE, "secret", DATABASE)
    assert not inspect(superuser, DATABASE, ROLE).database_exists
    # What the message says: a user creates it by hand.
    superuser.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
    assert not ensure_role_and_database(superuser, ROLE, "secret", DATABASE).changed


def test_a_database_of_before_is_remembered(superuser) -> None:
    superuser.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
    ensure_role_and_database(superuser, ROLE, "secret", DATABASE)
    superuser.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(DATABASE)))
    with pytest.raises(errors.DatabaseGone):
        ensure_role_and_database(superuser, ROLE, "secret", DATABASE)


def test_a_server_that_does_not_answer_is_given_up(superuser) -> None:
    begun = time.monotonic()
    with (
        pytest.raises(errors.Timeout, match=r"waiting took longer than 0\.5 s"),
        database_errors("waiting", errors.DatabaseNotReady),
        deadline(superuser, 0.5, "waiting"),
    ):
        superuser.execute("SELECT pg_sleep(60)")
    assert time.monotonic() - begun < 30
