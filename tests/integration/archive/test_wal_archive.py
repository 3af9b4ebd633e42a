"""What an archive takes and gives back, and what it refuses."""

from __future__ import annotations

import hashlib
import os
import random
from dataclasses import replace
from pathlib import Path

import pyrage
import pytest
from ansible_collections.postgres.operator.plugins.module_utils import errors
from ansible_collections.postgres.operator.plugins.module_utils.archive.wal_archive import (
    StoredWrong,
    WalArchive,
    archive_location,
)
from ansible_collections.postgres.operator.plugins.module_utils.store.encryption import (
    EncryptionKey,
)
from s3_faults import faulty

FIRST = "000000010000000000000001"
SECOND = "000000010000000000000002"
OTHER_LOG = "000000010000000100000000"
UID = "0f8fad5b-d9cb-469f-a165-70867728950e"


@pytest.fixture
def wal(tmp_path: Path) -> Path:
    """A folder for files on this side."""
    folder = tmp_path / "wal"
    folder.mkdir()
    return folder


def segment(folder: Path, name: str, seed: int = 1, size: int = 1 << 20) -> Path:
    """A file that compresses a little."""
    path = folder / name
    path.write_bytes(random.Random(seed).randbytes(size // 2) + bytes(size // 2))
    return path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_what_was_put_comes_back(place, wal, spool) -> None:
    place.writer.identify(place.identity, create=True)
    names = [FIRST, OTHER_LOG, f"{SECOND}.partial", "00000002.history", f"{FIRST}.00000028.backup"]
    for number, name in enumerate(names):
        path = segment(wal, name, number)
        assert place.writer.put(name, path)
        assert not place.writer.put(name, path), "it is there"
        target = wal / "back"
        assert place.reader.fetch(name, target)
        assert digest(target) == digest(path)
        target.unlink()
    assert list(spool.iterdir()) == []
    suffix = ".zst.age" if place.writer.key else ".zst"
    assert set(place.files()) == {
        "archive.json",
        f"00000001/00000000/{FIRST}-{digest(wal / FIRST)}{suffix}",
        f"00000001/00000001/{OTHER_LOG}-{digest(wal / OTHER_LOG)}{suffix}",
        f"00000001/00000000/{SECOND}.partial-{digest(wal / f'{SECOND}.partial')}{suffix}",
        f"00000002/00000002.history-{digest(wal / '00000002.history')}{suffix}",
        f"00000001/00000000/{FIRST}.00000028.backup-"
        f"{digest(wal / f'{FIRST}.00000028.backup')}{suffix}",
    }
    assert place.reader.histories() == [2]


def test_segments_are_in_order(place, wal) -> None:
    names = [OTHER_LOG, SECOND, FIRST, "0000000100000000000000FF", "000000010000000A00000000"]
    for name in names:
        place.writer.put(name, segment(wal, name, size=1000))
    place.writer.put(f"{FIRST}.partial", segment(wal, "partial", size=1000))
    place.writer.put("000000020000000000000003", segment(wal, "other", size=1000))
    assert list(place.reader.segments(1)) == sorted(names)
    assert list(place.reader.segments(1, "0000000100000000000000FF")) == sorted(names)[2:]
    assert list(place.reader.segments(3)) == []


def test_other_content_is_refused_and_nothing_overwritten(place, wal) -> None:
    place.writer.put(FIRST, segment(wal, FIRST))
    before = place.files()
    with pytest.raises(errors.ArchiveConflict, match=f"{FIRST} with other content"):
        place.writer.put(FIRST, segment(wal, FIRST, seed=2))
    assert place.files() == before


def test_two_contents_of_a_segment_are_not_used(place, wal, monkeypatch) -> None:
    """Two servers that write at the same time: neither sees the other's before it has written."""
    place.writer.put(FIRST, segment(wal, FIRST))
    real, seen = WalArchive._stored, []

    def blind_at_first(self, name):
        seen.append(name)
        return [] if len(seen) == 1 else real(self, name)

    monkeypatch.setattr(WalArchive, "_stored", blind_at_first)
    with pytest.raises(errors.ArchiveConflict):
        place.writer.put(FIRST, segment(wal, FIRST, seed=2))
    monkeypatch.undo()
    with pytest.raises(errors.ArchiveConflict, match="2 contents"):
        place.reader.fetch(FIRST, wal / "back")
    assert not (wal / "back").exists()


def test_a_partial_segment_may_have_several_contents(place, wal) -> None:
    name = f"{FIRST}.partial"
    assert place.writer.put(name, segment(wal, name))
    assert place.writer.put(name, segment(wal, name, seed=2))
    assert not place.writer.put(name, segment(wal, name))
    assert len(place.files()) == 2


def test_only_the_archive_says_that_a_file_is_not_there(place, wal, tmp_path) -> None:
    with pytest.raises(errors.ArchiveMissing):
        place.reader.fetch(FIRST, wal / "back")
    place.writer.identify(place.identity, create=True)
    assert not place.reader.fetch(FIRST, wal / "back")
    store = place.reader.store
    gone = (
        replace(store, bucket="no-such-bucket")
        if hasattr(store, "bucket")
        else replace(store, root=tmp_path / "not-mounted")
    )
    with pytest.raises((errors.BackupLocationMissing, errors.StoreUnreachable)):
        replace(place.reader, store=gone).fetch(FIRST, wal / "back")
    assert list(wal.iterdir()) == []


@pytest.mark.parametrize("harm", ["changed", "cut", "other"])
def test_what_was_damaged_is_not_handed_out(place, wal, harm: str) -> None:
    place.writer.identify(place.identity, create=True)
    place.writer.put(FIRST, segment(wal, FIRST))
    place.writer.put(SECOND, segment(wal, SECOND, seed=2))
    stored = next(place.folder.rglob(f"{FIRST}-*"))
    content = bytearray(stored.read_bytes())
    if harm == "changed":
        content[len(content) // 2] ^= 1
    elif harm == "cut":
        del content[len(content) // 2 :]
    else:
        content = bytearray(next(place.folder.rglob(f"{SECOND}-*")).read_bytes())
    stored.write_bytes(content)
    with pytest.raises(errors.ChecksumMismatch):
        place.reader.fetch(FIRST, wal / "back")
    assert sorted(path.name for path in wal.iterdir()) == [FIRST, SECOND]


def test_an_archive_belongs_to_one_server(place) -> None:
    with pytest.raises(errors.ArchiveMissing):
        place.reader.identify(place.identity, create=False)
    assert place.writer.identify(place.identity, create=True) == place.identity
    assert place.reader.identify(place.identity, create=False) == place.identity
    for other in (
        replace(place.identity, system_identifier="7002"),
        replace(place.identity, uid="00000000-0000-0000-0000-000000000000"),
    ):
        before = place.files()
        with pytest.raises(errors.ArchiveConflict, match="another server"):
            place.writer.identify(other, create=True)
        assert place.files() == before


def test_what_writes_cannot_read(place, wal) -> None:
    place.writer.identify(place.identity, create=True)
    place.writer.put(FIRST, segment(wal, FIRST))
    if not place.writer.key:
        with pytest.raises(errors.EncryptionKeyWrong, match="not encrypted"):
            replace(place.reader, key=EncryptionKey(recipients=("age1x",))).fetch(FIRST, wal / "x")
        return
    with pytest.raises(errors.EncryptionKeyWrong):
        place.writer.fetch(FIRST, wal / "back")
    with pytest.raises(errors.EncryptionKeyWrong, match="is encrypted"):
        replace(place.writer, key=None).fetch(FIRST, wal / "back")
    assert not (wal / "back").exists()
    content = (wal / FIRST).read_bytes()[:64]
    assert all(content not in stored for stored in place.files().values())


def test_artifacts_and_archive_do_not_see_each_other(place, wal) -> None:
    place.writer.identify(place.identity, create=True)
    place.writer.put(FIRST, segment(wal, FIRST))
    before = place.files()
    store, location = place.writer.store, place.writer.location
    assert store.list_finished() == []
    assert store.list_finished(location.namespace, location.database) == []
    unfinished = store.list_unfinished(location.namespace, location.database, lambda name: True)
    assert unfinished == {}
    beside = replace(location, uid=UID)
    store.begin(beside)
    store.finish(beside, "manifest.json", b"{}")
    assert store.list_finished() == [beside]
    assert store.remove(beside)
    assert place.files() == before


def test_a_local_file_that_is_gone_is_no_fault_of_the_store(place, wal) -> None:
    with pytest.raises(FileNotFoundError):
        place.writer.put(FIRST, wal / FIRST)


def test_a_killed_write_leaves_no_file(place, wal, monkeypatch) -> None:
    """Of a folder: what appears appears whole, by the rename."""
    if hasattr(place.writer.store, "bucket"):
        pytest.skip("a bucket has whole objects only")
    place.writer.identify(place.identity, create=True)

    def killed(self, target):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        place.writer.put(FIRST, segment(wal, FIRST))
    monkeypatch.undo()
    assert not place.reader.fetch(FIRST, wal / "back")
    assert place.writer.put(FIRST, wal / FIRST)
    assert place.reader.fetch(FIRST, wal / "back")
    assert [path.name for path in place.folder.rglob(".*")] == []


def test_everything_is_on_the_disk_when_put_returns(place, wal, monkeypatch) -> None:
    if hasattr(place.writer.store, "bucket"):
        pytest.skip("a folder's")
    events = []
    real_sync, real_replace = os.fsync, Path.replace

    def sync(descriptor: int) -> None:
        events.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        real_sync(descriptor)

    def rename(self, target):
        events.append("rename")
        return real_replace(self, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "replace", rename)
    place.writer.put(FIRST, segment(wal, FIRST))
    at = events.index("rename")
    assert events[at - 1].startswith(f".{FIRST}-")
    assert events[at + 1] == "00000000", "the folder that has the name"
    assert {"ns", "app", place.writer.location.uid, "00000001"} <= set(events[:at]) | {"ns"}


@pytest.mark.parametrize("kind", ["status-503", "stall", "reset"])
def test_a_store_that_is_away_raises(s3, s3_store, wal, spool, kind) -> None:
    with faulty(s3) as (endpoint, faults):
        archive = WalArchive(
            replace(s3_store, endpoint=endpoint, timeout_seconds=0.5, attempts=1),
            archive_location("ns", "app", UID),
            None,
            spool,
        )
        faults.set(kind, lambda method, path: method == "PUT")
        with pytest.raises(errors.StoreUnreachable):
            archive.put(FIRST, segment(wal, FIRST))
        faults.set(kind, lambda method, path: method == "GET")
        with pytest.raises(errors.StoreUnreachable):
            archive.fetch(FIRST, wal / "back")
        faults.set("", lambda method, path: False)
        assert archive.put(FIRST, wal / FIRST)


def test_a_store_that_confirms_and_forgets(s3, s3_store, wal, spool) -> None:
    with faulty(s3) as (endpoint, faults):
        archive = WalArchive(
            replace(s3_store, endpoint=endpoint), archive_location("ns", "app", UID), None, spool
        )
        faults.set("forget", lambda method, path: method == "PUT")
        with pytest.raises(errors.StoreUnreachable, match="confirmed that, and has nothing"):
            archive.put(FIRST, segment(wal, FIRST))


def test_a_store_that_keeps_half_of_it(place, wal, monkeypatch) -> None:
    """What has the right name is stored again only where it is known to be wrong."""
    store = type(place.writer.store)
    real = store.put_file

    def half(self, location, name, path) -> None:
        short = path.with_name("short")
        short.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        real(self, location, name, short)

    monkeypatch.setattr(store, "put_file", half)
    path = segment(wal, FIRST)
    with pytest.raises(StoredWrong, match="confirmed that, and has"):
        place.writer.put(FIRST, path)
    monkeypatch.undo()
    assert place.writer.put(FIRST, path, anew=True)
    place.writer.identify(place.identity, create=True)
    assert place.reader.fetch(FIRST, wal / "back")


def test_two_instances_store_the_same_at_the_same_time(place, wal, key, monkeypatch) -> None:
    """Encrypted for other recipients it has another size, and is as good."""
    other = replace(place.writer, key=None)
    if place.writer.key:
        more = pyrage.x25519.Identity.generate().to_public()
        other = replace(place.writer, key=EncryptionKey(recipients=(*key.public_keys, str(more))))
    path = segment(wal, FIRST)
    store = type(place.writer.store)
    real, at_the_same_time = store.put_file, []

    def put_file(self, location, name, packed) -> None:
        real(self, location, name, packed)
        if not at_the_same_time:
            at_the_same_time.append(name)
            other.put(FIRST, path, anew=True)

    monkeypatch.setattr(store, "put_file", put_file)
    assert place.writer.put(FIRST, path)
    assert len(place.files()) == 1
