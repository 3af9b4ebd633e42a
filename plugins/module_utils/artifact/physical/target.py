"""Where a recovery ends: the end of the backup, a moment, or another point of the WAL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from ...archive.names import parse_lsn
from ...errors import PointInTimeOutOfRange
from ...units import format_time
from .manifest import PhysicalManifest


class Target:
    """Where a recovery ends; written as text, what it is for people.

    Attributes:
        needs_archive: whether that is beyond the artifact's own WAL.
        required: whether the recovery fails where it does not come there; else it ends where WAL
            does.
    """

    needs_archive = True
    required = True

    def check(self, manifest: PhysicalManifest) -> None:
        """Refuse what no recovery of a backup can reach, as far as its manifest says.

        Raises:
            PointInTimeOutOfRange
        """

    def settings(self) -> Mapping[str, str]:
        """Return PostgreSQL's settings: at most one target, since a second one, be it empty, keeps
        a server from starting.
        """
        return {}

    def too_early(self, manifest: PhysicalManifest, end: str) -> PointInTimeOutOfRange:
        """Return the error where it is before the end of a backup.

        Args:
            end: that end, in the form of the target.
        """
        return PointInTimeOutOfRange(
            f"{self} is before the end of backup {manifest.uid} ({end}): name a backup that ended"
            " before it"
        )

    def unreached(self, archive: str) -> PointInTimeOutOfRange:
        """Return the error where a recovery came to the end of the archive without it.

        Args:
            archive: says where that ends.
        """
        return PointInTimeOutOfRange(
            f"{self} is not in {archive}: name one between the backup's end and there"
        )


@dataclass(frozen=True)
class EndOfBackup(Target):
    """The end of the artifact's own WAL.

    Not ``immediate``: that is reached only where another record follows, which there is none of if
    a standby that was copied had replayed just so far.
    """

    needs_archive = False
    required = False

    def __str__(self) -> str:
        return "the end of the backup"


END_OF_BACKUP = EndOfBackup()


@dataclass(frozen=True)
class EndOfArchive(Target):
    """All that was archived."""

    required = False

    def __str__(self) -> str:
        return "the end of the archive"


@dataclass(frozen=True)
class Moment(Target):
    """What was committed by a moment, which has a time zone."""

    moment: datetime

    def __str__(self) -> str:
        return format_time(self.moment)

    def check(self, manifest: PhysicalManifest) -> None:
        """Refuse a moment before the end of the backup, and one in the future."""
        earliest = datetime.fromisoformat(manifest.consistent_time)
        if self.moment < earliest:
            raise self.too_early(manifest, manifest.consistent_time)
        now = datetime.now(UTC)
        if self.moment > now:
            raise PointInTimeOutOfRange(
                f"{self} is in the future: it is {format_time(now)}; write a moment that has passed"
            )

    def settings(self) -> Mapping[str, str]:
        """Return the time in UTC; a Z for that keeps the server from starting."""
        text = self.moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f+00:00")
        return {"recovery_target_time": text, "recovery_target_inclusive": "on"}

    def unreached(self, archive: str) -> PointInTimeOutOfRange:
        """Return the error: only a transaction that is later shows that a moment was reached."""
        return PointInTimeOutOfRange(
            f"no transaction that was committed after {self} is in {archive}: write an earlier"
            " moment"
        )


@dataclass(frozen=True)
class Lsn(Target):
    """All records that begin before an LSN: up to the one that ends there or contains it."""

    lsn: str

    def __post_init__(self) -> None:
        parse_lsn(self.lsn)

    def __str__(self) -> str:
        return f"LSN {self.lsn}"

    def check(self, manifest: PhysicalManifest) -> None:
        """Refuse an LSN before the end of the backup."""
        if parse_lsn(self.lsn) < parse_lsn(manifest.end_lsn):
            raise self.too_early(manifest, manifest.end_lsn)

    def settings(self) -> Mapping[str, str]:
        """Return the LSN; inclusive would be the record that begins there, too.

        That one comes after what pg_current_wal_insert_lsn() has said, and may be a commit.
        """
        return {"recovery_target_lsn": self.lsn, "recovery_target_inclusive": "off"}


@dataclass(frozen=True)
class Transaction(Target):
    """The commit of a transaction, by its number, and all that was committed before it."""

    xid: str

    def __str__(self) -> str:
        return f"transaction {self.xid}"

    def settings(self) -> Mapping[str, str]:
        """Return the transaction's number."""
        return {"recovery_target_xid": self.xid, "recovery_target_inclusive": "on"}


@dataclass(frozen=True)
class RestorePoint(Target):
    """What pg_create_restore_point() has named; the first one of that name after the backup."""

    name: str

    def __str__(self) -> str:
        return f"restore point {self.name!r}"

    def settings(self) -> Mapping[str, str]:
        """Return the name."""
        return {"recovery_target_name": self.name}
