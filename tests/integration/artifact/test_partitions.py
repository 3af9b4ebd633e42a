"""Rows that are in other partitions after a restore: the hash of an enum's value is of its OID."""

from __future__ import annotations

import json

import pytest
from ansible_collections.postgres.operator.plugins.module_utils import errors
from ansible_collections.postgres.operator.plugins.module_utils.artifact.selection import (
    parse_selection,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.verify import (
    VerifyRequest,
    verify_artifact,
)

LABELS = ", ".join(f"'l{n}'" for n in range(40))
TYPES = f"""
CREATE TYPE label AS ENUM ({LABELS});
CREATE DOMAIN short AS label;
CREATE TYPE pair AS (a int, b label);
CREATE TYPE span AS RANGE (subtype = label);
CREATE FUNCTION nth(int) RETURNS label LANGUAGE sql STABLE AS
 $$SELECT (enum_range(NULL::public.label))[$1 % 40 + 1]$$;
"""
PARTITIONED = """
CREATE TABLE parts (k {type}, n int) PARTITION BY HASH ({key});
CREATE TABLE part0 PARTITION OF parts FOR VALUES WITH (MODULUS 4, REMAINDER 0);
CREATE TABLE part1 PARTITION OF parts FOR VALUES WITH (MODULUS 4, REMAINDER 1);
CREATE TABLE part2 PARTITION OF parts FOR VALUES WITH (MODULUS 4, REMAINDER 2)
 PARTITION BY RANGE (n);
CREATE TABLE part2_low PARTITION OF part2 FOR VALUES FROM (MINVALUE) TO (500);
CREATE TABLE part2_high PARTITION OF part2 FOR VALUES FROM (500) TO (MAXVALUE);
CREATE TABLE part3 PARTITION OF parts FOR VALUES WITH (MODULUS 4, REMAINDER 3);
INSERT INTO parts SELECT {value}, n FROM generate_series(1, 1000) n;
"""
KEYS = {
    "enum": ("label", "k", "nth(n)"),
    "domain": ("short", "k", "nth(n)"),
    "array": ("label[]", "k", "ARRAY[nth(n), nth(n / 40)]"),
    "composite": ("pair", "k", "ROW(n, nth(n))::pair"),
    "range": ("span", "k", "span(nth(n), NULL)"),
    "expression": ("int", "nth_again(k)", "n"),
    "regclass": ("regclass", "k", "format('c%s', n % 40)::regclass"),
}
FURTHER = {
    "expression": "CREATE FUNCTION nth_again(int) RETURNS label IMMUTABLE LANGUAGE sql AS"
    " $$SELECT public.nth($1)$$;",
    "regclass": "".join(f"CREATE TABLE c{n} ();" for n in range(40)),
}
CONTENT = "SELECT md5(string_agg(parts::text, ' ' ORDER BY n)) FROM parts"
PLACES = "SELECT string_agg(tableoid::regclass::text, ' ' ORDER BY n) FROM parts"


def fill(bench, kind: str) -> None:
    """Make a table whose rows a restore puts into other partitions."""
    type_, key, value = KEYS[kind]
    bench.execute(TYPES + FURTHER.get(kind, ""))
    bench.execute(PARTITIONED.format(type=type_, key=key, value=value))


@pytest.mark.parametrize("kind", KEYS)
def test_rows_in_other_partitions_are_the_same_rows(bench, scratch, kind) -> None:
    fill(bench, kind)
    content, places = bench.scalar(CONTENT), bench.scalar(PLACES)
    bench.backup()
    verify_artifact(VerifyRequest(bench.store, bench.location, scratch, jobs=2))
    bench.restore()
    assert bench.scalar(CONTENT) == content
    assert bench.scalar(PLACES) != places
    difference = bench.restore(dry_run=True).summary["difference"]
    assert (difference["different"], difference["onlyInBackup"]) == (0, 0)


def test_a_lost_row_is_told_by_the_name_of_the_root(bench) -> None:
    fill(bench, "enum")
    bench.backup()
    path = bench.folder / "manifest.json"
    manifest = json.loads(path.read_text())
    (part,) = (table for table in manifest["tables"] if table["name"] == "part1")
    part["rows"] += 1
    path.write_text(json.dumps(manifest))
    with pytest.raises(
        errors.RestoreFailed,
        match=r'partitioned table "public"\."parts" has 1000 rows .*, expected 1001 rows',
    ):
        bench.restore()


def test_a_dry_run_finds_what_has_changed_in_partitions(bench) -> None:
    fill(bench, "enum")
    bench.backup()
    bench.restore()
    bench.execute("DELETE FROM parts WHERE n = 7")
    difference = bench.restore(dry_run=True).summary["difference"]
    assert difference["different"] == 5


def test_a_selected_partition_is_restored(bench) -> None:
    """Its rows alone, whatever partition they are in then."""
    fill(bench, "enum")
    rows = bench.scalar("SELECT count(*) FROM part1")
    bench.backup()
    selection = parse_selection({"tables": ["public.part1"]}, None)
    bench.restore(selection=selection, partial=True)
    assert bench.scalar("SELECT count(*) FROM parts") == rows
