"""Partial backups and restores: the rows that were asked for, all of them and no others."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.postgres.operator.plugins.module_utils import errors
from ansible_collections.postgres.operator.plugins.module_utils.artifact.create import (
    create_artifact,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.selection import (
    parse_selection,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.verify import (
    VerifyRequest,
    verify_artifact,
)

AWKWARD_SQL = """
CREATE TYPE mood AS ENUM ('fine', 'not so');
CREATE TABLE parent (id int PRIMARY KEY, feels mood DEFAULT 'fine');
INSERT INTO parent SELECT g FROM generate_series(1, 10) g;
CREATE TABLE child (id serial PRIMARY KEY, parent int REFERENCES parent, big oid);
INSERT INTO child (parent) SELECT g FROM generate_series(1, 5) g;
COMMENT ON CONSTRAINT child_parent_fkey ON child IS 'goes with its constraint';
CREATE SCHEMA "sch.ema ""x"" *";
CREATE TABLE "sch.ema ""x"" *"."ta.ble $1 ü|?" AS SELECT 1 AS a;
CREATE TABLE "sch.ema ""x"" *"."ta.ble $1 ü" AS SELECT 2 AS a;
CREATE TABLE "sch.ema ""x"" *"."Parent" AS SELECT 3 AS a;
CREATE SCHEMA parts;
CREATE TABLE events (day int, what text) PARTITION BY RANGE (day);
CREATE TABLE parts.events_1 PARTITION OF events FOR VALUES FROM (0) TO (10);
CREATE TABLE parts.events_2 PARTITION OF events FOR VALUES FROM (10) TO (20)
    PARTITION BY LIST (day);
