"""The recovery report: what Backups and Restores prove, from what the API has of them.

It knows what exists now: Backups and Restores that were deleted, by hand or by a schedule's
retention, are not in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from .access import Object
from .overview import camel, in_words, is_schedule, main_condition, of_database, span


@dataclass(frozen=True)
class Run:
    """A Backup or a Restore that has ended. Times are RFC 3339, durations in seconds.

    Attributes:
        what: `backup`; or `restore` of the live database, `rehearsal` (a dry run), or `copy` (a
            restore beside the live database).
        began: empty where it failed before it began.
        duration: of the dump or the restore; None where it is not known.
        verified: of a Backup, whether it was restored and compared; None of a Restore.
        verification: how long that took, as the status has it.
        problem: reason and message, of one that failed.
    """

    what: str
    name: str
    completed: bool
    began: str
    ended: str
    duration: float | None
    size_bytes: int | None = None
    size: str = ""
    verified: bool | None = None
    verification: str = ""
    partial: bool = False
    problem: str = ""


@dataclass(frozen=True)
class Loss:
    """A span whose changes would have been lost with the Database, without an archive of WAL.

    Attributes:
        since: when the last backup before it began, whose contents are of that moment.
        until: when the next backup was there; empty for none yet.
    """

    since: str
    until: str
    seconds: float

    @property
    def text(self) -> str:
        """Return how long it is, for people."""
        return span(int(self.seconds))


@dataclass(frozen=True)
class Report:
    """Of one Database, from `since` until `until`.

    Attributes:
        backups, restores: those that ended then, the newest first.
        worst_loss: the longest one between Backups; None without a Completed Backup.
        archive: the `archive` of the Database's status; empty without one.
        longest_restore: of Restores and rehearsals that were Completed; None without one.
        findings: what an auditor would object to.
    """

    name: str
    namespace: str
    since: str
    until: str
    backups: Sequence[Run]
    restores: Sequence[Run]
    worst_loss: Loss | None
    archive: Object
    longest_restore: float | None
    findings: Sequence[str]

    def document(self) -> Object:
        """Return it as JSON has it, keys in camelCase."""
        document: Object = camel(asdict(self))
        return document

    def count(self, what: str) -> int:
        """Return how many Backups are `completed`, `failed` or `verified`."""
        if what == "verified":
            return sum(bool(one.verified) for one in self.backups)
        return sum(one.completed is (what == "completed") for one in self.backups)


def report_of(
    database: Object,
    backups: Iterable[Object],
    restores: Iterable[Object],
    period: timedelta,
    now: datetime,
) -> Report:
    """Return the report of a Database.

    Args:
        backups, restores: all of its namespace; those of other Databases are left out.
    """
    name, begin = database["metadata"]["name"], now - period
    own = of_database(backups, name)
    all_backups = _runs(map(_backup_run, _ended(own)))
    of_period = [one for one in all_backups if _moment(one.ended) >= begin]
    of_restores = [
        one
        for one in _runs(map(_restore_run, _ended(of_database(restores, name))))
        if _moment(one.ended) >= begin
    ]
    durations = [one.duration for one in of_restores if one.completed and one.duration is not None]
    return Report(
        name=name,
        namespace=database["metadata"]["namespace"],
        since=_text(begin),
        until=_text(now),
        backups=of_period,
        restores=of_restores,
        worst_loss=_worst_loss(all_backups, begin, now),
        archive=database.get("status", {}).get("archive", {}),
        longest_restore=max(durations, default=None),
        findings=_findings(database, of_period, of_restores, list(filter(is_schedule, own))),
    )


def _ended(resources: Iterable[Object]) -> list[Object]:
    return [
        one
        for one in resources
        if not is_schedule(one) and one.get("status", {}).get("phase") in {"Completed", "Failed"}
    ]


def _runs(runs: Iterable[Run]) -> list[Run]:
    return sorted(runs, key=lambda run: (run.ended, run.name), reverse=True)


def _backup_run(backup: Object) -> Run:
    status = backup["status"]
    return Run(
        **_common("backup", backup),
        size_bytes=status.get("sizeBytes"),
        size=status.get("size", ""),
        verified=bool(status.get("verified")),
        verification=status.get("verifyDuration", ""),
        partial=bool(status.get("partial")),
    )


def _restore_run(restore: Object) -> Run:
    spec = restore["spec"]
    if spec.get("dryRun"):
        what = "rehearsal"
    else:
        what = "copy" if spec.get("targetDatabase") else "restore"
    return Run(**_common(what, restore), partial="include" in spec or "exclude" in spec)


def _common(what: str, resource: Object) -> Object:
    status, metadata = resource["status"], resource["metadata"]
    completed, said = status["phase"] == "Completed", main_condition(resource)
    began = status.get("startTime", "")
    # One that failed has no completionTime: its condition has changed then.
    ended = status.get("completionTime") or said.get("lastTransitionTime")
    ended = ended or metadata["creationTimestamp"]
    known = completed and began
    return {
        "what": what,
        "name": metadata["name"],
        "completed": completed,
        "began": began,
        "ended": ended,
        "duration": (_moment(ended) - _moment(began)).total_seconds() if known else None,
        "problem": "" if completed else in_words(said),
    }


def _worst_loss(backups: Sequence[Run], begin: datetime, now: datetime) -> Loss | None:
    """Return the longest span of the period that no Backup has the changes of.

    A loss takes what was changed since the last Completed Backup began; it is the most right before
    the next one is Completed. The last Backup before the period counts too.
    """
    whole = sorted(
        (one for one in backups if one.completed and one.began and not one.partial),
        key=lambda one: one.ended,
    )
    losses = [_loss(one.began, two.ended) for one, two in pairwise(whole)]
    if whole:
        losses.append(_loss(whole[-1].began, "", now))
    in_period = [one for one in losses if not one.until or _moment(one.until) >= begin]
    return max(in_period, key=lambda one: one.seconds, default=None)


def _loss(since: str, until: str, now: datetime | None = None) -> Loss:
    end = _moment(until) if until else now
    assert end is not None
    return Loss(since, until, max((end - _moment(since)).total_seconds(), 0.0))


def _findings(
    database: Object,
    backups: Sequence[Run],
    restores: Sequence[Run],
    schedules: Sequence[Object],
) -> list[str]:
    found = []
    if not any(one.completed for one in backups):
        found.append("No Backup was Completed in this period.")
    elif not any(one.verified for one in backups):
        found.append("No Backup of this period was verified: none was restored and compared.")
    if not schedules:
        found.append("No schedule makes Backups.")
    for one in schedules:
        phase = one.get("status", {}).get("phase")
        if phase != "Scheduled":
            found.append(f"Schedule {one['metadata']['name']} is {phase or 'new'}.")
        if one["spec"].get("verify") != "restore":
            found.append(f"Schedule {one['metadata']['name']} does not verify (verify: restore).")
    if not any(one.completed for one in restores):
        found.append("Nothing was restored or rehearsed in this period.")
    failed = [one.name for one in (*backups, *restores) if not one.completed]
    if failed:
        found.append(f"Failed: {', '.join(failed)}.")
    if database.get("status", {}).get("archive", {}).get("failedSince"):
        since = database["status"]["archive"]["failedSince"]
        found.append(f"WAL is not archived since {since}.")
    return found


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
