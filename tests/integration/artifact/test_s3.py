"""Backups in a real S3 server, by way of a spool; and what happens when it misbehaves."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyrage
import pytest
from ansible_collections.postgres.operator.plugins.module_utils import errors
from ansible_collections.postgres.operator.plugins.module_utils.artifact.artifact import (
    check_artifact,
    copy_artifact,
    load_artifact,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.create import (
    create_artifact,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.dump import (
    Compression,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.leftovers import (
    LEFT_ALONE,
    OtherBackups,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.manifest import (
    is_file_name,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.verify import (
    VerifyRequest,
    verify_artifact,
)
from ansible_collections.postgres.operator.plugins.module_utils.store.encryption import (
    EncryptionKey,
)
from ansible_collections.postgres.operator.plugins.module_utils.store.filesystem import (
    FilesystemStore,
)
from ansible_collections.postgres.operator.plugins.module_utils.store.s3 import S3Store
from ansible_collections.postgres.operator.plugins.modules import artifact_remove
from s3_faults import faulty, tunnel
from s3_server import BUCKET
from test_kills import run_until_killed

SECRET = "a word that nobody may read"


def own_keys(bench, s3) -> set[str]:
    prefix = f"{bench.files.prefix}/{bench.location}/"
    return {key.removeprefix(prefix) for key in s3.object_names() if key.startswith(prefix)}


def own_uploads(remote, s3) -> list[str]:
    return [u["Key"] for u in s3.uploads() if u["Key"].startswith(f"{remote.files.prefix}/")]


def backed_up_and_changed(bench) -> None:
    bench.backup()
    bench.execute("UPDATE version SET name = 'new'; DELETE FROM numbers WHERE n > 10")


def test_round_trip(remote, s3, spool) -> None:
    backed_up_and_changed(remote)
    keys = own_keys(remote, s3)
    assert "manifest.json" in keys
    assert "dump/toc.dat" in keys
    assert sum(key.endswith(".dat.gz") for key in keys) == 2
    assert list(spool.iterdir()) == [], "the spool is empty again"
    artifact = check_artifact(remote.store, remote.location, jobs=2)
    assert artifact.summary()["rows"] == 20001
    remote.restore()
    assert remote.scalar("SELECT name FROM version") == "old"
    assert remote.scalar("SELECT count(*) FROM numbers") == 20000
    assert list(spool.iterdir()) == []


def test_files_are_sent_while_pg_dump_works(remote, s3_store, spool, monkeypatch) -> None:
    """When the table of contents is sent, last, everything else is there and gone from here."""
    states = []
    real = type(s3_store).put

    def put(self, location, name, path) -> None:
        states.append((name, {file.name for file in path.parent.iterdir()}))
        real(self, location, name, path)

    monkeypatch.setattr(type(s3_store), "put", put)
    remote.backup()
    assert states[-1] == ("dump/toc.dat", {"toc.dat"})


def test_many_parts(remote, s3, s3_store) -> None:
    remote.execute(
        "CREATE TABLE big AS SELECT n, repeat(md5(n::text), 40) AS t"
        "  FROM generate_series(1, 50000) n"
    )
    remote.backup(compression=Compression("none"))
    sizes = [path.stat().st_size for path in (s3.data / BUCKET).rglob("*.dat")]
    assert max(sizes) > 4 * 8 * 1024 * 1024, "uploaded in several parts"
    assert own_uploads(remote, s3) == []
    remote.execute("DROP TABLE big")
    remote.restore()
    assert remote.scalar("SELECT count(*) FROM big WHERE t = repeat(md5(n::text), 40)") == 50000


def test_a_second_run_adopts(remote) -> None:
    remote.backup()
    assert create_artifact(remote.backup_request()).adopted


def test_removal(remote, s3) -> None:
    remote.backup()
    other = replace(remote.files, prefix=f"{remote.files.prefix}x")
    upload = s3.client.create_multipart_upload(
        Bucket=BUCKET, Key=f"{remote.files.prefix}/{remote.location}/dump/1.dat"
    )
    assert remote.files.exists(remote.location)
    assert not other.exists(remote.location)
    assert remote.files.remove(remote.location)
    assert own_keys(remote, s3) == set()
    assert upload["UploadId"] not in {found["UploadId"] for found in s3.uploads()}
    assert not remote.files.remove(remote.location)
    with pytest.raises(errors.BackupLocationMissing, match="s3://backups/test"):
        load_artifact(remote.store, remote.location)


def test_a_removal_from_a_store_that_is_gone_ends_soon(remote) -> None:
    """Nothing answers behind the socket: each connection waits for its timeout."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = {
            "endpoint": f"https://127.0.0.1:{silent.getsockname()[1]}",
            "bucket": BUCKET,
            "credentials_folder": str(remote.files.credentials_folder),
            "path_style": True,
        }
        names = {"namespace": "ns", "resource": "app", "uid": remote.location.uid}
        started = time.monotonic()
        with pytest.raises(errors.StoreUnreachable):
            artifact_remove.run({"s3": store, **names}, check_mode=False)
        assert time.monotonic() - started < 45


