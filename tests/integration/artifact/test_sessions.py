"""Nothing that a user has written is executed in a superuser's session, whatever is done."""

from __future__ import annotations

import re
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from ansible_collections.postgres.operator.plugins.module_utils.artifact.selection import Selection
from ansible_collections.postgres.operator.plugins.module_utils.artifact.verify import (
    VerifyRequest,
    verify_artifact,
)
from ansible_collections.postgres.operator.plugins.module_utils.errors import (
    RestoreFailed,
)
from ansible_collections.postgres.operator.plugins.module_utils.postgres.connection import connect
from ansible_collections.postgres.operator.plugins.module_utils.postgres.observe import inspect
from ansible_collections.postgres.operator.plugins.module_utils.postgres.session_roles import (
    drop_abandoned_roles,
    session_roles,
)

USER_CODE = Path(__file__).with_name("user_code.sql")
EXECUTED = re.compile(
    r"executed (?P<place>.*) session_user=(?P<session>[^%\s]+) current_user=(?P<current>[^%\s]+)"
)
TAKES_OVER = """
CREATE SCHEMA mine;
CREATE FUNCTION mine.takes_over(integer) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF current_user ~ '^postgres_operator_' THEN
        EXECUTE pg_catalog.format('ALTER ROLE %I PASSWORD %L', current_user, 'harmless');
    END IF;
    RETURN true;
END $$;
CREATE TABLE mine.taking (id integer CHECK (mine.takes_over(id)));
INSERT INTO mine.taking VALUES (1);
"""
PLACES = {"check", "domain", "generated", "index expression", "materialized view", "predicate"}


@pytest.fixture
def owner(postgres_server) -> Iterator[str]:
    """A role that may log in and nothing else, until what it has made is dropped."""
    name = f"owner_{uuid.uuid4().hex[:8]}"
    with postgres_server.connect() as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'harmless'")
    yield name


@pytest.fixture
def hostile(make_bench, owner, postgres_server):
    """A bench whose database belongs to that role, with its code in every place."""
    bench = make_bench(options=f"OWNER {owner}")
    bench.execute(f"GRANT CREATE ON SCHEMA public TO {owner}")
    with psycopg.connect(
        host=bench.server.host,
        port=bench.server.port,
        dbname=bench.database,
        user=owner,
        password="harmless",
        autocommit=True,
    ) as connection:
        connection.execute(USER_CODE.read_text())
    # On an old server any user may put the same into the maintenance database.
    with postgres_server.connect() as connection:
        connection.execute(
            "CREATE FUNCTION public.pg_is_in_recovery() RETURNS boolean LANGUAGE plpgsql AS"
            " $$BEGIN RAISE EXCEPTION 'executed in the maintenance database'; END$$"
        )
        connection.execute(
            "CREATE FUNCTION public.hashtextextended(text, integer) RETURNS bigint"
            " LANGUAGE plpgsql AS"
            " $$BEGIN RAISE EXCEPTION 'executed in the maintenance database'; END$$"
        )
    bench.begin = len(bench.server.log)
    # The server serves all tests: runs that others of them killed may have left roles on it.
    bench.roles_before = session_role_names(bench)
    yield bench
    with postgres_server.connect() as connection:
        connection.execute("DROP FUNCTION public.pg_is_in_recovery(), public.hashtextextended")


def executions(bench) -> list[tuple[str, str, str]]:
    """(place, session_user, current_user) of all that was executed since the fixture."""
    return [match.groups() for match in EXECUTED.finditer(bench.server.log[bench.begin :])]


def assert_no_superuser(bench) -> set[str]:
    """Returns where it was executed at all."""
    found = executions(bench)
    wrong = [line for line in found if "postgres" in line[1:]]
    assert wrong == []
    assert {session for _, session, _ in found} <= {
        session for _, session, _ in found if session.startswith("postgres_operator_")
    }
    return {place for place, _, _ in found}


def count(bench, table: str) -> object:
    """The rows of a table, read by a role for which the function makes an exception."""
    with bench.connect() as connection:
        connection.execute("SET canary.allowed = 'yes'; SET log_min_messages = 'fatal'")
        return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


def session_role_names(bench) -> set[str]:
    with bench.connect("postgres") as connection:
        rows = connection.execute("SELECT rolname FROM pg_roles WHERE rolname ~ '^postgres_op'")
        return {name for (name,) in rows}


def roles_left(bench) -> set[str]:
    """The roles for sessions that were made since the fixture and are still there."""
    return session_role_names(bench) - bench.roles_before


