"""Which runs of a schedule are kept and which are deleted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

DEFAULT_COUNT = 5
FAILED_KEPT = 3
"""So many failed runs stay, for people to read why."""

Period = tuple[int, ...]


@dataclass(frozen=True)
class Run:
    """One run of a schedule, as far as retention is concerned.

    Attributes:
        slot: the slot that it was made for.
        phase: the phase of the Backup.
        verified: whether it was restored and equal to what was backed up; None with verify:
            checksum.
        lacked_room: whether it failed because there was no room for it.
        end: of a physical backup, the first moment that can be restored from it, by the server's
            clock.
    """

    name: str
    slot: datetime
    phase: str
    verified: bool | None = None
    lacked_room: bool = False
    end: datetime | None = None


@dataclass(frozen=True)
class Retention:
    """How many are kept: the best ones, and the best of each day, ISO week and month.

    Attributes:
        window: the time before the newest run of which every moment is to be restored.
    """

    count: int = DEFAULT_COUNT
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    window: timedelta = timedelta()


def choose_prunable(runs: Sequence[Run], retention: Retention, zone: tzinfo) -> list[str]:
    """Return the names of the runs to remove, oldest first.

    Runs that have not ended stay. Completed ones are removed only while the newest run that has
    ended is a success, or lacked the room that they take. Failed ones hold nothing and never count:
    what is kept is the same after a failure as before it.
    """
    ended = sorted(
        (run for run in runs if run.phase in {"Completed", "Failed"}), key=lambda run: run.slot
    )
    failed = [run for run in ended if run.phase == "Failed"]
    prunable = failed[:-FAILED_KEPT]
    if ended and (ended[-1].phase == "Completed" or ended[-1].lacked_room):
        good = [run for run in ended if run.phase == "Completed"]
        kept = find_kept(good, retention, zone)
        prunable += [run for run in good if run.name not in kept]
    return [run.name for run in sorted(prunable, key=lambda run: run.slot)]


def find_kept(good: Sequence[Run], retention: Retention, zone: tzinfo) -> set[str]:
    """Return the names of the completed runs that are kept.

    One that could not be verified comes after all others, then the older after the newer. The
    newest run stays in any case, and the newest verified one: it stays even if the schedule no
    longer asks for verification.
    """
    newest_first = sorted(good, key=lambda run: run.slot, reverse=True)
    best_first = sorted(newest_first, key=lambda run: run.verified is False)
    verified = [run for run in newest_first if run.verified]
    kept = {run.name for run in (*best_first[: retention.count], *newest_first[:1], *verified[:1])}
    for count, period in (
        (retention.daily, _day),
        (retention.weekly, _week),
        (retention.monthly, _month),
    ):
        best: dict[Period, str] = {}
        for run in best_first:
            best.setdefault(period(run.slot.astimezone(zone)), run.name)
        kept |= {best[key] for key in sorted(best, reverse=True)[:count]}
    return kept | _find_needed(newest_first, retention.window)


def _find_needed(newest_first: Sequence[Run], window: timedelta) -> set[str]:
    """Return the names of the physical backups that lead to every moment of a window.

    These are those that ended in it, and the newest one before it. The window ends with the newest
    run, and not now: neither the operator's clock nor the server's, if it is ahead, moves it alone.
    """
    ends = {run.name: run.end for run in newest_first if run.end}
    if not window or not ends:
        return set()
    begin = min(max(ends.values()), newest_first[0].slot) - window
    before = [run for run in newest_first if run.name in ends and ends[run.name] <= begin]
    before.sort(key=lambda run: ends[run.name], reverse=True)
    good = [run for run in before if run.verified is not False]
    needed = {run.name for run in (*before[:1], *good[:1])}
    return needed | {name for name, end in ends.items() if end > begin}


def _day(local: datetime) -> Period:
    return (local.year, local.month, local.day)


def _week(local: datetime) -> Period:
    """The ISO week, whose year is not always the calendar's."""
    return tuple(local.isocalendar()[:2])


def _month(local: datetime) -> Period:
    return (local.year, local.month)
