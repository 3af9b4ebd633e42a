"""When a maintenance window is open."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.maintenance import (
    Maintenance,
    find_maintenance,
    refuse_windows,
)

SATURDAY = datetime(2026, 12, 5, tzinfo=UTC)
WEEKLY = {"schedule": "0 3 * * 6", "duration": "2h"}


def database(*windows: dict[str, str]) -> dict[str, Any]:
    return {"spec": {"maintenanceWindows": list(windows)}}


@pytest.mark.parametrize(
    ("hours", "is_open"), [(2.99, False), (3, True), (4.99, True), (5, False), (27, False)]
)
def test_a_window_is_open_from_its_schedule_on(hours: float, is_open: bool) -> None:
    found = find_maintenance(database(WEEKLY), SATURDAY + timedelta(hours=hours))
    assert found.open == is_open


def test_what_waits_knows_until_when() -> None:
    found = find_maintenance(database(WEEKLY), SATURDAY + timedelta(hours=6))
    assert found.opens == SATURDAY + timedelta(days=7, hours=3)
    assert found.until == "the maintenance window that opens at 2026-12-12T03:00:00Z"
    daily = {"schedule": "30 22 * * *", "duration": "30m", "timeZone": "Europe/Berlin"}
    found = find_maintenance(database(WEEKLY, daily), SATURDAY + timedelta(hours=6))
    assert found.opens == SATURDAY + timedelta(hours=21, minutes=30)


def test_a_reconcile_comes_when_a_window_opens() -> None:
    opens = SATURDAY + timedelta(hours=3)
    closed = Maintenance(open=False, opens=opens)
    assert closed.soon(opens - timedelta(minutes=5)) == 301
    # Until then there are others.
    assert closed.soon(opens - timedelta(minutes=11)) is None
    assert Maintenance().soon(opens) is None


def test_without_windows_all_is_done_at_once() -> None:
    assert find_maintenance({"spec": {}}, SATURDAY) == Maintenance()


@pytest.mark.parametrize(
    ("window", "reason"),
    [
        ({"schedule": "0 3 31 4 *", "duration": "2h"}, "ScheduleInvalid"),
        ({"schedule": "0 25 * * *", "duration": "2h"}, "ScheduleInvalid"),
        ({"schedule": "0 3 * * *", "duration": "2h", "timeZone": "Mars/Base"}, "TimeZoneUnknown"),
    ],
)
def test_a_window_that_never_opens_is_refused_and_keeps_all_as_it_is(
    window: dict[str, str], reason: str
) -> None:
    refused = refuse_windows(database(WEEKLY, window))
    assert refused is not None
    assert refused[0] == reason
    assert refused[1].startswith("maintenanceWindows[1]: ")
    assert refuse_windows(database(WEEKLY)) is None
    assert find_maintenance(database(window), SATURDAY) == Maintenance(open=False, opens=None)
