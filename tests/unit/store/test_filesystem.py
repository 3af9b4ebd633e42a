"""Artifacts in folders: durable in the right order, and nothing is followed out of them."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from ansible_collections.postgres.operator.plugins.module_utils import errors
from ansible_collections.postgres.operator.plugins.module_utils.store import filesystem
from ansible_collections.postgres.operator.plugins.module_utils.store.filesystem import (
    FilesystemStore,
    store_errors,
)
from ansible_collections.postgres.operator.plugins.module_utils.store.protocol import Location

LOCATION = Location("ns", "app", "0f8fad5b")
UID = "0f8fad5b-d9cb-469f-a165-70867728950e"


@pytest.fixture
def store(tmp_path) -> FilesystemStore:
    return FilesystemStore(tmp_path)


@pytest.mark.parametrize(
    "bad", ["", "..", "a/b", "/", "A", "a..b", "-a", "a-", "ü", "a\n", "x" * 300]
)
def test_names_that_lead_elsewhere(bad: str) -> None:
    for arguments in ((bad, "app", "u"), ("ns", bad, "u"), ("ns", "app", bad)):
        with pytest.raises(errors.InvalidInput):
            Location(*arguments)


def test_a_manifest_makes_it_finished(store) -> None:
    store.begin(LOCATION)
    folder = store.folder(LOCATION)
    (folder / "file").write_text("content")
    assert not store.is_finished(LOCATION)
    with pytest.raises(errors.BackupLocationMissing):
        store.read_manifest(LOCATION, 100)
    store.finish(LOCATION, "manifest.json", b"{}")
    assert store.is_finished(LOCATION)
    assert store.read_manifest(LOCATION, 100) == b"{}"
    assert store.file_names(LOCATION) == {"file"}


def test_everything_is_on_the_disk_before_the_manifest_appears(store, monkeypatch) -> None:
    events: list[str] = []
    real_sync, real_replace = filesystem.sync_path, Path.replace

    def sync(path: Path) -> None:
        events.append(f"sync {path.name}")
        real_sync(path)

    def replace(self: Path, target: Path) -> Path:
        events.append("rename")
        return real_replace(self, target)

    store.begin(LOCATION)
    folder = store.folder(LOCATION)
    (folder / "dump").mkdir()
    (folder / "dump" / "a").write_text("a")
    monkeypatch.setattr(filesystem, "sync_path", sync)
    monkeypatch.setattr(Path, "replace", replace)
    store.finish(LOCATION, "manifest.json", b"{}")
    at = events.index("rename")
    assert {"sync a", "sync dump", "sync 0f8fad5b"} <= set(events[:at])
    assert events[at + 1 :][:1] == ["sync 0f8fad5b"], "the rename itself is made durable"


def test_a_crash_before_the_rename_leaves_no_manifest(store, monkeypatch) -> None:
    store.begin(LOCATION)

    def crash(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        store.finish(LOCATION, "manifest.json", b"{}")
    assert not store.is_finished(LOCATION)


def test_begin_replaces_a_leftover(store) -> None:
    store.begin(LOCATION)
    folder = store.folder(LOCATION)
    (folder / "dump").mkdir()
    (folder / "dump" / "old").write_text("x")
    store.begin(LOCATION)
    assert list(folder.iterdir()) == []


def test_a_removal_starts_with_the_manifest(store, monkeypatch) -> None:
    store.begin(LOCATION)
    folder = store.folder(LOCATION)
    (folder / "file").write_text("x")
    store.finish(LOCATION, "manifest.json", b"{}")

    def crash(path: Path) -> None:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(filesystem.shutil, "rmtree", crash)
    with pytest.raises(errors.StoreUnreachable):
        store.remove(LOCATION)
    assert not store.is_finished(LOCATION)
    monkeypatch.undo()
    assert store.remove(LOCATION) is True
    assert store.remove(LOCATION) is False


def test_links_and_odd_files_are_not_followed(store, tmp_path) -> None:
    store.begin(LOCATION)
    folder = store.folder(LOCATION)
    (tmp_path / "secret").write_text("secret")
    (folder / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(errors.ChecksumMismatch), store.open(LOCATION, "link"):
        pass
    with pytest.raises(errors.ChecksumMismatch, match="link"):
        store.file_names(LOCATION)
    (folder / "link").unlink()
    os.mkfifo(folder / "pipe")
    with pytest.raises(errors.ChecksumMismatch), store.open(LOCATION, "pipe"):
        pass
    with pytest.raises(errors.ChecksumMismatch), store.open(LOCATION, "missing"):
        pass


def test_a_manifest_without_end(store) -> None:
    store.begin(LOCATION)
    store.finish(LOCATION, "manifest.json", b"x" * 101)
    with pytest.raises(errors.ChecksumMismatch, match="exceeds"):
        store.read_manifest(LOCATION, 100)


def is_file_name(name: str) -> bool:
    return name == "dump/1.dat"


def begin(store: FilesystemStore, uid: str, *names: str) -> Path:
    """What a backup that was killed has left, with these files."""
    folder = store.root / "ns" / "app" / uid
    for path in (folder / name for name in names):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    return folder


@pytest.mark.parametrize("names", [["dump/1.dat"], ["dump/1.dat", ".manifest.json.new"]])
def test_what_a_backup_writes_and_has_no_manifest_is_unfinished(store, names) -> None:
    begin(store, UID, *names)
    assert set(store.list_unfinished("ns", "app", is_file_name)) == {UID}


def test_a_folder_that_a_backup_has_just_made_is_unfinished(store) -> None:
    store.begin(Location("ns", "app", UID))
    assert set(store.list_unfinished("ns", "app", is_file_name)) == {UID}


@pytest.mark.parametrize(
    "uid", ["wals", "base", "0f8fad5b", UID.upper(), UID.replace("-", ""), UID + "-1", "x" + UID]
)
def test_what_has_no_uuid_for_its_name_is_not_ours(store, uid) -> None:
    begin(store, uid, "dump/1.dat")
    assert store.list_unfinished("ns", "app", is_file_name) == {}


@pytest.mark.parametrize(
    "name", ["manifest.json", "manifest.json.age", "README", "wals/1", "dump/sub/1.dat", "1.dat"]
)
def test_what_holds_something_else_is_not_ours(store, name) -> None:
    begin(store, UID, "dump/1.dat", name)
    assert store.list_unfinished("ns", "app", is_file_name) == {}


def test_links_and_plain_files_are_not_ours(store, tmp_path) -> None:
    (begin(store, UID, "dump/1.dat") / "more").symlink_to(tmp_path)
    begin(store, "1" + UID[1:], "dump/1.dat")
    (store.root / "ns" / "app" / ("2" + UID[1:])).symlink_to("1" + UID[1:])
    (store.root / "ns" / "app" / ("3" + UID[1:])).write_text("x")
    assert set(store.list_unfinished("ns", "app", is_file_name)) == {"1" + UID[1:]}


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.ENOSPC, "NoSpace"),
        (errno.EDQUOT, "NoSpace"),
        (errno.EACCES, "StoreDenied"),
        (errno.EROFS, "StoreDenied"),
        (errno.EIO, "StoreUnreachable"),
        (errno.ESTALE, "StoreUnreachable"),
    ],
)
def test_reasons_of_system_errors(number: int, reason: str) -> None:
    with pytest.raises(errors.OperatorError) as caught, store_errors("writing x"):
        raise OSError(number, os.strerror(number))
    assert caught.value.reason == reason
    assert "writing x failed" in caught.value.message


def test_finished_artifacts_are_listed_and_nothing_else(store) -> None:
    other = "0f8fad5b-d9cb-469f-a165-70867728950f"
    finished = [Location("ns", "app", UID), Location("ns", "b", UID), Location("other", "app", UID)]
    for location in finished:
        store.begin(location)
        store.finish(location, "manifest.json", b"{}")
    store.begin(Location("ns", "app", other))
    (store.root / "ns" / "app" / "notes").mkdir()
    (store.root / "ns" / "app" / "notes" / "manifest.json").write_text("{}")
    (store.root / "lost+found").mkdir()
    (store.root / "file").write_text("")
    (store.root / "link").symlink_to(store.root / "ns")
    assert sorted(store.list_finished(), key=str) == finished
    assert sorted(store.list_finished("ns"), key=str) == finished[:2]
    assert store.list_finished("ns", "b") == [finished[1]]
    assert store.list_finished("none", "app") == []
    assert FilesystemStore(store.root / "none").list_finished() == []
