"""Which runs go and which stay."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from ansible_collections.postgres.operator.plugins.module_utils.resources.schedule.retention import (
    FAILED_KEPT,
    Retention,
    Run,
    choose_prunable,
    find_kept,
)
from hypothesis import given, settings
from hypothesis import strategies as st

BERLIN = ZoneInfo("Europe/Berlin")
START = datetime(2026, 1, 1, 2, tzinfo=UTC)


def nightly(days: int, phase: str = "Completed", first: int = 0) -> list[Run]:
    slots = [START + timedelta(days=day) for day in range(first, first + days)]
    return [Run(f"{slot:%m%d}", slot, phase) for slot in slots]


runs_strategy = st.lists(
    st.builds(
        lambda hours, phase, verified, lacked_room: Run(
            f"r-{hours}",
            START + timedelta(hours=hours),
            phase,
            verified,
            lacked_room and phase == "Failed",
        ),
        st.integers(0, 24 * 400),
        st.sampled_from(["Completed", "Completed", "Failed", "InProgress", "Pending"]),
        st.sampled_from([None, True, False]),
        st.booleans(),
    ),
    max_size=40,
    unique_by=lambda run: run.name,
)
retentions = st.builds(
    Retention, st.integers(1, 10), st.integers(0, 10), st.integers(0, 10), st.integers(0, 10)
)


def physical(*ends: int, verified: bool | None = None) -> list[Run]:
    """Runs that ended so many hours after the start, half an hour after their slots."""
    return [
        Run(f"h{hours}", moment - timedelta(minutes=30), "Completed", verified, end=moment)
        for hours in ends
        for moment in [START + timedelta(hours=hours)]
    ]


def kept(runs: list[Run], **window: int) -> set[str]:
    return find_kept(runs, Retention(1, window=timedelta(**window)), BERLIN)


def left(runs: list[Run], retention: Retention) -> list[Run]:
    gone = set(choose_prunable(runs, retention, BERLIN))
    return [run for run in runs if run.name not in gone]


def test_the_newest_are_kept() -> None:
    assert choose_prunable(nightly(7), Retention(5), BERLIN) == ["0101", "0102"]


def test_nothing_goes_after_a_failure() -> None:
    runs = nightly(7) + nightly(1, "Failed", first=7)
    assert choose_prunable(runs, Retention(2), BERLIN) == []


def test_what_is_not_kept_goes_after_a_run_that_lacked_room() -> None:
    (failed,) = nightly(1, "Failed", first=7)
    runs = [*nightly(7), replace(failed, lacked_room=True)]
    assert choose_prunable(runs, Retention(5), BERLIN) == ["0101", "0102"]


def test_no_kept_run_goes_because_another_lacked_room() -> None:
    failed = [replace(run, lacked_room=True) for run in nightly(3, "Failed", first=5)]
    assert choose_prunable([*nightly(5), *failed], Retention(5), BERLIN) == []


def test_a_failure_never_counts() -> None:
    runs = nightly(2) + nightly(3, "Failed", first=2) + nightly(1, first=5)
    assert choose_prunable(runs, Retention(3), BERLIN) == []


def test_the_newest_failures_stay_for_reading_even_without_a_success() -> None:
    runs = nightly(1) + nightly(10, "Failed", first=1)
    gone = choose_prunable(runs, Retention(5), BERLIN)
    assert len(gone) == 10 - FAILED_KEPT
    assert "0101" not in gone


def test_a_run_that_could_not_be_verified_comes_last() -> None:
    runs = [replace(run, verified=run.name not in {"0102", "0104"}) for run in nightly(5)]
    # The newest one, and the best ones.
    assert choose_prunable(runs, Retention(1), BERLIN) == ["0101", "0102", "0103", "0104"]
    assert choose_prunable(runs, Retention(3), BERLIN) == ["0102", "0104"]
    assert choose_prunable(runs[:4], Retention(1), BERLIN) == ["0101", "0102"]


def test_a_schedule_without_verification_keeps_its_new_runs_and_the_last_verified() -> None:
    verified = [replace(run, verified=True) for run in nightly(5)]
    runs = verified + nightly(4, first=5)
    assert choose_prunable(runs, Retention(3), BERLIN) == ["0101", "0102", "0103", "0104", "0106"]


def test_the_newest_of_each_day_week_and_month_in_the_plans_zone() -> None:
    hourly = [
        Run(f"{slot:%m%d%H}", slot, "Completed")
        for slot in (START + timedelta(hours=n) for n in range(24 * 70))
    ]
    kept = find_kept(hourly, Retention(1, daily=3, weekly=2, monthly=2), BERLIN)
    # The last of the 1680 hours is 12 March, 02:00 in Berlin. 22:00 UTC is the last hour of a day
    # there; the Sundays are 8 and 1 March; the month before ends on 28 February.
    assert kept == {"031201", "031122", "031022", "030822", "022822"}


@given(runs_strategy, retentions)
def test_the_last_good_run_is_never_removed(runs: list[Run], retention: Retention) -> None:
    good = [run for run in runs if run.phase == "Completed"]
    remaining = left(runs, retention)
    if good:
        assert max(good, key=lambda run: run.slot) in remaining
    verified = [run for run in good if run.verified]
    if verified:
        assert max(verified, key=lambda run: run.slot) in remaining
    assert all(run in remaining for run in runs if run.phase in {"InProgress", "Pending"})


@given(runs_strategy, retentions)
def test_a_second_reconcile_removes_nothing_more(runs: list[Run], retention: Retention) -> None:
    assert choose_prunable(left(runs, retention), retention, BERLIN) == []


@given(runs_strategy, retentions, retentions)
def test_who_asks_to_keep_more_keeps_at_least_as_much(
    runs: list[Run], one: Retention, other: Retention
) -> None:
    more = Retention(
        max(one.count, other.count),
        max(one.daily, other.daily),
        max(one.weekly, other.weekly),
        max(one.monthly, other.monthly),
    )
    assert set(choose_prunable(runs, more, BERLIN)) <= set(choose_prunable(runs, one, BERLIN))


@settings(deadline=None)
@given(st.lists(st.sampled_from(["Completed", "Completed", "Failed"]), max_size=60), retentions)
def test_over_time_a_success_leaves_the_count_and_no_more_than_the_tiers(
    outcomes: list[str], retention: Retention
) -> None:
    """Pruned after every run, as a schedule does."""
    runs: list[Run] = []
    for number, outcome in enumerate(outcomes):
        slot = START + timedelta(hours=7 * number)
        runs = left([*runs, Run(f"r-{number}", slot, outcome)], retention)
        good = [run for run in runs if run.phase == "Completed"]
        assert len(good) >= min(retention.count, outcomes[: number + 1].count("Completed"))
        assert len(runs) - len(good) <= FAILED_KEPT
        if outcome == "Completed":
            tiers = retention.daily + retention.weekly + retention.monthly
            assert len(good) <= retention.count + tiers


def test_what_leads_to_every_moment_of_a_window_is_kept() -> None:
    runs = physical(0, 10, 20, 30, 40)
    # It begins at 40 - 0.5 - 15: the run of 20 hours leads to that.
    assert kept(runs, hours=15) == {"h20", "h30", "h40"}
    assert kept(runs, hours=19) == {"h20", "h30", "h40"}
    assert kept(runs, hours=20) == {"h10", "h20", "h30", "h40"}
    assert kept(runs, days=30) == {run.name for run in runs}
    assert kept(runs) == {"h40"}


def test_a_window_that_is_shorter_than_the_distance_of_runs_needs_the_run_before() -> None:
    assert kept(physical(0, 10, 20), hours=1) == {"h10", "h20"}


def test_a_run_that_could_not_be_verified_is_not_all_that_leads_to_a_window() -> None:
    runs = [*physical(0, 5), *physical(10, verified=False), *physical(40)]
    assert kept(runs, hours=10) == {"h5", "h10", "h40"}


def test_logical_runs_have_no_window() -> None:
    assert kept(nightly(5), days=30) == {"0105"}


def test_a_clock_that_is_ahead_removes_nothing_more() -> None:
    """The operator's gives the slot, the server's the end."""
    runs = physical(0, 10, 20, 30)
    (newest,) = physical(40)
    years = timedelta(days=800)
    for ahead in (replace(newest, slot=START + years), replace(newest, end=START + years)):
        assert kept([*runs, ahead], hours=15) >= {"h20", "h30", "h40"}


@given(
    st.lists(st.integers(0, 24 * 60), min_size=1, max_size=30, unique=True),
    st.integers(1, 24 * 40),
)
def test_no_moment_of_a_window_is_lost(hours: list[int], window: int) -> None:
    """Pruned after every run: what led to a moment of the window still does."""
    runs: list[Run] = []
    for hour in sorted(hours):
        before = [*runs, *physical(hour)]
        runs = left(before, Retention(1, window=timedelta(hours=window)))
        for age in range(window + 1):
            moment = START + timedelta(hours=hour - age)
            could = max((run.end for run in before if run.end and run.end <= moment), default=None)
            can = max((run.end for run in runs if run.end and run.end <= moment), default=None)
            assert could == can
