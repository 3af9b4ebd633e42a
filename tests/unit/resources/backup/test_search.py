"""When the files of Completed Backups are searched for, and what comes of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.errors import InvalidInput
from ansible_collections.postgres.operator.plugins.module_utils.resources.backup.search import (
    Observation,
    Step,
    has_turn,
    is_due,
    kept_seconds,
    next_step,
    read_period,
    searched_status,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.job_state import JobState

DAY = 86400
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
FRESH = Observation(location="s3://b/shop/app/u", period=DAY, blocked=None, job=None)
DENIED = {"ok": False, "reason": "StoreDenied", "message": "check the credentials"}
GONE = {"type": "ArtifactMissing", "status": "True", "reason": "FilesGone"}


def backup(spec: Any = None, **status: Any) -> dict[str, Any]:
    completed = {
        "phase": "Completed",
        "backupLocation": "s3://b/shop/app/u",
        "completionTime": "2026-03-01T12:00:00Z",
    }
    return {"metadata": {"generation": 2}, "spec": spec or {}, "status": completed | status}


def test_a_backup_is_searched_for_once_the_period_has_passed() -> None:
    assert is_due(backup(), DAY, NOW)
    assert not is_due(backup(), DAY, NOW - timedelta(seconds=1))
    assert is_due(backup(), DAY - 1, NOW - timedelta(seconds=1))
    assert not is_due(backup(), 0, NOW)


def test_later_searches_do_not_come_together() -> None:
    """As they would after an upgrade of an operator that knew none."""
    hours = [NOW + timedelta(days=400, hours=hour) for hour in range(24)]
    due = []
    for number in range(40):
        one = backup()
        one["metadata"]["uid"] = f"uid-{number}"
        due.append([has_turn(one, DAY, hour) for hour in hours])
    # Each for three hours of a day, and never more than a half of them.
    assert {sum(one) for one in due} == {3}
    assert max(map(sum, zip(*due, strict=True))) < 20
    assert all(has_turn(one, 60, hour) for hour in hours)
    assert has_turn(one, DAY, NOW)
    unknown = {"type": "ArtifactMissing", "status": "Unknown", "reason": "StoreDenied"}
    one["status"]["conditions"] = [unknown]
    assert all(has_turn(one, DAY, hour) for hour in hours)


def test_a_job_is_gone_when_the_next_search_is_due() -> None:
    assert kept_seconds(DAY) == DAY - DAY // 8
    assert kept_seconds(60) == 60


@pytest.mark.parametrize(
    "other",
    [
        backup(phase="Failed"),
        backup(backupLocation=None),
        backup(completionTime=None),
        backup(conditions=[GONE]),
        backup({"schedule": "0 3 * * *"}),
        {**backup(), "metadata": {"deletionTimestamp": "2026-03-02T00:00:00Z"}},
        {"metadata": {}, "spec": {}},
        {"metadata": {}, "spec": {}, "status": {}},
    ],
    ids=["failed", "nowhere", "undated", "gone", "schedule", "deleted", "no status", "empty"],
)
def test_what_is_not_searched_for(other: Any) -> None:
    assert not is_due(other, DAY, NOW)
    assert searched_status(other, None, NOW) == other.get("status", {})


def test_a_job_is_made_where_there_is_none_and_nothing_is_said_meanwhile() -> None:
    assert next_step(FRESH) == Step(start=True, undecided=True)
    for job in (
        JobState("j"),
        JobState("j", problem=("Unschedulable", "no node"), age=60),
        JobState("j", result=DENIED, lost=True),
    ):
        assert next_step(replace(FRESH, job=job)) == Step(undecided=True)


def test_what_it_did_not_find_is_gone() -> None:
    for missing in ([], ["u1", "u2"]):
        job = JobState("j", result={"ok": True, "missing": missing})
        assert next_step(replace(FRESH, job=job)) == Step(missing=missing)


@pytest.mark.parametrize(
    ("changes", "reason", "words"),
    [
        ({"job": JobState("j", result=DENIED)}, "StoreDenied", "Job j: check the credentials; the"),
        (
            {"job": JobState("j", problem=("PodNotCreated", "exceeded quota"), age=301)},
            "PodNotCreated",
            "once this Job is deleted, at the latest 21h0m0s after its end",
        ),
        ({"blocked": ("SecretMissing", "create it")}, "SecretMissing", "not known: create it"),
    ],
)
def test_a_failure_is_named_and_is_no_loss(changes: Any, reason: str, words: str) -> None:
    step = next_step(replace(FRESH, **changes))
    assert (step.start, step.missing) == (False, ())
    assert step.failure is not None
    assert step.failure[0] == reason
    assert words in step.failure[1]
    assert "s3://b/shop/app/u" in step.failure[1]
    status = searched_status(backup(), step.failure, NOW)
    (condition,) = status["conditions"]
    assert (condition["type"], condition["status"]) == ("ArtifactMissing", "Unknown")
    later = searched_status({**backup(), "status": status}, step.failure, NOW + timedelta(days=1))
    assert later == status
    ended = searched_status({**backup(), "status": status}, None, NOW)
    assert ended == {**status, "conditions": []}


def test_what_is_gone_stays_gone() -> None:
    gone = backup(conditions=[GONE])
    for failure in (None, ("StoreDenied", "x")):
        assert searched_status(gone, failure, NOW) == gone["status"]


def test_a_period_is_a_duration_or_none() -> None:
    assert [read_period(text) for text in ("24h", "90m", "45s", "0")] == [DAY, 5400, 45, 0]
    for text in ("", "1d", "24", "-1h", "0h", "1h30m", "99999h", "24h\n"):
        with pytest.raises(InvalidInput, match="write at most four digits with h, m or s"):
            read_period(text)
