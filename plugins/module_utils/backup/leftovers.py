"""Removes what backups that were killed for good have left in the store."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..errors import InvalidInput, OperatorError
from ..store.location import Location
from ..store.protocol import Store
from .progress import Progress

_MARGIN = timedelta(minutes=10)
"""By how much the clocks of the store and of whoever listed the Backups may differ."""


@dataclass(frozen=True)
class OtherBackups:
    """Which other backups may be at work.

    Attributes:
        unfinished: UIDs of the Backups that had not ended.
        listed: when they were listed. What has begun since is left alone.
    """

    unfinished: frozenset[str]
    listed: datetime


def remove_leftovers(
    store: Store, location: Location, others: OtherBackups, progress: Progress
) -> list[str]:
    """Remove artifacts without a manifest that nobody works on, of the same Database.

    A finished artifact is never touched. What cannot be removed is left to the next backup.

    Returns:
        Their UIDs.
    """
    removed = []
    with suppress(OperatorError):
        for uid, changed in store.list_unfinished(location.namespace, location.database).items():
            if uid == location.uid or uid in others.unfinished:
                continue
            # Whoever is not among them and was not made since has ended or is gone.
            if changed > others.listed - _MARGIN:
                continue
            with suppress(InvalidInput):
                store.remove(Location(location.namespace, location.database, uid))
                progress.say(f"Removed what backup {uid} left unfinished")
                removed.append(uid)
    return removed
