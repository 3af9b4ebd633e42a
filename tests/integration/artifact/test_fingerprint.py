"""Fingerprints differ if and only if the rows do, as text and as a whole."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psycopg
import pytest
from ansible_collections.postgres.operator.plugins.module_utils.artifact.fingerprint import (
    fingerprint_tables,
    list_tables,
    make_canonical,
    read_large_objects,
)
from ansible_collections.postgres.operator.plugins.module_utils.postgres.cancellation import (
    Cancellation,
)
from ansible_collections.postgres.operator.plugins.module_utils.postgres.connection import (
    connect,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

TYPES = """
CREATE EXTENSION citext SCHEMA public;
CREATE EXTENSION hstore SCHEMA public;
CREATE COLLATION public.alike (provider = icu, locale = 'und-u-ks-level1', deterministic = false);
CREATE TYPE public.light AS ENUM ('red', 'green');
CREATE TYPE public.pair AS (one numeric, two text);
CREATE DOMAIN public.price AS numeric(12, 4);
CREATE DOMAIN public.fine_price AS public.price CHECK (VALUE < 1000);
CREATE DOMAIN public.word AS text COLLATE public.alike;
CREATE DOMAIN public.lights AS public.light[];
"""

# Of each type values that are all different as text, many of them equal to PostgreSQL, or with one
# hash there (those of 8 bytes whose halves fold to the same).
VALUES = {
    "boolean": ["true", "false"],
    '"char"': ["a", "b", ""],
    "smallint": ["0", "1", "-1", "32767"],
    "integer": ["0", "1", "-1", "65536", "2147483647", "-2147483648"],
    "bigint": ["0", "1", "-1", "4294967296", "-4294967296", "4294967297", "-2", "8589934594"],
    "real": ["0", "-0", "1", "1.0000001", "NaN", "Infinity", "-Infinity"],
    "double precision": ["0", "-0", "1", "1.0000000000000002", "NaN", "Infinity", "5e-324"],
    "numeric": ["1", "1.0", "1.00", "0", "0.0", "-1", "NaN", "Infinity", "1e30", "10000", "1e-20"],
    "public.fine_price": ["1", "1.5", "999.9999"],
    "money": ["1", "1.01", "-1"],
    "text": ["", " ", "a", "A", "á", "a ", "NULL", "()", '"', "\\", "a,b"],
    "character varying(9)": ["", " ", "a", "A", "a "],
    "bpchar": ["", " ", "a", "a ", "A"],
    "character(3)": ["", "a", "b"],
    "name": ["a", "A"],
    "public.citext": ["a", "A"],
    "text COLLATE public.alike": ["a", "A", "á"],
    "public.word": ["a", "A", "á"],
    "bytea": ["", r"\x00", r"\x0000", r"\x61"],
    "uuid": ["00000000-0000-0000-0000-000000000000", "00000000-0000-0000-0000-000000000001"],
    "date": ["2000-01-01", "2000-01-02", "infinity", "-infinity", "4713-01-01 BC"],
    "time": ["00:00", "24:00", "00:00:00.000001", "01:11:34.967296"],
    "timetz": ["00:00+00", "01:00+01", "24:00+00", "00:00:00.000001+00"],
    "timestamp": [
        "2000-01-01",
        "2000-01-01 00:00:00.000001",
        "2000-01-01 01:11:34.967296",
        "1999-12-31 22:48:25.032704",
        "infinity",
        "-infinity",
    ],
    "timestamptz": [
        "2000-01-01 00:00+00",
        "2000-01-01 00:00:00.000001+00",
        "2000-01-01 01:11:34.967296+00",
        "1999-12-31 22:48:25.032704+00",
        "infinity",
        "-infinity",
    ],
    "interval": ["0", "1 day", "24 hours", "30 days", "1 month", "-1 day", "1 day -24 hours"],
    "json": ["1", "1.0", '{"a":1}', '{"a": 1}', '{"a":1,"a":1}', "null", '""'],
    "jsonb": ["1", "1.0", '{"a": 1}', '{"a": 1.0}', "null", '"null"', '""', "{}", "[]"],
    "xml": ["<a/>", "<a></a>"],
    "inet": ["10.0.0.1", "10.0.0.1/8", "::1"],
    "cidr": ["10.0.0.0/8", "10.0.0.0/9"],
    "bit varying": ["", "0", "00", "1"],
    "oid": ["0", "1"],
    "regclass": ["pg_class", "pg_type"],
    "tsvector": ["", "a", "a:1"],
    "point": ["(0,0)", "(-0,0)", "(0,1)"],
    "public.light": ["red", "green"],
    "public.pair": ["(,)", '(,"")', "(1,)", "(1.0,)", "(-1,a)"],
    "public.hstore": ["", "a=>NULL", 'a=>"NULL"', "a=>1"],
    "integer[]": ["{}", "{1}", "[2:2]={1}", "{NULL}", "{{1}}"],
    "numeric[]": ["{1}", "{1.0}"],
    "text[]": ["{}", "{NULL}", '{"NULL"}', '{""}', "{a}", "{A}"],
    "public.lights": ["{}", "{red}", "{green}", "{NULL}"],
    "int4range": ["empty", "[1,2)", "[1,)", "(,)"],
    "numrange": ["[1,2)", "[1.0,2)", "[1,2]"],
    "int4multirange": ["{}", "{[1,2)}"],
}


@contextmanager
def canonical(bench) -> Iterator[psycopg.Connection]:
    with connect(bench.parameters) as connection:
        make_canonical(connection)
        yield connection


def fingerprints(bench, workers: int = 1) -> dict[tuple[str, str], tuple[int, str]]:
    """Rows and fingerprint of each table."""
    with canonical(bench) as connection:
        tables = list_tables(connection)
    entries = fingerprint_tables(lambda _: canonical(bench), tables, workers, Cancellation())
    return {(entry.schema, entry.name): (entry.rows, entry.fingerprint) for entry in entries}


def fingerprint(bench, name: str = "t") -> tuple[int, str]:
    return fingerprints(bench)["public", name]


def make_tables(bench) -> dict[str, list[str]]:
    """A schema for each type with a table for each value and one with NULL; returns them."""
    bench.execute(TYPES)
    made: dict[str, list[str]] = {}
    with bench.connect() as connection:
        for number, (kind, values) in enumerate(VALUES.items()):
            schema = f"s{number}"
            connection.execute(f"CREATE SCHEMA {schema}")
            for at, value in enumerate([*values, None]):
                connection.execute(f"CREATE TABLE {schema}.v{at} (v {kind})")
                connection.execute(
                    sql.SQL("INSERT INTO {} VALUES ({})").format(
                        sql.Identifier(schema, f"v{at}"), value
                    )
                )
            made[kind] = [f"{schema}.v{at}" for at in range(len(values) + 1)]
    return made


def test_whatever_differs_as_text_differs(make_bench) -> None:
    bench = make_bench()
    made = make_tables(bench)
    found = {f"{schema}.{name}": print_ for (schema, name), print_ in fingerprints(bench).items()}
    with bench.connect() as connection:
        for kind, tables in made.items():
            texts = [
                connection.execute(f"SELECT ROW(v)::text FROM {table}").fetchone()[0]
                for table in tables
            ]
            assert len(set(texts)) == len(tables), f"values of {kind} that are the same"
            assert len({found[table] for table in tables}) == len(tables), kind


def test_all_of_it_comes_back_equal(make_bench) -> None:
    """Into a database in which every type has another OID."""
    bench = make_bench()
    make_tables(bench)
    before = fingerprints(bench)
    bench.backup()
    other = make_bench()
    other.execute("CREATE TABLE takes_oids (a text); DROP TABLE takes_oids")
    other.location = bench.location
    other.restore()
    assert fingerprints(other) == before


def test_values_with_several_stored_forms_come_back_equal(make_bench) -> None:
    """What one text stands for is one value, however it came to be."""
    bench = make_bench()
    bench.execute(
        "CREATE TABLE t AS SELECT 'Infinity'::float8 - 'Infinity'::float8 AS nan8,"
        "       'Infinity'::float4 - 'Infinity'::float4 AS nan4,"
        "       ARRAY[1, NULL] AS a, 1.10 * 1.0 AS n, repeat('x', 100000) AS long,"
        "       (repeat(md5('1'), 100000))::bytea AS toasted;"
        "UPDATE t SET a[2] = 2;"
        "ALTER TABLE t ADD COLUMN later numeric DEFAULT 1.50, ADD COLUMN gone text DEFAULT 'x';"
        "ALTER TABLE t DROP COLUMN gone, ADD COLUMN twice text GENERATED ALWAYS AS (n || '') STORED"
    )
    before = fingerprint(bench)
    bench.backup()
    bench.restore()
    assert fingerprint(bench) == before
    assert bench.scalar("SELECT pg_column_size(nan8) FROM t") == 8


# Each an own hash: as it is, sent, as text, and beside others.
SWAPPED = {
    "boolean": ("true", "false"),
    "integer": ("1", "2"),
    "bigint": ("1", "2"),
    "numeric": ("1", "1.0"),
    "double precision": ("0", "-0"),
    "text": ("a", "b"),
    "timestamptz": ("2000-01-01 00:00+00", "2000-01-01 00:00:01+00"),
    "jsonb": ("1", "2"),
    "integer[]": ("{1}", "{2}"),
    "public.light": ("red", "green"),
}


Row = tuple[str | None, ...]


def fill(connection: psycopg.Connection, table: str, rows: Sequence[Row]) -> None:
    for row in rows:
        connection.execute(
            sql.SQL("INSERT INTO {} VALUES ({})").format(
                sql.SQL(table), sql.SQL(", ").join(map(sql.Literal, row))
            )
        )


def test_exchanged_values_do_not_cancel_out(make_bench) -> None:
    """All contents of two rows and two columns: two are alike if only the rows' order differs."""
    bench = make_bench()
    bench.execute(TYPES)
    contents: dict[tuple[str, str], tuple[str, Counter[Row]]] = {}
    with bench.connect() as connection:
        for number, (kind, pair) in enumerate(SWAPPED.items()):
            connection.execute(f"CREATE SCHEMA s{number}")
            for at, values in enumerate(itertools.product((*pair, None), repeat=4)):
                rows = [values[:2], values[2:]]
                connection.execute(f"CREATE TABLE s{number}.t{at} (a {kind}, b {kind})")
                fill(connection, f"s{number}.t{at}", rows)
                contents[f"s{number}", f"t{at}"] = (kind, Counter(rows))
    prints = fingerprints(bench)
    for one, other in itertools.combinations(contents, 2):
        if contents[one][0] == contents[other][0]:
            same = contents[one] == contents[other]
            assert (prints[one] == prints[other]) == same, (contents[one], contents[other])


