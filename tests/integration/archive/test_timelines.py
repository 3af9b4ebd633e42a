"""Archivers of three servers over a promotion: no segment is missing, and none has two contents."""

from __future__ import annotations

import shutil
import signal
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.archive import names
from ansible_collections.postgres.operator.plugins.module_utils.archive.history import (
    parse_history,
    switch_of,
)
from ansible_collections.postgres.operator.plugins.module_utils.archive.wal_archive import (
    WalArchive,
    archive_location,
)
from ansible_collections.postgres.operator.plugins.module_utils.store.filesystem import (
    FilesystemStore,
)
from instances import USER, Instance, wait_for


@pytest.fixture
def make(postgres_server, tmp_path) -> Iterator[Callable[..., Instance]]:
    """Make instances of one Database."""
    made: list[Instance] = []
    root = Path(tempfile.mkdtemp(prefix="timelines-"))
    root.chmod(0o755)
    store = tmp_path / "store"
    store.mkdir()
    settings = {
        "namespace": "ns",
        "database": "app",
        "uid": str(uuid.uuid4()),
        "recipients": [],
        "root": str(store),
    }

    def one(primary: Instance | None = None) -> Instance:
        instance = Instance(root / str(len(made)), postgres_server.account, settings)
        made.append(instance)
        instance.make(primary)
        return instance

    yield one
    for instance in made:
        instance.end(signal.SIGKILL)
    shutil.rmtree(root)


@pytest.fixture
def reader(make, tmp_path) -> Callable[[Instance], WalArchive]:
    return lambda one: WalArchive(
        FilesystemStore(Path(str(one.archive["root"]))),
        archive_location("ns", "app", str(one.archive["uid"])),
        None,
        tmp_path,
    )


def test_a_primary_that_is_lost_with_what_it_had_not_archived(make, reader, tmp_path) -> None:
    """Its archiver had stopped before: the replicas have the segments, and archive them."""
    primary = make()
    promoted, other = make(primary), make(primary)
    for one in (primary, promoted, other):
        one.start_archiver()
    archive = reader(primary)
    first = primary.write()
    wait_for(lambda: archive.find(first) and not primary.waiting(), "all is stored")
    primary.archiver.kill()
    promoted.archiver.kill()
    other.archiver.kill()
    unarchived = [primary.write() for _ in range(3)]
    primary.query("INSERT INTO t SELECT 'in the middle of a segment'")
    lsn = primary.query("SELECT pg_current_wal_flush_lsn()")
    for one in (promoted, other):
        wait_for(
            lambda one=one: one.query(f"SELECT pg_last_wal_receive_lsn() >= '{lsn}'"), "it has all"
        )
    primary.end(signal.SIGKILL)
    promoted.query("SELECT pg_promote()")
    wait_for(lambda: not promoted.query("SELECT pg_is_in_recovery()"), "it is primary")
    for one in (promoted, other):
        one.start_archiver()
    other.query(
        f"ALTER SYSTEM SET primary_conninfo = 'host=127.0.0.1 port={promoted.port} user={USER}'"
    )
    other.query("SELECT pg_reload_conf()")
    made = [promoted.write() for _ in range(3)]
    assert {names.timeline_of(name) for name in made} == {2}
    wait_for(lambda: archive.find(made[-1]), "the new timeline is stored")
    for one in (promoted, other):
        wait_for(lambda one=one: not one.waiting(), "nothing waits", 90)
    assert set(unarchived) <= set(archive.segments(1))
    assert archive.histories() == [2]
    assert archive.fetch("00000002.history", tmp_path / "history")
    switch = switch_of(parse_history((tmp_path / "history").read_text(), 2), 1)
    assert switch is not None
    end = switch.lsn // names.SEGMENT_SIZE
    one, two = ([names.segment_number(name) for name in archive.segments(line)] for line in (1, 2))
    assert one == list(range(1, end)), "whole ones, to the switch"
    assert two == list(range(end, two[-1] + 1)), "from the switch on"
    # The replica handed over what it had of the segment, under the name of a whole one.
    ended = names.segment_name(1, end)
    assert f"{ended} is where its timeline ended" in other.log
    assert archive.find(ended) is None
    for log in (promoted.log, other.log):
        assert "cannot archive" not in log


def test_a_former_primary_comes_back(make, reader) -> None:
    """It streams from its successor, and archives what it had without a conflict."""
    primary = make()
    promoted = make(primary)
    for one in (primary, promoted):
        one.start_archiver()
    archive = reader(primary)
    first = primary.write()
    wait_for(lambda: archive.find(first) and not primary.waiting(), "all is stored")
    primary.end(signal.SIGINT)
    promoted.query("SELECT pg_promote()")
    wait_for(lambda: not promoted.query("SELECT pg_is_in_recovery()"), "it is primary")
    promoted.write()
    (primary.data / "standby.signal").touch()
    primary.configure(promoted)
    primary.start()
    primary.start_archiver()
    last = promoted.write()
    wait_for(lambda: archive.find(last), "it is stored")
    for one in (primary, promoted):
        wait_for(lambda one=one: not one.waiting(), "nothing waits", 90)
    assert "ArchiveConflict" not in primary.log + promoted.log
    found = [names.segment_number(name) for line in (1, 2) for name in archive.segments(line)]
    assert sorted(set(found)) == list(range(found[0], found[-1] + 1))