def test_a_backup(hostile) -> None:
    hostile.backup()
    assert "predicate" in assert_no_superuser(hostile)
    assert roles_left(hostile) == set()


def test_a_restore(hostile) -> None:
    hostile.backup()
    hostile.execute("DROP TABLE mine.referring")
    done = hostile.restore().summary
    assert done["rows"] == 50 + 3 + 3 + 20
    assert count(hostile, "mine.referring") == 20
    assert count(hostile, "mine.stored") == 3
    assert assert_no_superuser(hostile) >= PLACES
    assert roles_left(hostile) == set()


def test_everything_belongs_to_its_owner_after_a_restore(hostile, owner) -> None:
    query = (
        "SELECT string_agg(DISTINCT pg_get_userbyid(refobjid), ',') FROM pg_shdepend"
        " WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())"
        "   AND refclassid = 'pg_authid'::regclass AND deptype IN ('o', 'a')"
    )
    before = hostile.scalar(query)
    hostile.backup()
    hostile.restore()
    assert hostile.scalar(query) == before == owner


def test_a_dry_run_and_a_table(hostile) -> None:
    hostile.backup()
    done = hostile.restore(dry_run=True).summary
    assert done["difference"]["different"] == 0
    part = Selection(include_tables=frozenset({("mine", "places")}))
    hostile.restore(selection=part, partial=True)
    assert count(hostile, "mine.places") == 50
    assert assert_no_superuser(hostile) >= PLACES - {"materialized view"}


def test_a_verification(hostile, scratch) -> None:
    """In the scratch server the function refuses a superuser's session, and nothing fails."""
    hostile.backup()
    verify_artifact(VerifyRequest(hostile.store, hostile.location, scratch, jobs=2))
    assert_no_superuser(hostile)


def test_the_operators_own_queries(hostile) -> None:
    with connect(hostile.parameters.maintenance) as connection:
        assert inspect(connection, hostile.database, "postgres").writable
    with connect(hostile.parameters) as connection:
        assert inspect(connection, hostile.database, "postgres").writable
    assert_no_superuser(hostile)


def test_a_superuser_executes_it_with_consent_only(hostile) -> None:
    """The function, which refuses that, shows that the guard is what the tests above see."""
    hostile.backup()
    with pytest.raises(RestoreFailed, match="executed in a superuser's session"):
        hostile.restore(as_superuser=True)
    with hostile.connect("postgres") as connection:
        connection.execute("ALTER ROLE postgres SET canary.allowed = 'yes'")
    try:
        hostile.restore(as_superuser=True)
    finally:
        hostile.execute("ALTER ROLE postgres RESET canary.allowed")
    assert count(hostile, "mine.places") == 50


def test_what_hangs_together_across_owners_needs_consent(hostile, postgres_server) -> None:
    with postgres_server.connect() as connection:
        connection.execute("CREATE ROLE second")
    hostile.execute("CREATE TABLE mine.child () INHERITS (mine.referring)")
    hostile.execute("ALTER TABLE mine.child OWNER TO second")
    hostile.backup()
    with pytest.raises(RestoreFailed, match=r'"mine"."child" of second is a part of a table of'):
        hostile.restore()
    assert roles_left(hostile) == set()
    hostile.execute("ALTER ROLE postgres SET canary.allowed = 'yes'")
    try:
        hostile.restore(as_superuser=True)
    finally:
        hostile.execute("ALTER ROLE postgres RESET canary.allowed")
        hostile.execute("DROP TABLE mine.child")


def test_owners_have_no_rights_of_each_other(hostile, postgres_server) -> None:
    """Not even the roles that stand for them: what one owner wrote sees nothing of another's."""
    with postgres_server.connect() as connection:
        connection.execute("CREATE ROLE curious")
    hostile.execute(
        "CREATE SCHEMA curious AUTHORIZATION curious;"
        "SET ROLE curious;"
        "CREATE FUNCTION curious.look(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS"
        " $$BEGIN PERFORM FROM mine.referring;"
        " RAISE LOG 'executed curious: saw it session_user=% current_user=%', session_user,"
        " current_user; RETURN $1;"
        " EXCEPTION WHEN insufficient_privilege OR undefined_table THEN RETURN $1; END$$;"
        "CREATE TABLE curious.place (id integer CHECK (curious.look(id) > 0));"
        "CREATE INDEX ON curious.place (id) WHERE curious.look(1) = 1;"
        "INSERT INTO curious.place VALUES (1)"
    )
    hostile.backup()
    hostile.restore()
    assert "curious: saw it" not in assert_no_superuser(hostile)
    hostile.execute("DROP SCHEMA curious CASCADE")


