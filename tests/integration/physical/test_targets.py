"""Other targets of a recovery than a moment: what is there then, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.postgres.operator.plugins.module_utils import errors
from ansible_collections.postgres.operator.plugins.module_utils.artifact.physical import recover
from ansible_collections.postgres.operator.plugins.module_utils.artifact.physical.target import (
    EndOfArchive,
    Lsn,
    RestorePoint,
    Target,
    Transaction,
)
from ansible_collections.postgres.operator.plugins.module_utils.postgres.connection import connect
from ansible_collections.postgres.operator.plugins.module_utils.postgres.scratch import (
    existing_server,
)


def count(archived, artifact, folder: Path, target: Target, **changes: object) -> int:
    """Return how many rows the table has in a server that was recovered."""
    folder.mkdir()
    folder.chmod(0o755)
    recovered = archived.recover(artifact, folder, target, **changes)
    with (
        existing_server(recovered.folder, {}, errors.RestoreFailed) as server,
        connect(server.parameters, "app") as connection,
    ):
        return connection.execute("SELECT count(*) FROM public.t").fetchone()[0]


def test_each_target_has_what_came_before_it(archived, work) -> None:
    archived.execute("CREATE TABLE t (n int)")
    artifact = archived.back_up()
    archived.execute("INSERT INTO t VALUES (1)")
    archived.scalar("SELECT pg_create_restore_point('before the second')")
    with archived.connect() as connection:
        connection.execute("INSERT INTO t VALUES (2)")
        xid = connection.execute("SELECT pg_current_xact_id()::text").fetchone()[0]
    lsn = archived.scalar("SELECT pg_current_wal_insert_lsn()::text")
    archived.execute("INSERT INTO t VALUES (3)")
    assert count(archived, artifact, work / "name", RestorePoint("before the second")) == 1
    assert count(archived, artifact, work / "xid", Transaction(xid)) == 2
    assert count(archived, artifact, work / "lsn", Lsn(lsn)) == 2
    assert count(archived, artifact, work / "latest", EndOfArchive()) == 3


def test_what_begins_at_an_lsn_is_not_before_it(archived, work) -> None:
    """The next record may be the commit of another transaction, as it is here."""
    archived.execute("CREATE TABLE t (n int)")
    artifact = archived.back_up()
    with archived.connect() as connection:
        connection.execute("BEGIN; INSERT INTO t VALUES (1)")
        # Or else the records of a running server may come between.
        lsn = connection.execute("SELECT pg_current_wal_insert_lsn()::text").fetchone()[0]
        connection.execute("COMMIT")
    assert count(archived, artifact, work / "lsn", Lsn(lsn)) == 0


@pytest.mark.parametrize("lives", [True, False])
def test_an_archive_goes_on_while_its_end_is_recovered(archived, work, monkeypatch, lives) -> None:
    archived.execute("CREATE TABLE t (n int)")
    artifact = archived.back_up()
    archived.execute("INSERT INTO t VALUES (1)")
    archived.await_archived(archived.scalar("SELECT pg_walfile_name(pg_switch_wal())"))
    require_no_gap = recover._require_no_gap

    def after_more(*arguments: object) -> None:
        for number in range(2, 4):
            archived.execute(f"INSERT INTO t VALUES ({number})")
            archived.await_archived(archived.scalar("SELECT pg_walfile_name(pg_switch_wal())"))
        require_no_gap(*arguments)

    monkeypatch.setattr(recover, "_require_no_gap", after_more)
    changes = {} if lives else {"live": None}
    assert count(archived, artifact, work / "latest", EndOfArchive(), **changes) == 1


def test_a_target_that_is_not_in_the_archive_is_refused(archived, work) -> None:
    archived.scalar("SELECT pg_create_restore_point('too early')")
    artifact = archived.back_up()
    for target, message in (
        (RestorePoint("too early"), "restore point 'too early' is not in the archive, which ends"),
        (Transaction("4000000000"), "transaction 4000000000 is not in the archive, which ends"),
        (Lsn(artifact.manifest.start_lsn), "is before the end of backup"),
    ):
        folder = work / str(target).replace("/", "-")
        with pytest.raises(errors.PointInTimeOutOfRange, match=message):
            count(archived, artifact, folder, target)


def test_the_end_of_an_archive_with_a_gap_is_not_passed_off_as_its_end(archived, work) -> None:
    archived.execute("CREATE TABLE t (n int)")
    artifact = archived.back_up()
    archived.execute("SELECT pg_switch_wal()")
    lost = archived.scalar("SELECT pg_walfile_name(pg_current_wal_insert_lsn())")
    archived.hidden.add(lost)
    for number in range(3):
        archived.execute(f"INSERT INTO t VALUES ({number})")
        archived.execute("SELECT pg_switch_wal()")
    with pytest.raises(errors.WalMissing, match=f"WAL segment {lost} is missing in the archive"):
        count(archived, artifact, work / "latest", EndOfArchive())
