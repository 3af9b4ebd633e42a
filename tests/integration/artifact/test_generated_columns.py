"""Generated columns: no dump has their values, and what a restore computes anew is named."""

from __future__ import annotations

import json

import pytest
from ansible_collections.postgres.operator.plugins.module_utils import errors
from ansible_collections.postgres.operator.plugins.module_utils.artifact.fingerprint import (
    fingerprint_tables,
    hash_row,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.verify import (
    VerifyRequest,
    verify_artifact,
)
from ansible_collections.postgres.operator.plugins.module_utils.postgres.cancellation import (
    Cancellation,
)

FIRST_WITH_VIRTUAL = 180000

PRICES = """
CREATE FUNCTION with_tax(numeric) RETURNS numeric IMMUTABLE LANGUAGE sql AS 'SELECT $1 * 1.16';
CREATE TABLE prices (id int PRIMARY KEY, net numeric,
    gross numeric GENERATED ALWAYS AS (with_tax(net)) STORED,
    half numeric GENERATED ALWAYS AS (net / 2) STORED);
INSERT INTO prices SELECT n, n FROM generate_series(1, 100) n;
"""
NEW_TAX = "CREATE OR REPLACE FUNCTION with_tax(numeric) RETURNS numeric IMMUTABLE LANGUAGE sql AS"


@pytest.fixture
def verify(bench, scratch):
    """Verify the bench's artifact; returns what that returns."""
    return lambda: verify_artifact(VerifyRequest(bench.store, bench.location, scratch, jobs=2))


def test_what_is_computed_as_before_is_no_matter(bench, verify) -> None:
    bench.execute(PRICES)
    bench.backup()
    assert "warning" not in verify()
    assert "warning" not in bench.restore().summary
    assert bench.scalar("SELECT sum(gross) FROM prices WHERE half = net / 2") == 5858


@pytest.mark.parametrize(
    "tax",
    [
        "'SELECT $1 * 1.19'",
        # The same values, but of other rows.
        "'SELECT (101 - $1) * 1.16'",
    ],
)
def test_a_function_that_was_replaced_is_told_and_is_no_failure(bench, verify, tax) -> None:
    bench.execute(f"{PRICES} {NEW_TAX} {tax}")
    bench.backup()
    named = '"public"."prices" column "gross"'
    for warning in (verify()["warning"], bench.restore().summary["warning"]):
        assert named in warning
        assert "a function that was replaced" in warning
        assert '"half"' not in warning
    assert bench.scalar("SELECT count(*) FROM prices WHERE net = id") == 100
    assert bench.scalar("SELECT count(*) FROM prices WHERE gross = with_tax(net)") == 100


def test_rows_of_such_a_table_are_compared(bench) -> None:
    bench.execute(f"{PRICES} {NEW_TAX} 'SELECT $1 * 1.19'")
    bench.backup()
    path = bench.folder / "manifest.json"
    document = json.loads(path.read_text())
    (entry,) = (table for table in document["tables"] if table["name"] == "prices")
    entry["fingerprint"] = "0" * 16
    path.write_text(json.dumps(document))
    with pytest.raises(errors.RestoreFailed, match=r'table "public"\."prices" has 100 rows with'):
        bench.restore()


def test_a_column_of_the_tables_own_oid(bench, verify) -> None:
    bench.execute(
        "CREATE TABLE placed (id int, place oid GENERATED ALWAYS AS (tableoid) STORED);"
        "INSERT INTO placed SELECT generate_series(1, 3)"
    )
    bench.backup()
    assert '"public"."placed" column "place"' in verify()["warning"]
    assert '"public"."placed" column "place"' in bench.restore().summary["warning"]
    assert bench.scalar("SELECT sum(id) FROM placed WHERE place = tableoid") == 6


def test_rows_that_are_in_other_partitions_have_the_same_values(bench, verify) -> None:
    labels = ", ".join(f"'l{n}'" for n in range(40))
    bench.execute(
        f"CREATE TYPE label AS ENUM ({labels});"
        "CREATE TABLE parts (k label, n int, twice int GENERATED ALWAYS AS (n * 2) STORED)"
        " PARTITION BY HASH (k);"
        "CREATE TABLE p0 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);"
        "CREATE TABLE p1 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 1);"
        "INSERT INTO parts SELECT (enum_range(NULL::label))[n % 40 + 1], n"
        "  FROM generate_series(1, 1000) n"
    )
    bench.backup()
    assert "warning" not in verify()
    assert "warning" not in bench.restore().summary


def test_a_virtual_column_that_cannot_be_computed(bench, verify) -> None:
    with bench.connect() as connection:
        if connection.info.server_version < FIRST_WITH_VIRTUAL:
            pytest.skip("the server has no virtual columns")
    bench.execute(
        "CREATE TABLE shares (n int, share int GENERATED ALWAYS AS (100 / n) VIRTUAL);"
        "INSERT INTO shares (n) VALUES (0), (5)"
    )
    bench.backup()
    assert "warning" not in verify()
    bench.restore()
    assert bench.scalar("SELECT sum(n) FROM shares") == 5


def test_in_an_older_format_they_are_compared(bench, verify) -> None:
    """In its way: a column with other values is found, and one with the same is no matter."""
    bench.execute(PRICES)
    bench.backup()
    with bench.snapshot() as snapshot:
        entries = fingerprint_tables(
            snapshot.session, snapshot.tables, 1, Cancellation(), older_hash=hash_row
        )
    fingerprints = {entry.name: entry.fingerprint for entry in entries}
    path = bench.folder / "manifest.json"
    document = json.loads(path.read_text())
    document["formatVersion"] = 3
    for name in ("properties", "globals", "sizeBytes"):
        del document["source"][name]
    for table in document["tables"]:
        del table["generated"], table["sizeBytes"]
        if table["name"] == "prices":
            assert table["fingerprint"] != fingerprints["prices"]
        else:
            assert table["fingerprint"] == fingerprints[table["name"]]
        table["fingerprint"] = fingerprints[table["name"]]
    path.write_text(json.dumps(document))
    assert "warning" not in verify()
    bench.restore()
    assert bench.scalar("SELECT sum(gross) FROM prices") == 5858
