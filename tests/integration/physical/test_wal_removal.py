"""WAL from before the oldest Backup goes, and nothing that a Backup needs."""

from __future__ import annotations

from ansible_collections.postgres.operator.plugins.module_utils import errors
from ansible_collections.postgres.operator.plugins.module_utils.archive.names import segment_number
from conftest_physical import back_up


def numbers(archived) -> list[int]:
    return [segment_number(name) for name in archived.wal.segments(1)]


def segments(archived, count: int) -> None:
    for _ in range(count):
        archived.execute("CREATE TABLE t (); DROP TABLE t")
        archived.await_archived(archived.scalar("SELECT pg_walfile_name(pg_switch_wal())"))


def test_what_no_backup_needs_goes(archived) -> None:
    segments(archived, 3)
    before = numbers(archived)
    first, summary = back_up(archived)
    assert "warning" not in summary
    start = int(first.manifest.start_lsn.partition("/")[2], 16) >> 24
    assert min(numbers(archived)) == start > before[-1]
    segments(archived, 2)
    second, _ = back_up(archived, first)
    assert min(numbers(archived)) == start
    assert second.manifest.start_lsn != first.manifest.start_lsn
    # Without a gap from there on.
    assert numbers(archived) == list(range(start, max(numbers(archived)) + 1))


def test_a_moment_between_two_backups_is_still_reached(archived) -> None:
    archived.execute("CREATE TABLE kept (n int)")
    segments(archived, 2)
    first, _ = back_up(archived)
    archived.settle(first)
    archived.execute("INSERT INTO kept VALUES (1)")
    moment = archived.now()
    archived.execute("INSERT INTO kept VALUES (2)")
    back_up(archived, first)
    archived.restore(first, moment)
    assert archived.scalar("SELECT count(*) FROM kept") == 1


def test_where_it_is_not_known_what_is_needed_all_stays(archived) -> None:
    segments(archived, 2)
    before = numbers(archived)
    back_up(archived, kept_from=None)
    assert numbers(archived)[: len(before)] == before


def test_a_backup_is_as_good_if_nothing_can_be_removed(archived, monkeypatch) -> None:
    segments(archived, 2)
    before = numbers(archived)

    def refuse(*_: object) -> None:
        raise errors.StoreDenied("these credentials cannot delete")

    monkeypatch.setattr(type(archived.store.files), "remove_files", refuse)
    _, summary = back_up(archived)
    assert "could not be removed: these credentials cannot delete" in summary["warning"]
    assert numbers(archived)[: len(before)] == before
