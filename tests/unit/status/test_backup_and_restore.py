"""Phase and condition of Backup and Restore."""

from __future__ import annotations

from typing import Any

from ansible_collections.postgres.operator.plugins.module_utils.status import backup, restore
from ansible_collections.postgres.operator.plugins.module_utils.status.job import JobState
from ansible_collections.postgres.operator.plugins.module_utils.status.prerequisites import (
    find_backup_block,
    find_database_block,
)

RESULT: dict[str, Any] = {
    "ok": True,
    "location": "shop/app/u1",
    "sizeBytes": 2048,
    "sha256": "ab",
    "serverVersion": "17.6",
    "tables": 4,
    "rows": 9,
    "startTime": "2026-01-01T12:00:00Z",
    "completionTime": "2026-01-01T12:00:07Z",
}
FAILURE = {"ok": False, "reason": "NoSpace", "message": "the volume is full"}


def test_a_backup_that_cannot_start_waits_and_says_for_what() -> None:
    block = ("DatabaseNotFound", "there is no Database app")
    decision = backup.decide(backup.Observation("app-backups", blocked=block))
    assert decision.phase == "Pending"
    assert decision.conditions[0].reason == "DatabaseNotFound"
    assert decision.requeue_after


def test_a_running_backup_is_in_progress() -> None:
    decision = backup.decide(backup.Observation("app-backups", job=JobState("j")))
    assert decision.phase == "InProgress"
    assert decision.conditions[0].reason == "BackupInProgress"


def test_a_backup_is_completed_by_its_result_only() -> None:
    done = JobState("j", result=RESULT)
    decision = backup.decide(backup.Observation("app-backups", job=done))
    assert decision.phase == "Completed"
    assert decision.conditions[0].status == "True"
    assert decision.fields["backupLocation"] == "pvc://app-backups/shop/app/u1"
    assert decision.fields["duration"] == "7s"
    assert decision.fields["size"] == "2.0Ki"
    assert decision.requeue_after is None


def test_a_failed_job_fails_the_backup_with_its_own_reason() -> None:
    decision = backup.decide(backup.Observation("c", job=JobState("j", result=FAILURE)))
    assert decision.phase == "Failed"
    assert (decision.conditions[0].reason, decision.conditions[0].status) == ("NoSpace", "False")


def test_a_completed_restore_names_the_database_that_it_replaced() -> None:
    job = JobState("j", result={**RESULT, "previousDatabase": "app_before_1"})
    decision = restore.decide(restore.Observation(job=job))
    assert decision.phase == "Completed"
    assert decision.fields["previousDatabase"] == "app_before_1"
    assert decision.fields["restoreTime"] == RESULT["completionTime"]


def test_keep_previous_is_read_in_seconds() -> None:
    assert [restore.keep_seconds(k) for k in ("24h", "30m", "0s")] == [86400, 1800, 0]


def test_what_a_database_must_be() -> None:
    assert find_database_block("app", None)[0] == "DatabaseNotFound"
    assert find_database_block("app", {"status": {"phase": "Deploying"}})[0] == "DatabaseNotReady"
    assert find_database_block("app", {"status": {"phase": "Ready", "ready": True}}) is None


def test_what_a_backup_must_be() -> None:
    assert find_backup_block("b", None)[0] == "BackupNotFound"
    for phase in ("Pending", "InProgress", "Failed"):
        assert find_backup_block("b", {"status": {"phase": phase}})[0] == "BackupNotCompleted"
    lost = find_backup_block("b", {"status": {"phase": "Completed"}})
    assert lost[0] == "BackupLocationMissing"
    assert (
        find_backup_block("b", {"status": {"phase": "Completed", "backupLocation": "pvc://x"}})
        is None
    )
