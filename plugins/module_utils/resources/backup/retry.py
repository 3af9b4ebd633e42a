"""When a Backup that has failed is tried again.

How many attempts have failed is in the status, and the name of the next one's Job derives from it.
So an operator that ends after any step goes on from there: before the status is written it finds
the same failure in the same Job, afterwards it waits for the time that was written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ...errors import MAY_PASS
from ...units import format_time, parse_duration, parse_time
from ..job_state import JobState

REASON = "WaitingForRetry"


@dataclass(frozen=True)
class Retry:
    """The wait for another attempt.

    Attributes:
        failed: how many attempts have failed.
        begins: when the next one does, as the API writes times.
        seconds: until then.
        message: of the condition.
        job: of the attempt that failed last.
    """

    failed: int
    begins: str
    seconds: float
    message: str
    job: str


def failed_attempts(backup: Mapping[str, Any]) -> int:
    """Return how many attempts of a Backup have failed and were followed by a wait."""
    count: int = backup.get("status", {}).get("failedAttempts", 0)
    return count


def find_wait(backup: Mapping[str, Any], now: datetime) -> Retry | None:
    """Return the wait that an earlier reconcile has begun; None where it is over or none was."""
    status = backup.get("status", {})
    begins = status.get("nextAttemptTime")
    if not begins or parse_time(begins) <= now:
        return None
    conditions = status.get("conditions", [])
    message = next((c["message"] for c in conditions if c["reason"] == REASON), "")
    seconds = (parse_time(begins) - now).total_seconds()
    return Retry(failed_attempts(backup), begins, seconds, message, status.get("job", ""))


def plan_retry(backup: Mapping[str, Any], job: JobState | None, now: datetime) -> Retry | None:
    """Return the wait that follows an attempt; None where it did not fail, or no other follows.

    Only what may pass is tried again, and no Job that was stopped at its timeout: another one would
    take as long.
    """
    asked = backup["spec"].get("retry")
    if not asked or job is None or job.result is None or job.result["ok"] or job.timed_out:
        return None
    failed = failed_attempts(backup) + 1
    if job.result["reason"] not in MAY_PASS or failed > asked["times"]:
        return None
    seconds = parse_duration(asked["delay"])
    begins = format_time(now + timedelta(seconds=seconds))
    message = (
        f"attempt {failed} of {asked['times'] + 1} failed, the next one begins at {begins}:"
        f" {job.result['reason']}: {job.result['message']}"
    )
    return Retry(failed, begins, seconds, message, job.name)
