"""Which slot is started, and when: a schedule and a clock that jumps."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.resources.schedule.cron import (
    Schedule,
    newest_slot,
    next_slot,
    parse_schedule,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.schedule.slots import (
    JITTER_LIMIT,
    SlotDecision,
    decide_slot,
    find_awaited,
    find_overrun,
    jitter,
)
from hypothesis import given, settings
from hypothesis import strategies as st

UID = "0f8fad5b-d9cb-469f-a165-70867728950e"
MINUTELY = parse_schedule("* * * * *", "UTC")
NIGHTLY = parse_schedule("0 0 * * *", "UTC")


def at(hour: int, minute: int = 0, second: int = 0) -> datetime:
    return datetime(2026, 1, 1, hour, minute, second, tzinfo=UTC)


@dataclass
class Plan:
    """A schedule in a world without Kubernetes: what it has written down, and what was started."""

    schedule: Schedule
    created: datetime
    recorded: datetime | None = None
    started: list[datetime] = field(default_factory=list)

    def decide_slot(self, now: datetime) -> SlotDecision:
        awaited = find_awaited(self.schedule, self.recorded, self.created, now)
        found = decide_slot(self.schedule, awaited, now, UID)
        if found.start is not None and found.start not in self.started:
            self.started.append(found.start)
        self.recorded = found.awaited
        return found


@settings(max_examples=50, deadline=None)
@given(
    st.sampled_from(
        ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Beirut", "UTC"]
    ),
    st.sampled_from(["0 0 * * *", "30 2 * * *", "0,30 1-3 * * *", "17 */3 * * *", "0 12 * * 0"]),
    st.datetimes(datetime(2025, 1, 1), datetime(2026, 12, 31)),
    st.lists(st.tuples(st.integers(1, 40), st.floats(0, 200)), max_size=5),
)
def test_every_slot_is_started_once_and_after_a_downtime_the_newest_is(
    zone: str, expression: str, start: datetime, downtimes: list[tuple[int, float]]
) -> None:
    """Twenty slots at a time; each downtime begins after so many looks and lasts so many hours."""
    schedule = parse_schedule(expression, zone)
    plan = Plan(schedule, start.replace(tzinfo=UTC))
    now = plan.created
    asleep = dict(downtimes)
    for step in range(60):
        before = now
        found = plan.decide_slot(now)
        now = max(found.wake, now + timedelta(seconds=1))
        if step in asleep:
            now += timedelta(hours=asleep[step])
        # Only a slot that another one has followed by the time of the look may be left out.
        slot = next_slot(schedule, before)
        while slot + JITTER_LIMIT <= now:
            following = next_slot(schedule, slot)
            if following > now:
                plan.decide_slot(now)
                assert slot in plan.started
            slot = following
        if len(plan.started) >= 20:
            break
    assert len(set(plan.started)) == len(plan.started)
    assert plan.started == sorted(plan.started)


def test_a_thousand_slots_are_started_once_each_over_both_changes_of_the_clock() -> None:
    schedule = parse_schedule("30 0,2,3 * * *", "Europe/Berlin")
    plan = Plan(schedule, datetime(2026, 1, 1, tzinfo=UTC))
    now = plan.created
    while len(plan.started) < 1000:
        now = plan.decide_slot(now).wake
    wanted = [next_slot(schedule, plan.created)]
    while len(wanted) < 1000:
        wanted.append(next_slot(schedule, wanted[-1]))
    assert plan.started == wanted


def test_two_operators_at_the_same_time_start_the_same_slot() -> None:
    now = at(12, 0, 1)
    found = [decide_slot(MINUTELY, at(12), now, UID).start for _ in range(2)]
    assert found == [at(12), at(12)]


def test_after_a_downtime_the_newest_slot_is_started_and_the_older_ones_are_not() -> None:
    found = decide_slot(MINUTELY, at(12), at(12, 7, 30), UID)
    assert found.start == at(12, 7)
    assert found.awaited == at(12, 8)


def test_a_slot_beyond_its_starting_deadline_is_given_up() -> None:
    deadline = timedelta(minutes=15)
    late = decide_slot(NIGHTLY, at(0), at(0, 40), UID, deadline)
    assert (late.start, late.missed) == (None, at(0))
    assert late.awaited == at(0) + timedelta(days=1)
    in_time = decide_slot(NIGHTLY, at(0), at(0, 14), UID, deadline)
    assert in_time.start == at(0)


def test_the_deadline_counts_from_the_start_that_the_jitter_gives() -> None:
    due = at(0) + jitter(NIGHTLY, at(0), UID)
    assert decide_slot(
        NIGHTLY, at(0), due + timedelta(seconds=60), UID, timedelta(seconds=60)
    ).start == at(0)


def test_a_slot_waits_for_the_run_before_it() -> None:
    busy = decide_slot(MINUTELY, at(12), at(12, 0, 5), UID, busy=True)
    assert busy.start is None
    assert busy.awaited == at(12)
    later = decide_slot(MINUTELY, busy.awaited, at(12, 3, 5), UID)
    assert later.start == at(12, 3)


def test_a_run_is_late_from_the_moment_at_which_the_next_one_would_start() -> None:
    second = at(0) + timedelta(days=1)
    due = second + jitter(NIGHTLY, second, UID)
    assert find_overrun(NIGHTLY, at(0), due - timedelta(seconds=1), UID) is None
    assert find_overrun(NIGHTLY, at(0), due, UID) == second
    assert find_overrun(NIGHTLY, at(0), due + timedelta(days=9), UID) == second


def test_a_changed_schedule_starts_nothing_that_lies_behind() -> None:
    # At 12:30 the schedule waits for midnight; then it is made to run at 11:00, or every five minutes.
    midnight, now = at(0) + timedelta(days=1), at(12, 30, 10)
    eleven = parse_schedule("0 11 * * *", "UTC")
    assert find_awaited(eleven, midnight, at(0), now) == at(11) + timedelta(days=1)
    often = parse_schedule("*/5 * * * *", "UTC")
    assert find_awaited(often, midnight, at(0), now) == at(12, 35)


def test_a_slot_that_was_missed_is_still_awaited_when_something_else_has_changed() -> None:
    assert find_awaited(NIGHTLY, at(0), at(0), at(9)) == at(0)


def test_a_new_plan_waits_for_the_first_slot_after_it_was_made() -> None:
    assert find_awaited(MINUTELY, None, at(12, 0, 30), at(12, 5)) == at(12, 1)


def test_a_clock_put_back_does_not_stop_a_plan() -> None:
    assert find_awaited(MINUTELY, at(12), at(0), at(9, 0, 30)) == at(9, 1)


@pytest.mark.parametrize(
    ("expression", "bound"),
    [
        ("* * * * *", 0),
        ("*/30 * * * *", 0),
        ("0 * * * *", 180),
        ("0 */2 * * *", 360),
        ("0 0 * * *", 600),
        ("0 0 1 * *", 600),
    ],
)
def test_jitter_stays_below_its_bound(expression: str, bound: int) -> None:
    schedule = parse_schedule(expression, "UTC")
    slot = next_slot(schedule, at(0, 30))
    seconds = [jitter(schedule, slot, f"uid-{n}").total_seconds() for n in range(1000)]
    assert max(seconds) <= bound
    assert seconds == [jitter(schedule, slot, f"uid-{n}").total_seconds() for n in range(1000)]


def test_a_thousand_midnight_plans_start_spread_over_ten_minutes() -> None:
    seconds = [jitter(NIGHTLY, at(0), f"uid-{n}").total_seconds() for n in range(1000)]
    per_minute = [sum(60 * m <= s < 60 * (m + 1) for s in seconds) for m in range(10)]
    assert sum(per_minute) == 1000
    assert max(per_minute) < 150


@settings(deadline=None)
@given(st.integers(0, 10**8))
def test_what_is_started_is_never_late_by_more_than_one_slot(seconds: int) -> None:
    now = at(0) + timedelta(seconds=seconds)
    found = decide_slot(NIGHTLY, at(0), now, UID)
    assert found.wake > now
    if found.start is not None:
        assert found.start == newest_slot(NIGHTLY, now)
