"""What df prints is read as it is in Debian and Alpine; and how much is reserved of it."""

from __future__ import annotations

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.postgres.disk_space import (
    FileSystem,
    RoomUnknown,
    WalUsage,
    local_file_system,
    parse_file_systems,
)

GIBIBYTE = 1024**3


def test_each_file_system_is_one_whatever_lies_in_it() -> None:
    lines = [
        ". /dev/sda 1000 400 600 40% /data",
        "pg_wal/. /dev/sdb 2000 500 1500 25% /wal",
        "pg_tblspc/16384/. /dev/sda 1000 400 600 40% /data",
    ]
    assert parse_file_systems(lines) == [
        FileSystem((".", "pg_tblspc/16384/."), 1000 * 1024, 600 * 1024),
        FileSystem(("pg_wal/.",), 2000 * 1024, 1500 * 1024),
    ]


def test_the_columns_of_busybox() -> None:
    line = ". /dev/vda             264212084  28777964  66723300  30% /"
    (found,) = parse_file_systems([line])
    assert (found.size_bytes, found.free_bytes) == (264212084 * 1024, 66723300 * 1024)


def test_names_with_spaces_and_what_is_over_full() -> None:
    (found,) = parse_file_systems([". //nas/my share   1000 1020 -20 102% /mnt/my data"])
    assert (found.size_bytes, found.free_bytes) == (1000 * 1024, -20 * 1024)


@pytest.mark.parametrize(
    "line",
    [
        "",
        ". ",
        "pg_tblspc/*/. ",
        # BusyBox prints its heading all the same.
        "pg_tblspc/*/. Filesystem           1024-blocks    Used Available Capacity Mounted on",
        ". df: not found",
        ". /dev/sda - - - - /data",
    ],
)
def test_other_lines_are_left_out(line: str) -> None:
    assert parse_file_systems([line]) == []


@pytest.mark.parametrize(
    ("size", "reserved", "kept"), [(10, 1, 0.5), (20, 2, 1), (50, 5, 1), (1000, 5, 1)]
)
def test_a_tenth_is_reserved_but_at_most_five_gibibytes(
    size: int, reserved: int, kept: float
) -> None:
    found = FileSystem((".",), size * GIBIBYTE, 7 * GIBIBYTE)
    assert found.reserved_bytes == reserved * GIBIBYTE
    assert found.kept_bytes == kept * GIBIBYTE
    assert found.spare_bytes == (7 - reserved) * GIBIBYTE


def test_the_log_grows_to_its_limit_and_by_no_more_than_is_written() -> None:
    assert WalUsage(300, 1000).growth(10_000) == 700
    assert WalUsage(300, 1000).growth(50) == 50
    assert WalUsage(1500, 1000).growth(10_000) == 0
    assert WalUsage(300, None).growth(10_000) == 10_000


def test_a_folder_of_this_machine(tmp_path) -> None:
    assert 0 < local_file_system(tmp_path).free_bytes <= local_file_system(tmp_path).size_bytes
    with pytest.raises(RoomUnknown, match="none"):
        local_file_system(tmp_path / "none")
