"""A dry run finds out everything and changes nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.postgres.operator.plugins.module_utils import errors
from ansible_collections.postgres.operator.plugins.module_utils.artifact.history import (
    database_lock,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.selection import (
    parse_selection,
)


def fingerprint(bench) -> object:
    return bench.scalar(
        "SELECT (SELECT md5(string_agg(n || hash, '' ORDER BY n)) FROM numbers)"
        "    || (SELECT string_agg(name, ',') FROM version)"
        "    || (SELECT oid FROM pg_database WHERE datname = current_database())"
    )


def test_it_reports_what_would_change_and_changes_nothing(changed) -> None:
    changed.execute("CREATE TABLE later AS SELECT 1 AS a")
    databases, before = changed.databases(), fingerprint(changed)
    outcome = changed.restore(dry_run=True)
    assert changed.databases() == databases
    assert fingerprint(changed) == before
    assert outcome.summary["difference"] == {
        "equal": 0,
        "different": 2,
        "onlyInBackup": 0,
        "onlyInDatabase": 1,
        "examples": [
            '"public"."numbers": 20000 rows in the backup, 10 in the database',
            '"public"."version": 1 rows in the backup, 1 in the database, not the same',
            '"public"."later": 1 rows, only in the database',
        ],
    }
    assert (outcome.summary["tables"], outcome.summary["rows"]) == (2, 20001)
    assert "previousDatabase" not in outcome.summary


def test_a_restore_can_come_after_it_and_beside_it(changed) -> None:
    request = changed.restore_request()
    with changed.connect("postgres") as other, database_lock(other, changed.database, 1):
        changed.restore(uid=request.uid, dry_run=True)
    changed.restore()
    assert changed.restore(dry_run=True).summary["difference"]["equal"] == 2


def test_into_a_database_that_does_not_exist(changed) -> None:
    databases = changed.databases()
    where = replace(changed.parameters, dbname="elsewhere")
    outcome = changed.restore(parameters=where, dry_run=True)
    assert outcome.summary["difference"]["onlyInBackup"] == 2
    assert changed.databases() == databases


def test_of_a_selection_only_that_is_compared(changed) -> None:
    outcome = changed.restore(
        dry_run=True,
        partial=True,
        selection=parse_selection({"tables": ["public.version"]}, None),
    )
    difference = outcome.summary["difference"]
    assert (difference["different"], difference["onlyInDatabase"]) == (1, 0)


def test_a_backup_that_would_not_restore_is_reported(changed) -> None:
    databases = changed.databases()
    path = changed.folder / "manifest.json"
    path.write_text(path.read_text().replace('"rows": 20000', '"rows": 20001'))
    with pytest.raises(errors.RestoreFailed, match="20000 rows"):
        changed.restore(dry_run=True)
    assert changed.databases() == databases