@pytest.fixture
def mixed(make_bench):
    """A bench with two tables `one` and `other`, which have a column of each type."""
    bench = make_bench()
    columns = ", ".join(f"c{at} {kind}" for at, kind in enumerate(SWAPPED))
    bench.execute(TYPES + f"CREATE TABLE one ({columns}); CREATE TABLE other (LIKE one)")
    return bench


rows_of_all = st.lists(
    st.tuples(*(st.sampled_from((*pair, None)) for pair in SWAPPED.values())), max_size=4
)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(rows=rows_of_all, data=st.data())
def test_tables_are_alike_if_and_only_if_their_rows_are(mixed, rows, data) -> None:
    """Altered, exchanged, lost and doubled rows and values; the order does not count."""
    other = data.draw(st.permutations(rows))
    change = data.draw(st.sampled_from(("none", "exchange", "alter", "lose", "double and lose")))
    if other and change != "none":
        where = st.integers(0, len(other) - 1)
        first, second = data.draw(where), data.draw(where)
        column = data.draw(st.integers(0, len(SWAPPED) - 1))
        if change == "lose":
            del other[first]
        elif change == "double and lose":
            other[first] = other[second]
        else:
            kind = tuple(SWAPPED.values())[column]
            value = (
                other[second][column]
                if change == "exchange"
                else data.draw(st.sampled_from((*kind, None)))
            )
            mine = other[first][column]
            other[first] = (*other[first][:column], value, *other[first][column + 1 :])
            if change == "exchange" and first != second:
                other[second] = (*other[second][:column], mine, *other[second][column + 1 :])
    with mixed.connect() as connection:
        connection.execute("TRUNCATE one, other")
        fill(connection, "one", rows)
        fill(connection, "other", other)
    prints = fingerprints(mixed)
    same = Counter(rows) == Counter(other)
    assert (prints["public", "one"] == prints["public", "other"]) == same


