"""What comes out is what went in, compared by SQL and pg_dump and not by the code under test."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.artifact.fingerprint import (
    make_canonical,
)
from psycopg import sql

AWKWARD_NAME = "Dätabase=\"x' ; %s {0} host=nowhere"
AWKWARD_SQL = Path(__file__).with_name("awkward.sql").read_text(encoding="utf-8")


@pytest.fixture
def awkward(roles, make_bench):
    bench = make_bench(AWKWARD_NAME, 'OWNER "app user"')
    bench.execute(AWKWARD_SQL)
    return bench


def content(bench) -> dict[str, object]:
    """The rows of everything, as text."""
    with bench.connect() as connection:
        relations = connection.execute(
            "SELECT n.nspname, c.relname, c.relkind = 'S'"
            "  FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
            " WHERE relkind IN ('r', 'm', 'S', 'p') AND relispopulated"
            "   AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'"
        ).fetchall()
        found: dict[str, object] = {}
        for schema, name, is_sequence in relations:
            # By column names: a child of inheritance gets its columns in another order.
            columns = "(last_value, is_called)" if is_sequence else "row_to_json(whole)::jsonb"
            found[f"{schema}.{name}"] = connection.execute(
                sql.SQL("SELECT {}::text FROM {} whole ORDER BY 1").format(
                    sql.SQL(columns), sql.Identifier(schema, name)
                )
            ).fetchall()
        found["large objects"] = connection.execute(
            "SELECT oid, md5(lo_get(oid)), length(lo_get(oid)) FROM pg_largeobject_metadata"
            " ORDER BY oid"
        ).fetchall()
    return found


def schema(bench) -> str:
    """All definitions, owners, privileges and comments.

    Without the random key of psql's guard, and without the child of inheritance: pg_dump puts its
    parent's columns first.
    """
    text = bench.server.run(
        "pg_dump", "--schema-only", "--exclude-table=public.child", dbname=bench.database
    )
    return re.sub(r"\\(un)?restrict .*", "", text)


def database_row(bench) -> list[object]:
    with bench.connect("postgres") as connection:
        return connection.execute(
            "SELECT pg_get_userbyid(datdba), ARRAY(SELECT unnest(datacl)::text ORDER BY 1),"
            "       datconnlimit, datcollate, datctype,"
            "       pg_encoding_to_char(encoding), datallowconn,"
            "       shobj_description(oid, 'pg_database'),"
            "       ARRAY(SELECT setrole::regrole || ' ' || unnest(setconfig)"
            "               FROM pg_db_role_setting WHERE setdatabase = d.oid ORDER BY 1)"
            "  FROM pg_database d WHERE datname = %s",
            [bench.database],
        ).fetchone()


def test_everything_comes_back(awkward) -> None:
    before, definitions = content(awkward), schema(awkward)
    assert len(before) > 15
    awkward.backup()
    awkward.execute(
        'DROP TABLE public.events CASCADE; DROP SCHEMA "Größe; DROP TABLE x; --" CASCADE;'
        "UPDATE public.types SET n = n + 1; SELECT lo_unlink(4711); CREATE TABLE extra ();"
        "SELECT nextval('public.counter')"
    )
    assert content(awkward) != before
    awkward.restore()
    after = content(awkward)
    stale = "public.stale"
    assert before.pop(stale) == [('{"count": 2}',)]
    assert after.pop(stale) == [('{"count": 3}',)], "pg_restore refreshes materialized views"
    assert after == before
    assert schema(awkward) == definitions


def test_what_belongs_to_the_database_stays_as_it_is_now(awkward) -> None:
    awkward.backup()
    with awkward.connect("postgres") as connection:
        name = sql.Identifier(AWKWARD_NAME)
        for statement in (
            "ALTER DATABASE {} OWNER TO reader",
            "REVOKE ALL ON DATABASE {} FROM PUBLIC",
            'GRANT CONNECT ON DATABASE {} TO "Owner ""ü""" WITH GRANT OPTION',
            "ALTER DATABASE {} CONNECTION LIMIT 42",
            "COMMENT ON DATABASE {} IS 'it''s \"mine\"'",
            'ALTER DATABASE {} SET search_path TO "$user", \'a, "b"\', public',
            "ALTER DATABASE {} SET work_mem TO '7MB'",
            "ALTER DATABASE {} SET default_transaction_read_only TO on",
            "ALTER DATABASE {} SET \"app.tenant\" TO 'o''ne'",
            "ALTER DATABASE {} SET statement_timeout TO '1ms'",
            "ALTER ROLE \"app user\" IN DATABASE {} SET search_path TO ''",
        ):
            connection.execute(sql.SQL(statement).format(name))
    before = database_row(awkward)
    awkward.restore()
    assert database_row(awkward) == before


def test_a_database_that_is_gone_is_created(bench) -> None:
    bench.backup()
    bench.execute(f"DROP DATABASE {bench.database} WITH (FORCE)", "postgres")
    outcome = bench.restore()
    assert outcome.summary["previousDatabase"] is None
    assert bench.scalar("SELECT count(*) FROM numbers") == 20000


