"""Slots of cron expressions, also where clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.errors import (
    ScheduleInvalid,
    TimeZoneUnknown,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.schedule.cron import (
    Schedule,
    newest_slot,
    next_slot,
    parse_schedule,
)
from hypothesis import given, settings
from hypothesis import strategies as st

# Zones of every kind: north and south, half an hour's change, at midnight, backwards, none.
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "Africa/Cairo",
    "Asia/Beirut",
    "America/Santiago",
    "Europe/Dublin",
    "Africa/Casablanca",
    "Pacific/Chatham",
    "Asia/Kolkata",
]
# Their clocks change by half an hour, or at a quarter to. By elapsed time cronsim steps over hours
# and may lose a slot there, once a year.
NOT_ON_THE_HOUR = {"Australia/Lord_Howe", "Pacific/Chatham"}
EXPRESSIONS = [
    "0 0 * * *",
    "30 2 * * *",
    "0,15,30,45 1,2 * * *",
    "5,35 0-3 * * *",
    "59 23 * * sun",
    "0 3 1 * *",
    "10 2 * 3,10 sun",
    "*/20 * * * *",
    "45 */2 * * *",
    "* 2 * * *",
]


def changes_of(zone: ZoneInfo, year: int) -> list[datetime]:
    """The moments of a year at which the zone's offset changes."""
    hours = [datetime(year, 1, 1, tzinfo=UTC) + timedelta(hours=n) for n in range(366 * 24)]
    offsets = [hour.astimezone(zone).utcoffset() for hour in hours]
    return [
        hour for hour, old, new in zip(hours[1:], offsets, offsets[1:], strict=False) if old != new
    ]


CHANGES = {name: changes_of(ZoneInfo(name), 2026) for name in ZONES}


@st.composite
def schedules_near_changes(draw: st.DrawFn) -> tuple[Schedule, datetime]:
    expression = draw(st.sampled_from(EXPRESSIONS))
    zones = ZONES
    if "*" in expression[:5]:
        zones = [zone for zone in ZONES if zone not in NOT_ON_THE_HOUR]
    zone = draw(st.sampled_from(zones))
    centre = draw(st.sampled_from(CHANGES[zone] or [datetime(2026, 3, 29, 1, tzinfo=UTC)]))
    offset = draw(st.integers(-100_000, 100_000))
    return parse_schedule(expression, zone), centre + timedelta(seconds=offset)


def slots_between(schedule: Schedule, start: datetime, end: datetime) -> list[datetime]:
    """All slots in (start, end], each asked for on its own."""
    slots = []
    while (start := next_slot(schedule, start)) <= end:
        slots.append(start)
    return slots


def expected_slots(schedule: Schedule, start: datetime, end: datetime) -> list[datetime]:
    """The slots in (start, end] of a schedule that names every day, month and weekday, worked out
    minute by minute from the rules, without the library."""
    minute, hour, *_ = schedule.expression.split()
    by_elapsed_time = minute.startswith("*") or hour.startswith("*")
    found = set()
    moment = start.replace(second=0, microsecond=0) - timedelta(hours=30)
    previous = moment.astimezone(schedule.zone).replace(tzinfo=None) - timedelta(minutes=1)
    seen: set[datetime] = set()
    while moment <= end:
        local = moment.astimezone(schedule.zone).replace(tzinfo=None)
        # What the clock shows at this moment, and what it has just skipped.
        shown = [local]
        if not by_elapsed_time:
            skipped = int((local - previous) / timedelta(minutes=1)) - 1
            shown += [previous + timedelta(minutes=n + 1) for n in range(max(skipped, 0))]
            shown = [time for time in shown if time not in seen]
            seen.update(shown)
        if any(matches(minute, time.minute) and matches(hour, time.hour) for time in shown):
            found.add(moment)
        previous = local
        moment += timedelta(minutes=1)
    return sorted(moment for moment in found if start < moment <= end)


