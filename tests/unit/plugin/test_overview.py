"""What the plugin says of a Database, and how that looks."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

from conftest import backup, condition, resource, schedule
from kubectl_postgres.overview import Overview, overview_of, since
from kubectl_postgres.screen import console, render, render_list

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def overview(database: dict[str, Any], *others: dict[str, Any]) -> Overview:
    backups = [one for one in others if one["kind"] == "Backup"]
    return overview_of(database, backups, [one for one in others if one["kind"] == "Restore"], NOW)


def text(renderable: Any, width: int = 100) -> list[str]:
    screen = console(width)
    screen.file = io.StringIO()
    screen.print(renderable)
    return [line.rstrip() for line in screen.file.getvalue().splitlines()]


def test_the_screen_of_a_database(database) -> None:
    restore = resource(
        "Restore",
        "undo",
        {"databaseRef": {"name": "app"}, "backupRef": {"name": "nightly"}},
        "Failed",
        backup="nightly-1",
        completionTime="2026-01-01T11:00:00Z",
        conditions=[condition("RestoreReady", "False", "DatabaseInUse", "a slot")],
    )
    failed = backup("nightly-2", "Failed", hour=2)
    shown = overview(
        database, schedule("nightly"), backup("nightly-1", verified=True), failed, restore
    )
    assert text(render(shown, NOW)) == [
        "shop/app  Ready",
        "PostgreSQL 17.7, 2/2 instances ready, primary app-0, timeline 3",
        "app.shop.svc.cluster.local:5432",
        "",
        "INSTANCE  ROLE     STATE      READY  LAG     TIMELINE  VOLUME  USED  RESTART FOR",
        "app-0     primary  running    yes            3         1Gi     25%",
        "app-1     replica  streaming  no     16.0Mi  3         1Gi           max_connections",
        "Archive: last WAL file 000000030000000000000007, 2 waiting",
        "",
        "Backups: last Completed 11h ago, last verified 11h ago",
        "Schedule nightly: 0 3 * * *, Scheduled, next 2026-01-02T03:00:00Z",
        "BACKUP     PHASE      AGE  SIZE    TOOK  PROOF",
        "nightly-2  Failed",
        "nightly-1  Completed  11h  12.3Mi  4s    verified",
        "nightly-2: BackupFailed: the words",
        "",
        "RESTORE  PHASE   OF BACKUP  AGE",
        "undo     Failed  nightly-1  1h",
        "undo: DatabaseInUse: a slot",
        "",
        "To do:",
        "- Degraded True, InstancesNotReady: app-1 is not ready",
        "- The newest Backup has failed: nightly-2: BackupFailed: the words",
    ]


def test_on_a_narrow_terminal_only_names_are_broken(database) -> None:
    names = ("app-by-hand-20260101-010000", "app-restore-20260101-020000-safety-0432cafe")
    shown = overview(database, *(backup(name) for name in names))
    lines = text(render(shown, NOW), width=60)
    assert max(map(len, lines)) <= 60
    assert [line for line in lines if "Completed" in line and "12.3Mi" in line][1:]


def test_all_is_well(database) -> None:
    database["status"]["conditions"].pop(2)
    shown = overview(database, schedule("nightly"), backup("nightly-1", verified=True))
    assert shown.todo == []
    assert text(render(shown, NOW))[-1] == "Nothing to do."


def test_of_others_nothing_is_shown(database) -> None:
    other = backup("other", verified=True)
    other["spec"]["databaseRef"]["name"] = "another"
    assert overview(database, other).backups == []


def test_what_is_missing_for_a_loss_is_said(database) -> None:
    database["status"]["conditions"] = []
    assert overview(database).todo == [
        "No Backup is Completed: kubectl postgres backup app --verify"
    ]
    assert [one.partition(":")[0] for one in overview(database, backup("one")).todo] == [
        "No Backup is verified",
        "No schedule makes Backups",
    ]
    gone = backup("one", verified=True)
    gone["status"]["conditions"].append(condition("ArtifactMissing", "True", "FilesGone", "gone"))
    todo = overview(database, gone, schedule("nightly")).todo
    assert todo == ["Backup one: ArtifactMissing True: gone"]


def test_a_database_that_was_just_made(database) -> None:
    del database["status"]
    shown = overview(database)
    assert text(render(shown, NOW))[0] == "shop/app  new"
    assert text(render_list([shown], NOW))[1].split() == ["app", "new", "2"]
    assert shown.todo[0].startswith("No operator has reconciled it")
    database["metadata"]["creationTimestamp"] = "2026-01-01T11:59:30Z"
    assert len(overview(database).todo) == 1, "it was made just now"


def test_a_message_is_text(database) -> None:
    """Square brackets and emoji names are what rich would otherwise read."""
    database["status"]["conditions"][2]["message"] = "[bold]app-1[/bold] :fire: [/]"
    lines = text(render(overview(database), NOW))
    assert any("[bold]app-1[/bold] :fire: [/]" in line for line in lines)


def test_the_document_has_names_as_the_api_has_them(database) -> None:
    document = overview(database, backup("one", verified=True)).document()
    assert document["lastVerified"] == "2026-01-01T01:00:00Z"
    assert document["backups"][0]["proof"] == "verified"
    assert document["instances"][1]["lagBytes"] == 16777216


def test_ages() -> None:
    assert since("2026-01-01T11:59:55Z", NOW) == "5s"
    assert since("2025-12-30T11:30:00Z", NOW) == "2d"
    assert since("2026-01-01T10:30:00+00:00", NOW) == "1h30m"
    assert since("2026-01-01T12:00:05Z", NOW) == "0s", "a clock may be ahead"


def test_synchronous_replicas_are_marked_and_commits_that_wait_are_to_do(database) -> None:
    status = database["status"]
    status["instances"][1]["synchronous"] = True
    good = {"type": "SynchronousReplication", "status": "True", "reason": "R", "message": "1 of 1"}
    status["conditions"] = [good]
    lines = text(render(overview(database), NOW))
    assert "app-1     replica (sync)  streaming  no" in "\n".join(lines)
    assert not any("SynchronousReplication" in line for line in lines)
    status["conditions"] = [{**good, "status": "False", "reason": "CommitsWait"}]
    lines = text(render(overview(database), NOW))
    assert "- SynchronousReplication False, CommitsWait: 1 of 1" in lines
