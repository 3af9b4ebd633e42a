"""What the status of a Database says of the archive of its WAL: a pure function of what was read.

Failures are judged by files that wait and by the time of the last success. PostgreSQL's count of
failed attempts says nothing: it does not fall, and some failures are not in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...units import plural
from ..backup.archive_window import Window
from ..conditions import Condition

ARCHIVING = "Archiving"
ARCHIVE_GAP = "ArchiveGap"
_LATE_SECONDS = 300
_HICCUP_SECONDS = 10


@dataclass(frozen=True)
class Archive:
    """What the primary says of archiving.

    Attributes:
        mode: archive_mode.
        last_wal, last_time: the file that was archived last, and when; empty if none was.
        written: when something was written to it last; empty where that is not known.
        pending: the files that wait.
        oldest: since when the oldest of them waits; empty where none does.
        waiting_seconds: for how long it does.
        stalled_seconds: for how long one waits and none was archived.
        failing: since when and why the archiver can store nothing; empty where it can.
    """

    mode: str
    last_wal: str = ""
    last_time: str = ""
    written: str = ""
    pending: int = 0
    oldest: str = ""
    waiting_seconds: int = 0
    stalled_seconds: int = 0
    failing: str = ""

    @property
    def failed(self) -> tuple[str, str] | None:
        """Since when nothing is archived, and why; None where it is."""
        if not self.pending:
            return None
        since, _, reason = self.failing.strip().partition(" ")
        if reason and self.waiting_seconds >= _HICCUP_SECONDS:
            return since, reason
        if self.stalled_seconds >= _LATE_SECONDS:
            return self.oldest, (
                "the archiver has stored nothing, and says no reason; see the log of the container"
                " archiver of the primary"
            )
        return None


def archiving_condition(archive: Archive, block: tuple[str, str] | None) -> Condition:
    """Return the condition of a Database with an archive.

    Args:
        block: reason and message where a Secret is missing that the archiver needs.
    """
    if archive.failed:
        since, reason = archive.failed
        message = (
            f"nothing is archived since {since}: {reason}; PostgreSQL goes on and keeps its WAL,"
            " which fills its volume"
        )
        return Condition(ARCHIVING, "False", "ArchiveFailing", message)
    if block:
        return blocked(block)
    if archive.mode != "always":
        message = "the primary has no archiver yet: it gets one when it is replaced"
        return Condition(ARCHIVING, "Unknown", "ArchiverNotStarted", message)
    return Condition(ARCHIVING, "True", "WALArchived", "WAL is archived as it is written")


def blocked(block: tuple[str, str]) -> Condition:
    """Return the condition where a Secret is missing."""
    return Condition(ARCHIVING, "False", *block)


def gap_condition(window: Window | None) -> Condition | None:
    """Return the condition of a Database whose archive lacks WAL; None where none is known."""
    if window is None or not window.gaps:
        return None
    newest = window.gaps[-1]
    others = len(window.gaps) - 1 + window.more_gaps
    older = f", beside {plural(others, 'older gap')}" if others else ""
    hidden = f"after {newest.since}" + (f" and before {newest.until}" if newest.until else "")
    advice = (
        "later moments can be restored"
        if newest.until
        else "make a physical Backup now: moments after its end can be restored"
    )
    message = (
        f"the archive lacks {plural(newest.segments, 'segment')} of WAL from {newest.segment} on"
        f"{older}; no moment {hidden} can be restored; {advice}; what is missing was removed from"
        " the store, or was not archived: if there is a copy, bring it back"
    )
    return Condition(ARCHIVE_GAP, "True", "WalMissing", message)


def window_field(window: Window, *latest: str) -> Mapping[str, Any]:
    """Return `status.archive.window`.

    Args:
        latest: moments that are, or were, known to be in the archive; empty ones are none.
    """
    gaps = [
        {
            "segment": gap.segment,
            "segments": gap.segments,
            "from": gap.since,
            **({"until": gap.until} if gap.until else {}),
        }
        for gap in window.gaps
    ]
    return {
        "earliest": window.earliest,
        "latest": max(window.latest, *latest),
        "gaps": gaps,
        **({"moreGaps": window.more_gaps} if window.more_gaps else {}),
    }


def archive_field(archive: Archive) -> Mapping[str, Any]:
    """Return `status.archive` but for the window."""
    fields = {
        "lastArchivedWAL": archive.last_wal,
        "lastArchivedTime": archive.last_time,
        "pending": archive.pending,
        "failedSince": archive.failed[0] if archive.failed else "",
    }
    return {name: value for name, value in fields.items() if value != ""}
