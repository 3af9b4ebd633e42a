"""Which slot of a schedule is to be run now, and when to reconcile the schedule again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from ...uids import share_of
from .cron import Schedule, newest_slot, next_slot

JITTER_LIMIT = timedelta(minutes=10)
_JITTER_SHARE = 20
"""A start is put off by at most one part in so many of the time to the next slot."""
_FREQUENT = timedelta(hours=1)
"""Schedules with a slot more often than this start on time."""


@dataclass(frozen=True)
class SlotDecision:
    """Which slot is to be run, and which is next.

    Attributes:
        awaited: the next slot, which is waited for from now on.
        wake: when to reconcile again.
        start: the slot to start now.
        missed: the slot that is given up because its starting deadline is over.
    """

    awaited: datetime
    wake: datetime
    start: datetime | None = None
    missed: datetime | None = None


def find_awaited(
    schedule: Schedule, recorded: datetime | None, since: datetime, now: datetime
) -> datetime:
    """Return the slot that a schedule waits for; it may be over.

    Args:
        recorded: what the last reconcile has recorded. It does not count where the schedule was
            changed since, or the clock was put back.
        since: where nothing was written down, the moment after which slots count.
    """
    if recorded is None:
        return next_slot(schedule, since)
    upcoming = next_slot(schedule, now)
    still_slot = next_slot(schedule, recorded - timedelta(seconds=1)) == recorded
    return recorded if still_slot and recorded <= upcoming else upcoming


def decide_slot(
    schedule: Schedule,
    awaited: datetime,
    now: datetime,
    uid: str,
    deadline: timedelta | None = None,
    busy: bool = False,
) -> SlotDecision:
    """Decide what is to be done at this moment.

    After a downtime only the newest of the slots that were missed is started.

    Args:
        awaited: the slot that is waited for, from `find_awaited`.
        uid: what the jitter derives from.
        deadline: how late a slot may be started; None where that does not matter.
        busy: whether an earlier run must end first.
    """
    if awaited > now:
        return SlotDecision(awaited, wake=awaited + jitter(schedule, awaited, uid))
    newest = newest_slot(schedule, now) or awaited
    due = newest + jitter(schedule, newest, uid)
    if due > now:
        return SlotDecision(newest, wake=due)
    following = next_slot(schedule, now)
    wake = following + jitter(schedule, following, uid)
    if deadline is not None and now > due + deadline:
        return SlotDecision(following, wake, missed=newest)
    if busy:
        return SlotDecision(newest, wake)
    return SlotDecision(following, wake, start=newest)


def find_overrun(schedule: Schedule, active: datetime, now: datetime, uid: str) -> datetime | None:
    """Return the slot at which an earlier run had not ended; None if it has not come.

    Args:
        active: the slot of that run.
        uid: what the jitter derives from.
    """
    following = next_slot(schedule, active)
    return following if following + jitter(schedule, following, uid) <= now else None


def jitter(schedule: Schedule, slot: datetime, uid: str) -> timedelta:
    """Return the delay of a slot's start, so that not all schedules start at once.

    It is always the same for the same schedule and slot: at most ten minutes, at most a twentieth
    of the time to the next slot, and nothing where slots are less than an hour apart.
    """
    gap = next_slot(schedule, slot) - slot
    if gap < _FREQUENT:
        return timedelta(0)
    bound = min(JITTER_LIMIT, gap / _JITTER_SHARE)
    return timedelta(seconds=int(bound.total_seconds() * share_of(uid)))
