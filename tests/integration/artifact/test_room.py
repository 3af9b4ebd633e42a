"""Restores into a volume that is too small: refused with the figures, or given up in time.

The volume is a small file system in memory, which can really be full.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ansible_collections.postgres.operator.plugins.module_utils import errors
from ansible_collections.postgres.operator.plugins.module_utils.artifact.backup_room import (
    PreviousBackup,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.create import (
    create_artifact,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.progress import Progress
from ansible_collections.postgres.operator.plugins.module_utils.artifact.selection import (
    parse_selection,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.verify import (
    VerifyRequest,
    verify_artifact,
)
from ansible_collections.postgres.operator.plugins.module_utils.postgres.connection import connect
from ansible_collections.postgres.operator.plugins.module_utils.postgres.disk_space import (
    RoomUnknown,
    read_file_systems,
    read_wal_usage,
)
from ansible_collections.postgres.operator.plugins.module_utils.store.filesystem import (
    FilesystemStore,
)

MEBIBYTE = 1024 * 1024
SIZE = 1024 * MEBIBYTE
RESERVE = SIZE // 10


class SmallVolume:
    """The volume of a server.

    Attributes:
        folder: where it is mounted.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def free(self) -> int:
        found = os.statvfs(self.folder)
        return found.f_bavail * found.f_frsize

    def leave(self, size: int) -> None:
        """Take all room but so much, as other files do."""
        self.release()
        subprocess.run(
            ["fallocate", "--length", str(self.free - size), self.folder / "others"], check=True
        )

    def release(self) -> None:
        (self.folder / "others").unlink(missing_ok=True)


