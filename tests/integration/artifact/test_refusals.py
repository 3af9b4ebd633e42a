"""What must be refused is refused before anything is written."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import replace

import pytest
from ansible_collections.postgres.operator.plugins.module_utils import errors
from ansible_collections.postgres.operator.plugins.module_utils.artifact.artifact import (
    check_artifact,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.create import (
    create_artifact,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.dump import check_versions
from ansible_collections.postgres.operator.plugins.module_utils.artifact.manifest import (
    FORMAT_VERSION,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.stored_files import (
    ArtifactStore,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.verify import (
    VerifyRequest,
    verify_artifact,
)
from ansible_collections.postgres.operator.plugins.module_utils.store.filesystem import (
    FilesystemStore,
)


def largest(folder):
    return max((folder / "dump").glob("*.dat.gz"), key=lambda path: path.stat().st_size)


def flip_bit(folder):
    path = largest(folder)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def truncate(folder):
    path = largest(folder)
    path.write_bytes(path.read_bytes()[:-1])


def swap_two(folder):
    first, second = sorted((folder / "dump").glob("*.dat.gz"))[:2]
    kept = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(kept)


def add_file(folder):
    (folder / "dump" / "9999.dat.gz").write_bytes(b"")


def remove_file(folder):
    largest(folder).unlink()


def replace_by_link(folder):
    path = largest(folder)
    path.rename(folder.parent / "elsewhere")
    path.symlink_to(folder.parent / "elsewhere")


def edit_manifest(folder):
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace('"rows": 20000', '"rows": 20001'))


def edit_and_sign_nothing(folder):
    path = folder / "manifest.json"
    document = json.loads(path.read_text())
    document["files"][0]["name"] = "../../../etc/passwd"
    path.write_text(json.dumps(document))


DAMAGES = [
    flip_bit,
    truncate,
    swap_two,
    add_file,
    remove_file,
    replace_by_link,
    edit_manifest,
    edit_and_sign_nothing,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_artifact_is_refused_before_any_write(bench, damage) -> None:
    artifact = bench.backup()
    before = bench.databases()
    damage(bench.folder)
    position = bench.scalar("SELECT pg_current_wal_insert_lsn()", "postgres")
    with pytest.raises(errors.ChecksumMismatch):
        check_artifact(bench.store, bench.location, artifact.sha256)
    with pytest.raises(errors.ChecksumMismatch):
        bench.restore(expected_sha256=artifact.sha256)
    assert bench.databases() == before
    created = bench.server.log.rpartition("pg_current_wal_insert_lsn")[2]
    assert "CREATE DATABASE" not in created, position


def test_an_edited_count_is_found_by_the_comparison(changed) -> None:
    edit_manifest(changed.folder)
    before = changed.databases()
    with pytest.raises(errors.RestoreFailed, match=r'"public"\."numbers" has 20000 rows'):
        changed.restore()
    assert changed.databases() == before
    assert changed.scalar("SELECT name FROM version") == "new"


def test_an_artifact_moved_to_another_place_is_refused(bench, make_bench) -> None:
    bench.backup()
    other = make_bench()
    shutil.copytree(bench.folder, other.folder)
    with pytest.raises(errors.ChecksumMismatch, match="moved or replaced"):
        other.restore()


def test_no_artifact(bench) -> None:
    with pytest.raises(errors.BackupLocationMissing):
        bench.restore()
    bench.backup()
    (bench.folder / "manifest.json").unlink()
    with pytest.raises(errors.BackupLocationMissing):
        bench.restore()


def test_a_newer_source_is_refused(changed) -> None:
    path = changed.folder / "manifest.json"
    document = json.loads(path.read_text())
    document["source"]["serverVersionNum"] = 990001
    path.write_text(json.dumps(document))
    with pytest.raises(errors.IncompatibleVersion, match=r"99\.1"):
        changed.restore()
    document["source"]["serverVersionNum"] = 150001
    document["source"]["locale"]["encoding"] = "KLINGON"
    path.write_text(json.dumps(document))
    with pytest.raises(errors.IncompatibleVersion, match="KLINGON"):
        changed.restore()
    for version in (0, FORMAT_VERSION + 1):
        document["formatVersion"] = version
        path.write_text(json.dumps(document))
        with pytest.raises(errors.IncompatibleVersion, match=f"format version {version}"):
            changed.restore()


def test_a_dump_that_pg_restore_cannot_list_is_not_called_damaged(changed, scratch) -> None:
    """The table of contents of a newer pg_dump, by the number that its header has."""
    contents = changed.folder / "dump" / "toc.dat"
    header = contents.read_bytes()
    assert header[:5] == b"PGDMP"
    contents.write_bytes(header[:6] + bytes([header[6] + 40]) + header[7:])
    path = changed.folder / "manifest.json"
    document = json.loads(path.read_text())
    source = document["source"]
    for changes in (
        {"serverVersionNum": 990001, "dumpProgramVersion": "99.2"},
        {"dumpProgramVersion": "99.2"},
    ):
        document["source"] = source | changes
        [entry] = [entry for entry in document["files"] if entry["name"] == "dump/toc.dat"]
        entry["sha256"] = hashlib.sha256(contents.read_bytes()).hexdigest()
        path.write_text(json.dumps(document))
        server = changed.scalar("SELECT current_setting('server_version')").split()[0]
        both = rf"99\.\d.* is {server}: "
        with pytest.raises(errors.IncompatibleVersion, match=both):
            changed.restore()
        with pytest.raises(errors.IncompatibleVersion, match=both):
            check_artifact(changed.store, changed.location)
        with pytest.raises(errors.IncompatibleVersion, match=both):
            verify_artifact(VerifyRequest(changed.store, changed.location, scratch))


def test_wrong_password_and_missing_database(bench, tmp_path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("not it")
    request = bench.backup_request()
    parameters = replace(request.parameters, password_file=wrong)
    with pytest.raises(errors.AuthFailed) as caught:
        create_artifact(replace(request, parameters=parameters))
    assert "not it" not in caught.value.message
    with pytest.raises(errors.AuthFailed):
        bench.restore(parameters=parameters)
    parameters = replace(request.parameters, dbname="no such; database")
    with pytest.raises(errors.DatabaseNotFound, match="no such; database"):
        create_artifact(replace(request, parameters=parameters))
    parameters = replace(request.parameters, password_file=tmp_path / "missing")
    with pytest.raises(errors.SecretMissing, match="missing"):
        create_artifact(replace(request, parameters=parameters))
    parameters = replace(request.parameters, port=1)
    with pytest.raises(errors.DatabaseNotReady):
        create_artifact(replace(request, parameters=parameters))
    assert not bench.folder.exists()


def test_a_store_that_is_not_mounted(bench, tmp_path) -> None:
    request = replace(
        bench.backup_request(), store=ArtifactStore(FilesystemStore(tmp_path / "nowhere"))
    )
    with pytest.raises(errors.StoreUnreachable, match="mount the volume"):
        create_artifact(request)
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("name", ["postgres", "template1"])
def test_the_servers_own_databases_cannot_be_replaced(bench, name) -> None:
    bench.backup()
    with pytest.raises(errors.InvalidInput):
        bench.restore(parameters=replace(bench.parameters, dbname=name))


def test_marks_of_columns_that_pg_dump_does_not_know(bench, monkeypatch, tmp_path) -> None:
    """As after the image was changed back to an older minor release."""
    major = bench.scalar("SELECT current_setting('server_version_num')::int / 10000")
    older = {14: 24, 15: 19, 16: 15, 17: 11, 18: 6}[major]
    program = tmp_path / "bin" / "pg_dump"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho 'pg_dump (PostgreSQL) {major}.{older}'\n")
    program.chmod(0o755)
    bench.execute(
        "SET allow_system_table_mods = on;"
        "UPDATE pg_attribute SET attoptions = NULL WHERE attrelid >= 16384"
    )
    with monkeypatch.context() as patch:
        patch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
        check_versions(bench.parameters)
        bench.execute(
            "SET allow_system_table_mods = on; UPDATE pg_attribute SET attoptions ="
            " '{n_distinct=5,pg_attver=1}' WHERE attrelid = 'version'::regclass AND attnum = 1"
        )
        wanted = f"columns of public.version .* use an image with PostgreSQL {major}.{older + 1}"
        with pytest.raises(errors.ServerVersionUnsupported, match=wanted):
            bench.backup()
        assert not bench.store.files.exists(bench.location)
    bench.backup()
