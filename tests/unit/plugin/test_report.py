"""What the recovery report says, and that it is one page of escaped text."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from click.testing import CliRunner
from conftest import backup, condition, resource, schedule
from kubectl_postgres.page import page
from kubectl_postgres.program import program
from kubectl_postgres.report import Report, report_of

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def restore(name: str, phase: str = "Completed", minutes: int = 2, **spec: Any) -> dict[str, Any]:
    said = condition("RestoreReady", "False", "NotEnoughRoom", "no room")
    return resource(
        "Restore",
        name,
        {"databaseRef": {"name": "app"}, "backupRef": {"name": "one"}, **spec},
        phase,
        startTime="2026-01-01T10:00:00Z",
        completionTime=f"2026-01-01T10:{minutes:02}:00Z",
        conditions=[said],
    )


def begun(hour: int, **status: Any) -> dict[str, Any]:
    """A Backup that began at an hour and took half of one."""
    times = {
        "startTime": f"2026-01-01T0{hour}:00:00Z",
        "completionTime": f"2026-01-01T0{hour}:30:00Z",
    }
    return backup(f"at-{hour}", hour=hour, sizeBytes=2048, **times, **status)


def report(database: Any, *others: Any, hours: int = 24) -> Report:
    backups = [one for one in others if one["kind"] == "Backup"]
    restores = [one for one in others if one["kind"] == "Restore"]
    return report_of(database, backups, restores, timedelta(hours=hours), NOW)


def test_the_longest_span_without_a_backup(database) -> None:
    found = report(database, begun(1), begun(8), begun(9)).worst_loss
    assert found
    # What was changed right after the first began is in the second only, which was there later.
    assert (found.since, found.until) == ("2026-01-01T01:00:00Z", "2026-01-01T08:30:00Z")
    assert found.text == "7h30m"
    until_now = report(database, begun(1), begun(4)).worst_loss
    assert until_now
    assert (until_now.since, until_now.until, until_now.text) == ("2026-01-01T04:00:00Z", "", "8h")
    assert report(database).worst_loss is None


def test_only_whole_backups_count_against_a_loss(database) -> None:
    failed = backup("failed", "Failed", hour=8)
    found = report(database, begun(1), begun(8, partial=True), failed).worst_loss
    assert found
    assert found.text == "11h"


def test_the_backup_before_the_period_begins_its_first_span(database) -> None:
    found = report(database, begun(1), begun(8), hours=5)
    assert [one.name for one in found.backups] == ["at-8"]
    assert found.worst_loss
    assert found.worst_loss.since == "2026-01-01T01:00:00Z"


def test_how_long_a_restore_takes(database) -> None:
    found = report(
        database,
        restore("real"),
        restore("dry", minutes=7, dryRun=True),
        restore("beside", minutes=3, targetDatabase="old"),
        restore("failed", "Failed", minutes=50),
    )
    assert found.longest_restore == 420
    assert {one.name: one.what for one in found.restores} == {
        "real": "restore",
        "dry": "rehearsal",
        "beside": "copy",
        "failed": "restore",
    }
    assert "Failed: failed." in found.findings


def test_findings(database) -> None:
    assert report(database).findings == [
        "No Backup was Completed in this period.",
        "No schedule makes Backups.",
        "Nothing was restored or rehearsed in this period.",
    ]
    nightly = schedule("nightly")
    nightly["spec"]["verify"] = "restore"
    good = (nightly, begun(1, verified=True), restore("dry", dryRun=True))
    assert report(database, *good).findings == []
    nightly["spec"]["verify"] = "checksum"
    nightly["status"]["phase"] = "Suspended"
    database["status"]["archive"]["failedSince"] = "2026-01-01T09:00:00Z"
    assert report(database, nightly, begun(1), good[2]).findings == [
        "No Backup of this period was verified: none was restored and compared.",
        "Schedule nightly is Suspended.",
        "Schedule nightly does not verify (verify: restore).",
        "WAL is not archived since 2026-01-01T09:00:00Z.",
    ]


def test_the_page_needs_nothing_else_and_its_text_is_escaped(database) -> None:
    failed = backup("failed", "Failed", hour=3)
    failed["status"]["conditions"][0]["message"] = "<script>alert(1)</script>"
    found = report(database, begun(1, verified=True), begun(2), failed, restore("dry", dryRun=True))
    text = page([found])
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!#)""", text.replace("xlink:", ""))
    assert text.count("<svg") == 2
    for shown in ("shop/app", "at-1", "rehearsal", "10h", "2.0Ki"):
        assert shown in text


def test_the_command(cluster) -> None:
    cluster.add(begun(1))
    done = CliRunner().invoke(program, ["report", "app", "-o", "json", "--since", "9999w"])
    assert done.exit_code == 0, done.output
    (document,) = json.loads(done.output)
    assert document["backups"][0]["sizeBytes"] == 2048
    assert document["worstLoss"]["since"] == "2026-01-01T01:00:00Z"
    assert "<title>Recovery report" in CliRunner().invoke(program, ["report"]).output
    wrong = CliRunner().invoke(program, ["report", "--since", "yesterday"])
    assert (wrong.exit_code, "write it like 90d" in wrong.output) == (2, True)
