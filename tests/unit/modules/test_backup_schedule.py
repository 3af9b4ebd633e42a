"""What a schedule does at one look, with an API server of a few lines."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.resources.backup.finalizer import (
    FINALIZER,
)
from ansible_collections.postgres.operator.plugins.module_utils.units import format_time
from ansible_collections.postgres.operator.plugins.modules import backup_schedule
from fake_backups import THIS_MINUTE, FakeBackups


class StoppedClock(datetime):
    """A datetime whose present is one moment."""

    moment: datetime

    @classmethod
    def at(cls, moment: datetime) -> type[StoppedClock]:
        return type("Stopped", (cls,), {"moment": moment})

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        return cls.moment.astimezone(tz)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> FakeBackups:
    fake = FakeBackups()
    monkeypatch.setattr(backup_schedule, "connect", lambda: fake)
    return fake


def schedule(missed_minutes: int = 0, **spec: Any) -> dict[str, Any]:
    """A schedule of every minute that waits for the slot of so many minutes ago."""
    return {
        "kind": "Backup",
        "metadata": {
            "name": "often",
            "namespace": "shop",
            "uid": "u1",
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {
            "databaseRef": {"name": "app"},
            "schedule": "* * * * *",
            "deletionPolicy": "Retain",
            **spec,
        },
        "status": {
            "phase": "Scheduled",
            "observedGeneration": 1,
            "nextScheduleTime": format_time(THIS_MINUTE - timedelta(minutes=missed_minutes)),
        },
    }


def look(resource: dict[str, Any], check_mode: bool = False) -> dict[str, Any]:
    return backup_schedule.run({"resource": resource}, check_mode)


def test_a_database_that_does_not_exist_is_told_before_the_first_slot(
    cluster: FakeBackups,
) -> None:
    cluster.database = None
    found = look(schedule(missed_minutes=-30, schedule="0 3 1 1 *"))["observation"]
    assert found["problem"][0] == "DatabaseNotFound"
    assert "there is no Database app in this namespace" in found["problem"][1]
    assert found["wake_seconds"] == 10
    cluster.database = {"kind": "Database"}
    assert look(schedule(missed_minutes=-30))["observation"]["problem"] is None


def test_a_suspended_one_too(cluster: FakeBackups) -> None:
    cluster.database = None
    found = look(schedule(suspend=True))["observation"]
    assert (found["problem"][0], found["wake_seconds"]) == ("DatabaseNotFound", 10)


def test_a_downtime_of_many_slots_ends_with_one_run(cluster: FakeBackups) -> None:
    result = look(schedule(missed_minutes=90))
    assert list(cluster.backups) == [result["started"]]
    assert result["observation"]["started"] >= format_time(THIS_MINUTE)
    again = look(schedule(missed_minutes=0))
    assert not again["changed"] or again["started"] != result["started"]


def test_a_run_is_waited_for_or_not_as_the_schedule_says(cluster: FakeBackups) -> None:
    cluster.add(schedule(), 1, "InProgress")
    assert look(schedule())["started"] == ""
    assert look(schedule(concurrencyPolicy="Allow"))["started"] != ""


def test_a_run_that_has_not_ended_by_the_next_slot_is_reported_in_the_same_words(
    cluster: FakeBackups, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = cluster.add(schedule(), 1, "InProgress")
    reason, message = look(schedule())["observation"]["overrun"]
    assert reason == "RunStillActive"
    assert name in message
    assert format_time(THIS_MINUTE) in message
    later = StoppedClock.at(THIS_MINUTE + timedelta(minutes=7))
    monkeypatch.setattr(backup_schedule, "datetime", later)
    assert look(schedule())["observation"]["overrun"] == (reason, message)
    # It waits for nothing, or its slot is given up, which changes nothing about the run.
    assert look(schedule(concurrencyPolicy="Allow"))["observation"]["overrun"] is None
    given_up = schedule(startingDeadlineSeconds=1)
    given_up["status"]["nextScheduleTime"] = format_time(THIS_MINUTE + timedelta(minutes=8))
    assert look(given_up)["observation"]["overrun"] == (reason, message)


def test_a_schedule_polls_an_unfinished_run(
    cluster: FakeBackups, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup_schedule, "datetime", StoppedClock.at(THIS_MINUTE))
    yearly = schedule(schedule=f"0 0 1 {(THIS_MINUTE.month + 1) % 12 + 1} *")
    name = cluster.add(yearly, 1, "InProgress")
    assert look(yearly)["observation"]["wake_seconds"] == 600
    cluster.backups[name]["status"]["phase"] = "Completed"
    assert look(yearly)["observation"]["wake_seconds"] > 600


def test_a_clock_that_jumps_starts_no_slot_twice_and_stops_no_plan(
    cluster: FakeBackups, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ahead by three days and back again, back by three hours and on again; a run for each look."""
    resource = schedule(concurrencyPolicy="Allow", retention=100)
    hours = (0, 0, 72, 72, 0, 0, -3, -3, 0, 0)
    for minute, jump in enumerate(hours):
        now = THIS_MINUTE + timedelta(minutes=minute, hours=jump, seconds=1)
        monkeypatch.setattr(backup_schedule, "datetime", StoppedClock.at(now))
        result = look(resource)
        resource["status"]["nextScheduleTime"] = result["observation"]["awaited"]
        # Two slots ahead would wait for the clock: after a jump back, the next minute counts.
        assert result["observation"]["wake_seconds"] <= 60
    slots = {backup_schedule.slot_of(run) - THIS_MINUTE for run in cluster.backups.values()}
    ended = timedelta(minutes=len(hours) - 1)
    assert {timedelta(0), timedelta(minutes=1), timedelta(minutes=2, hours=72), ended} <= slots
    assert len(slots) == len(cluster.backups)


