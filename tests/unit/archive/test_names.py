"""Names of WAL files, and the histories of timelines."""

from __future__ import annotations

import doctest

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.archive import names
from ansible_collections.postgres.operator.plugins.module_utils.archive.history import (
    Switch,
    parse_history,
    switch_of,
)
from ansible_collections.postgres.operator.plugins.module_utils.errors import InvalidInput

MEBIBYTE = 1 << 20
SEGMENT = "000000010000000A000000FF"


def test_the_examples() -> None:
    assert doctest.testmod(names).failed == 0


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (SEGMENT, names.is_segment),
        (f"{SEGMENT}.partial", names.is_partial),
        (f"{SEGMENT}.00000028.backup", names.is_backup_label),
        ("0000000A.history", names.is_history),
    ],
)
def test_each_name_is_of_one_kind(name: str, kind) -> None:
    kinds = (names.is_segment, names.is_partial, names.is_backup_label, names.is_history)
    assert [one for one in kinds if one(name)] == [kind]
    assert names.is_wal_file(name)


@pytest.mark.parametrize(
    "name",
    [
        "", SEGMENT[:-1], SEGMENT + "0", SEGMENT.lower(), f"{SEGMENT}\n", f"../{SEGMENT}",
        f"{SEGMENT}.ready", "archive_status", "00000001.history.x", f"{SEGMENT}.backup",
        "RECOVERYXLOG", f" {SEGMENT}",
    ],
)  # fmt: skip
def test_other_names_are_none(name: str) -> None:
    assert not names.is_wal_file(name)
    with pytest.raises(InvalidInput):
        names.timeline_of(name)


@pytest.mark.parametrize(
    ("size", "last", "following"),
    [
        (MEBIBYTE, "000000010000000000000FFF", "000000010000000100000000"),
        (16 * MEBIBYTE, "0000000100000000000000FF", "000000010000000100000000"),
        (64 * MEBIBYTE, "00000001000000000000003F", "000000010000000100000000"),
        (1024 * MEBIBYTE, "000000010000000000000003", "000000010000000100000000"),
    ],
)
def test_the_last_segment_of_a_log(size: int, last: str, following: str) -> None:
    assert names.next_segment(last, size) == following
    assert names.segment_name(1, names.segment_number(following, size) - 1, size) == last
    assert names.first_lsn(following, size) == 1 << 32


def test_a_segment_that_no_log_has() -> None:
    with pytest.raises(InvalidInput, match="no WAL segment"):
        names.segment_number("000000010000000000000100")
    with pytest.raises(InvalidInput, match="power of two"):
        names.segment_number(SEGMENT, 3 * MEBIBYTE)


@pytest.mark.parametrize("text", ["", "1", "1/", "0/G", "0/123456789", " 0/1", "0/1/2"])
def test_no_lsn(text: str) -> None:
    with pytest.raises(InvalidInput, match="LSN"):
        names.parse_lsn(text)


def test_lsns_with_zeros_are_the_same() -> None:
    """PostgreSQL 19 writes them so."""
    assert names.parse_lsn("0/02000028") == names.parse_lsn("0/2000028") == 0x2000028


HISTORY = (
    "1\t0/3000148\tno recovery target specified\n"
    "\n"
    "# a comment\n"
    "2\t0/5000000\tbefore 2000-01-01 00:00:00+00\n"
    "4\t1/0\t\n"
)


def test_a_history() -> None:
    history = parse_history(HISTORY, 5)
    assert [switch.timeline for switch in history] == [1, 2, 4]
    assert switch_of(history, 1) == Switch(1, 0x3000148, "no recovery target specified")
    assert switch_of(history, 3) is None
    assert switch_of(history, 4) == Switch(4, 1 << 32, "")
    assert parse_history("", 1) == ()


@pytest.mark.parametrize(
    ("text", "timeline"),
    [
        ("x\t0/1\n", 2),
        ("1\n", 2),
        ("1\tyesterday\treason\n", 2),
        ("2\t0/1\tx\n1\t0/2\tx\n", 3),
        ("1\t0/1\tx\n1\t0/2\tx\n", 3),
        ("3\t0/1\tx\n", 3),
    ],
)
def test_no_history(text: str, timeline: int) -> None:
    with pytest.raises(InvalidInput):
        parse_history(text, timeline)
