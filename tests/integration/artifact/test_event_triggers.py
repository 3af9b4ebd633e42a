"""Event triggers: they are restored, and none of them fires in a session of ours."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest
from ansible_collections.postgres.operator.plugins.module_utils.artifact.verify import (
    VerifyRequest,
    verify_artifact,
)
from ansible_collections.postgres.operator.plugins.module_utils.postgres import connection
from ansible_collections.postgres.operator.plugins.module_utils.postgres.connection import connect

FIRST_WITH_LOGIN = 170000

LOGS_DDL = """
CREATE TABLE ddl_log (at timestamptz, event text, tag text);
CREATE FUNCTION logs_ddl() RETURNS event_trigger LANGUAGE plpgsql AS
 $$BEGIN INSERT INTO public.ddl_log VALUES (now(), tg_event, tg_tag); END$$;
CREATE EVENT TRIGGER a_start ON ddl_command_start EXECUTE FUNCTION logs_ddl();
CREATE EVENT TRIGGER b_end ON ddl_command_end WHEN TAG IN ('CREATE TABLE', 'GRANT', 'REVOKE')
 EXECUTE FUNCTION logs_ddl();
CREATE EVENT TRIGGER c_drop ON sql_drop EXECUTE FUNCTION logs_ddl();
CREATE EVENT TRIGGER d_rewrite ON table_rewrite EXECUTE FUNCTION logs_ddl();
ALTER EVENT TRIGGER c_drop ENABLE ALWAYS;
ALTER EVENT TRIGGER d_rewrite DISABLE;
COMMENT ON EVENT TRIGGER a_start IS 'the first';
CREATE TABLE counted AS SELECT generate_series(1, 3) AS n;
CREATE MATERIALIZED VIEW total AS SELECT sum(n) FROM counted;
CREATE INDEX ON total (sum);
GRANT SELECT ON counted, total TO PUBLIC;
"""
LOGS_LOGINS = """
CREATE TABLE logins (who text);
CREATE FUNCTION logs_logins() RETURNS event_trigger SECURITY DEFINER LANGUAGE plpgsql AS
 $$BEGIN INSERT INTO public.logins VALUES (session_user); END$$;
CREATE EVENT TRIGGER logs_logins ON login EXECUTE FUNCTION logs_logins();
ALTER EVENT TRIGGER logs_logins ENABLE ALWAYS;
"""
RAISES_AT_LOGIN = """
CREATE FUNCTION closes() RETURNS event_trigger LANGUAGE plpgsql AS
 $$BEGIN RAISE 'closed for maintenance'; END$$;
CREATE EVENT TRIGGER closes ON login EXECUTE FUNCTION closes();
ALTER EVENT TRIGGER closes ENABLE ALWAYS;
"""
TRIGGERS = """
SELECT string_agg(concat_ws(' ', evtname, evtevent, evtenabled, evttags, evtfoid::regproc,
                            obj_description(oid, 'pg_event_trigger')), ', ' ORDER BY evtname)
  FROM pg_event_trigger
"""
LOG = "SELECT count(*) || md5(string_agg(l::text, ' ' ORDER BY at, event, tag)) FROM ddl_log l"


@pytest.fixture
def with_login(bench):
    """A bench whose server has triggers that fire at a login."""
    with bench.connect() as session:
        if session.info.server_version < FIRST_WITH_LOGIN:
            pytest.skip("the server has no such triggers")
    return bench


def ask(bench, statement: str) -> object:
    """Ask as a superuser, without making a trigger fire."""
    options = {}
    with bench.connect("postgres") as session:
        if session.info.server_version >= FIRST_WITH_LOGIN:
            options = {"options": "-c event_triggers=off"}
    with bench.server.connect(bench.database, **options) as session:
        return session.execute(statement).fetchone()[0]


@pytest.mark.parametrize("as_superuser", [False, True])
def test_what_logs_definitions_logs_none_of_ours(bench, scratch, as_superuser) -> None:
    bench.execute(LOGS_DDL)
    triggers, log = bench.scalar(TRIGGERS), bench.scalar(LOG)
    bench.backup()
    assert bench.scalar(LOG) == log
    verify_artifact(VerifyRequest(bench.store, bench.location, scratch, jobs=2))
    bench.restore(as_superuser=as_superuser)
    assert (bench.scalar(TRIGGERS), bench.scalar(LOG)) == (triggers, log)
    assert bench.scalar("SELECT sum FROM total") == 6
    bench.execute("CREATE TABLE fires ()")
    assert bench.scalar("SELECT count(*) FROM ddl_log WHERE tag = 'CREATE TABLE'") == 2


def test_what_logs_logins_logs_none_of_ours(with_login, scratch) -> None:
    bench = with_login
    bench.execute(LOGS_LOGINS)
    bench.execute("SELECT")
    bench.backup()
    assert ask(bench, "SELECT count(*) FROM logins") == 1
    verify_artifact(VerifyRequest(bench.store, bench.location, scratch, jobs=2))
    bench.restore(dry_run=True)
    bench.restore()
    assert ask(bench, "SELECT count(*) FROM logins") == 1
    bench.execute("SELECT")
    assert ask(bench, "SELECT count(*) FROM logins") == 2


def test_what_refuses_logins_refuses_none_of_ours(with_login, scratch) -> None:
    bench = with_login
    bench.execute(RAISES_AT_LOGIN)
    connect(bench.parameters).close()
    bench.backup()
    verify_artifact(VerifyRequest(bench.store, bench.location, scratch, jobs=2))
    bench.restore(dry_run=True)
    bench.restore()
    assert ask(bench, "SELECT name FROM version") == "old"
    with pytest.raises(psycopg.OperationalError, match="closed for maintenance"):
        bench.connect()


def test_a_trigger_in_the_maintenance_database_does_not_count_either(with_login) -> None:
    bench = with_login
    bench.execute(RAISES_AT_LOGIN, "postgres")
    try:
        connect(bench.parameters.maintenance).close()
    finally:
        with bench.server.connect(options="-c event_triggers=off") as session:
            session.execute("DROP EVENT TRIGGER closes; DROP FUNCTION closes")


def test_an_older_server_is_not_asked_for_it_in_its_log(bench) -> None:
    """What is tried leaves no error there, whatever the version."""
    before = len(bench.server.log)
    connect(bench.parameters).close()
    assert "event_triggers" not in bench.server.log[before:]


def test_a_server_of_another_version_may_take_the_place(bench, monkeypatch) -> None:
    server = (bench.parameters.host, bench.parameters.port, bench.parameters.user)
    monkeypatch.setitem(connection._options, server, "-c event_triggers_of_later=off")
    connect(bench.parameters).close()


def test_who_is_no_superuser_connects_without(bench) -> None:
    bench.execute("CREATE ROLE plain LOGIN PASSWORD 'plain'")
    try:
        password = bench.server.folder / "plain"
        password.write_text("plain")
        connect(replace(bench.parameters, user="plain", password_file=password)).close()
    finally:
        bench.execute("DROP ROLE plain")
