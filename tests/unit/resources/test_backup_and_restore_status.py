"""Phase and condition of Backup and Restore."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible_collections.postgres.operator.plugins.module_utils.resources.backup import (
    status as backup,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.job_state import JobState
from ansible_collections.postgres.operator.plugins.module_utils.resources.prerequisites import (
    choose_run,
    find_backup_block,
    find_database_block,
    find_newer,
    find_newer_refusal,
    find_refusal,
    is_newer,
    needs_safety_backup,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.restore import (
    status as restore,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.transitions import (
    find_transitions,
)
from ansible_collections.postgres.operator.plugins.module_utils.units import parse_duration
from collection_root import CHECKOUT

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
VERIFICATION = RESULT | {"completionTime": "2026-01-01T12:02:05Z"}
FAILURE = {"ok": False, "reason": "NoSpace", "message": "the volume is full"}


def test_a_backup_that_cannot_start_waits_and_says_for_what() -> None:
    block = ("DatabaseNotFound", "there is no Database app")
    decision = backup.decide(backup.Observation("pvc://app-backups", blocked=block))
    assert decision.phase == "Pending"
    assert decision.conditions[0].reason == "DatabaseNotFound"
    assert decision.requeue_after


def test_a_running_backup_is_in_progress() -> None:
    decision = backup.decide(backup.Observation("pvc://app-backups", job=JobState("j")))
    assert decision.phase == "InProgress"
    assert decision.conditions[0].reason == "BackupInProgress"


def test_the_message_reports_how_far_it_is() -> None:
    progress = "Restoring into it: 43% of the rows, 12 of 40 tables, 1.2Gi"
    decision = restore.decide(restore.Observation(job=JobState("j", progress=progress)))
    assert decision.fields["progress"] == progress
    assert decision.conditions[0].message == f"the restore is being done by Job j; {progress}"


def test_a_job_is_polled_less_often_with_its_age() -> None:
    looks = [
        backup.decide(backup.Observation("c", job=JobState("j", age=age))).requeue_after
        for age in (0.0, 2.0, 4.0, 15.0, 60.0, 3600.0)
    ]
    assert looks == [3.0, 1.0, 1.0, 1.5, 6.0, 10.0]


def test_a_backup_is_completed_by_its_result_only() -> None:
    done = JobState("j", result=RESULT)
    decision = backup.decide(backup.Observation("pvc://app-backups", job=done))
    assert decision.phase == "Completed"
    assert decision.conditions[0].status == "True"
    assert decision.fields["backupLocation"] == "pvc://app-backups/shop/app/u1"
    assert decision.fields["duration"] == "7s"
    assert decision.fields["size"] == "2.0Ki"
    assert decision.requeue_after is None


def completed(verification: dict[str, Any] | None):
    return backup.decide(
        backup.Observation("c", job=JobState("j", result=RESULT, verification=verification))
    )


def test_a_backup_that_was_only_read_back_is_not_called_verified() -> None:
    decision = completed(None)
    verified = decision.conditions[1]
    assert (verified.type, verified.status, verified.reason) == ("Verified", "Unknown", "NotAsked")
    assert "verify: restore" in verified.message
    assert "verified" not in decision.fields


def test_a_backup_that_was_restored_and_compared_is_verified() -> None:
    decision = completed(VERIFICATION)
    verified = decision.conditions[1]
    assert (verified.status, verified.reason) == ("True", "RestoreCompared")
    assert "4 tables, 9 rows" in verified.message
    assert decision.fields["verified"] is True
    assert (decision.fields["duration"], decision.fields["verifyDuration"]) == ("7s", "2m5s")


def test_what_a_backup_and_its_verification_warn_of_is_in_the_messages() -> None:
    job = JobState(
        "j",
        result=RESULT | {"warning": "no dump has public.t"},
        verification=VERIFICATION | {"warning": "public.u has other rows"},
    )
    ready, verified, _ = backup.decide(backup.Observation("c", job=job)).conditions
    assert ready.message == "Backup completed successfully, but no dump has public.t"
    assert (ready.status, verified.status) == ("True", "True")
    assert verified.message.endswith("4 tables, 9 rows, but public.u has other rows")


def test_a_clock_put_back_meanwhile_makes_no_negative_duration() -> None:
    result = RESULT | {"completionTime": "2020-01-01T00:00:00Z"}
    decision = backup.decide(backup.Observation("c", job=JobState("j", result=result)))
    assert decision.fields["duration"] == "0s"


@pytest.mark.parametrize(
    ("verification", "reason"),
    [
        ({"ok": False, "reason": "VerificationFailed", "message": "m"}, "VerificationFailed"),
        (FAILURE, "NoSpace"),
        (VERIFICATION | {"sha256": "cd"}, "ChecksumMismatch"),
    ],
)
def test_a_backup_whose_verification_failed_is_completed_and_not_verified(
    verification, reason
) -> None:
    decision = completed(verification)
    ready, verified, finished = decision.conditions
    assert (decision.phase, ready.status) == ("Completed", "True")
    assert (finished.type, finished.status, finished.reason) == ("Finished", "True", "Completed")
    assert (verified.status, verified.reason) == ("False", reason)
    assert decision.fields["verified"] is False
    assert "verifyDuration" not in decision.fields


def test_a_failed_verification_warns_once() -> None:
    def status(verification: dict[str, Any] | None) -> dict[str, Any]:
        decision = completed(verification)
        conditions = [vars(condition) for condition in decision.conditions]
        return {"phase": decision.phase, "conditions": conditions}

    running = {"phase": "InProgress", "conditions": []}
    failed = status({"ok": False, "reason": "VerificationFailed", "message": "table t is missing"})
    done, warning = find_transitions("Backup", running, failed)
    assert (done.warning, done.reason) == (False, "Completed")
    assert (warning.warning, warning.reason) == (True, "VerificationFailed")
    assert "table t is missing" in warning.message
    assert find_transitions("Backup", failed, failed) == []
    assert [t.warning for t in find_transitions("Backup", running, status(VERIFICATION))] == [
        False
    ] * 2
    assert len(find_transitions("Backup", running, status(None))) == 1


def test_the_backups_crd_verifies_checksums_by_default() -> None:
    crd = yaml.safe_load((CHECKOUT / "crds/database.example.com_backups.yaml").read_text())
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    verify = schema["properties"]["spec"]["properties"]["verify"]
    assert (verify["default"], verify["enum"]) == ("checksum", ["checksum", "restore"])


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
    assert [parse_duration(k) for k in ("24h", "30m", "0s")] == [86400, 1800, 0]


def test_what_a_database_must_be() -> None:
    assert find_database_block("app", None)[0] == "DatabaseNotFound"
    assert find_database_block("app", {"status": {"phase": "Deploying"}})[0] == "DatabaseNotReady"
    # Who takes writes can be dumped and restored into, whatever else is not right.
    for phase in ("Ready", "Updating", "Deploying", "Failed"):
        status = {"phase": phase, "writable": True, "encrypted": True}
        assert find_database_block("app", {"status": status}) is None
    reason, message = find_database_block("app", {"status": {"writable": True}})
    assert (reason, "certificates" in message) == ("DatabaseNotReady", True)
    assert find_database_block("app", {"status": {"phase": "Ready", "writable": False}})


def test_a_database_that_is_gone_keeps_no_restore_waiting() -> None:
    gone = {"type": "Ready", "status": "False", "reason": "DatabaseGone"}
    database = {"status": {"phase": "Failed", "writable": False, "conditions": [gone]}}
    assert find_database_block("app", database) is None


def test_a_step_that_failed_is_reported_also_while_the_safety_backup_is_awaited() -> None:
    refused = ("ReconcileFailed", "exceeded quota")
    safety = restore.SafetyBackup("app-safety")
    decision = restore.decide(restore.Observation(blocked=refused, safety=safety))
    assert decision.phase == "Pending"
    assert decision.conditions[0].reason == "ReconcileFailed"
    assert decision.fields["safetyBackup"] == "app-safety"


def a_backup(phase: str, **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "b"}, "spec": {}, "status": {"phase": phase, **status}}


def test_what_a_backup_must_be() -> None:
    assert find_backup_block("b", None)[0] == "BackupNotFound"
    going = a_backup("Completed") | {"metadata": {"deletionTimestamp": "now"}}
    assert find_backup_block("b", going)[0] == "BackupNotFound"
    for phase in ("Pending", "InProgress"):
        assert find_backup_block("b", a_backup(phase))[0] == "BackupNotCompleted"
    assert find_backup_block("b", a_backup("Completed")) is None


DATABASE = {"spec": {"databaseName": "app"}}
DONE = a_backup("Completed", backupLocation="pvc://c/x", startTime="2026-01-01T12:00:00Z")
PHYSICAL = a_backup(
    "Completed",
    backupLocation="pvc://c/x",
    method="physical",
    consistentTime="2026-01-01T12:00:00Z",
    endLSN="0/3000028",
)
CREATED = {"creationTimestamp": "2026-05-31T21:00:00Z"}


@pytest.mark.parametrize(
    ("spec", "backup", "claim", "reason", "message"),
    [
        ({}, a_backup("Failed"), "", "BackupNotCompleted", "is Failed and cannot be restored"),
        ({}, a_backup("Completed"), "", "BackupLocationMissing", "does not say where it is"),
        ({}, DONE, "app-backups", "BackupLocationMissing", "app-backups"),
        (
            {"pointInTime": "2026-01-01T12:00:05Z"},
            DONE,
            "",
            "PointInTimeOutOfRange",
            "is a logical backup of one point in time, 2026-01-01T12:00:00Z; leave pointInTime out",
        ),
        (
            {"sourceDatabase": "shop"},
            DONE,
            "",
            "PhysicalBackupNeeded",
            "leave sourceDatabase out",
        ),
        (
            {"latest": True},
            DONE,
            "",
            "PointInTimeOutOfRange",
            "leave latest out, or name a Backup with method: physical",
        ),
        (
            {"lsn": "0/2000000"},
            PHYSICAL,
            "",
            "PointInTimeOutOfRange",
            "lsn 0/2000000 is before the end of Backup b, 0/3000028; name a Backup",
        ),
        (
            {"pointInTime": "2026-01-01T11:59:59Z"},
            PHYSICAL,
            "",
            "PointInTimeOutOfRange",
            "is before the end of Backup",
        ),
        (
            {"pointInTime": "2026-05-31T23:00:01+02:00"},
            PHYSICAL,
            "",
            "PointInTimeOutOfRange",
            "is after this Restore was created",
        ),
        (
            {"include": {}, "targetDatabase": "app"},
            DONE,
            "",
            "SelectionNeedsTarget",
            "another database",
        ),
        ({}, DONE | {"spec": {"exclude": {}}}, "", "SelectionNeedsTarget", "targetDatabase"),
    ],
)
def test_what_will_never_come_true_is_refused(spec, backup, claim, reason, message) -> None:
    refusal = find_refusal({"metadata": CREATED, "spec": spec}, backup, DATABASE, claim)
    assert refusal[0] == reason
    assert message in refusal[1]
    decision = restore.decide(restore.Observation(refused=refusal))
    assert (decision.phase, decision.requeue_after) == ("Failed", None)


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"pointInTime": "2026-01-01T12:00:00Z"},
        # In another zone that is just before the Restore was created.
        {"pointInTime": "2026-05-31T22:59:59+02:00"},
        # In the second in which it was created.
        {"pointInTime": "2026-05-31T21:00:00.999999Z"},
        {"sourceDatabase": "shop", "targetDatabase": "b"},
        {"lsn": "0/3000028"},
        {"lsn": "0/10000000"},
        {"xid": "741"},
        {"restorePoint": "before"},
        {"latest": True},
    ],
)
def test_a_moment_that_a_physical_backup_reaches_is_restored(spec) -> None:
    assert find_refusal({"metadata": CREATED, "spec": spec}, PHYSICAL, DATABASE, "") is None


def test_of_a_schedule_the_newest_run_before_the_moment_is_restored() -> None:
    def run(number: int) -> dict[str, Any]:
        found = a_backup(
            "Completed",
            method="physical",
            consistentTime=f"2026-01-01T12:0{number}:00Z",
            endLSN=f"0/{number}000000",
        )
        return found | {"metadata": {"name": f"run-{number}"}}

    runs = [run(1), run(2), run(3)]
    assert choose_run(runs, ("pointInTime", "2026-01-01T12:02:59Z")) == runs[1]
    assert choose_run(runs, ("pointInTime", "2026-01-01T12:02:00Z")) == runs[1]
    assert choose_run(runs, ("pointInTime", "2026-01-01T12:00:59Z")) is None
    assert choose_run(runs, ("lsn", "0/2000000")) == runs[1]
    assert choose_run(runs, ("lsn", "0/FFFFFF")) is None
    assert choose_run(runs, ("latest", True)) == runs[2]
    assert choose_run(runs) == runs[2]


RESTORE = {"metadata": {"creationTimestamp": "2026-01-01T12:00:00Z"}, "spec": {}}
BEFORE = {"startTime": "2026-01-01T11:59:59Z"}
AFTER = {"startTime": "2026-01-01T12:00:01Z"}


@pytest.mark.parametrize(
    ("backup", "newer"),
    [
        (a_backup("Completed", **BEFORE), False),
        (a_backup("Completed", startTime="2026-01-01T12:00:00Z"), False),
        (a_backup("Completed", **AFTER), True),
        (a_backup("Pending"), True),
        ({"metadata": {"name": "b"}, "spec": {}}, True),
        # When it was begun is known when it has ended.
        (a_backup("InProgress"), False),
        (a_backup("Failed"), False),
        # What is adopted was made before, as its manifest says.
        ({"metadata": {"name": "b"}, "spec": {"artifact": {"latest": True}}}, False),
    ],
)
def test_a_backup_is_newer_than_a_restore_that_was_created_before_it_began(backup, newer) -> None:
    assert is_newer(backup, RESTORE) == newer


def test_a_newer_backup_is_refused() -> None:
    refusal = find_newer_refusal(RESTORE, a_backup("Completed", **AFTER), [])
    assert refusal[0] == "BackupNewerThanRestore"
    assert "was begun at 2026-01-01T12:00:01Z, after this Restore" in refusal[1]
    assert "or one with consent.newerBackup: true" in refusal[1]
    refusal = find_newer_refusal(RESTORE, a_backup("Pending"), [])
    assert "has not begun" in refusal[1]
    assert find_newer_refusal(RESTORE, a_backup("Completed", **BEFORE), []) is None
    # Why it is Failed is more to the point.
    assert find_newer_refusal(RESTORE, a_backup("Failed", **AFTER), []) is None


def test_of_a_schedule_an_older_run_is_restored_or_waited_for() -> None:
    schedule = {"metadata": {"name": "nightly"}, "spec": {"schedule": "@daily"}, "status": {}}
    older, newer = a_backup("Completed", **BEFORE), a_backup("Completed", **AFTER)
    assert find_newer_refusal(RESTORE, schedule, [older, newer]) is None
    assert find_newer_refusal(RESTORE, schedule, [a_backup("InProgress"), newer]) is None
    for runs in ([], [newer], [a_backup("Failed", **BEFORE), newer]):
        refusal = find_newer_refusal(RESTORE, schedule, runs)
        assert refusal[0] == "BackupNewerThanRestore"
        assert "no run of Backup nightly was begun before" in refusal[1]


def test_what_has_failed_is_finished_and_what_runs_is_not() -> None:
    failed = restore.decide(restore.Observation(refused=("InvalidInput", "no")))
    assert [(c.type, c.status) for c in failed.conditions] == [
        ("RestoreReady", "False"),
        ("Finished", "True"),
    ]
    waiting = restore.decide(restore.Observation(blocked=("BackupNotFound", "none")))
    assert [c.type for c in waiting.conditions] == ["RestoreReady"]


def test_a_part_may_be_restored_beside_the_database() -> None:
    assert find_refusal({"spec": {}}, DONE, DATABASE, "") is None
    beside = {"spec": {"include": {}, "targetDatabase": "other"}}
    assert find_refusal(beside, DONE, DATABASE, "") is None


def test_of_a_schedule_the_newest_verified_run_is_restored_else_the_newest_completed_one() -> None:
    old, verified, new, failed, running = (
        a_backup("Completed"),
        a_backup("Completed", verified=True),
        a_backup("Completed"),
        a_backup("Failed"),
        a_backup("InProgress"),
    )
    assert choose_run([old, verified, new, failed, running]) is verified
    assert choose_run([old, new, failed, running]) is new
    assert choose_run([failed, running]) is None
    assert choose_run([]) is None
    assert find_newer([old, verified, new, failed], verified) is new
    assert find_newer([old, new, failed], new) is None
    assert find_newer([], None) is None


@pytest.mark.parametrize(
    ("spec", "needed"),
    [
        ({}, True),
        ({"targetDatabase": "app"}, True),
        ({"targetDatabase": "other"}, False),
        ({"dryRun": True}, False),
        ({"safetyBackup": False}, False),
    ],
)
def test_the_live_database_is_backed_up_before_it_is_replaced(spec, needed) -> None:
    assert needs_safety_backup({"spec": spec}, DATABASE) is needed


def with_safety(phase: str, reason: str = "", message: str = "") -> Any:
    safety = restore.SafetyBackup("undo-safety-1", phase, reason, message)
    return restore.decide(restore.Observation(safety=safety))


def test_a_restore_waits_for_its_safety_backup() -> None:
    for phase in ("", "Pending", "InProgress"):
        decision = with_safety(phase, message="behind 3 others")
        assert decision.phase == "InProgress"
        assert decision.conditions[0].reason == "SafetyBackupInProgress"
        assert "undo-safety-1" in decision.conditions[0].message
        assert "behind 3 others" in decision.conditions[0].message
        assert decision.fields["safetyBackup"] == "undo-safety-1"


def test_without_its_safety_backup_a_restore_fails_and_nothing_is_touched() -> None:
    decision = with_safety("Failed", "NoSpace", "the disk is full")
    assert (decision.phase, decision.conditions[0].reason) == ("Failed", "SafetyBackupFailed")
    for text in ("was not changed", "NoSpace: the disk is full", "safetyBackup: false"):
        assert text in decision.conditions[0].message


def test_of_a_database_that_does_not_exist_there_is_nothing_to_save() -> None:
    assert restore.SafetyBackup("s", "Failed", "DatabaseNotFound").is_done
    assert restore.SafetyBackup("s", "Completed").is_done


def test_the_backups_of_a_restore_are_those_of_its_job() -> None:
    annotations = {restore.BACKUP_ANNOTATION: "nightly-1", restore.SAFETY_ANNOTATION: "s-1"}
    for result in (None, RESULT, FAILURE):
        job = JobState("j", result=result, annotations=annotations)
        fields = restore.decide(restore.Observation(job=job)).fields
        assert (fields["backup"], fields["safetyBackup"]) == ("nightly-1", "s-1")


def test_a_dry_run_says_what_would_change() -> None:
    difference = {"equal": 1, "different": 2, "onlyInBackup": 0, "onlyInDatabase": 1}
    job = JobState("j", result={**RESULT, "difference": difference})
    decision = restore.decide(restore.Observation(job=job))
    condition = decision.conditions[0]
    assert (decision.phase, condition.reason) == ("Completed", "RestoreCompleted")
    assert condition.message.startswith("Dry run")
    assert "2 tables would get other rows, 1 table would be gone" in condition.message
    assert decision.fields["difference"] == difference
    assert "restoreTime" not in decision.fields


def test_sessions_that_may_still_see_the_old_database_are_reported() -> None:
    job = JobState("j", result={**RESULT, "warning": "standby app-2 was not reached"})
    decision = restore.decide(restore.Observation(job=job))
    assert decision.phase == "Completed"
    assert "standby app-2 was not reached" in decision.conditions[0].message


GONE = [{"type": "ArtifactMissing", "status": "True"}]


def test_a_backup_whose_files_are_gone_is_not_restored() -> None:
    gone = a_backup("Completed", conditions=GONE, backupLocation="pvc://x/y")
    refused = find_refusal({"spec": {}}, gone, DATABASE, "")
    assert refused is not None
    assert refused[0] == "BackupLocationMissing"
    assert "are gone from pvc://x/y" in refused[1]
    there = a_backup("Completed")
    assert choose_run([there, gone]) is there
    assert find_newer([there, gone], there) is None
