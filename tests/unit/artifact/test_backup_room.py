"""How much room a backup takes, by the one before it."""

from __future__ import annotations

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.artifact.backup_room import (
    Place,
    PreviousBackup,
)
from ansible_collections.postgres.operator.plugins.module_utils.postgres.disk_space import (
    FileSystem,
)


@pytest.mark.parametrize(
    ("rows", "expected"), [(100, 1000), (50, 500), (200, 1000), (0, 0)], ids=str
)
def test_fewer_rows_take_less_and_more_do_not_count(rows: int, expected: int) -> None:
    assert PreviousBackup(1000, 100).expected_bytes(rows) == expected


def test_a_backup_without_rows_says_nothing() -> None:
    assert PreviousBackup(1000, 0).expected_bytes(100) == 0


@pytest.mark.parametrize(
    ("free", "lacks", "may"), [(499, True, True), (500, False, True), (1000, False, False)]
)
def test_half_of_it_is_required(free: int, lacks: bool, may: bool) -> None:
    place = Place("there", FileSystem(("x",), 5000, free), 1000)
    assert (place.lacks, place.may_lack) == (lacks, may)
