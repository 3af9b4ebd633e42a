"""The status of a Restore: a pure function of what was observed."""

from __future__ import annotations

from dataclasses import dataclass

from .decision import Condition, Decision
from .job import JobState, decide_unfinished, result_fields

CONDITION = "RestoreReady"
_UNITS = {"h": 3600, "m": 60, "s": 1}


@dataclass(frozen=True)
class Observation:
    """All that the status of a Restore rests on.

    Attributes:
        blocked: (reason, message) of what must come true before the Job can be made.
        job: the Job's state; None where there is no Job.
    """

    blocked: tuple[str, str] | None = None
    job: JobState | None = None


def keep_seconds(keep: str) -> int:
    """Read `keepPrevious`, a whole number with h, m or s (the CRD allows nothing else).

    >>> keep_seconds("24h")
    86400
    """
    return int(keep[:-1]) * _UNITS[keep[-1]]


def decide(observation: Observation) -> Decision:
    """Decide phase, condition and the other fields of the status."""
    if observation.job is None or observation.job.result is None:
        return decide_unfinished(
            CONDITION, "RestoreInProgress", "the restore", observation.blocked, observation.job
        )
    result = observation.job.result
    if not result["ok"]:
        return Decision(
            phase="Failed",
            conditions=[Condition(CONDITION, "False", result["reason"], result["message"])],
            fields=result_fields(observation.job),
        )
    fields = result_fields(observation.job)
    fields["restoreTime"] = result["completionTime"]
    fields["previousDatabase"] = result.get("previousDatabase")
    return Decision(
        phase="Completed",
        conditions=[
            Condition(CONDITION, "True", "RestoreCompleted", "Restore completed successfully")
        ],
        fields=fields,
    )
