"""Phase, condition and times of a Backup with a schedule."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ansible_collections.postgres.operator.plugins.module_utils.resources.decide import decide
from ansible_collections.postgres.operator.plugins.module_utils.resources.prerequisites import (
    find_backup_block,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.schedule import (
    status as schedule,
)

SCHEDULE: dict[str, Any] = {"kind": "Backup", "metadata": {}, "spec": {"schedule": "0 3 * * *"}}


def run(day: int, phase: str, status: str = "False", reason: str = "", message: str = "m") -> Any:
    conditions = [{"type": "BackupReady", "status": status, "reason": reason, "message": message}]
    completed = {"completionTime": f"2026-01-0{day}T03:00:09Z"} if phase == "Completed" else {}
    return {
        "metadata": {"name": f"nightly-2026010{day}030000"},
        "status": {"phase": phase, "conditions": conditions if reason else [], **completed},
    }


GOOD = run(1, "Completed", "True", "BackupCompleted", "Backup completed successfully")


def test_a_new_plan_is_scheduled_and_has_no_backup_yet() -> None:
    decision = schedule.decide(
        SCHEDULE, schedule.Observation(awaited="2026-01-01T03:00:00Z", wake_seconds=60)
    )
    assert decision.phase == "Scheduled"
    assert decision.conditions[0].reason == "BackupScheduled"
    assert decision.fields["nextScheduleTime"] == "2026-01-01T03:00:00Z"
    assert decision.requeue_after == 60


def test_the_condition_reports_the_newest_outcome() -> None:
    good = schedule.decide(
        SCHEDULE, schedule.Observation(runs=[run(1, "Failed", reason="NoSpace"), GOOD])
    )
    assert (good.conditions[0].status, good.conditions[0].reason) == ("True", "BackupCompleted")
    bad = schedule.decide(
        SCHEDULE, schedule.Observation(runs=[GOOD, run(2, "Failed", reason="NoSpace")])
    )
    assert (bad.conditions[0].status, bad.conditions[0].reason) == ("False", "NoSpace")
    assert bad.conditions[0].message.startswith("nightly-20260102030000: ")
    assert bad.fields["lastSuccessfulTime"] == "2026-01-01T03:00:09Z"


def test_a_running_run_reports_nothing_but_is_active() -> None:
    under_way = run(2, "InProgress", reason="BackupInProgress")
    decision = schedule.decide(
        SCHEDULE, schedule.Observation(runs=[GOOD, under_way, run(3, "Pending")])
    )
    assert decision.conditions[0].reason == "BackupCompleted"
    assert decision.fields["active"] == ["nightly-20260102030000", "nightly-20260103030000"]


def test_a_run_that_cannot_start_is_reported() -> None:
    blocked = run(2, "Pending", reason="DatabaseNotFound")
    decision = schedule.decide(SCHEDULE, schedule.Observation(runs=[GOOD, blocked]))
    assert decision.conditions[0].reason == "DatabaseNotFound"
    stuck = run(2, "InProgress", reason="ImagePullFailed")
    decision = schedule.decide(SCHEDULE, schedule.Observation(runs=[GOOD, stuck]))
    assert (decision.conditions[0].status, decision.conditions[0].reason) == (
        "False",
        "ImagePullFailed",
    )


def test_a_run_that_keeps_a_slot_waiting_is_reported() -> None:
    overrun = ("RunStillActive", "run nightly-20260102030000 is still InProgress")

    def reported(*runs: Any) -> tuple[str, str]:
        condition = schedule.decide(
            SCHEDULE, schedule.Observation(runs=runs, overrun=overrun)
        ).conditions[0]
        return condition.status, condition.reason

    assert reported(GOOD, run(2, "InProgress", reason="BackupInProgress")) == ("False", overrun[0])
    assert reported(run(1, "Pending")) == ("False", overrun[0])
    # That one tells more.
    stuck = run(2, "InProgress", reason="PodNotTerminated")
    assert reported(GOOD, stuck) == ("False", "PodNotTerminated")


def test_the_last_success_is_remembered_when_its_backup_is_gone() -> None:
    before = {**SCHEDULE, "status": {"lastSuccessfulTime": "2026-01-09T03:00:00Z"}}
    assert schedule.decide(before, schedule.Observation(runs=[GOOD])).fields[
        "lastSuccessfulTime"
    ] == ("2026-01-09T03:00:00Z")


def test_a_bad_schedule_fails_the_schedule_and_waits_for_a_change() -> None:
    observation = schedule.Observation(runs=[GOOD], refused=("TimeZoneUnknown", "no such zone"))
    decision = schedule.decide(SCHEDULE, observation)
    assert decision.phase == "Failed"
    assert decision.conditions[0].reason == "TimeZoneUnknown"
    assert decision.requeue_after is None


def test_a_suspended_schedule_awaits_nothing_and_still_reports_its_last_run() -> None:
    decision = schedule.decide(SCHEDULE, schedule.Observation(runs=[GOOD], suspended=True))
    assert decision.phase == "Suspended"
    assert decision.fields["nextScheduleTime"] is None
    assert decision.conditions[0].reason == "BackupCompleted"


def test_an_observation_that_went_through_a_role_is_understood() -> None:
    step, run_on = ("ScheduleStepFailed", "no"), ("RunStillActive", "still")
    observation = schedule.Observation(runs=[GOOD], problem=step, overrun=run_on, log=["l"])
    plain = {**asdict(observation), "problem": list(step), "overrun": list(run_on)}
    assert decide(SCHEDULE, plain) == schedule.decide(SCHEDULE, observation)


def test_a_restore_of_a_schedule_without_a_good_run_waits_for_one() -> None:
    block = find_backup_block("nightly", SCHEDULE)
    assert block is not None
    assert block[0] == "BackupNotCompleted"
    assert "kubectl get backups -l database.example.com/plan=nightly" in block[1]