def test_into_another_database_of_another_encoding(make_bench) -> None:
    source = make_bench(options="ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    source.execute("CREATE TABLE t AS SELECT 'grün'::text AS a")
    source.backup()
    other = make_bench()
    other.location = source.location
    other.restore()
    assert other.scalar("SELECT a FROM t") == "grün"
    assert other.scalar("SELECT current_setting('server_encoding')") == "LATIN1"


def test_the_summary_reports_what_is_there(bench) -> None:
    artifact = bench.backup()
    summary = artifact.summary()
    files = (bench.folder / "dump").iterdir()
    assert summary["sizeBytes"] == sum(path.stat().st_size for path in files)
    assert (summary["tables"], summary["rows"]) == (2, 20001)
    assert summary["serverVersion"] == bench.scalar("SHOW server_version").split()[0]


def test_dump_and_fingerprints_see_the_same_moment(bench) -> None:
    """Writers are busy all the time; the restored content still equals the manifest."""
    over = threading.Event()

    def write() -> None:
        with bench.connect() as connection:
            while not over.is_set():
                connection.execute(
                    "INSERT INTO numbers SELECT n, 'w' FROM generate_series(1, 50) n;"
                    "UPDATE version SET name = name || '.'; DELETE FROM numbers WHERE n % 97 = 3;"
                    "CREATE SEQUENCE IF NOT EXISTS moving; SELECT nextval('moving')"
                )

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(2):
            bench.backup()
            bench.files.remove(bench.location)
        bench.backup()
    finally:
        over.set()
        writer.join()
    bench.restore()


def test_the_planner_knows_the_restored_tables(make_bench) -> None:
    """Also what a partitioned table, a materialized view and a statistics object need."""
    bench = make_bench()
    bench.execute(
        "CREATE TABLE t AS SELECT n AS a, n % 7 AS b FROM generate_series(1, 1000) n;"
        "CREATE FUNCTION helped(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 1';"
        "CREATE FUNCTION f(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE"
        " AS 'BEGIN RETURN helped($1); END';"
        "CREATE STATISTICS together ON b, f(a) FROM t;"
        "CREATE MATERIALIZED VIEW m AS SELECT b, count(*) FROM t GROUP BY b;"
        "CREATE TABLE p (a integer) PARTITION BY LIST (a);"
        "CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1, 2);"
        "INSERT INTO p VALUES (1), (2), (2)"
    )
    bench.backup()
    outcome = bench.restore()
    with bench.connect() as connection:
        rows = connection.execute(
            "SELECT tablename::text, attname::text, inherited FROM pg_stats"
            " WHERE schemaname = 'public' ORDER BY 1, 2"
        ).fetchall()
        # ANALYZE has a search_path of its own from there on: the function cannot be executed.
        restricted = connection.info.server_version >= 170000
    assert rows == [
        ("m", "b", False),
        ("m", "count", False),
        ("p", "a", True),
        ("p1", "a", False),
        *([] if restricted else [("t", "a", False), ("t", "b", False)]),
    ]
    made = bench.scalar("SELECT count(*) FROM pg_stats_ext WHERE statistics_name = 'together'")
    assert made == (0 if restricted else 1)
    assert ("warning" in outcome.summary) == restricted


def test_a_table_that_cannot_be_analyzed_is_named(make_bench) -> None:
    """Its rows are there, and the original has no statistics of it either."""
    bench = make_bench()
    bench.execute(
        "CREATE TABLE t AS SELECT n AS a, n % 7 AS b FROM generate_series(1, 1000) n;"
        "CREATE FUNCTION f(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE"
        " AS 'BEGIN IF $1 = 500 THEN RAISE ''not this one''; END IF; RETURN $1; END';"
        "CREATE STATISTICS together ON b, f(a) FROM t"
    )
    bench.backup()
    summary = bench.restore().summary
    assert 'no statistics of "public"."t" (not this one)' in summary["warning"]
    assert bench.scalar("SELECT count(*) FROM t") == 1000


def test_only_what_makes_the_restore_durable_waits_for_the_disk(bench) -> None:
    """pg_restore computes the materialized view, with its settings; the swap has the server's."""
    bench.execute(
        "CREATE MATERIALIZED VIEW at AS SELECT current_setting('synchronous_commit') AS commit"
    )
    assert bench.scalar("SELECT commit FROM at") == "on"
    bench.backup()
    bench.restore()
    assert bench.scalar("SELECT commit FROM at") == "off"
    assert bench.scalar("SHOW synchronous_commit") == "on"


def test_parallel_workers_load_and_read_large_tables_only(bench) -> None:
    """Each takes a start, which the tables that are worked on beside each other do not repay."""
    parameter = "min_parallel_table_scan_size"
    bench.execute(
        f"CREATE MATERIALIZED VIEW loading AS SELECT current_setting('{parameter}') AS size"
    )
    assert bench.scalar("SELECT size FROM loading") == "8MB"
    bench.backup()
    bench.restore()
    assert bench.scalar("SELECT size FROM loading") == "256MB"
    with bench.connect() as connection:
        make_canonical(connection)
        assert connection.execute(f"SHOW {parameter}").fetchone() == ("256MB",)
