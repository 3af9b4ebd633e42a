"""Removes what backups that were killed and not restarted have left in the store."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ..errors import OperatorError
from ..store.protocol import Location, Store
from .files import is_file_name
from .progress import Progress

LEFT_ALONE = timedelta(hours=24)
"""Since the last change of a file: a backup may be being copied back by hand.

That also allows for different clocks of the store and of the operator that listed the Backups.
"""


@dataclass(frozen=True)
class OtherBackups:
    """Which other backups may be unfinished.

    Attributes:
        unfinished: UIDs of the Backups that had not ended.
        listed: when they were listed. What has changed since, or shortly before, is left alone.
    """

    unfinished: frozenset[str]
    listed: datetime


def remove_leftovers(
    store: Store, location: Location, others: OtherBackups, progress: Progress
) -> list[str]:
    """Remove artifacts without a manifest of ended Backups of the same Database.

    Neither a finished artifact is touched nor anything that no backup writes. What cannot be
    removed is left to the next backup.

    Returns:
        Their UIDs.
    """
    removed = []
    with suppress(OperatorError):
        left = store.list_unfinished(location.namespace, location.database, is_file_name)
        for uid, changed in left.items():
            if uid == location.uid or uid in others.unfinished:
                continue
            # A Backup that is not among them and was not made since has ended or is deleted.
            if changed > others.listed - LEFT_ALONE:
                continue
            store.remove(replace(location, uid=uid))
            progress.say(f"Removed what backup {uid} left unfinished")
            removed.append(uid)
    return removed
