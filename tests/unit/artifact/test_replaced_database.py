"""Names and marks of databases put aside."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.artifact.replaced_database import (
    Mark,
    previous_name,
)
from hypothesis import given
from hypothesis import strategies as st

UID = "0f8fad5b-d9cb-469f-a165-70867728950e"


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1))
def test_names_fit_and_are_whole_characters(database: str) -> None:
    name = previous_name(database, UID)
    assert len(name.encode()) <= 63
    assert name.endswith("_before_0f8fad5b")
    assert database.startswith(name.removesuffix("_before_0f8fad5b"))


@pytest.mark.parametrize(
    ("database", "kept"),
    [
        ("app", "app"),
        ("a" * 63, "a" * 40),
        ("ü" * 31, "ü" * 20),
        ("a" + "ü" * 31, "a" + "ü" * 19),
        ("🐘" * 15, "🐘" * 10),
        ("日" * 21, "日" * 13),
    ],
)
def test_where_names_are_cut(database: str, kept: str) -> None:
    assert previous_name(database, UID) == f"{kept}_before_0f8fad5b"


def test_restores_with_the_same_beginning_have_names_of_their_own() -> None:
    assert previous_name("app", "restore-app1") != previous_name("app", "restore-app2")


def test_marks_come_back() -> None:
    mark = Mark('b"ü', "a'", UID, datetime(2026, 1, 31, 2, tzinfo=UTC))
    assert Mark.from_comment(mark.to_comment()) == mark


@pytest.mark.parametrize(
    "comment",
    [
        None,
        "",
        "text",
        "1",
        "[]",
        "{}",
        '{"postgres-operator": []}',
        '{"postgres-operator": {"until": "soon"}}',
        # A time without a zone.
        '{"postgres-operator":'
        ' {"name": "a", "previousOf": "b", "restore": "c", "until": "2026-01-31"}}',
        "[" * 100_000,
    ],
)
def test_comments_that_are_no_marks(comment: str | None) -> None:
    assert Mark.from_comment(comment) is None