CREATE TABLE parts.events_2a PARTITION OF parts.events_2 DEFAULT;
INSERT INTO events SELECT g, 'x' FROM generate_series(0, 19) g;
CREATE MATERIALIZED VIEW sums AS SELECT count(*) FROM parent;
CREATE VIEW seen AS SELECT * FROM parent;
CREATE SEQUENCE parts.numbers; SELECT setval('parts.numbers', 77);
SELECT lo_from_bytea(4711, 'large');
"""
WEIRD = '"sch.ema ""x"" *"."ta.ble $1 ü|?"'
# Every table of the bench that has rows, as SQL writes it.
ROWS = {
    "public.parent": 10,
    "public.child": 5,
    WEIRD: 1,
    '"sch.ema ""x"" *"."ta.ble $1 ü"': 1,
    '"sch.ema ""x"" *"."Parent"': 1,
    "parts.events_1": 10,
    "parts.events_2a": 10,
}
EVENTS = {"parts.events_1", "parts.events_2a"}
SCHEMA = 'sch.ema "x" *'

CASES = [
    (
        {"tables": ["public.parent"]}, None, {"public.parent"},
    ),
    ({"tables": ["public.child"]}, None, {"public.child"}),
    ({"tables": [WEIRD]}, None, {WEIRD}),
    ({"tables": ["public.events"]}, None, EVENTS),
    ({"tables": ["parts.events_2"]}, None, {"parts.events_2a"}),
    ({"tables": ["public.events"]}, {"tables": ["parts.events_1"]}, {"parts.events_2a"}),
    ({"schemas": [SCHEMA]}, {"tables": [WEIRD]}, {t for t in ROWS if t.startswith('"')} - {WEIRD}),
    ({"schemas": ["parts"], "tables": ["public.child"]}, None, {"public.child", *EVENTS}),
    (None, {"schemas": [SCHEMA, "no such"]}, {t for t in ROWS if not t.startswith('"')}),
    (None, {"tables": ["public.parent", "no.such"]}, set(ROWS) - {"public.parent"}),
    (None, {"schemas": ["public"]}, {t for t in ROWS if t.startswith('"')}),
]  # fmt: skip


@pytest.fixture
def awkward(make_bench):
    made = make_bench()
    made.execute(AWKWARD_SQL)
    return made


def back_up(bench, include=None, exclude=None):
    request = replace(bench.backup_request(), selection=parse_selection(include, exclude))
    return create_artifact(request).artifact


def target(bench):
    return replace(bench.parameters, dbname=f"{bench.database}_target")


def filled(bench, database: str) -> dict[str, int]:
    """The tables that have rows, and how many."""
    found = {t: bench.scalar(f"SELECT count(*) FROM ONLY {t}", database) for t in ROWS}
    return {table: count for table, count in found.items() if count}


@pytest.mark.parametrize(("include", "exclude", "expected"), CASES)
def test_a_selection_of_a_whole_backup(awkward, include, exclude, expected) -> None:
    awkward.backup()
    where = target(awkward)
    outcome = awkward.restore(
        parameters=where, selection=parse_selection(include, exclude), partial=True
    )
    assert filled(awkward, where.dbname) == {t: ROWS[t] for t in expected}
    assert filled(awkward, awkward.database) == ROWS
    assert (outcome.summary["tables"], outcome.summary["rows"]) == (
        len(expected),
        sum(ROWS[t] for t in expected),
    )
    assert awkward.scalar("SELECT last_value FROM parts.numbers", where.dbname) == 77
    assert awkward.scalar("SELECT lo_get(4711)", where.dbname) == b"large"
    assert not awkward.scalar(
        "SELECT relispopulated FROM pg_class WHERE relname = 'sums'", where.dbname
    )


@pytest.mark.parametrize(("include", "exclude", "expected"), [CASES[n] for n in (1, 5, 6, 9)])
def test_a_partial_backup(awkward, include, exclude, expected, scratch) -> None:
    artifact = back_up(awkward, include, exclude)
    assert artifact.manifest.is_partial
    assert artifact.summary()["tables"] == len(expected)
    where = target(awkward)
    awkward.restore(parameters=where, partial=True)
    assert filled(awkward, where.dbname) == {t: ROWS[t] for t in expected}
    listing = awkward.server.run(
        "pg_restore", "--list", str(awkward.folder / "dump"), dbname="postgres"
    )
    assert listing.count(" TABLE DATA ") == len(expected), "what is not asked for is not dumped"
    large = awkward.scalar("SELECT count(*) FROM pg_largeobject_metadata", where.dbname)
    assert large == (0 if include else 1)
    verified = verify_artifact(VerifyRequest(awkward.store, awkward.location, scratch))
    assert verified["rows"] == sum(ROWS[t] for t in expected)


@pytest.mark.parametrize(
    ("include", "exclude"),
    [({"schemas": ["public", "parts", SCHEMA]}, None), (None, {"tables": ["no.such"]})],
)
def test_a_selection_of_everything_is_a_whole_backup(awkward, include, exclude, scratch) -> None:
    artifact = back_up(awkward, include, exclude)
    assert not artifact.manifest.is_partial
    awkward.execute("TRUNCATE parent CASCADE; REFRESH MATERIALIZED VIEW sums")
    awkward.restore()
    assert filled(awkward, awkward.database) == ROWS
    assert awkward.scalar("SELECT * FROM sums") == 10
    assert awkward.scalar("SELECT lo_get(4711)") == b"large"
    assert verify_artifact(VerifyRequest(awkward.store, awkward.location, scratch))


def test_a_part_does_not_take_the_place_of_the_whole(awkward) -> None:
    back_up(awkward, {"tables": ["public.parent"]})
    with pytest.raises(errors.InvalidInput, match="targetDatabase"):
        awkward.restore()
    awkward.files.remove(awkward.location)
    awkward.backup()
    with pytest.raises(errors.InvalidInput, match="targetDatabase"):
        awkward.restore(selection=parse_selection({"tables": ["public.parent"]}, None))
    assert filled(awkward, awkward.database) == ROWS


@pytest.mark.parametrize(
    ("include", "exclude", "message"),
    [
        ({"tables": ["public.parents"]}, None, 'table "public"."parents"'),
        ({"tables": ["public.sums"]}, None, "no materialized views"),
        ({"schemas": ["Parts"]}, None, 'schema "Parts"'),
        ({"tables": ["parent"]}, None, "write schema.table"),
        ({"tables": ["a.b.c"]}, None, "write schema.table"),
        ({"tables": ["public.parent"]}, {"schemas": ["public"]}, "leave no table"),
    ],
)
def test_what_is_not_there_is_reported(awkward, include, exclude, message) -> None:
    before = awkward.databases()
    with pytest.raises(errors.InvalidInput, match=message):
        back_up(awkward, include, exclude)
    assert not awkward.folder.exists()
    awkward.backup()
    with pytest.raises(errors.InvalidInput, match=message):
        awkward.restore(
            parameters=target(awkward), selection=parse_selection(include, exclude), partial=True
        )
    assert awkward.databases() == before


def test_rows_that_a_partial_backup_lacks_cannot_be_restored(awkward) -> None:
    back_up(awkward, {"tables": ["public.parent"]})
    with pytest.raises(errors.InvalidInput, match=r'without the rows of "public"."child"'):
        awkward.restore(
            parameters=target(awkward),
            selection=parse_selection({"tables": ["public.child"]}, None),
            partial=True,
        )


def test_names_beyond_ascii_in_another_encoding(make_bench) -> None:
    bench = make_bench(options="ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    bench.execute("CREATE TABLE grün AS SELECT 1 AS a; CREATE TABLE blue AS SELECT 2 AS a")
    with pytest.raises(errors.InvalidInput, match="LATIN1"):
        back_up(bench, {"tables": ["public.blue"]})
    bench.backup()
    for table, other in (("grün", "blue"), ("blue", "grün")):
        bench.restore(
            parameters=target(bench),
            selection=parse_selection({"tables": [f"public.{table}"]}, None),
            partial=True,
        )
        assert bench.scalar(f"SELECT count(*) FROM {table}", target(bench).dbname) == 1
        assert bench.scalar(f"SELECT count(*) FROM {other}", target(bench).dbname) == 0


def test_a_partial_backup_that_lacks_a_row_is_found(awkward) -> None:
    back_up(awkward, {"tables": ["public.parent"]})
    path = awkward.folder / "manifest.json"
    path.write_text(path.read_text().replace('"rows": 10', '"rows": 11'))
    with pytest.raises(errors.RestoreFailed, match="has 10 rows"):
        awkward.restore(parameters=target(awkward), partial=True)
