"""When a restore would leave too little room."""

from __future__ import annotations

from ansible_collections.postgres.operator.plugins.module_utils.artifact.room import (
    Room,
    describe_kept,
)
from ansible_collections.postgres.operator.plugins.module_utils.postgres.disk_space import (
    FileSystem,
    WalUsage,
)

GIBIBYTE = 1024**3
IDLE = WalUsage(0, 0)


def volume(free: float, *folders: str) -> FileSystem:
    """A volume of 100 GiB, of which 5 GiB are reserved."""
    return FileSystem(folders or (".", "pg_wal/."), 100 * GIBIBYTE, int(free * GIBIBYTE))


def room(free: float, data: float | None, wal: WalUsage = IDLE, reclaimed: float = 0) -> Room:
    data_bytes = None if data is None else int(data * GIBIBYTE)
    return Room([volume(free)], wal, data_bytes, int(reclaimed * GIBIBYTE))


def test_the_reserve_has_to_be_left() -> None:
    assert not room(25, 20).lacks
    assert room(24.9, 20).lacks


def test_the_log_grows_on_the_same_volume() -> None:
    log = WalUsage(GIBIBYTE, 3 * GIBIBYTE)
    assert not room(27, 20, log).lacks
    assert room(26.9, 20, log).lacks
    assert "22.0Gi are needed, 20.0Gi for the database and 2.0Gi" in room(9, 20, log).describe()


def test_a_log_on_a_volume_of_its_own_needs_room_there() -> None:
    log = WalUsage(0, 2 * GIBIBYTE)
    for data, wal, lacks in ((25, 7, False), (24, 7, True), (25, 6, True)):
        places = [volume(data, "."), volume(wal, "pg_wal/.")]
        assert Room(places, log, 20 * GIBIBYTE).lacks == lacks


def test_tablespaces_count_together_since_a_backup_does_not_say_where_its_tables_go() -> None:
    places = [volume(15), volume(15, "pg_tblspc/16384/.")]
    assert not Room(places, IDLE, 20 * GIBIBYTE).lacks
    assert Room(places, IDLE, 21 * GIBIBYTE).lacks


def test_what_is_dropped_before_counts_as_free() -> None:
    assert not room(15, 20, reclaimed=10).lacks


def test_of_an_older_backup_only_the_reserve_is_known() -> None:
    assert not room(5, None, WalUsage(0, GIBIBYTE)).lacks
    assert room(4.9, None).lacks
    assert "needed" not in room(4.9, None).describe()


def test_databases_that_are_kept_are_named() -> None:
    assert describe_kept([]) == ""
    assert '"app_before_1" (2.0Gi)' in describe_kept([("app_before_1", 2 * GIBIBYTE)])
