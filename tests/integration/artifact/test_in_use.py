"""What keeps a live database from being replaced, or would stay in it: slots and their like."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from ansible_collections.postgres.operator.plugins.module_utils import errors
from ansible_collections.postgres.operator.plugins.module_utils.artifact import restore
from ansible_collections.postgres.operator.plugins.module_utils.artifact.replaced_database import (
    drop_expired_previous,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.restore import (
    rehearse_restore,
)

SLOT, GID = "cdc_slot", "it's; 1"
MAKE_SLOT = f"SELECT pg_create_logical_replication_slot('{SLOT}', 'pgoutput')"


@pytest.fixture
def used(changed) -> Iterator[object]:
    """A bench that was backed up and changed; slots and prepared transactions go in the end."""
    yield changed
    with changed.connect("postgres") as connection:
        for pid, name in connection.execute(
            "SELECT active_pid, slot_name FROM pg_replication_slots WHERE slot_type = 'logical'"
        ).fetchall():
            if pid:
                connection.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
            connection.execute("SELECT pg_drop_replication_slot(%s)", [name])
        for gid, database in connection.execute(
            "SELECT gid, database FROM pg_prepared_xacts"
        ).fetchall():
            with changed.connect(database) as inside:
                inside.execute(
                    psycopg.sql.SQL("ROLLBACK PREPARED {}").format(psycopg.sql.Literal(gid))
                )


def prepare(bench) -> None:
    bench.execute("BEGIN; INSERT INTO version VALUES ('prepared'); PREPARE TRANSACTION 'it''s; 1'")


def slots(bench) -> dict[str, str]:
    with bench.connect("postgres") as connection:
        rows = connection.execute("SELECT slot_name, database FROM pg_replication_slots")
        return dict(rows.fetchall())


def refuse_to_load(*_: object, **__: object) -> None:
    raise AssertionError("found only after something was loaded")


def test_a_slot_is_found_before_anything_is_loaded(used, monkeypatch) -> None:
    used.execute(MAKE_SLOT)
    before = used.databases()
    monkeypatch.setattr(restore, "load_and_compare", refuse_to_load)
    with pytest.raises(errors.DatabaseInUse, match=rf'"{SLOT}" \(pgoutput\).*drop it'):
        used.restore()
    with pytest.raises(errors.DatabaseInUse, match=SLOT):
        rehearse_restore(used.restore_request())
    assert used.databases() == before
    assert slots(used) == {SLOT: used.database}


def test_it_is_found_before_the_safety_backup(used, early_refusal) -> None:
    assert early_refusal(used) is None
    used.execute(MAKE_SLOT)
    reason, message = early_refusal(used)
    assert reason == "DatabaseInUse"
    assert f'"{SLOT}" (pgoutput)' in message
    assert early_refusal(used, consent={"endReplication": True}) is None
    prepare(used)
    reason, message = early_refusal(used, consent={"endReplication": True})
    assert "was prepared" in message


def test_a_primary_that_does_not_answer_is_left_to_the_job(used, early_refusal) -> None:
    used.execute(MAKE_SLOT)
    away = replace(used, server=replace(used.server, port=1))
    assert early_refusal(away) is None


def test_with_consent_a_slot_stays_and_is_dropped_with_the_replaced_database(used) -> None:
    used.execute(MAKE_SLOT)
    summary = used.restore(ends_replication=True).summary
    previous = summary["previousDatabase"]
    assert f'slots stay in the replaced database "{previous}"' in summary["warning"]
    assert SLOT in summary["warning"]
    assert slots(used) == {SLOT: previous}
    problems: list[str] = []
    with used.connect("postgres") as connection:
        far = datetime.now(UTC) + timedelta(days=9)
        assert drop_expired_previous(connection, far, problems) == [previous]
    assert problems == []
    assert slots(used) == {}


def test_a_slot_that_is_read_from_is_refused_with_consent_too(used, monkeypatch) -> None:
    used.execute(MAKE_SLOT)
    monkeypatch.setattr(restore, "load_and_compare", refuse_to_load)
    reader = used.server.stream(used.database, SLOT)
    try:
        with pytest.raises(errors.DatabaseInUse, match=rf'process \d+ reads from .*"{SLOT}"'):
            used.restore(ends_replication=True)
    finally:
        reader.kill()
        reader.wait()
    assert used.scalar("SELECT name FROM version") == "new"


def test_a_prepared_transaction_is_named_with_owner_and_age(used, monkeypatch) -> None:
    prepare(used)
    monkeypatch.setattr(restore, "load_and_compare", refuse_to_load)
    expected = r"transaction 'it''s; 1' of role \"postgres\" was prepared \d+s ago"
    with pytest.raises(errors.DatabaseInUse, match=expected):
        used.restore(ends_replication=True)


def test_a_dry_run_reports_it(used) -> None:
    used.execute(MAKE_SLOT)
    prepare(used)
    warning = used.restore(dry_run=True).summary["warning"]
    assert "a Restore would be refused" in warning
    assert SLOT in warning
    assert "'it''s; 1'" in warning


@pytest.mark.parametrize("make", [lambda bench: bench.execute(MAKE_SLOT), prepare])
def test_what_comes_while_the_backup_is_loaded_is_found_before_the_swap(
    used, monkeypatch, make
) -> None:
    real, before = restore.swap, used.databases()

    def swap(*arguments):
        make(used)
        return real(*arguments)

    monkeypatch.setattr(restore, "swap", swap)
    with pytest.raises(errors.DatabaseInUse):
        used.restore()
    assert used.databases() == before
    assert used.scalar("SELECT name FROM version") == "new"


def test_what_comes_at_the_very_end_is_found_once_the_name_is_locked(used, monkeypatch) -> None:
    from ansible_collections.postgres.operator.plugins.module_utils.artifact import swap as swaps

    real, before = swaps._sessions_terminated, used.databases()

    def terminated(*arguments):
        used.execute(MAKE_SLOT)
        return real(*arguments)

    monkeypatch.setattr(swaps, "_sessions_terminated", terminated)
    with pytest.raises(errors.DatabaseInUse, match=SLOT):
        used.restore()
    assert used.databases() == before
    assert slots(used) == {SLOT: used.database}


def test_publications_are_named_after_the_swap_and_in_a_dry_run(changed) -> None:
    changed.execute('CREATE PUBLICATION "news; of" FOR TABLE version')
    for dry_run in (True, False):
        warning = changed.restore(dry_run=dry_run).summary["warning"]
        assert 'publications ("news; of")' in warning
        assert "copy_data" in warning


def test_one_of_another_database_is_no_reason(used, make_bench) -> None:
    make_bench("other").execute(MAKE_SLOT)
    used.restore()
    assert slots(used) == {SLOT: "other"}
