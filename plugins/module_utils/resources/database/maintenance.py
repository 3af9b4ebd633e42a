"""When instances may be replaced or restarted for a change: within `maintenanceWindows`.

Pure functions. Without windows that is always. A change that was begun in a window is brought to
its end, also after it: half of it is no state to stay in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ...errors import ScheduleInvalid, TimeZoneUnknown
from ...units import format_time, parse_duration
from ..schedule.cron import Schedule, newest_slot, next_slot, parse_schedule

# Without more each Database is reconciled so often, in seconds (watches.yaml).
_PERIOD = 600.0


@dataclass(frozen=True)
class Maintenance:
    """Whether a window is open.

    Attributes:
        open: whether one is, or none is asked for.
        opens: when the next one opens, where none is open; None where none ever does.
    """

    open: bool = True
    opens: datetime | None = None

    def soon(self, now: datetime) -> float | None:
        """Return in how many seconds one opens, where that is before the next usual reconcile."""
        if self.opens is None:
            return None
        seconds = (self.opens - now).total_seconds() + 1
        return seconds if seconds < _PERIOD else None

    @property
    def until(self) -> str:
        """In words, what a change waits for."""
        if self.opens is None:
            return "a maintenance window, of which none ever opens"
        return f"the maintenance window that opens at {format_time(self.opens)}"


def find_maintenance(database: Mapping[str, Any], now: datetime) -> Maintenance:
    """Return whether a window is open at this moment."""
    windows = database["spec"].get("maintenanceWindows") or []
    if not windows:
        return Maintenance()
    opens = []
    for window in windows:
        try:
            schedule = _parse(window)
            opens.append(next_slot(schedule, now))
        except (ScheduleInvalid, TimeZoneUnknown):
            # `refuse_windows` says so.
            continue
        newest = newest_slot(schedule, now)
        duration = timedelta(seconds=parse_duration(window["duration"]))
        if newest is not None and now < newest + duration:
            return Maintenance()
    return Maintenance(open=False, opens=min(opens, default=None))


def refuse_windows(database: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return reason and message where a window has no schedule that ever comes true."""
    for number, window in enumerate(database["spec"].get("maintenanceWindows") or []):
        try:
            next_slot(_parse(window), datetime.fromisoformat("2000-01-01T00:00:00+00:00"))
        except (ScheduleInvalid, TimeZoneUnknown) as error:
            return error.reason, f"maintenanceWindows[{number}]: {error.message}"
    return None


def _parse(window: Mapping[str, Any]) -> Schedule:
    return parse_schedule(window["schedule"], window.get("timeZone", "UTC"))