def test_many_rows_that_exchange_their_values(bench) -> None:
    """Sums over rows must not hide it, whichever column."""
    bench.execute(
        "CREATE TABLE t AS SELECT n AS a, n::bigint AS b, n::text AS c, n::float8 AS d,"
        "       date '2000-01-01' + n AS e, ARRAY[n] AS f FROM generate_series(1, 1000) n"
    )
    before = fingerprint(bench)
    for column in "abcdef":
        bench.execute(
            f"UPDATE t SET {column} = other.{column} FROM"
            " (SELECT * FROM t) other WHERE other.a = 1001 - t.a"
            if column != "a"
            else "UPDATE t SET a = 1001 - a"
        )
        assert fingerprint(bench) != before, column
        before = fingerprint(bench)


@pytest.mark.parametrize("kind", ["bigint", "float8", "text", "int4[]"])
def test_as_many_columns_as_there_can_be(make_bench, kind) -> None:
    bench = make_bench()
    columns = ", ".join(f"c{at} {kind}" for at in range(1600))
    # Few have a value: a row of all would not fit into a page.
    bench.execute(f"CREATE TABLE t ({columns}); INSERT INTO t DEFAULT VALUES")
    before = fingerprint(bench)
    value = "'{1}'" if kind == "int4[]" else "'1'"
    bench.execute(f"UPDATE t SET c7 = {value}")
    with_one = fingerprint(bench)
    bench.execute(f"UPDATE t SET c7 = NULL, c8 = {value}")
    assert len({before, with_one, fingerprint(bench)}) == 3


