"""The status of a Backup with a schedule: a pure function of what was observed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..backup.status import CONDITION
from ..conditions import Condition, Decision
from ..job_state import has_ended


@dataclass(frozen=True)
class Observation:
    """All that the status of a schedule depends on.

    Attributes:
        runs: the Backups that were made for it, oldest slot first.
        suspended: whether no more are to be started.
        refused: (reason, message) of what is wrong with the schedule.
        problem: (reason, message) of a step that failed and is tried again.
        overrun: (reason, message) of a run that keeps a later slot waiting.
        awaited: the slot that is waited for, as the API writes times.
        started: the slot of the newest run that was ever started.
        wake_seconds: how long until the next reconcile; None leaves it to the reconcile period.
        log: lines for the operator's log.
    """

    runs: Sequence[Mapping[str, Any]] = ()
    suspended: bool = False
    refused: tuple[str, str] | None = None
    problem: tuple[str, str] | None = None
    overrun: tuple[str, str] | None = None
    awaited: str | None = None
    started: str | None = None
    wake_seconds: float | None = None
    log: Sequence[str] = field(default_factory=tuple)


def decide(resource: Mapping[str, Any], observation: Observation) -> Decision:
    """Decide phase, condition and the other fields of the status."""
    old = resource.get("status", {})
    successes = [
        run["status"]["completionTime"] for run in observation.runs if _phase(run) == "Completed"
    ]
    # Times of this format sort like text.
    last_success = max([*successes, old.get("lastSuccessfulTime", "")]) or None
    return Decision(
        phase=_own_phase(observation),
        conditions=[_condition(observation)],
        fields={
            "lastScheduleTime": observation.started,
            "nextScheduleTime": observation.awaited,
            "lastSuccessfulTime": last_success,
            "active": [run["metadata"]["name"] for run in observation.runs if not has_ended(run)],
        },
        requeue_after=observation.wake_seconds,
        log=observation.log,
    )


def _own_phase(observation: Observation) -> str:
    if observation.refused:
        return "Failed"
    return "Suspended" if observation.suspended else "Scheduled"


def _condition(observation: Observation) -> Condition:
    """Return what is wrong with the schedule, or else the condition of its newest run.

    A run that keeps a slot waiting is reported before an ended one, unless it has a reason itself.
    """
    wrong = observation.refused or observation.problem
    if wrong:
        return Condition(CONDITION, "False", *wrong)
    newest = _find_newest_ended(observation.runs)
    if observation.overrun and (newest is None or has_ended(newest[0])):
        return Condition(CONDITION, "False", *observation.overrun)
    if newest is None:
        return Condition(CONDITION, "False", "BackupScheduled", "no scheduled backup has ended yet")
    run, condition = newest
    message = f"{run['metadata']['name']}: {condition['message']}"
    return Condition(CONDITION, condition["status"], condition["reason"], message)


def _find_newest_ended(
    runs: Sequence[Mapping[str, Any]],
) -> tuple[Mapping[str, Any], Mapping[str, Any]] | None:
    """Return the newest run whose condition has a result or a problem, and the condition."""
    for run in reversed(runs):
        for condition in run.get("status", {}).get("conditions", []):
            # One that is running has no result yet; one that waits for something has a reason.
            if condition["type"] == CONDITION and condition["reason"] != "BackupInProgress":
                return run, condition
    return None


def _phase(run: Mapping[str, Any]) -> str:
    phase: str = run.get("status", {}).get("phase", "Pending")
    return phase