def test_a_suspended_plan_starts_nothing(cluster: FakeBackups) -> None:
    result = look(schedule(suspend=True))
    assert (result["started"], cluster.backups) == ("", {})
    assert result["observation"]["awaited"] is None


def test_what_passed_while_it_was_suspended_is_not_made_up_for(cluster: FakeBackups) -> None:
    resumed = schedule()
    del resumed["status"]["nextScheduleTime"]
    assert look(resumed)["started"] == ""


def test_runs_that_are_not_kept_go_with_their_files(cluster: FakeBackups) -> None:
    resource = schedule(retention=2, suspend=True)
    names = [cluster.add(resource, minutes, "Completed") for minutes in (9, 8, 7)]
    result = look(resource)
    assert result["removed"] == cluster.deleted == names[:1]
    assert [run["metadata"]["name"] for run in result["observation"]["runs"]] == names[1:]


def test_runs_that_a_window_needs_stay(cluster: FakeBackups) -> None:
    """Those of the hour before the newest one, and the one before them."""
    resource = schedule(retention=1, suspend=True, retentionPolicy={"keepWindow": "1h"})
    names = [cluster.add(resource, minutes, "Completed") for minutes in (190, 130, 80, 40, 10)]
    for name, minutes in zip(names, (189, 129, 79, 39, 9), strict=True):
        end = format_time(THIS_MINUTE - timedelta(minutes=minutes))
        cluster.backups[name]["status"]["consistentTime"] = end
    assert look(resource)["removed"] == names[:2]


@pytest.mark.parametrize(("reason", "gone"), [("NoSpace", 1), ("StoreUnreachable", 0)])
def test_after_a_failure_they_go_if_it_lacked_room(
    cluster: FakeBackups, reason: str, gone: int
) -> None:
    resource = schedule(retention=2, suspend=True)
    names = [cluster.add(resource, minutes, "Completed") for minutes in (9, 8, 7)]
    failed = cluster.add(resource, 6, "Failed")
    condition = {"type": "BackupReady", "status": "False", "reason": reason, "message": "no"}
    cluster.backups[failed]["status"]["conditions"] = [condition]
    assert look(resource)["removed"] == names[:gone]


def test_a_run_that_is_being_restored_stays_until_that_has_ended(cluster: FakeBackups) -> None:
    resource = schedule(retention=1, suspend=True)
    names = [cluster.add(resource, minutes, "Completed") for minutes in (3, 2, 1)]
    status = {"phase": "InProgress", "backup": names[0]}
    restore = {"spec": {"backupRef": {"name": "nightly"}}, "status": status}
    cluster.restores = [restore]
    assert look(resource)["removed"] == [names[1]]
    restore["status"]["phase"] = "Completed"
    assert look(resource)["removed"] == [names[0]]


def test_the_runs_follow_the_schedules_deletion_policy(cluster: FakeBackups) -> None:
    name = cluster.add(schedule(), 9, "Completed")
    look(schedule(suspend=True, deletionPolicy="Delete"))
    assert cluster.backups[name]["spec"]["deletionPolicy"] == "Delete"
    assert cluster.backups[name]["metadata"]["finalizers"] == [FINALIZER]


def test_check_mode_writes_nothing(cluster: FakeBackups) -> None:
    resource = schedule(retention=1)
    names = [cluster.add(resource, minutes, "Completed") for minutes in (9, 8)]
    result = look(resource, check_mode=True)
    assert result["changed"]
    assert result["removed"] == names[:1]
    assert list(cluster.backups) == names


def test_a_refused_run_is_reported_and_tried_again_but_not_hot(cluster: FakeBackups) -> None:
    cluster.refuse = "exceeded quota"
    observation = look(schedule())["observation"]
    assert observation["problem"] == ("ScheduleStepFailed", "exceeded quota")
    assert observation["wake_seconds"] == 60
    assert observation["awaited"] == format_time(THIS_MINUTE)


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"schedule": "61 * * * *"}, "ScheduleInvalid"),
        ({"schedule": "0 0 */31 2 mon#2"}, "ScheduleInvalid"),
        ({"timeZone": "Mars/Olympus"}, "TimeZoneUnknown"),
    ],
)
def test_a_bad_schedule_is_reported_and_removes_nothing(
    cluster: FakeBackups, spec: dict[str, Any], reason: str
) -> None:
    resource = schedule(retention=1, **spec)
    for minutes in (9, 8):
        cluster.add(resource, minutes, "Completed")
    result = look(resource)
    assert result["observation"]["refused"][0] == reason
    assert result["observation"]["wake_seconds"] is None
    assert cluster.deleted == []


def test_a_run_whose_files_are_gone_does_not_count_and_stays(cluster: FakeBackups) -> None:
    plan = schedule(retention=1)
    names = [cluster.add(plan, minutes, "Completed") for minutes in (30, 20, 10)]
    gone = {"type": "ArtifactMissing", "status": "True"}
    cluster.backups[names[2]]["status"]["conditions"] = [gone]
    backup_schedule.run({"resource": plan}, False)
    assert cluster.deleted == [names[0]]