@contextmanager
def mounted(size: int) -> Iterator[SmallVolume]:
    folder = Path(tempfile.mkdtemp(prefix="postgres-small-"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
    yield SmallVolume(folder)
    subprocess.run(["umount", folder], check=True)
    folder.rmdir()


@pytest.fixture(scope="module")
def volume() -> Iterator[SmallVolume]:
    with mounted(SIZE) as made:
        yield made


@pytest.fixture
def claim() -> Iterator[SmallVolume]:
    """A volume for backups."""
    with mounted(64 * MEBIBYTE) as made:
        yield made


@pytest.fixture(scope="module")
def small_server(volume: SmallVolume, run_server):
    with run_server(volume.folder, max_wal_size="64MB", max_slot_wal_keep_size="256MB") as server:
        yield server


@pytest.fixture
def small(small_server, volume: SmallVolume, bench_of, tmp_path: Path):
    """A database of some 100 MiB that is backed up outside of its volume, and then changed."""
    with small_server.connect() as connection:
        connection.execute("CREATE DATABASE app")
    bench = bench_of(small_server, "app", tmp_path)
    bench.execute(
        "CREATE TABLE version AS SELECT 'old' AS name;"
        "CREATE TABLE big AS SELECT n, repeat(md5(n::text), 30) AS text"
        "  FROM generate_series(1, 100000) n"
    )
    bench.backup()
    bench.execute("UPDATE version SET name = 'new'; CHECKPOINT")
    yield bench
    volume.release()
    for name in bench.databases():
        bench.execute(f'DROP DATABASE "{name}" WITH (FORCE)', "postgres")


def assert_untouched(bench) -> None:
    """The live database is as it was, nothing else is left, and the server never lacked room."""
    assert bench.databases() == {"app"}
    assert bench.scalar("SELECT name FROM version") == "new"
    assert bench.scalar("SELECT count(*) FROM pg_roles WHERE rolname ~ '^postgres_operator'") == 0
    assert "No space left" not in bench.server.log


def test_a_backup_says_what_its_database_takes(small) -> None:
    manifest = small.backup(compression=small.backup_request().compression).manifest
    assert manifest.source.size_bytes == small.scalar("SELECT pg_database_size('app')")
    sizes = {table.name: table.size_bytes for table in manifest.tables}
    assert sizes["big"] == small.scalar("SELECT pg_total_relation_size('big')") > 90 * MEBIBYTE


def test_the_volume_is_known(small, volume: SmallVolume) -> None:
    with connect(small.parameters.maintenance) as connection:
        (found,) = read_file_systems(connection)
    assert found.folders == (".", "pg_wal/.")
    assert found.size_bytes == SIZE
    assert abs(found.free_bytes - volume.free) < MEBIBYTE


def test_a_restore_that_would_leave_less_than_the_reserve_is_refused_with_the_figures(
    small, volume: SmallVolume
) -> None:
    volume.leave(RESERVE + 60 * MEBIBYTE)
    with pytest.raises(errors.NotEnoughRoom) as refused:
        small.restore()
    message = refused.value.message
    assert re.search(r"about 1\d\d\.\dMi are needed, 1\d\d\.\dMi for the database", message)
    assert "162.4Mi of 1.0Gi are free and 102.4Mi reserved" in message
    assert "with more storage" in message
    assert "consent.tryWithoutRoom" in message
    assert_untouched(small)
    volume.release()
    assert small.restore().summary["rows"] == 100001


def test_it_is_refused_before_the_safety_backup(small, volume: SmallVolume, early_refusal) -> None:
    status = {"restoreSizeBytes": small.scalar("SELECT pg_database_size('app')")}
    assert early_refusal(small, status) is None
    volume.leave(RESERVE + 60 * MEBIBYTE)
    reason, message = early_refusal(small, status)
    assert reason == "NotEnoughRoom"
    assert message.startswith("backup friday was not restored, and nothing of it was written")
    assert "162.4Mi of 1.0Gi are free and 102.4Mi reserved" in message
    assert early_refusal(small, status, consent={"tryWithoutRoom": True}) is None
    for unknown in (
        early_refusal(small),
        early_refusal(small, status, include={"tables": ["public.version"]}),
    ):
        assert unknown is None, "that takes less, and the Job knows how much"
    assert_untouched(small)


def test_a_replaced_database_that_is_kept_is_named(small, volume: SmallVolume) -> None:
    done = small.restore().summary
    small.execute("UPDATE version SET name = 'new'")
    volume.leave(RESERVE + 60 * MEBIBYTE)
    with pytest.raises(errors.NotEnoughRoom) as refused:
        small.restore()
    previous = done["previousDatabase"]
    assert re.search(
        rf'drop replaced databases that are kept, "{previous}" \(1\d\d\.\dMi\)',
        refused.value.message,
    )


def test_what_a_killed_run_of_it_has_left_counts_as_free(small, volume: SmallVolume) -> None:
    uid = str(uuid.uuid4())
    small.execute(f'CREATE DATABASE "restore_{uid[:8]}" TEMPLATE app', "postgres")
    volume.leave(RESERVE + 60 * MEBIBYTE)
    assert small.restore(uid=uid).summary["rows"] == 100001


def test_a_part_takes_what_its_tables_do(small, volume: SmallVolume) -> None:
    volume.leave(RESERVE + 60 * MEBIBYTE)
    selection = parse_selection({"tables": ["public.version"]}, None)
    assert small.restore(selection=selection, partial=True).summary["rows"] == 1


def test_a_restore_gives_up_before_the_server_lacks_room(small, volume: SmallVolume) -> None:
    volume.leave(RESERVE)
    with pytest.raises(errors.NotEnoughRoom) as given_up:
        small.restore(try_without_room=True)
    assert "was given up before the disk was full" in given_up.value.message
    assert "make another Restore" in given_up.value.message
    assert_untouched(small)


def test_a_verification_gives_up_before_its_disk_is_full(small, volume: SmallVolume) -> None:
    volume.leave(RESERVE)
    with tempfile.TemporaryDirectory(dir=volume.folder) as scratch:
        Path(scratch).chmod(0o755)
        with pytest.raises(errors.NotEnoughRoom, match="make room there"):
            verify_artifact(VerifyRequest(small.store, small.location, Path(scratch)))
        assert list(Path(scratch).iterdir()) == []
        volume.release()
        done = verify_artifact(VerifyRequest(small.store, small.location, Path(scratch)))
    assert done["rows"] == 100001


def test_a_backup_is_not_begun_where_half_of_what_it_takes_is_not_free(
    bench, claim: SmallVolume
) -> None:
    bench.files = FilesystemStore(claim.folder)
    rows = 20001
    with pytest.raises(errors.NotEnoughRoom) as refused:
        bench.backup(previous=PreviousBackup(130 * MEBIBYTE, rows))
    message = refused.value.message
    assert f"takes about 130.0Mi in the volume at {claim.folder}" in message
    assert "64.0Mi of 64.0Mi are free" in message
    assert "delete Backups that are not needed" in message
    assert not bench.files.exists(bench.location)
    bench.execute("DELETE FROM numbers WHERE n > 10000")
    assert bench.backup(previous=PreviousBackup(130 * MEBIBYTE, rows)).manifest.rows == 10001


def test_a_backup_that_may_have_room_is_begun_and_its_log_says_so(
    bench, claim: SmallVolume, tmp_path: Path
) -> None:
    bench.files = FilesystemStore(claim.folder)
    request = bench.backup_request(previous=PreviousBackup(100 * MEBIBYTE, 20001))
    create_artifact(request, Progress(tmp_path / "log"))
    assert "There may be too little room: as the previous" in (tmp_path / "log").read_text()


def test_the_spool_has_to_hold_the_largest_table(
    bench, claim: SmallVolume, key, tmp_path: Path
) -> None:
    bench.key, bench.spool = key, claim.folder
    with pytest.raises(errors.NotEnoughRoom, match=r"in the spool .* on the node's disk"):
        bench.backup(previous=PreviousBackup(130 * MEBIBYTE, 20001))
    assert list(claim.folder.iterdir()) == []
    # It is there twice, as it is and encrypted.
    assert bench.backup(previous=PreviousBackup(50 * MEBIBYTE, 20001)).manifest.rows == 20001


def test_what_the_spool_cannot_hold_is_not_fetched(
    bench, claim: SmallVolume, key, tmp_path: Path
) -> None:
    bench.key, bench.spool = key, tmp_path / "spool"
    bench.spool.mkdir()
    size = bench.backup().manifest.size_bytes
    bench.spool = claim.folder
    claim.leave(size - 8192)
    with pytest.raises(errors.NotEnoughRoom, match="in the spool") as refused:
        bench.restore()
    assert "jobs.resources.requests.ephemeral-storage" in refused.value.message
    assert [path.name for path in claim.folder.iterdir()] == ["others"]
    claim.release()
    assert bench.restore().summary["tables"] == 2


def test_a_slot_that_nothing_streams_from_counts(small) -> None:
    with small.connect("postgres") as connection:
        assert read_wal_usage(connection).limit_bytes == 64 * MEBIBYTE
        connection.execute("SELECT pg_create_physical_replication_slot('idle', true)")
        try:
            assert read_wal_usage(connection).limit_bytes == 256 * MEBIBYTE
        finally:
            connection.execute("SELECT pg_drop_replication_slot('idle')")


def test_without_df_a_restore_goes_on_and_says_so(run_server, bench_of, tmp_path: Path) -> None:
    folder = Path(tempfile.mkdtemp(prefix="postgres-test-"))
    with run_server(folder, environment={"PATH": str(tmp_path)}) as server:
        with server.connect() as connection:
            connection.execute("CREATE DATABASE app")
        store = tmp_path / "store"
        store.mkdir()
        bench = bench_of(server, "app", store)
        bench.execute("CREATE TABLE t AS SELECT 1")
        bench.backup()
        with connect(bench.parameters.maintenance) as connection, pytest.raises(RoomUnknown):
            read_file_systems(connection)
        assert (
            "the free room on the volume of the primary was not known"
            in bench.restore().summary["warning"]
        )
