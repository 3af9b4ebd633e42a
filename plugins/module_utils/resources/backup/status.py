"""The status of a Backup: a pure function of what was observed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ...units import plural
from ..conditions import Condition, Decision
from ..job_state import (
    JobState,
    add_finished,
    decide_unfinished,
    elapsed,
    result_fields,
    with_warning,
)
from .physical import PHYSICAL
from .retry import REASON as RETRY_REASON
from .retry import Retry

CONDITION = "BackupReady"
VERIFIED = "Verified"
ABOUT_TO_START = "BackupInProgress"
"""The reason where a Backup waits for nothing, and while its Job runs."""
_LONGEST_WAIT = 600.0
"""Seconds until a Backup that waits for another attempt is reconciled again."""


@dataclass(frozen=True)
class Observation:
    """All that the status of a Backup depends on.

    Attributes:
        blocked: (reason, message) of what must come true before the Job can be made.
        place: what its artifact is below, such as pvc://app-backups.
        job: the Job's state; None where there is no Job.
        adopts: whether it takes an artifact that is there already.
        failed_attempts: how many attempts have failed before the Job was made.
        retry: the wait for another attempt; None where there is none.
    """

    place: str
    blocked: tuple[str, str] | None = None
    job: JobState | None = None
    adopts: bool = False
    failed_attempts: int = 0
    retry: Retry | None = None


def decide(observation: Observation) -> Decision:
    """Decide phase, conditions and the other fields of the status."""
    decision = add_finished(_decide(observation))
    attempts = {"failedAttempts": observation.failed_attempts or None}
    return replace(decision, fields={**attempts, **decision.fields})


def _decide(observation: Observation) -> Decision:
    if observation.retry:
        return _await_attempt(observation.retry)
    if observation.job is None or observation.job.result is None:
        return decide_unfinished(
            CONDITION,
            ABOUT_TO_START,
            "the adoption" if observation.adopts else "the backup",
            "the files of the backup, which was stopped at its timeout, are being removed",
            observation.blocked,
            observation.job,
        )
    result = observation.job.result
    if not result["ok"]:
        fields = result_fields(observation.job)
        if observation.failed_attempts:
            fields["failedAttempts"] = observation.failed_attempts + 1
        return Decision(
            phase="Failed",
            conditions=[Condition(CONDITION, "False", result["reason"], result["message"])],
            fields=fields,
        )
    fields = result_fields(observation.job)
    fields["backupTime"] = result["completionTime"]
    fields["backupLocation"] = f"{observation.place}/{result['location']}"
    fields["partial"] = result.get("partial") or None
    done = with_warning(
        "the backup was in the store already; each of its files was read back"
        if observation.adopts
        else "Backup completed successfully",
        result,
    )
    completed = Condition(CONDITION, "True", "BackupCompleted", done)
    fields["recipients"] = result.get("recipients")
    verified = _judge(result, observation.job.verification)
    if verified.status != "Unknown":
        fields["verified"] = verified.status == "True"
    if observation.job.verification and fields["verified"]:
        fields["verifyDuration"] = elapsed(observation.job.verification)
    return Decision(phase="Completed", conditions=[completed, verified], fields=fields)


def _await_attempt(retry: Retry) -> Decision:
    return Decision(
        phase="Pending",
        conditions=[Condition(CONDITION, "False", RETRY_REASON, retry.message)],
        fields={
            "job": retry.job,
            "failedAttempts": retry.failed,
            "nextAttemptTime": retry.begins,
        },
        requeue_after=min(retry.seconds, _LONGEST_WAIT),
    )


def _judge(result: Mapping[str, Any], verification: Mapping[str, Any] | None) -> Condition:
    """Return the condition that says whether the backup was restored and compared."""
    if verification is None:
        # The container that writes an encrypted backup cannot decrypt it.
        how = (
            " in encrypted form, neither decrypted nor restored"
            if result.get("recipients")
            else ", not restored"
        )
        return Condition(
            VERIFIED,
            "Unknown",
            "NotAsked",
            f"the files were read back{how}; make Backups with verify: restore to have"
            " them restored and compared",
        )
    if not verification["ok"]:
        return Condition(VERIFIED, "False", verification["reason"], verification["message"])
    if verification.get("sha256") != result["sha256"]:
        return Condition(
            VERIFIED,
            "False",
            "ChecksumMismatch",
            f"the manifest that was written has SHA-256 {result['sha256']}, the one that was"
            f" restored {verification.get('sha256')}: it was replaced in between; make another"
            " Backup",
        )
    if result.get("method") == PHYSICAL:
        reason, read = "Recovered", verification
        databases = plural(read["databases"], "database")
        done = f"recovered in a scratch server, its pages checked and every row of {databases} read"
    else:
        reason, read = "RestoreCompared", result
        done = "restored into a scratch server and compared"
    done += f": {plural(read['tables'], 'table')}, {plural(read['rows'], 'row')}"
    return Condition(VERIFIED, "True", reason, with_warning(done, verification))