def test_the_roles_of_a_killed_run_are_dropped(hostile) -> None:
    maintenance = hostile.parameters.maintenance
    with session_roles(maintenance, "0f8fad5b-d9cb-469f-a165-70867728950e") as roles:
        made = roles.make(hostile.database).user
        with connect(maintenance) as connection:
            assert made not in drop_abandoned_roles(connection)
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid IN"
                " (SELECT pid FROM pg_locks WHERE locktype = 'advisory')"
            )
    with connect(maintenance) as connection:
        assert made in drop_abandoned_roles(connection)
    assert roles_left(hostile) == set()


@contextmanager
def connected_as(bench, owner: str, database: str = "") -> Iterator[psycopg.Connection]:
    """A session of the owner, which waits for no lock for long."""
    with psycopg.connect(
        host=bench.server.host,
        port=bench.server.port,
        dbname=database or bench.database,
        user=owner,
        password="harmless",
        options="-c lock_timeout=1s",
        autocommit=True,
    ) as connection:
        yield connection


@pytest.fixture
def own(make_bench, owner):
    """A bench whose database belongs to that role, and nothing is in it."""
    return make_bench(options=f"OWNER {owner}")


def test_a_name_means_the_same_as_long_as_it_is_read(own, owner) -> None:
    """pg_dump reads a sequence by a SELECT, which executes what is in an index of a table."""
    with connected_as(own, owner) as connection:
        connection.execute("CREATE SCHEMA mine; CREATE SEQUENCE mine.numbers")
        with own.snapshot():
            for statement in (
                "ALTER SEQUENCE mine.numbers RENAME TO other",
                "ALTER SEQUENCE mine.numbers SET SCHEMA public",
                "DROP SEQUENCE mine.numbers",
                "ALTER SCHEMA mine RENAME TO other",
            ):
                with pytest.raises(psycopg.errors.LockNotAvailable):
                    connection.execute(statement)
            connection.execute("SELECT nextval('mine.numbers')")
            connection.execute("ALTER SEQUENCE mine.numbers RESTART WITH 7")
            connection.execute("CREATE TABLE mine.made (id integer)")
            connection.execute("GRANT USAGE ON SCHEMA mine TO PUBLIC")
            connection.execute("CREATE SCHEMA another")


def test_no_code_comes_to_a_table_that_is_read_with_more_rights(own, owner) -> None:
    """Its owner, who has no right to read it now, would give it back to itself meanwhile."""
    with connected_as(own, owner) as connection:
        connection.execute("CREATE SCHEMA hidden; CREATE TABLE hidden.places (id integer)")
        connection.execute(f"REVOKE USAGE ON SCHEMA hidden FROM {owner}")
        with own.snapshot() as taken:
            assert [table.reader.owner for table in taken.tables] == [""]
            connection.execute(f"GRANT USAGE ON SCHEMA hidden TO {owner}")
            for statement in (
                "CREATE INDEX ON hidden.places (id) WHERE id > 1",
                "CREATE STATISTICS hidden.some ON (id + 1), id FROM hidden.places",
            ):
                with pytest.raises(psycopg.errors.LockNotAvailable):
                    connection.execute(statement)
            connection.execute("INSERT INTO hidden.places VALUES (1)")


def test_what_is_executed_in_a_reading_session_changes_no_fingerprint(own, owner) -> None:
    """Planning the first table executes what points the second one's functions elsewhere."""
    fill = "CREATE TABLE mine.second AS SELECT n AS id FROM generate_series(1, 5) n"
    with connected_as(own, owner) as connection:
        connection.execute("CREATE SCHEMA mine")
        connection.execute(fill)
        before = {table.name: table.fingerprint for table in own.backup().manifest.tables}
        connection.execute(
            "CREATE FUNCTION mine.hashint4extended(integer, bigint) RETURNS bigint LANGUAGE sql"
            " AS 'SELECT 0::bigint';"
            "CREATE FUNCTION mine.point_elsewhere(integer) RETURNS integer LANGUAGE plpgsql"
            " IMMUTABLE AS $$BEGIN"
            " PERFORM set_config('search_path', 'mine, pg_catalog', false);"
            " RETURN $1; END$$;"
            "CREATE TABLE mine.first AS SELECT n AS id FROM generate_series(1, 5000) n;"
            "CREATE INDEX ON mine.first (id) WHERE mine.point_elsewhere(1) = 2"
        )
        connection.execute("VACUUM ANALYZE mine.first, mine.second")
    own.location = replace(own.location, uid=str(uuid.uuid4()))
    after = {table.name: table.fingerprint for table in own.backup().manifest.tables}
    assert after["second"] == before["second"]


