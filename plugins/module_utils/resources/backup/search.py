"""The search for the files of Completed Backups that no other one follows: when, and what comes of
it. Pure functions of what was observed.

A Backup that is made looks for the files of those before it. Where none is made any more, a small
Job looks for them, once in a period: for the newest Backup, which stands for all of its Database in
its store.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ...errors import InvalidInput
from ...uids import share_of
from ...units import format_duration, parse_duration, parse_time
from ..conditions import Condition, Status, replace_conditions
from ..job_state import JobState
from .missing import MISSING, is_missing, is_unknown

_PERIOD = re.compile(r"[1-9][0-9]{0,3}[hms]")
_PATIENCE = 300.0
"""Seconds after which what keeps the Job's pod from running is reported."""
_SHORT = 3600
"""Seconds of a period that is too short for shares of it: an ended Backup is reconciled more seldom
than they would come."""
_SHARES = 8

Failure = tuple[str, str]
"""Reason and message of the condition ArtifactMissing while it is Unknown."""


@dataclass(frozen=True)
class Observation:
    """All that the step depends on.

    Attributes:
        location: of the Backup's artifact, for people.
        period: seconds from the end of a search to the next one.
        blocked: (reason, message) of why no Job can search.
        job: the state of the Job that searches; None where there is none.
    """

    location: str
    period: int
    blocked: tuple[str, str] | None
    job: JobState | None


@dataclass(frozen=True)
class Step:
    """What is to be done now.

    Attributes:
        start: whether to make the Job.
        missing: UIDs of artifacts that are gone.
        undecided: whether the condition is to stay as it is, since nothing new is known.
        failure: what the condition is to say; None where it is not to be Unknown.
    """

    start: bool = False
    missing: Sequence[str] = ()
    undecided: bool = False
    failure: Failure | None = None


def read_period(text: str) -> int:
    """Return the seconds of a period as the operator's environment has it; 0 is no search.

    Raises:
        InvalidInput: it is none.
    """
    if text == "0":
        return 0
    if not _PERIOD.fullmatch(text):
        raise InvalidInput(
            f"BACKUP_SEARCH_PERIOD of the operator is {text!r}: write at most four digits with h, m"
            " or s, such as 24h, or 0 for no search"
        )
    return parse_duration(text)


def is_due(backup: Mapping[str, Any], period: int, now: datetime) -> bool:
    """Return whether a Backup's files may have to be searched for: those of a newer one may not.

    Args:
        period: in seconds; 0 is no search.
    """
    status = backup.get("status", {})
    if (
        not period
        or status.get("phase") != "Completed"
        or "schedule" in backup["spec"]
        or "deletionTimestamp" in backup["metadata"]
        or not (status.get("backupLocation") and status.get("completionTime"))
        or is_missing(backup)
    ):
        return False
    return (now - parse_time(status["completionTime"])).total_seconds() >= period


def has_turn(backup: Mapping[str, Any], period: int, now: datetime) -> bool:
    """Return whether a search that is due may begin: not all do at once.

    The first one begins when it is due, and one that follows a failure when that one's Job is gone.
    Others do in an eighth of the period that follows from the Backup's UID, as does the first of an
    operator that comes to old Backups.
    """
    share = period // _SHARES
    age = (now - parse_time(backup["status"]["completionTime"])).total_seconds()
    if is_unknown(backup) or age < period + 2 * share or period < _SHORT:
        return True
    begins = share_of(backup["metadata"]["uid"]) * period
    return (now.timestamp() - begins) % period < share


def kept_seconds(period: int) -> int:
    """Return how long a Job that has searched stays: it is gone when its share comes again."""
    return period - period // _SHARES if period >= _SHORT else period


def next_step(observation: Observation) -> Step:
    """Decide what comes next. The same Job, once it has ended, gives the same step every time."""
    job = observation.job
    if job is None:
        if observation.blocked:
            return Step(failure=_unknown(observation, *observation.blocked))
        return Step(start=True, undecided=True)
    result = job.result
    if result is not None and result["ok"]:
        return Step(missing=result.get("missing", []))
    # What a lost one has found may have been read before.
    if result is not None and not job.lost:
        return Step(failure=_failed(observation, job.name, result["reason"], result["message"]))
    if result is None and job.problem and job.age > _PATIENCE:
        return Step(failure=_failed(observation, job.name, *job.problem))
    return Step(undecided=True)


def searched_status(backup: Mapping[str, Any], failure: Failure | None, now: datetime) -> Status:
    """Return the status of a Backup that says whether the search for its files failed.

    Files that are known to be gone stay gone.
    """
    status: Status = backup.get("status", {})
    old = status.get("conditions", [])
    if is_missing(backup):
        return status
    if failure:
        unknown = Condition(MISSING, "Unknown", *failure)
        return {**status, "conditions": replace_conditions(backup, [unknown], now)}
    left = [condition for condition in old if condition["type"] != MISSING]
    return status if left == old else {**status, "conditions": left}


def _failed(observation: Observation, job: str, reason: str, message: str) -> Failure:
    kept = format_duration(kept_seconds(observation.period))
    reason, message = _unknown(observation, reason, f"Job {job}: {message}")
    return reason, (
        f"{message}; the next search begins once this Job is deleted, at the latest {kept} after"
        " its end"
    )


def _unknown(observation: Observation, reason: str, message: str) -> Failure:
    return (
        reason,
        f"whether the files at {observation.location} are still there is not known: {message}",
    )
