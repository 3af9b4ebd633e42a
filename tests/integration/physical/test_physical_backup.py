"""Physical backups: what is in them, what is refused, and what a recovery from them reaches."""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
import tempfile
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import zstandard
from ansible_collections.postgres.operator.plugins.module_utils import errors
from ansible_collections.postgres.operator.plugins.module_utils.artifact.artifact import (
    load_artifact,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.physical import create
from ansible_collections.postgres.operator.plugins.module_utils.artifact.physical.bundles import (
    Bundles,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.physical.verify import (
    verify_physical,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.stored_files import (
    ArtifactStore,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.verify import (
    VerifyRequest,
)
from ansible_collections.postgres.operator.plugins.module_utils.postgres.connection import connect
from ansible_collections.postgres.operator.plugins.module_utils.store.encryption import (
    EncryptionKey,
)
from conftest_physical import archived_server
from psycopg import sql
from psycopg.conninfo import make_conninfo


def verify(archived, artifact, folder: Path):
    return verify_physical(
        VerifyRequest(archived.store, artifact.location, folder, 2, artifact.sha256)
    )


def test_it_is_recovered_and_read_from_its_own_files_alone(archived, work, tmp_path) -> None:
    archived.execute("CREATE TABLE t AS SELECT n, md5(n::text) FROM generate_series(1, 5000) n")
    artifact = archived.back_up()
    archive, away = archived.root / str(archived.wal.location), tmp_path / "away"
    archive.rename(away)
    try:
        found = verify(archived, artifact, work)
    finally:
        away.rename(archive)
    assert found["databases"] == 3
    assert found["rows"] >= 5000
    assert "warning" not in found
    assert list(work.iterdir()) == []


def test_a_page_that_is_damaged_before_the_backup_is_found(archived, work) -> None:
    """BASE_BACKUP itself compares the pages' checksums where there are any: here there are none."""
    archived.execute("CREATE TABLE t AS SELECT n FROM generate_series(1, 5000) n; CHECKPOINT")
    path = (
        archived.server.folder / "data" / str(archived.scalar("SELECT pg_relation_filepath('t')"))
    )
    with path.open("r+b") as file:
        # The headers of tuples, which are at the end of a page.
        file.seek(2 * 8192 - 256)
        file.write(b"\xff" * 64)
    artifact = archived.back_up()
    with pytest.raises(errors.VerificationFailed, match="is not verified"):
        verify(archived, artifact, work)


def test_a_changed_byte_is_never_restored(archived, work) -> None:
    artifact = archived.back_up()
    bundle = next((archived.root / "ns" / "app" / artifact.location.uid / "base").glob("*.tar.zst"))
    content = bytearray(bundle.read_bytes())
    content[len(content) // 2] ^= 1
    bundle.write_bytes(content)
    with pytest.raises(errors.ChecksumMismatch, match="use another backup"):
        archived.recover(artifact, work, None)


def test_files_are_cut_into_bundles(archived, work, monkeypatch) -> None:
    monkeypatch.setattr(
        create,
        "Bundles",
        lambda folder, jobs, done: Bundles(folder, jobs, done, limit_bytes=1 << 20),
    )
    archived.execute("CREATE TABLE t AS SELECT n FROM generate_series(1, 1000) n")
    artifact = archived.back_up()
    assert len([one for one in artifact.manifest.files if one.name.startswith("base/0")]) > 10
    archived.recover(artifact, work, None)


def test_a_tablespace_comes_along(archived, work) -> None:
    place = Path(tempfile.mkdtemp(prefix="tablespace-"))
    shutil.chown(place, "postgres")
    archived.execute(f"CREATE TABLESPACE other LOCATION '{place}'")
    archived.execute("CREATE TABLE t TABLESPACE other AS SELECT generate_series(1, 1000) n")
    artifact = archived.back_up()
    archived.execute("INSERT INTO t VALUES (0)")
    moment = archived.now()
    archived.execute("DROP TABLE t")
    archived.restore(artifact, moment)
    assert archived.scalar("SELECT count(*) FROM t") == 1001
    shutil.rmtree(place)


@pytest.mark.parametrize("kind", ["before", "future"])
def test_a_moment_out_of_reach_is_refused(archived, work, kind) -> None:
    artifact = archived.back_up()
    days = {"before": -1, "future": 1}[kind]
    what = {"before": "is before the end of backup", "future": "is in the future"}[kind]
    with pytest.raises(errors.PointInTimeOutOfRange, match=what):
        archived.recover(artifact, work, archived.now() + timedelta(days=days))


def test_a_moment_after_the_last_transaction_is_not_passed_off_as_another(archived, work) -> None:
    """Where no live server can close the span: of a cluster that is lost."""
    artifact = archived.back_up()
    archived.execute("CREATE TABLE t ()")
    archived.execute("SELECT pg_switch_wal()")
    moment = archived.now()
    with pytest.raises(
        errors.PointInTimeOutOfRange, match="no transaction that was committed after"
    ):
        archived.recover(artifact, work, moment, live=None)
    # With it a transaction follows.
    (work / "again").mkdir()
    # Whatever the umask is that another test has left.
    (work / "again").chmod(0o755)
    archived.recover(artifact, work / "again", moment)


def test_a_segment_that_is_missing_is_named(archived, work) -> None:
    artifact = archived.back_up()
    archived.execute("CREATE TABLE t ()")
    name = archived.scalar("SELECT pg_walfile_name(pg_switch_wal())")
    archived.execute("CREATE TABLE u ()")
    moment = archived.now()
    archived.execute("SELECT pg_switch_wal()")
    archived.await_archived(name)
    stored = archived.wal.find(name)
    (archived.root / str(archived.wal.location) / stored.path).unlink()
    with pytest.raises(errors.WalMissing, match=f"segment {name} is missing .* has later ones"):
        archived.recover(artifact, work, moment)


def test_a_store_that_is_away_does_not_end_the_recovery_early(archived, work, monkeypatch) -> None:
    artifact = archived.back_up()
    archived.execute("CREATE TABLE t ()")
    moment = archived.now()
    wal = type(archived.wal)

    def away(*_: object) -> bool:
        raise errors.StoreUnreachable("the store is away")

    monkeypatch.setattr(wal, "fetch", away)
    with pytest.raises(errors.StoreUnreachable, match="the store is away"):
        archived.recover(artifact, work, moment)


def test_without_an_archive_no_backup_is_begun(archived) -> None:
    with pytest.raises(errors.ArchiveMissing, match="there is no archive of WAL at"):
        archived.back_up(archive="wal-other")


def test_wal_that_does_not_arrive_fails_the_backup_and_leaves_nothing(archived) -> None:
    name = archived.scalar("SELECT pg_walfile_name(pg_switch_wal())", "postgres")
    number = int(name[16:], 16)
    archived.hidden |= {f"{name[:16]}{number + step:08X}" for step in range(8)}
    with pytest.raises(
        errors.BackupFailed, match=r"WAL segment \w+, without which .* not archived"
    ):
        archived.back_up(wal_patience_seconds=1)
    assert [path.name for path in (archived.root / "ns" / "app").iterdir()] == [
        archived.wal.location.uid
    ]


def test_encrypted_in_a_bucket_with_the_public_key_alone(
    run_server, s3_store, key, spool, work
) -> None:
    writing = ArtifactStore(s3_store, EncryptionKey(None, tuple(key.public_keys)), spool)
    with archived_server(run_server, writing, work) as archived:
        archived.execute("CREATE TABLE t AS SELECT generate_series(1, 10) n")
        artifact = archived.back_up()
        archived.execute("INSERT INTO t VALUES (11)")
        moment = archived.now()
        archived.execute("DELETE FROM t")
        archived.store = replace(writing, key=key)
        outcome = archived.restore(artifact, moment)
        assert archived.scalar("SELECT count(*) FROM t") == 11
        assert outcome.summary["rows"] == 11
        stored = "".join(sorted(s3_store.file_names(artifact.location)))
        assert stored.count(".age") == len(artifact.manifest.files)


def test_a_prepared_transaction_is_named_and_not_restored(archived) -> None:
    archived.execute("CREATE TABLE t (n int)")
    artifact = archived.back_up()
    with archived.connect() as connection:
        connection.execute("BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION 'p'")
    archived.execute("INSERT INTO t VALUES (2)")
    moment = archived.now()
    archived.execute("COMMIT PREPARED 'p'")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        recovered = archived.recover(artifact, Path(folder), moment)
        found = archived.extract(recovered, Path(folder))
    assert found["rows"] == 1
    assert "1 transaction prepared at that moment is not restored" in found["warning"]


def test_a_standby_is_copied_and_its_backup_recovers(archived, work, standby_of) -> None:
    archived.execute("CREATE TABLE t AS SELECT generate_series(1, 100) n")
    with standby_of(archived) as standby:
        artifact = archived.back_up(standby=standby)
        assert artifact.manifest.server.standby
        archived.execute("INSERT INTO t VALUES (101)")
        moment = archived.now()
        archived.execute("DELETE FROM t")
        archived.restore(artifact, moment)
    assert archived.scalar("SELECT count(*) FROM t") == 101


@pytest.fixture
def without_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """A standby's backup begins at its last restartpoint, however old that is."""
    monkeypatch.setattr(create, "_checkpoint", lambda *_: "0/0")


@pytest.mark.usefixtures("without_checkpoint")
def test_a_standby_that_had_replayed_up_to_the_end_of_a_segment(archived, work, standby_of) -> None:
    """No record of the backup's WAL follows then after its end."""
    archived.execute("CREATE TABLE t AS SELECT generate_series(1, 100) n")
    with standby_of(archived) as standby:
        archived.execute("CHECKPOINT; SELECT pg_switch_wal()")
        with connect(standby) as connection:
            deadline = time.monotonic() + 30
            while True:
                row = connection.execute("SELECT pg_last_wal_replay_lsn()::text").fetchone()
                if row[0].endswith("000000"):
                    break
                assert time.monotonic() < deadline, row
                time.sleep(0.05)
        artifact = archived.back_up(standby=standby)
    assert verify(archived, artifact, work)["rows"] >= 100


def wait_for_replay(connection, lsn: str) -> None:
    deadline = time.monotonic() + 30
    replayed = "SELECT pg_last_wal_replay_lsn() >= %s::text::pg_lsn"
    while connection.execute(replayed, [lsn]).fetchone() != (True,):
        assert time.monotonic() < deadline, lsn
        time.sleep(0.05)


@pytest.mark.usefixtures("without_checkpoint")
def test_a_backup_that_begins_in_the_page_of_a_new_timeline(archived, work, standby_of) -> None:
    """As a standby's may, after a failover: that page says that it is of the timeline before."""
    archived.execute("CREATE TABLE t AS SELECT generate_series(1, 100) n")
    with standby_of(archived, archives=True) as promoted, standby_of(archived) as standby:
        address = make_conninfo(
            host=promoted.host,
            port=promoted.port,
            user=promoted.user,
            password=archived.server.password,
        )
        with connect(standby) as connection:
            connection.execute(
                sql.SQL("ALTER SYSTEM SET primary_conninfo = {}").format(sql.Literal(address))
            )
            connection.execute("SELECT pg_reload_conf()")
            # The timeline is left in the middle of a page.
            archived.execute("INSERT INTO t VALUES (101)")
            written = archived.scalar("SELECT pg_current_wal_lsn()::text")
            with connect(promoted) as other:
                wait_for_replay(other, written)
                wait_for_replay(connection, written)
                other.execute("SELECT pg_promote()")
                other.execute("CHECKPOINT")
            deadline = time.monotonic() + 30
            while True:
                row = connection.execute(
                    "SELECT received_tli FROM pg_stat_wal_receiver"
                    " WHERE flushed_lsn = pg_last_wal_replay_lsn()"
                ).fetchone()
                if row == (2,):
                    break
                assert time.monotonic() < deadline, row
                time.sleep(0.05)
        artifact = archived.back_up(primary=promoted, replication=promoted, standby=standby)
    assert artifact.manifest.server.standby
    assert artifact.manifest.timeline == 2
    assert verify(archived, artifact, work)["rows"] >= 101


def test_a_backup_of_a_standby_needs_no_wal_of_before_it(archived, work, standby_of) -> None:
    """The standby's last restartpoint is older than a segment that the archive has lost."""
    archived.execute("CREATE TABLE t AS SELECT generate_series(1, 100) n")
    with standby_of(archived) as standby:
        archived.execute("CHECKPOINT")
        lost = archived.scalar("SELECT pg_walfile_name(pg_current_wal_insert_lsn())")
        archived.hidden.add(lost)
        archived.execute("INSERT INTO t VALUES (101); SELECT pg_switch_wal()")
        archived.execute("INSERT INTO t VALUES (102)")
        written = archived.scalar("SELECT pg_current_wal_lsn()::text")
        with connect(standby) as connection:
            wait_for_replay(connection, written)
        artifact = archived.back_up(standby=standby)
    assert artifact.manifest.server.standby
    assert artifact.why_primary == ""
    assert verify(archived, artifact, work)["rows"] >= 102


def test_a_standby_that_lags_is_not_copied(archived, standby_of) -> None:
    with standby_of(archived) as standby:
        with connect(standby) as connection:
            connection.execute("SELECT pg_wal_replay_pause()")
        artifact = archived.back_up(standby=standby, standby_patience_seconds=0.5)
    assert not artifact.manifest.server.standby
    assert "before the primary's checkpoint at" in artifact.why_primary


def test_without_the_standby_it_is_the_primary(archived) -> None:
    gone = replace(archived.parameters.maintenance, port=1)
    artifact = archived.back_up(standby=gone)
    assert not artifact.manifest.server.standby


def test_the_manifest_of_one_kind_is_not_read_as_the_other(archived) -> None:
    artifact = archived.back_up()
    folder = archived.root / "ns" / "app" / artifact.location.uid
    document = json.loads((folder / "manifest.json").read_text())
    assert document["method"] == "physical"
    with pytest.raises(errors.InvalidInput, match="the backup is a physical one"):
        load_artifact(archived.store, artifact.location)


def test_what_is_stored_is_a_base_backup_to_other_programs(archived, work) -> None:
    """Unpacked with nothing of the code under test, and checked by PostgreSQL's own program."""
    artifact = archived.back_up()
    files = work / "files"
    unpacker = zstandard.ZstdDecompressor()
    for stored in sorted((archived.root / "ns" / "app" / artifact.location.uid / "base").iterdir()):
        with stored.open("rb") as file, unpacker.stream_reader(file) as content:
            if ".tar." in stored.name:
                with tarfile.open(fileobj=content, mode="r|") as tar:
                    tar.extractall(files, filter="tar")
            else:
                (files / "backup_manifest").write_bytes(content.read())
    done = subprocess.run(
        ["pg_verifybackup", "--no-parse-wal", files], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "backup successfully verified", done.stderr
