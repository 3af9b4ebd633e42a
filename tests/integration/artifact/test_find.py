"""What a store holds is found by its manifests alone, and the newest of it adopted."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyrage
import pytest
from ansible_collections.postgres.operator.plugins.module_utils import errors
from ansible_collections.postgres.operator.plugins.module_utils.artifact import create
from ansible_collections.postgres.operator.plugins.module_utils.artifact.find import (
    find_newest,
    list_artifacts,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.stored_files import (
    ArtifactStore,
)
from ansible_collections.postgres.operator.plugins.module_utils.store.encryption import (
    EncryptionKey,
)
from ansible_collections.postgres.operator.plugins.module_utils.store.protocol import Location
from collection_root import CHECKOUT, ensure_collection_root
from s3_server import BUCKET

OLD, NEW = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"


@pytest.fixture
def back_up(monkeypatch) -> Callable[..., Location]:
    """Make an artifact whose manifest has the time."""

    def make(bench, moment: str, namespace: str = "ns", database: str = "app") -> Location:
        monkeypatch.setattr(create, "now_text", lambda: moment)
        bench.location = Location(namespace, database, str(uuid.uuid4()))
        bench.backup()
        return bench.location

    return make


@pytest.fixture(params=["folder", "bucket"])
def place(request, bench):
    """The bench with either store."""
    return bench if request.param == "folder" else request.getfixturevalue("remote")


def test_the_newest_is_that_of_the_newest_manifest(place, back_up) -> None:
    """The one that was written first, as in a copy of a bucket."""
    newest = back_up(place, NEW)
    older = back_up(place, OLD)
    elsewhere = back_up(place, NEW, "other")
    found, warning = find_newest(place.store, "ns", "app", jobs=2)
    assert (found.location, found.start_time, warning) == (newest, NEW, "")
    listed, unreadable = list_artifacts(place.store)
    assert {one.location for one in listed} == {newest, older, elsewhere}
    assert (listed[-1].location, unreadable) == (older, [])
    assert [one.location for one in list_artifacts(place.store, "ns")[0]] == [newest, older]


def test_where_there_is_none_the_others_are_named(place, back_up) -> None:
    with pytest.raises(errors.BackupLocationMissing, match="here, but no backup at all: correct"):
        find_newest(place.store, "ns", "app")
    back_up(place, OLD, "shop", "app")
    with pytest.raises(errors.BackupLocationMissing, match="ns/app here, but backups of shop/app:"):
        find_newest(place.store, "ns", "app")
    with pytest.raises(errors.InvalidInput):
        find_newest(place.store, "..", "app")


def test_what_cannot_be_read_is_named(bench, back_up, key, spool, tmp_path) -> None:
    readable, damaged = back_up(bench, OLD), back_up(bench, NEW)
    manifest = bench.files.folder(damaged) / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"formatVersion": ', '"formatVersion": 9'))
    found, warning = find_newest(bench.store, "ns", "app")
    assert found.location == readable
    assert f"1 other backup of this Database cannot be read and may be newer: {damaged}" in warning
    assert "IncompatibleVersion" in warning

    other = tmp_path / "other"
    other.write_text(f"{pyrage.x25519.Identity.generate()}\n")
    bench.key, bench.spool = key, spool
    back_up(bench, NEW, "sealed")
    strange = ArtifactStore(bench.files, EncryptionKey(other), spool)
    with pytest.raises(errors.EncryptionKeyWrong):
        find_newest(strange, "sealed", "app")


def run_playbook(name: str, folder: Path, *options: str) -> tuple[int, str]:
    environment = os.environ | {
        "ANSIBLE_COLLECTIONS_PATH": str(ensure_collection_root()),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
    }
    program = Path(sys.executable).with_name("ansible-playbook")
    done = subprocess.run(
        [program, CHECKOUT / "playbooks" / f"{name}.yml", *options],
        check=False,
        env=environment,
        capture_output=True,
        text=True,
        cwd=folder,
    )
    return done.returncode, done.stdout + done.stderr


def adopt(bench, folder: Path, **changes: Any) -> tuple[int, dict[str, Any], str]:
    variables = {
        "root": str(bench.files.root),
        "namespace": "ns",
        "resource": "app",
        "result_file": str(folder / "result"),
        **changes,
    }
    (folder / "variables.json").write_text(json.dumps(variables))
    status, output = run_playbook("adopt", folder, "--extra-vars=variables_file=variables.json")
    assert (folder / "result").exists(), output
    return status, json.loads((folder / "result").read_text()), output


def test_a_job_adopts_the_newest_or_the_one_that_is_named(bench, back_up, tmp_path) -> None:
    newest, older = back_up(bench, NEW), back_up(bench, OLD)
    status, result, output = adopt(bench, tmp_path)
    assert status == 0, output
    assert (result["location"], result["startTime"]) == (str(newest), NEW)
    assert (result["rows"], result["partial"]) == (20001, False)
    status, result, _ = adopt(bench, tmp_path, uid=older.uid)
    assert (status, result["location"]) == (0, str(older))
    status, result, _ = adopt(bench, tmp_path, uid=older.uid, sha256="0" * 64)
    assert (status, result["reason"]) == (2, "ChecksumMismatch")

    dump = bench.files.folder(newest) / "dump"
    file = next(dump.glob("*.dat.gz"))
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    status, result, _ = adopt(bench, tmp_path)
    assert (status, result["reason"]) == (2, "ChecksumMismatch")
    assert bench.store.files.is_finished(newest), "it is another Backup's, and evidence"


def test_the_store_is_listed_for_people(bench, back_up, tmp_path) -> None:
    newest, older = back_up(bench, NEW), back_up(bench, OLD)
    other = back_up(bench, OLD, "other")
    options = tmp_path / "store.yml"
    options.write_text(json.dumps({"root": str(bench.files.root), "of_namespace": "ns"}))
    status, output = run_playbook("list", tmp_path, f"--extra-vars=@{options}")
    assert status == 0, output
    assert output.index(f"{NEW}  {newest}  ") < output.index(f"{OLD}  {older}  ")
    assert str(other) not in output


def test_an_emptied_bucket_is_found_and_one_that_does_not_answer_is_no_empty_one(
    remote, s3, back_up, tmp_path
) -> None:
    """With the variables of the Job that searches."""
    newest, older = back_up(remote, NEW), back_up(remote, OLD)
    variables = {
        "s3": {
            "endpoint": s3.endpoint,
            "bucket": BUCKET,
            "prefix": remote.files.prefix,
            "credentials_folder": str(s3.credentials),
            "ca_file": str(s3.ca_file),
            "path_style": True,
        },
        "namespace": "ns",
        "resource": "app",
        "completed": [newest.uid, older.uid],
        "result_file": str(tmp_path / "result"),
    }

    def search(**changes: Any) -> dict[str, Any]:
        document = {**variables, "s3": {**variables["s3"], **changes}}
        (tmp_path / "variables.json").write_text(json.dumps(document))
        status, output = run_playbook(
            "search", tmp_path, "--extra-vars=variables_file=variables.json"
        )
        result: dict[str, Any] = json.loads((tmp_path / "result").read_text())
        assert status == (0 if result["ok"] else 2), output
        return result

    wrong = tmp_path / "wrong"
    wrong.mkdir()
    for name in ("accessKeyId", "secretAccessKey"):
        (wrong / name).write_text("wrong")
    assert search() == {"ok": True, "missing": []}
    shutil.rmtree(s3.data / BUCKET / remote.files.prefix / str(older))
    assert search() == {"ok": True, "missing": [older.uid]}
    shutil.rmtree(s3.data / BUCKET / remote.files.prefix)
    assert search() == {"ok": True, "missing": [newest.uid, older.uid]}
    for changes, reason in (
        ({"bucket": "nowhere"}, "BackupLocationMissing"),
        ({"credentials_folder": str(wrong)}, "StoreDenied"),
        ({"endpoint": "https://127.0.0.1:9"}, "StoreUnreachable"),
    ):
        assert search(**changes)["reason"] == reason
