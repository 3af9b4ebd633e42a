"""Which tables of extensions a backup names, and what a restore made of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.artifact.extension_tables import (
    compare_extension_tables,
    describe_not_dumped,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.extension_versions import (
    describe_other_versions,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.manifest import (
    Extension,
    ExtensionTable,
    TableEntry,
)
from test_manifest import MANIFEST

RUNS = ExtensionTable("cron", "job_run_details", "pg_cron", False, 200, "a" * 16)
JOBS = ExtensionTable("cron", "job", "pg_cron", True, 3, "b" * 16)
BACKUP = replace(MANIFEST, extension_tables=(RUNS, JOBS))


def test_a_backup_names_what_is_in_no_dump() -> None:
    text = describe_not_dumped(BACKUP)
    assert '"cron"."job_run_details" (extension pg_cron)' in text
    assert '"job"' not in text
    assert describe_not_dumped(replace(BACKUP, extension_tables=(JOBS,))) == ""


def test_many_tables_with_long_names_fit_into_a_result() -> None:
    many = tuple(replace(RUNS, name="ü" * 31 + str(n), extension="e" * 63) for n in range(99))
    text = describe_not_dumped(replace(BACKUP, extension_tables=many))
    assert "and 94 more" in text
    assert len(text.encode()) < 1200


def test_the_same_is_no_difference() -> None:
    findings = compare_extension_tables(BACKUP, [RUNS, JOBS])
    assert (findings.failures, findings.warning) == ((), "")


def test_a_table_that_the_extension_does_not_make_is_a_failure_that_says_what_to_do() -> None:
    findings = compare_extension_tables(BACKUP, [JOBS])
    [failure] = findings.failures
    assert "is missing with its 200 rows" in failure
    assert 'ALTER EXTENSION "pg_cron" DROP TABLE "cron"."job_run_details"' in failure
    assert findings.warning == ""


def test_other_rows_of_the_extensions_own_are_a_warning() -> None:
    findings = compare_extension_tables(BACKUP, [replace(RUNS, rows=0), JOBS])
    assert findings.failures == ()
    assert "job_run_details" in findings.warning


@pytest.mark.parametrize("change", [{"rows": 4}, {"fingerprint": "c" * 16}])
def test_other_rows_of_a_configuration_table_are_a_failure(change: dict) -> None:
    findings = compare_extension_tables(BACKUP, [RUNS, replace(JOBS, **change)])
    [failure] = findings.failures
    assert "configuration table" in failure
    assert "expected 3 rows" in failure


def test_what_an_older_format_cannot_be_compared_by_is_told() -> None:
    findings = compare_extension_tables(
        replace(BACKUP, format_version=2, extension_tables=()), [RUNS, JOBS]
    )
    assert findings.failures == ()
    assert "format version 2" in findings.warning


def test_nothing_is_said_of_a_part_of_the_rows() -> None:
    part = (TableEntry("public", "t", "table", False, 0, "0" * 16),)
    findings = compare_extension_tables(
        replace(MANIFEST, format_version=2, tables=part, extension_tables=()), [RUNS]
    )
    assert (findings.failures, findings.warning) == ((), "")


def test_extensions_of_another_version_are_named() -> None:
    extensions = (Extension("a", "1.0"), Extension("b", "1.0"), Extension("c", None))
    source = replace(MANIFEST.source, extensions=extensions)
    text = describe_other_versions(source, {"a": "1.1", "b": "1.0", "c": "2"})
    assert text == "extensions of another version at the backup: a 1.0, here 1.1"
    assert describe_other_versions(source, {"a": "1.0"}) == ""
