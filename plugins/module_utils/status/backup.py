"""The status of a Backup: a pure function of what was observed."""

from __future__ import annotations

from dataclasses import dataclass

from .decision import Condition, Decision
from .job import JobState, decide_unfinished, result_fields

CONDITION = "BackupReady"


@dataclass(frozen=True)
class Observation:
    """All that the status of a Backup rests on.

    Attributes:
        blocked: (reason, message) of what must come true before the Job can be made.
        claim: the PersistentVolumeClaim that the backup is written to.
        job: the Job's state; None where there is no Job.
    """

    claim: str
    blocked: tuple[str, str] | None = None
    job: JobState | None = None


def decide(observation: Observation) -> Decision:
    """Decide phase, condition and the other fields of the status."""
    if observation.job is None or observation.job.result is None:
        return decide_unfinished(
            CONDITION, "BackupInProgress", "the backup", observation.blocked, observation.job
        )
    result = observation.job.result
    if not result["ok"]:
        return Decision(
            phase="Failed",
            conditions=[Condition(CONDITION, "False", result["reason"], result["message"])],
            fields=result_fields(observation.job),
        )
    fields = result_fields(observation.job)
    fields["backupTime"] = result["completionTime"]
    fields["backupLocation"] = f"pvc://{observation.claim}/{result['location']}"
    return Decision(
        phase="Completed",
        conditions=[
            Condition(CONDITION, "True", "BackupCompleted", "Backup completed successfully")
        ],
        fields=fields,
    )
