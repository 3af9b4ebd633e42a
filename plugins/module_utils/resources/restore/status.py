"""The status of a Restore: a pure function of what was observed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ...units import plural
from ..conditions import WAITING, Condition, Decision
from ..job_state import (
    JobState,
    add_finished,
    decide_unfinished,
    result_fields,
    with_warning,
)

CONDITION = "RestoreReady"

BACKUP_ANNOTATION = "database.example.com/backup"
SAFETY_ANNOTATION = "database.example.com/safety-backup"
NEWER_ANNOTATION = "database.example.com/newer-backup"
"""On the Job: which Backup it restores, which one was made of what it replaces, and which run of
the schedule is newer than the verified one that it restores."""


@dataclass(frozen=True)
class SafetyBackup:
    """The Backup of the live database that is made before it is replaced.

    Attributes:
        phase: its phase; empty where it does not exist yet.
        reason, message: of its condition.
    """

    name: str
    phase: str = ""
    reason: str = ""
    message: str = ""

    @property
    def is_done(self) -> bool:
        """Whether the Restore can go on: it is Completed, or there is nothing to save."""
        nothing = self.phase == "Failed" and self.reason == "DatabaseNotFound"
        return self.phase == "Completed" or nothing


@dataclass(frozen=True)
class Observation:
    """All that the status of a Restore depends on.

    Attributes:
        blocked: (reason, message) of what must come true before the Job can be made.
        job: the Job's state; None where there is no Job.
        refused: (reason, message) of what will never come true.
        safety: the safety Backup; None where none is made.
    """

    blocked: tuple[str, str] | None = None
    job: JobState | None = None
    refused: tuple[str, str] | None = None
    safety: SafetyBackup | None = None


def decide(observation: Observation) -> Decision:
    """Decide phase, conditions and the other fields of the status."""
    decision = add_finished(_decide(observation))
    return replace(decision, fields={**decision.fields, **_backup_fields(observation)})


def _decide(observation: Observation) -> Decision:
    if observation.refused:
        return _failed(*observation.refused)
    undecided = observation.job is None and not observation.blocked
    if undecided and observation.safety and not observation.safety.is_done:
        return _decide_safety(observation.safety)
    if observation.job is None or observation.job.result is None:
        return decide_unfinished(
            CONDITION,
            "RestoreInProgress",
            "the restore",
            "the result of the restore, which was stopped at its timeout, is being checked",
            observation.blocked,
            observation.job,
        )
    result = observation.job.result
    fields = result_fields(observation.job)
    if not result["ok"]:
        return _failed(result["reason"], result["message"], fields)
    if "difference" in result:
        fields["difference"] = result["difference"]
        described = _describe(result["difference"]) + _newer_run(observation.job)
        return _completed(with_warning(described, result), fields)
    fields["restoreTime"] = result["completionTime"]
    fields["previousDatabase"] = result.get("previousDatabase")
    done = f"Restore completed successfully{_newer_run(observation.job)}"
    return _completed(with_warning(done, result), fields)


def _newer_run(job: JobState) -> str:
    """Say that the schedule has a newer run, if a verified one was preferred to it."""
    newer = job.annotations.get(NEWER_ANNOTATION)
    if not newer:
        return ""
    taken = job.annotations.get(BACKUP_ANNOTATION)
    return f" from {taken}, the newest verified run; {newer} is newer and not verified"


def _backup_fields(observation: Observation) -> dict[str, Any]:
    """Return the names of the Backups: what the Job was made with, once there is one."""
    if observation.job is not None:
        annotations = observation.job.annotations
        return {
            "backup": annotations.get(BACKUP_ANNOTATION),
            "safetyBackup": annotations.get(SAFETY_ANNOTATION),
        }
    return {"safetyBackup": observation.safety.name if observation.safety else None}


def _failed(reason: str, message: str, fields: Mapping[str, Any] | None = None) -> Decision:
    return Decision("Failed", [Condition(CONDITION, "False", reason, message)], fields or {})


def _completed(message: str, fields: Mapping[str, Any]) -> Decision:
    condition = Condition(CONDITION, "True", "RestoreCompleted", message)
    return Decision("Completed", [condition], fields)


def _decide_safety(safety: SafetyBackup) -> Decision:
    """Decide while the safety Backup is made, or when it failed."""
    if safety.phase == "Failed":
        return _failed(
            "SafetyBackupFailed",
            f"the live database was not changed: its safety backup {safety.name} failed:"
            f" {safety.reason}: {safety.message}; correct the cause, or set safetyBackup: false,"
            " and make another Restore",
        )
    message = f"waiting for safety Backup {safety.name}, which is {safety.phase or 'new'}"
    detailed = f"{message}: {safety.message}" if safety.message else message
    return Decision(
        "InProgress",
        [Condition(CONDITION, "False", "SafetyBackupInProgress", detailed)],
        # It notifies the Restore when it ends; this is in case that is lost.
        requeue_after=WAITING,
    )


def _describe(difference: Mapping[str, Any]) -> str:
    """Return the sentence of a dry run."""
    counts = (
        (difference["different"], "would get other rows"),
        (difference["onlyInBackup"], "would be new"),
        (difference["onlyInDatabase"], "would be gone"),
    )
    changes = ", ".join(f"{plural(count, 'table')} {what}" for count, what in counts if count)
    return (
        "Dry run: the backup restores and is what was backed up; nothing was changed;"
        f" {changes or 'no table would change'}"
    )