def test_nobody_connects_to_what_is_being_restored(own, owner) -> None:
    """Who could make things in it would have them executed by the superuser who restores."""
    own.execute("CREATE TABLE many AS SELECT n AS id FROM generate_series(1, 20000) n")
    own.backup()
    done = threading.Event()
    refused, let_in = [], []

    def knock() -> None:
        while not done.is_set():
            for name in own.databases():
                if name.startswith("restore_"):
                    try:
                        with connected_as(own, owner, name):
                            let_in.append(name)
                    except psycopg.OperationalError as error:
                        refused.append(str(error))

    with ThreadPoolExecutor(1) as pool:
        knocking = pool.submit(knock)
        try:
            own.restore()
        finally:
            done.set()
        knocking.result()
    assert any("does not have CONNECT privilege" in text for text in refused)
    assert let_in == []
    with connected_as(own, owner) as connection:
        assert connection.execute(
            "SELECT datdba::regrole::text FROM pg_database WHERE datname = current_database()"
        ).fetchone() == (owner,)


def test_a_role_of_a_restore_cannot_be_taken_over(own, owner) -> None:
    """Who knew the password of one could make things beside what the superuser makes next."""
    with connected_as(own, owner) as connection:
        connection.execute(TAKES_OVER)
    own.backup()
    with pytest.raises(RestoreFailed, match=r"changed the password of the role postgres_operator_"):
        own.restore()
    assert not [name for name in own.databases() if name.startswith("restore_")]
    with connected_as(own, owner) as connection:
        assert connection.execute("SELECT id FROM mine.taking").fetchone() == (1,)


def test_a_database_that_sets_a_role_for_its_sessions(own, owner) -> None:
    with connected_as(own, owner) as connection:
        connection.execute("CREATE SCHEMA mine; CREATE TABLE mine.some AS SELECT 1 AS id")
        connection.execute(f"ALTER DATABASE {own.database} SET role = {owner}")
    own.execute("RESET ROLE; CREATE TABLE public.others AS SELECT 2 AS id")
    own.backup()
    own.restore()
    with own.server.connect(own.database, options="-c role=none") as connection:
        assert connection.execute("SELECT id FROM public.others").fetchone() == (2,)


@pytest.mark.parametrize(
    "setting",
    [
        "client_encoding = 'LATIN1'",
        "client_encoding = 'SQL_ASCII'",
        "standard_conforming_strings = off",
        "array_nulls = off",
    ],
)
def test_settings_of_a_database_that_change_how_values_are_read(own, owner, setting) -> None:
    with connected_as(own, owner) as connection:
        connection.execute(
            'CREATE SCHEMA "mäin"; CREATE TABLE "mäin"."tä" AS'
            " SELECT 'ä\\€'::text AS name, ARRAY[1, NULL] AS numbers;"
            "SELECT lo_from_bytea(0, '\\x0100')"
        )
        connection.execute(f"ALTER DATABASE {own.database} SET {setting}")
    own.backup()
    own.restore()
    with own.server.connect(own.database, client_encoding="UTF8") as connection:
        row = connection.execute('SELECT * FROM "mäin"."tä"').fetchone()
    assert row == ("ä\\€", [1, None])


def test_a_database_that_allows_no_temporary_files(own, owner, postgres_server) -> None:
    """Neither to a sort of the restore, nor to the roles that read."""
    with connected_as(own, owner) as connection:
        connection.execute(
            "CREATE SCHEMA mine; CREATE TABLE mine.some AS"
            " SELECT md5(n::text) AS name FROM generate_series(1, 20000) n;"
            "CREATE INDEX ON mine.some (name);"
            "CREATE MATERIALIZED VIEW mine.sorted AS"
            " SELECT name FROM mine.some ORDER BY name OFFSET 0"
        )
    own.execute(f"ALTER DATABASE {own.database} SET temp_file_limit = 0")
    own.backup()
    with postgres_server.connect() as connection:
        connection.execute(
            "ALTER ROLE ALL SET temp_file_limit = 0; ALTER ROLE ALL SET work_mem = 64;"
            "ALTER ROLE ALL SET maintenance_work_mem = 1024"
        )
    try:
        own.restore()
    finally:
        with postgres_server.connect() as connection:
            connection.execute("ALTER ROLE ALL RESET ALL")
    with own.connect() as connection:
        assert connection.execute("SELECT count(*) FROM mine.sorted").fetchone() == (20000,)
        assert connection.execute("SHOW temp_file_limit").fetchone() == ("0",)