def test_columns_count_even_if_they_are_empty(make_bench) -> None:
    bench = make_bench()
    bench.execute(
        "CREATE TABLE none (); INSERT INTO none DEFAULT VALUES;"
        "CREATE TABLE one (a int); INSERT INTO one DEFAULT VALUES;"
        "CREATE TABLE two (a int, b int); INSERT INTO two DEFAULT VALUES;"
        "CREATE TABLE first (a int, b int); INSERT INTO first VALUES (1, NULL);"
        "CREATE TABLE second (a int, b int); INSERT INTO second VALUES (NULL, 1);"
        "CREATE TABLE single (b int); INSERT INTO single VALUES (1)"
    )
    assert len(set(fingerprints(bench).values())) == 6


def test_parallel_workers_and_settings_change_nothing(bench) -> None:
    bench.execute(
        "CREATE TABLE t AS SELECT n, n::numeric AS m, now() + n * interval '1 s' AS at,"
        "       n::text AS x, n::float8 / 3 AS d, 'grün' || n AS c, ARRAY[n::float8 / 3] AS a"
        "  FROM generate_series(1, 20000) n"
    )
    before = fingerprint(bench)
    with bench.connect() as connection:
        renamed = connection.info.server_version >= 160000
    for setting in (
        f"{'debug_parallel_query' if renamed else 'force_parallel_mode'} = on",
        "parallel_setup_cost = 0",
        "parallel_tuple_cost = 0",
        "TimeZone = 'Asia/Kathmandu'",
        "DateStyle = 'SQL, DMY'",
        "IntervalStyle = 'sql_standard'",
        "extra_float_digits = -15",
        "bytea_output = 'escape'",
        "client_encoding = 'LATIN1'",
    ):
        bench.execute(f"ALTER DATABASE {bench.database} SET {setting}")
    # Else only a large table has them.
    bench.execute("ALTER TABLE t SET (parallel_workers = 2)")
    assert fingerprint(bench) == before


def test_workers_share_the_tables(bench) -> None:
    bench.execute("CREATE TABLE t AS SELECT 1 AS a")
    assert fingerprints(bench, workers=3) == fingerprints(bench)


def test_large_objects(bench) -> None:
    def found() -> object:
        with canonical(bench) as connection:
            return read_large_objects(connection)

    prints = []
    for statement in (
        "SELECT lo_from_bytea(11, repeat('a', 5000)::bytea), lo_from_bytea(12, '\\x00')",
        "SELECT lo_put(11, 2048, 'b')",
        "SELECT lo_put(11, 2048, 'a'), lo_put(11, 0, 'b')",
        "SELECT lo_unlink(11), lo_from_bytea(13, repeat('a', 5000)::bytea)",
        "SELECT lo_unlink(12)",
    ):
        bench.execute(statement)
        prints.append(found())
    assert len(set(prints)) == len(prints)
