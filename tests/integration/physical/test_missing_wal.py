"""What a physical Backup reports of WAL that is missing in the archive, and what it does not."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible_collections.postgres.operator.plugins.module_utils import errors
from ansible_collections.postgres.operator.plugins.module_utils.archive.names import (
    SEGMENT_SIZE,
    first_lsn,
    format_lsn,
    parse_lsn,
    segment_name,
    segment_number,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.physical.gaps import (
    describe_gaps,
)
from ansible_collections.postgres.operator.plugins.module_utils.postgres.connection import connect
from test_wal_removal import back_up, segments


def write(archived, count: int) -> list[str]:
    """Fill segments, and return their names."""
    made = []
    for _ in range(count):
        archived.execute("CREATE TABLE t (); DROP TABLE t")
        made.append(str(archived.scalar("SELECT pg_walfile_name(pg_switch_wal())")))
    return made


def remove(archived, *names: str) -> None:
    for name in names:
        found = archived.wal.find(name)
        archived.store.files.remove_files(archived.wal.location, [found.path])


def report(archived, artifact, oldest_end: str | None = None) -> dict[str, Any]:
    parameters = archived.parameters.maintenance
    return describe_gaps(artifact, oldest_end, parameters, parameters)


def test_a_segment_that_was_removed_is_reported(archived) -> None:
    first, summary = back_up(archived)
    assert summary["archive"] == {"name": archived.wal.location.uid, "gaps": []}
    names = write(archived, 5)
    archived.await_archived(names[-1])
    stored = archived.wal.stored_time(names[0])
    remove(archived, names[1], names[2], names[4])
    _, summary = back_up(archived, first, oldest_end=first.manifest.end_lsn)
    assert "warning" not in summary
    gaps = summary["archive"]["gaps"]
    assert [(gap["segment"], gap["segments"]) for gap in gaps] == [(names[1], 2), (names[4], 1)]
    start = first_lsn(names[1])
    assert gaps[0]["startLSN"] == format_lsn(start)
    assert gaps[0]["endLSN"] == format_lsn(start + 2 * SEGMENT_SIZE)
    assert 0 <= (datetime.fromisoformat(gaps[0]["from"]) - stored).total_seconds() <= 1


def test_what_is_before_the_end_of_the_oldest_backup_is_not(archived) -> None:
    """From before there was an archive, say; and of its own time a backup has the WAL itself."""
    names = write(archived, 3)
    archived.await_archived(names[-1])
    remove(archived, names[1])
    first, _ = back_up(archived, kept_from=None)
    own = segment_name(1, (parse_lsn(first.manifest.end_lsn) - 1) // SEGMENT_SIZE)
    segments(archived, 2)
    remove(archived, own)
    _, summary = back_up(archived, first, oldest_end=first.manifest.end_lsn)
    assert summary["archive"]["gaps"] == []
    _, summary = back_up(archived, oldest_end=format_lsn(first_lsn(own) - 1))
    assert [gap["segment"] for gap in summary["archive"]["gaps"]] == [own]


def test_a_segment_that_waits_to_be_archived_is_not(archived) -> None:
    """An archiver may store later ones before."""
    artifact, _ = back_up(archived)
    names = write(archived, 4)
    for name in names:
        archived.await_archived(name)
    remove(archived, names[1], names[2])
    assert [gap["segments"] for gap in report(archived, artifact)["gaps"]] == [2]
    with connect(archived.parameters.maintenance) as connection:
        connection.execute("ALTER SYSTEM SET archive_command = 'false'")
        connection.execute("SELECT pg_reload_conf()")
    try:
        # The server copies it when the command works again; until then it waits.
        waiting = Path(archived.scalar("SHOW data_directory")) / "pg_wal/archive_status"
        (waiting / f"{names[1]}.ready").touch()
        gaps = report(archived, artifact)["gaps"]
        assert [(gap["segment"], gap["segments"]) for gap in gaps] == [(names[2], 1)]
    finally:
        (waiting / f"{names[1]}.ready").unlink(missing_ok=True)
        with connect(archived.parameters.maintenance) as connection:
            connection.execute("ALTER SYSTEM RESET archive_command")
            connection.execute("SELECT pg_reload_conf()")


def test_only_some_are_described_and_the_others_counted(archived) -> None:
    artifact, _ = back_up(archived)
    names = write(archived, 15)
    for name in names:
        archived.await_archived(name)
    remove(archived, *names[1:15:2])
    found = report(archived, artifact)
    assert [gap["segment"] for gap in found["gaps"]] == names[5:15:2]
    assert found["moreGaps"] == 2


def test_a_gap_without_the_segment_before_it_has_no_moment(archived) -> None:
    artifact, _ = back_up(archived)
    own = segment_name(1, (parse_lsn(artifact.manifest.end_lsn) - 1) // SEGMENT_SIZE)
    names = write(archived, 3)
    archived.await_archived(names[-1])
    remove(archived, own, *(name for name in names[:2] if name != own))
    (gap,) = report(archived, artifact)["gaps"]
    assert segment_number(gap["segment"]) == segment_number(own) + 1
    assert "from" not in gap


def test_a_backup_is_as_good_if_the_archive_cannot_be_listed(archived, monkeypatch) -> None:
    def refuse(*_: object) -> None:
        raise errors.StoreDenied("these credentials cannot list")

    monkeypatch.setattr(type(archived.wal), "segments", refuse)
    _, summary = back_up(archived)
    assert summary["archive"] == {"name": archived.wal.location.uid}
    assert "searched for missing WAL: these credentials cannot list" in summary["warning"]


def test_the_timeline_that_was_left_is_not_searched(archived, standby_of) -> None:
    """After a promotion the former primary's later WAL, of which some is missing, is no one's."""
    artifact, _ = back_up(archived)
    with standby_of(archived, archives=True) as promoted:
        with connect(promoted) as connection:
            written = archived.scalar("SELECT pg_current_wal_lsn()::text")
            deadline = time.monotonic() + 60
            replayed = "SELECT pg_last_wal_replay_lsn() >= %s::text::pg_lsn"
            while connection.execute(replayed, [written]).fetchone() != (True,):
                assert time.monotonic() < deadline
                time.sleep(0.05)
            connection.execute("SELECT pg_promote()")
            for _ in range(3):
                connection.execute("CREATE TABLE public.t (); DROP TABLE public.t")
                (last,) = connection.execute("SELECT pg_walfile_name(pg_switch_wal())").fetchone()
        left = write(archived, 4)
        archived.await_archived(left[-1])
        archived.await_archived(str(last))
        remove(archived, left[1])
        after = archived.back_up(primary=promoted, replication=promoted)
        assert after.manifest.timeline == 2
        end = artifact.manifest.end_lsn
        assert describe_gaps(after, end, promoted, promoted) == {"gaps": []}
        remove(archived, str(last))
        found = describe_gaps(after, end, promoted, promoted)
        assert [gap["segment"] for gap in found["gaps"]] == [str(last)]
