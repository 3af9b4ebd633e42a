"""Which differences count."""

from __future__ import annotations

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.artifact.compare import (
    sequence_differences,
    table_differences,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.manifest import (
    MATERIALIZED_VIEW,
    PARTITION,
    TABLE,
    SequenceEntry,
    SequenceState,
    TableEntry,
)


def table(name: str = "t", kind: str = TABLE, rows: int = 1, print_: str = "a" * 16, filled=True):
    return TableEntry("public", name, kind, filled, rows, print_)


@pytest.mark.parametrize(
    ("expected", "found", "text"),
    [
        ([table()], [], "missing"),
        ([], [table()], "extra"),
        ([table()], [table(rows=2)], "has 2 rows"),
        ([table()], [table(print_="b" * 16)], "fingerprint"),
        ([table()], [table(kind=PARTITION)], "table"),
        ([table(kind=MATERIALIZED_VIEW)], [table(kind=MATERIALIZED_VIEW, filled=False)], "not pop"),
    ],
)
def test_tables_that_differ(expected, found, text) -> None:
    differences = table_differences(tuple(expected), found, {})
    assert len(differences) == 1
    assert text in differences[0]


def test_tables_that_do_not() -> None:
    stale, fresh = (table("m", MATERIALIZED_VIEW, rows, str(rows) * 16) for rows in (1, 2))
    assert table_differences((table(), stale), [fresh, table()], {}) == []


@pytest.mark.parametrize(
    ("before", "after", "found", "fine"),
    [
        ((5, True), (5, True), (5, True), True),
        ((5, True), (5, True), (5, False), False),
        ((5, True), (5, True), (6, True), False),
        ((5, True), (9, True), (7, True), True),
        ((5, True), (9, True), (10, True), False),
        ((9, True), (5, True), (7, True), True),
        # It was set back to 1 meanwhile.
        ((9, True), (5, True), (2, True), True),
        ((1, False), (1, True), (1, True), True),
    ],
)
def test_sequences(before, after, found, fine) -> None:
    entry = SequenceEntry("public", "s", SequenceState(*before), SequenceState(*after))
    differences = sequence_differences((entry,), {("public", "s"): SequenceState(*found)})
    assert (differences == []) is fine


def test_sequences_that_are_missing_or_extra() -> None:
    entry = SequenceEntry("public", "s", SequenceState(1, True), SequenceState(1, True))
    assert "missing" in sequence_differences((entry,), {})[0]
    assert "extra" in sequence_differences((), {("public", "s"): SequenceState(1, True)})[0]
