"""The moments that the physical Backups beside an archive, and the WAL in it, lead to.

A pure function of the Backups' statuses. What an archive has, the Jobs that make physical Backups
have listed; the operator itself has no access to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...archive.names import archive_folder, parse_lsn
from ...units import parse_time
from .adoption import artifact_of
from .missing import is_missing
from .physical import is_physical, store_of

Place = tuple[tuple[tuple[str, str], ...], str, str, str]
"""Where an archive is: its store; namespace and name of its Database; and its folder."""


@dataclass(frozen=True)
class Gap:
    """Segments of WAL that an archive lacks.

    Attributes:
        segment: the first one.
        segments: how many there are.
        start, last: the first byte of the first and of the last one.
        since: when the WAL before them ends: nothing later is reached from a Backup before them.
            Empty where that is not known.
        until: the consistentTime of the first Backup that needs none of them; empty without one.
    """

    segment: str
    segments: int
    start: int
    last: int
    since: str
    until: str

    def is_after(self, backup: Mapping[str, Any]) -> bool:
        """Return whether what follows the gap is out of reach of a Backup."""
        return self.last >= parse_lsn(backup["status"]["endLSN"])

    def hides(self, backup: Mapping[str, Any], target: tuple[str, Any]) -> bool:
        """Return whether a target of a Restore is out of reach of a Backup because of the gap.

        Args:
            target: see `find_target`; its times are as those of statuses, or `parse_time` reads
                them.
        """
        field, value = target
        if not self.is_after(backup):
            return False
        if field == "pointInTime":
            return bool(self.since) and parse_time(value) > parse_time(self.since)
        if field == "lsn":
            return parse_lsn(value) > self.start
        return field == "latest"


@dataclass(frozen=True)
class Window:
    """The moments that can be restored by an archive and the Backups beside it.

    Attributes:
        earliest: the consistentTime of the oldest Backup.
        latest: that of the newest one, or a later moment that is known to be in the archive.
        gaps: those that are known, the oldest first.
        more_gaps: how many others there are, which are older.
    """

    earliest: str
    latest: str
    gaps: tuple[Gap, ...] = ()
    more_gaps: int = 0


class Archives:
    """The archives that the physical Backups of a namespace are stored beside."""

    def __init__(self, backups: Iterable[Mapping[str, Any]] = ()) -> None:
        """Take those that are Completed and there.

        Args:
            backups: all Backups of the namespace.
        """
        self._beside: dict[Place, list[Mapping[str, Any]]] = {}
        for backup in backups:
            place = archive_of_backup(backup)
            if place and _counts(backup):
                self._beside.setdefault(place, []).append(backup)
        for beside in self._beside.values():
            beside.sort(key=_end)

    def beside(self, place: Place | None) -> Sequence[Mapping[str, Any]]:
        """Return the Backups beside an archive, the one that ended first before the others."""
        return self._beside.get(place, []) if place else []

    def window(self, place: Place | None) -> Window | None:
        """Return which moments can be restored; None where none can, or nothing is known."""
        beside = self.beside(place)
        if not beside:
            return None
        ends = [str(backup["status"]["consistentTime"]) for backup in beside]
        gaps, more = _gaps(beside)
        return Window(ends[0], ends[-1], gaps, more)

    def gaps(self, backup: Mapping[str, Any]) -> Sequence[Gap]:
        """Return the gaps that are known in the archive beside a Backup."""
        window = self.window(archive_of_backup(backup))
        return window.gaps if window else ()

    def find_gap(self, backup: Mapping[str, Any], target: tuple[str, Any] | None) -> Gap | None:
        """Return the gap that keeps a Restore of a Backup from its target; None where none does."""
        if target is None:
            return None
        return next((gap for gap in self.gaps(backup) if gap.hides(backup, target)), None)


def archive_of_database(database: Mapping[str, Any]) -> Place | None:
    """Return where the archive of a Database is; None where it has none."""
    metadata, archive = database["metadata"], database["spec"].get("archive")
    if not archive:
        return None
    folder = archive_folder(metadata["uid"])
    return _store(archive), metadata["namespace"], metadata["name"], folder


def archive_of_backup(backup: Mapping[str, Any]) -> Place | None:
    """Return where the archive beside a physical Backup is; None where its status has none."""
    name = backup.get("status", {}).get("archive", {}).get("name")
    if not name:
        return None
    artifact = artifact_of(backup)
    return _store(backup["spec"]), artifact["namespace"], artifact["resource"], name


def oldest_end(backup: Mapping[str, Any], place: Place, others: Archives) -> str:
    """Return where the oldest other Backup beside an archive ends, an LSN; empty without one.

    Args:
        backup: the one that is to be made.
    """
    uid = backup["metadata"]["uid"]
    ends = [
        str(other["status"]["endLSN"])
        for other in others.beside(place)
        if other["metadata"]["uid"] != uid
    ]
    return min(ends, key=parse_lsn, default="")


def _store(owner: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(store_of(owner).items()))


def _counts(backup: Mapping[str, Any]) -> bool:
    status = backup["status"]
    return (
        status.get("phase") == "Completed"
        and is_physical(backup)
        and {"consistentTime", "endLSN"} <= status.keys()
        and not backup["metadata"].get("deletionTimestamp")
        and not is_missing(backup)
    )


def _end(backup: Mapping[str, Any]) -> tuple[str, str]:
    return backup["status"]["consistentTime"], backup["metadata"]["uid"]


def _gaps(beside: Sequence[Mapping[str, Any]]) -> tuple[tuple[Gap, ...], int]:
    """Return the gaps that concern any of the Backups, and how many there are beside these.

    They are those that the newest Backup has found: an earlier one may have found less, or what was
    brought back since.
    """
    listed = [backup for backup in beside if "gaps" in backup["status"]["archive"]]
    if not listed:
        return (), 0
    archive = listed[-1]["status"]["archive"]
    read = (_read(described, beside) for described in archive["gaps"])
    gaps = tuple(gap for gap in read if any(gap.is_after(backup) for backup in beside))
    # The older ones concern no Backup either where one that is newer does not.
    whole = len(gaps) == len(archive["gaps"])
    return gaps, int(archive.get("moreGaps", 0)) if whole else 0


def _read(described: Mapping[str, Any], beside: Sequence[Mapping[str, Any]]) -> Gap:
    """Return a gap as the status of a Backup has it, with the moments around it."""
    start, end = parse_lsn(described["startLSN"]), parse_lsn(described["endLSN"])
    segments = int(described["segments"])
    gap = Gap(described["segment"], segments, start, end - (end - start) // segments, "", "")
    before = [one["status"]["consistentTime"] for one in beside if gap.is_after(one)]
    after = [one["status"]["consistentTime"] for one in beside if not gap.is_after(one)]
    # The store's clock may be behind the server's.
    since = max([described.get("from", ""), *before])
    return replace(gap, since=since, until=min(after, default=""))
