"""What killed backups left in the store goes with the next backup; nothing else does."""

from __future__ import annotations

import os
import shutil
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ansible_collections.postgres.operator.plugins.module_utils import errors
from ansible_collections.postgres.operator.plugins.module_utils.artifact.create import (
    create_artifact,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.leftovers import (
    LEFT_ALONE,
    OtherBackups,
)
from ansible_collections.postgres.operator.plugins.module_utils.store.filesystem import (
    FilesystemStore,
)
from s3_server import BUCKET

NOW = datetime.now(UTC)
AN_HOUR = timedelta(hours=1)
TWO_DAYS_AGO = NOW - timedelta(days=2)


def leave(
    bench,
    name: str | None = None,
    changed: datetime = TWO_DAYS_AGO,
    changed_inside: datetime | None = None,
) -> Path:
    """A folder as a killed backup leaves it."""
    folder = bench.folder.parent / (name or str(uuid.uuid4()))
    (folder / "dump").mkdir(parents=True)
    (folder / "dump" / "1.dat.gz").write_bytes(b"half")
    for path, moment in ((folder / "dump", changed_inside or changed), (folder, changed)):
        os.utime(path, (moment.timestamp(), moment.timestamp()))
    return folder


def back_up(bench, *unfinished: str, listed: datetime = NOW) -> None:
    others = OtherBackups(frozenset(unfinished), listed)
    create_artifact(replace(bench.backup_request(), others=others))


def test_files_of_ended_backups_are_removed(bench) -> None:
    left = leave(bench)
    back_up(bench)
    assert not left.exists()
    assert (bench.folder / "manifest.json").exists()


def test_files_of_unfinished_backups_stay(bench) -> None:
    unfinished = leave(bench)
    just_begun = leave(bench, changed=NOW)
    still_written = leave(bench, changed_inside=NOW)
    copied_back = leave(bench, changed=NOW - timedelta(hours=23))
    back_up(bench, unfinished.name)
    assert unfinished.exists()
    assert just_begun.exists()
    assert still_written.exists()
    assert copied_back.exists()


def test_what_others_keep_there_stays(bench) -> None:
    """Another tool's archive, or the backups of a destination further down."""
    archive = leave(bench, "wals")
    nested = leave(bench, f"ns/app/{uuid.uuid4()}")
    shared = leave(bench)
    (shared / "README").write_text("not from a backup")
    for folder in (nested.parent.parent, nested.parent, shared):
        os.utime(folder, (0, 0))
    back_up(bench)
    assert archive.exists()
    assert nested.exists()
    assert shared.exists()


def test_finished_artifacts_and_what_is_not_ours_stay(bench) -> None:
    bench.backup()
    old = bench.folder.parent / str(uuid.uuid4())
    shutil.copytree(bench.folder, old)
    os.utime(old, (0, 0))
    strange = leave(bench, "Not ours")
    elsewhere = bench.files.root / "ns" / "other" / str(uuid.uuid4())
    elsewhere.mkdir(parents=True)
    os.utime(elsewhere, (0, 0))
    bench.files.remove(bench.location)
    back_up(bench)
    assert (old / "manifest.json").exists()
    assert strange.exists()
    assert elsewhere.exists()


def test_finished_encrypted_artifacts_stay(bench, key, spool) -> None:
    bench.key, bench.spool = key, spool
    bench.backup()
    old = bench.folder.parent / str(uuid.uuid4())
    shutil.copytree(bench.folder, old)
    os.utime(old, (0, 0))
    bench.files.remove(bench.location)
    back_up(bench)
    assert (old / "manifest.json.age").exists()


def test_in_a_bucket_too(remote, s3) -> None:
    finished = replace(remote.location, uid=str(uuid.uuid4()))
    create_artifact(replace(remote.backup_request(), location=finished))
    left = replace(remote.location, uid=str(uuid.uuid4()))
    keys = [f"{remote.files.prefix}/{left}/dump/{name}" for name in ("1.dat", "2.dat")]
    s3.client.put_object(Bucket=BUCKET, Key=keys[0], Body=b"half")
    s3.client.create_multipart_upload(Bucket=BUCKET, Key=keys[1])
    back_up(remote)
    assert remote.files.exists(left), "it was there a moment ago only"
    remote.location = replace(remote.location, uid=str(uuid.uuid4()))
    back_up(remote, listed=NOW + LEFT_ALONE + AN_HOUR)
    assert not remote.files.exists(left)
    assert remote.files.is_finished(finished)


def test_without_a_list_of_others_nothing_is_removed(bench) -> None:
    left = leave(bench)
    bench.backup()
    assert left.exists()


def test_what_cannot_be_removed_stops_no_backup(bench, monkeypatch) -> None:
    left = leave(bench)

    def refuse(*_: object) -> bool:
        raise errors.StoreDenied("no")

    monkeypatch.setattr(FilesystemStore, "remove", refuse)
    back_up(bench)
    assert left.exists()
    assert (bench.folder / "manifest.json").exists()


def test_an_artifact_whose_manifest_cannot_be_read_back_is_gone(bench, monkeypatch) -> None:
    def fail(*_: object) -> None:
        raise errors.StoreUnreachable("not now")

    monkeypatch.setattr(FilesystemStore, "read_manifest", fail)
    with pytest.raises(errors.StoreUnreachable, match="not now"):
        bench.backup()
    assert not bench.folder.exists()
