"""Cron expressions in a time zone, by the rules of Debian's cron.

A slot is a moment at which a schedule is due, always in UTC. When clocks change:

- A fixed local time that is skipped is due at the first valid moment after the gap, once.
- A fixed local time that comes twice is due the first time only.
- A schedule with a star in the minute or the hour goes on by elapsed time, through both hours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from ...errors import ScheduleInvalid, TimeZoneUnknown

_FIELDS = "minute hour day-of-month month day-of-week"
# cronsim counts back by local time, which is the same in both passes of a repeated hour:
# it starts beyond the longest repetition that a zone has.
_LONGEST_REPETITION = timedelta(hours=3)


@dataclass(frozen=True)
class Schedule:
    """A valid cron expression of five fields, and the time zone that it is meant in."""

    expression: str
    zone: ZoneInfo


def parse_schedule(expression: str, time_zone: str) -> Schedule:
    """Read a cron expression and a time zone.

    Raises:
        ScheduleInvalid: the expression is not one.
        TimeZoneUnknown: there is no such zone.
    """
    if len(expression.split()) != 5:
        raise ScheduleInvalid(
            f"schedule {expression!r} does not have five fields; write {_FIELDS}, as in '0 3 * * *'"
        )
    try:
        CronSim(expression, datetime(2000, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        raise ScheduleInvalid(
            f"schedule {expression!r}: {str(error).lower()}; write {_FIELDS}, as in '0 3 * * *'"
        ) from error
    return Schedule(expression, _parse_zone(time_zone))


def _parse_zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    # Not a name at all; no zone of that name; a folder or an unreadable file of the zone database.
    except (ValueError, KeyError, OSError) as error:
        raise TimeZoneUnknown(
            f"there is no time zone {name!r}; use a name such as Europe/Berlin or UTC"
        ) from error


def next_slot(schedule: Schedule, after: datetime) -> datetime:
    """Return the first slot later than a moment.

    Raises:
        ScheduleInvalid: the expression never comes true, such as on the 31st of April.
    """
    for slot in _slots(schedule, after):
        if slot > after:
            return slot
    raise ScheduleInvalid(
        f"schedule {schedule.expression!r} names a day that never comes; correct day or month"
    )


def newest_slot(schedule: Schedule, until: datetime) -> datetime | None:
    """Return the last slot that is not later than a moment; None where there never was one."""
    start = until + _LONGEST_REPETITION
    return next((slot for slot in _slots(schedule, start, back=True) if slot <= until), None)


def _slots(schedule: Schedule, start: datetime, back: bool = False) -> Iterator[datetime]:
    """Yield slots from a moment on, which is not among them; some may come before it."""
    for local in CronSim(schedule.expression, start.astimezone(schedule.zone), reverse=back):
        yield local.astimezone(UTC)