def matches(field: str, value: int) -> bool:
    if field.startswith("*"):
        return value % int(field.partition("/")[2] or 1) == 0
    for term in field.split(","):
        first, _, last = term.partition("-")
        if int(first) <= value <= int(last or first):
            return True
    return False


@settings(max_examples=60, deadline=None)
@given(schedules_near_changes())
def test_slots_are_those_of_the_rules(case: tuple[Schedule, datetime]) -> None:
    schedule, start = case
    if not schedule.expression.endswith(" * * *"):
        return
    end = start + timedelta(hours=30)
    assert slots_between(schedule, start, end) == expected_slots(schedule, start, end)


@settings(max_examples=200, deadline=None)
@given(schedules_near_changes())
def test_the_newest_slot_is_the_last_of_those_before(case: tuple[Schedule, datetime]) -> None:
    schedule, until = case
    newest = newest_slot(schedule, until)
    assert newest is not None
    assert newest <= until
    assert next_slot(schedule, newest) > until
    assert next_slot(schedule, newest - timedelta(seconds=1)) == newest


def test_a_skipped_local_time_is_due_once_after_the_gap() -> None:
    berlin = parse_schedule("0,30 2 * * *", "Europe/Berlin")
    start = datetime(2026, 3, 29, 0, tzinfo=UTC)
    # 02:00 and 02:30 do not exist on that day: both are due at 03:00 summer time, and that is one.
    assert slots_between(berlin, start, start + timedelta(hours=24)) == [
        datetime(2026, 3, 29, 1, tzinfo=UTC),
        datetime(2026, 3, 30, 0, tzinfo=UTC),
    ]


def test_a_repeated_local_time_is_due_once() -> None:
    berlin = parse_schedule("30 2 * * *", "Europe/Berlin")
    start = datetime(2026, 10, 24, 22, tzinfo=UTC)
    assert slots_between(berlin, start, start + timedelta(hours=26)) == [
        datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    ]


@pytest.mark.parametrize(
    ("expression", "part"),
    [
        ("0 3 * *", "does not have five fields"),
        ("0 0 3 * * *", "does not have five fields"),
        ("@daily", "does not have five fields"),
        ("", "does not have five fields"),
        ("60 3 * * *", "bad minute"),
        ("0 24 * * *", "bad hour"),
        ("0 3 0 * *", "bad day-of-month"),
        ("0 3 31 2 *", "bad day-of-month"),
        ("0 3 * 13 *", "bad month"),
        ("0 3 * * 8", "bad day-of-week"),
        ("*/0 3 * * *", "bad minute"),
        ("5-1 3 * * *", "bad minute"),
        ("a 3 * * *", "bad minute"),
    ],
)
def test_a_bad_expression_is_refused(expression: str, part: str) -> None:
    with pytest.raises(ScheduleInvalid) as caught:
        parse_schedule(expression, "UTC")
    assert part in caught.value.message
    assert "minute hour day-of-month month day-of-week" in caught.value.message


def test_a_day_that_never_comes_is_refused() -> None:
    never = parse_schedule("0 0 */31 2 mon#2", "UTC")
    with pytest.raises(ScheduleInvalid, match="never comes"):
        next_slot(never, datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    "name", ["", "Mars/Olympus", "../etc/passwd", "/etc/passwd", "Europe", "a\0b"]
)
def test_an_unknown_time_zone_is_refused(name: str) -> None:
    with pytest.raises(TimeZoneUnknown, match="Europe/Berlin"):
        parse_schedule("0 3 * * *", name)


@settings(max_examples=300)
@given(
    st.lists(st.text("0123456789*,/-#Ll jansuNwW", min_size=1, max_size=6), min_size=5, max_size=5)
)
def test_no_text_does_anything_but_parse_or_be_refused(fields: list[str]) -> None:
    try:
        schedule = parse_schedule(" ".join(fields), "Europe/Berlin")
        next_slot(schedule, datetime(2026, 1, 1, tzinfo=UTC))
    except ScheduleInvalid as error:
        assert error.message