def alter(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    with path.open("r+b") as file:
        file.write(content)


@pytest.mark.parametrize("harm", ["altered", "exchanged", "missing", "extra", "two manifests"])
def test_what_was_harmed_is_refused(remote, s3, harm) -> None:
    backed_up_and_changed(remote)
    prefix = f"{remote.files.prefix}/{remote.location}"
    folder = s3.data / BUCKET / prefix
    victim = max((folder / "dump").glob("*.dat.gz"), key=lambda path: path.stat().st_size)
    if harm == "altered":
        alter(victim)
    elif harm == "exchanged":
        # With a checksum of its own, as S3 wants it.
        content = victim.read_bytes()[:-1] + b"?"
        s3.client.put_object(Bucket=BUCKET, Key=f"{prefix}/dump/{victim.name}", Body=content)
    elif harm == "missing":
        s3.client.delete_object(Bucket=BUCKET, Key=f"{prefix}/dump/{victim.name}")
    else:
        name = "dump/9.dat" if harm == "extra" else "manifest.json.age"
        s3.client.put_object(Bucket=BUCKET, Key=f"{prefix}/{name}", Body=b"x")
    for attempt in (
        lambda: check_artifact(remote.store, remote.location),
        remote.restore,
    ):
        with pytest.raises(errors.ChecksumMismatch):
            attempt()
    assert remote.scalar("SELECT name FROM version") == "new"


def remote_or_folder(bench, s3_store, tmp_path, where: str):
    bench.spool = tmp_path / "spool"
    if where == "s3":
        bench.files = s3_store
    return bench


@pytest.mark.parametrize("where", ["s3", "folder"])
def test_encrypted_round_trip(bench, s3, s3_store, key, spool, tmp_path, where) -> None:
    bench = remote_or_folder(bench, s3_store, tmp_path, where)
    bench.key = key
    bench.execute(f"INSERT INTO version SELECT '{SECRET}' FROM generate_series(1, 3)")
    bench.backup(compression=Compression("none"))
    stored = s3.data / BUCKET if where == "s3" else bench.files.root
    for path in stored.rglob("*"):
        if path.is_file() and bench.location.uid in str(path):
            assert path.name.endswith(".age")
            content = path.read_bytes()
            assert content.startswith(b"age-encryption.org/v1\n")
            assert SECRET.encode() not in content
    check_artifact(bench.store, bench.location)
    bench.execute("DELETE FROM version")
    bench.restore()
    assert bench.scalar("SELECT count(*) FROM version") == 4
    assert list(spool.iterdir()) == []


def test_a_person_can_decrypt_with_age(bench, key, spool, tmp_path) -> None:
    bench.key, bench.spool = key, spool
    bench.backup()
    plain = tmp_path / "plain"
    plain.mkdir()
    for path in (bench.folder / "dump").iterdir():
        with (plain / path.stem).open("wb") as output:
            subprocess.run(
                ["age", "--decrypt", "--identity", key.identity_file, path],
                stdout=output,
                check=True,
            )
    listed = subprocess.run(
        ["pg_restore", "--list", plain], capture_output=True, text=True, check=True
    )
    assert "TABLE DATA public numbers" in listed.stdout


def test_another_key_is_refused_and_an_older_one_still_opens(bench, key, spool, tmp_path) -> None:
    bench.key, bench.spool = key, spool
    backed_up_and_changed(bench)
    first = key.identity_file.read_text()
    second = f"{pyrage.x25519.Identity.generate()}\n"
    key.identity_file.write_text(second)
    bench.key = EncryptionKey(key.identity_file)
    before = bench.databases()
    with pytest.raises(errors.EncryptionKeyWrong, match="encrypted for another key"):
        bench.restore()
    assert bench.databases() == before
    bench.key = None
    with pytest.raises(errors.EncryptionKeyWrong, match=r"secretRef"):
        bench.restore()
    key.identity_file.write_text(second + first)
    bench.key = EncryptionKey(key.identity_file)
    bench.restore()
    assert bench.scalar("SELECT name FROM version") == "old"


def test_plain_files_do_not_pass_for_encrypted_ones(bench, key, spool) -> None:
    backed_up_and_changed(bench)
    bench.key, bench.spool = key, spool
    with pytest.raises(errors.ChecksumMismatch, match="is not encrypted"):
        bench.restore()


@pytest.mark.parametrize("content", [None, "", "# nothing\n", "AGE-SECRET-KEY-1NONSENSE\n"])
def test_a_key_that_is_none(bench, key, spool, content) -> None:
    key.identity_file.unlink()
    if content is not None:
        key.identity_file.write_text(content)
    bench.key, bench.spool = key, spool
    with pytest.raises(errors.SecretMissing, match="age-keygen") as caught:
        bench.backup()
    assert "NONSENSE" not in caught.value.message
    assert not bench.folder.exists()


def test_a_verification_from_s3(remote, key, tmp_path, postgres_server) -> None:
    remote.key = key
    artifact = remote.backup()
    scratch = Path("/var/tmp")
    verification = verify_artifact(VerifyRequest(remote.store, remote.location, scratch, jobs=2))
    assert verification["sha256"] == artifact.sha256


def test_a_copy_can_be_proven_without_the_credentials(remote, key, tmp_path) -> None:
    remote.key = key
    artifact = remote.backup()
    root = tmp_path / "copy"
    root.mkdir()
    copy_artifact(remote.files, remote.location, FilesystemStore(root), jobs=2)
    store = replace(remote.store, files=FilesystemStore(root))
    assert check_artifact(store, remote.location).sha256 == artifact.sha256
    verification = verify_artifact(VerifyRequest(store, remote.location, Path("/var/tmp"), jobs=2))
    assert verification["sha256"] == artifact.sha256


def test_a_copy_of_what_no_artifact_has_is_refused(remote, s3, tmp_path) -> None:
    remote.backup()
    key = f"{remote.files.prefix}/{remote.location}/dump/sub/x"
    s3.client.put_object(Bucket=BUCKET, Key=key, Body=b"x")
    with pytest.raises(errors.ChecksumMismatch, match="has unexpected files"):
        copy_artifact(remote.files, remote.location, FilesystemStore(tmp_path))
    assert not (tmp_path / "ns").exists()


def test_what_killed_backups_left_is_removed(remote, s3) -> None:
    """Those of ended Backups of the Database; finished artifacts and unfinished Backups stay."""
    finished = remote.backup()
    done, prefix = remote.location, f"{remote.files.prefix}/ns/app"
    left, busy, part = (str(uuid.uuid4()) for _ in range(3))
    for uid in (left, busy):
        s3.client.put_object(Bucket=BUCKET, Key=f"{prefix}/{uid}/dump/1.dat", Body=b"x")
    for name in ("dump/1.dat", "manifest.json"):
        s3.client.create_multipart_upload(Bucket=BUCKET, Key=f"{prefix}/{part}/{name}")
    assert unfinished(remote.files) == {left, busy, part}
    remote.location = replace(done, uid=str(uuid.uuid4()))
    remote.backup(others=OtherBackups(frozenset({busy}), long_after()))
    assert unfinished(remote.files) == {busy}
    assert load_artifact(remote.store, done).sha256 == finished.sha256


def test_what_others_keep_in_the_bucket_stays(remote, s3) -> None:
    """Another tool's archive, the backups of a destination whose prefix is nested, and uploads."""
    files, prefix = remote.files, f"{remote.files.prefix}/ns/app"
    remote.files = replace(files, prefix=prefix)
    nested, nested_store = remote.backup(), remote.store
    remote.files = files
    strange, upload = uuid.uuid4(), uuid.uuid4()
    keys = {"wals/1", "base/2/dump/1.dat", f"{strange}/dump/1.dat", f"{strange}/dump/"}
    for key in keys:
        s3.client.put_object(Bucket=BUCKET, Key=f"{prefix}/{key}", Body=b"")
    uploads = {f"{prefix}/wals/3", f"{prefix}/{upload}/1.tar"}
    for key in uploads:
        s3.client.create_multipart_upload(Bucket=BUCKET, Key=key)
    assert unfinished(remote.files) == set()
    remote.location = replace(remote.location, uid=str(uuid.uuid4()))
    remote.backup(others=OtherBackups(frozenset(), long_after()))
    assert check_artifact(nested_store, nested.location).sha256 == nested.sha256
    assert {f"{prefix}/{key}" for key in keys} <= s3.object_names()
    assert uploads <= {upload["Key"] for upload in s3.uploads()}


def unfinished(files: S3Store) -> set[str]:
    return set(files.list_unfinished("ns", "app", is_file_name))


def long_after() -> datetime:
    """When nothing that is there now is left alone for its age."""
    return datetime.now(UTC) + LEFT_ALONE + timedelta(hours=1)


# What the store answers to a backup that cannot be made.


def refused(remote, reason: type[errors.OperatorError], text: str, **changes: object) -> None:
    remote.files = replace(remote.files, **changes)
    with pytest.raises(reason, match=text):
        remote.backup()
    assert list(remote.spool.iterdir()) == []


def test_a_bucket_that_is_not_there(remote) -> None:
    refused(remote, errors.BackupLocationMissing, "no such bucket", bucket="nowhere")


def test_an_endpoint_that_is_not_there(remote) -> None:
    refused(
        remote,
        errors.StoreUnreachable,
        "127.0.0.1:9, bucket backups",
        endpoint="https://127.0.0.1:9",
    )


def test_a_certificate_without_a_trusted_authority(remote) -> None:
    refused(remote, errors.StoreUnreachable, "caSecretRef", ca_file=None)


@pytest.mark.parametrize("name", ["accessKeyId", "secretAccessKey"])
def test_wrong_and_missing_credentials(remote, s3, tmp_path, name) -> None:
    folder = tmp_path / "credentials"
    shutil.copytree(s3.credentials, folder)
    (folder / name).write_text("wrong")
    refused(remote, errors.StoreDenied, "check the credentials", credentials_folder=folder)
    (folder / name).unlink()
    refused(remote, errors.SecretMissing, name, credentials_folder=folder)


def test_credentials_that_expire_on_the_way(remote, s3, tmp_path, monkeypatch) -> None:
    """The finished backup stays, and what the denied one left is removed with good credentials."""
    finished, done, direct = remote.backup(), remote.location, remote.files
    folder = tmp_path / "temporary"
    folder.mkdir()
    s3.create_user(folder)
    real, sent = S3Store.put, []

    def put(self, location, name, path) -> None:
        real(self, location, name, path)
        if not sent:
            s3.delete_user(folder)
        sent.append(name)

    monkeypatch.setattr(S3Store, "put", put)
    remote.location = denied = replace(done, uid=str(uuid.uuid4()))
    refused(remote, errors.StoreDenied, "check the credentials", credentials_folder=folder)
    assert sent
    assert "dump/toc.dat" not in sent
    assert unfinished(direct) == {denied.uid}
    remote.files, remote.location = direct, replace(done, uid=str(uuid.uuid4()))
    remote.backup(others=OtherBackups(frozenset(), long_after()))
    assert not unfinished(direct)
    assert check_artifact(remote.store, done).sha256 == finished.sha256


# A store that misbehaves.


class faulty_store:  # noqa: N801
    """The bench's store behind a server that breaks requests."""

    def __init__(self, remote) -> None:
        self.remote = remote

    def __enter__(self):
        self.context = faulty(self.remote.s3)
        endpoint, faults = self.context.__enter__()
        self.direct = self.remote.files
        self.remote.files = replace(self.remote.files, endpoint=endpoint)
        return faults

    def __exit__(self, *error) -> None:
        self.remote.files = self.direct
        self.context.__exit__(*error)


@pytest.fixture(autouse=True)
def _server_of_the_bench(request) -> None:
    if "remote" in request.fixturenames:
        request.getfixturevalue("remote").s3 = request.getfixturevalue("s3")


def is_dump(method: str, path: str) -> bool:
    return method == "PUT" and "/dump/" in path


def is_read(method: str, path: str) -> bool:
    return method == "GET" and "/dump/" in path


@pytest.mark.parametrize("kind", ["status-500", "status-503", "stall", "reset"])
def test_a_passing_fault_is_passed_over(remote, kind) -> None:
    with faulty_store(remote) as faults:
        faults.set(kind, is_dump, times=1)
        backed_up_and_changed(remote)
        assert faults.broken == 1
    remote.restore()
    assert remote.scalar("SELECT name FROM version") == "old"


@pytest.mark.parametrize("kind", ["status-500", "status-503", "stall", "reset"])
def test_a_lasting_fault_ends_the_backup(remote, s3, kind) -> None:
    with faulty_store(remote) as faults:
        faults.set(kind, is_dump)
        with pytest.raises(errors.StoreUnreachable, match="bucket backups"):
            remote.backup()
    assert own_keys(remote, s3) == set()
    assert own_uploads(remote, s3) == []
    assert list(remote.spool.iterdir()) == []


def test_a_server_that_does_not_know_checksums_in_trailers(remote) -> None:
    with faulty_store(remote) as faults:
        faults.set("trailers", lambda *_: True)
        backed_up_and_changed(remote)
        remote.restore()
        assert faults.broken > 0
    assert remote.scalar("SELECT name FROM version") == "old"


def test_an_endpoint_with_a_path(remote) -> None:
    """As of a gateway; the server here does not know the path, so it is only seen to be asked."""
    paths: list[str] = []
    with faulty_store(remote) as faults:
        faults.set("status-503", lambda _, path: bool(paths.append(path)) or True)
        endpoint = f"{remote.files.endpoint}/storage/v1/s3/"
        remote.files = replace(remote.files, endpoint=endpoint, attempts=1)
        with pytest.raises(errors.StoreUnreachable):
            remote.files.is_finished(remote.location)
    assert paths
    assert all(path.startswith(f"/storage/v1/s3/{BUCKET}") for path in paths)


def test_a_bucket_behind_a_proxy(remote) -> None:
    with tunnel() as (proxy, asked):
        remote.files = replace(remote.files, proxy=proxy)
        backed_up_and_changed(remote)
        remote.restore()
    assert remote.scalar("SELECT name FROM version") == "old"
    assert set(asked) == {remote.files.endpoint.removeprefix("https://")}
    remote.files = replace(remote.files, proxy=proxy, attempts=1)
    with pytest.raises(errors.StoreUnreachable, match=f"by proxy {proxy}, bucket"):
        remote.files.is_finished(remote.location)


@pytest.mark.parametrize("kind", ["truncate", "reset", "status-500"])
def test_a_passing_fault_of_reading_is_passed_over(remote, kind) -> None:
    backed_up_and_changed(remote)
    with faulty_store(remote) as faults:
        faults.set(kind, is_read, times=1)
        remote.restore()
        assert faults.broken == 1
    assert remote.scalar("SELECT name FROM version") == "old"


@pytest.mark.parametrize("kind", ["truncate", "reset", "stall"])
def test_a_lasting_fault_of_reading_leaves_the_database(remote, kind) -> None:
    backed_up_and_changed(remote)
    before = remote.databases()
    with faulty_store(remote) as faults:
        faults.set(kind, is_read)
        with pytest.raises(errors.StoreUnreachable):
            remote.restore()
    assert remote.scalar("SELECT name FROM version") == "new"
    assert remote.databases() == before
    assert list(remote.spool.iterdir()) == []


@pytest.mark.parametrize("what", ["/dump/", "manifest.json"])
def test_a_store_that_forgets_what_it_took(remote, what) -> None:
    """It answers every write with success and keeps nothing: reading back tells."""
    with faulty_store(remote) as faults:
        faults.set("forget", lambda method, path: method == "PUT" and what in path)
        with pytest.raises((errors.ChecksumMismatch, errors.BackupLocationMissing)):
            remote.backup()
            check_artifact(remote.store, remote.location)
        assert faults.broken


def test_a_full_spool(remote, s3) -> None:
    full = Path("/dev/shm") / f"spool-{uuid.uuid4()}"
    full.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", full], check=True)
    try:
        remote.spool = full
        with pytest.raises(errors.NoSpace):
            remote.backup(compression=Compression("none"))
    finally:
        subprocess.run(["umount", full], check=True)
        full.rmdir()
    assert own_keys(remote, s3) == set()


@pytest.mark.parametrize(
    ("point", "when"), [("Dumping", "+0.1"), ("Computing", "begin"), ("Writing", "begin")]
)
def test_a_killed_backup_is_no_backup(remote, s3, tmp_path, point, when) -> None:
    assert run_until_killed(tmp_path, "backup", remote.backup_request(), point, when) == -9
    assert "manifest.json" not in own_keys(remote, s3)
    key = f"{remote.files.prefix}/{remote.location}/dump/rubbish"
    s3.client.put_object(Bucket=BUCKET, Key=key, Body=b"x")
    s3.client.create_multipart_upload(Bucket=BUCKET, Key=key)
    assert not create_artifact(remote.backup_request()).adopted
    assert own_uploads(remote, s3) == []
    check_artifact(remote.store, remote.location)


def test_an_old_pg_dump_cannot_do_zstd(bench) -> None:
    if bench.backup().manifest.source.server_version_num >= 160000:
        return
    bench.files.remove(bench.location)
    with pytest.raises(errors.ServerVersionUnsupported, match=r"write compression\.method gzip"):
        bench.backup(compression=Compression("zstd"))
    assert isinstance(bench.files, FilesystemStore)
    assert not bench.folder.exists()
