"""What the deletion of a Backup still has to do: a pure function of what was observed."""

from __future__ import annotations

from dataclasses import dataclass

from ..job_state import JobState

GIVE_UP_SECONDS = 300.0
"""What a deletion waits for is tried for so long, from the first attempt on: since the deletion was
asked for, the operator may have been away."""


@dataclass(frozen=True)
class Observation:
    """All that the step depends on.

    Attributes:
        location: the artifact, for people.
        place: what it is in, for people, such as PersistentVolumeClaim app-backups.
        wanted: whether the artifact is to be removed, and there can be one.
        place_stays: whether there is anything to remove it from: the claim exists and is not being
            deleted; True for a bucket.
        blocked: why no Job can remove it: its namespace is going, or a Secret is missing.
        backup_runs: whether the Job that makes the backup is still there and has not ended.
        job: the Job that removes the artifact; None where it was not made.
        waited: seconds since the first attempt at what is waited for, 0 before: since the Job was
            made, or was first to be made, or since the one that makes the backup was to end.
    """

    location: str
    place: str
    wanted: bool
    place_stays: bool
    blocked: str | None
    backup_runs: bool
    job: JobState | None
    waited: float


@dataclass(frozen=True)
class Event:
    """An Event for the user."""

    warning: bool
    reason: str
    message: str


@dataclass(frozen=True)
class Step:
    """The next step.

    Attributes:
        action: `done` lets the Backup go; `cancel` ends the Job that makes it; `start` makes
            the one that removes the artifact; `wait` checks again soon.
        event: the Event to write, if any.
    """

    action: str
    event: Event | None = None


def next_step(observation: Observation) -> Step:
    """Decide what comes next. What was tried for GIVE_UP_SECONDS is given up."""
    if not observation.wanted or not observation.place_stays:
        return Step("done")
    result = observation.job.result if observation.job else None
    if result is not None and result["ok"]:
        message = f"the files at {observation.location} were removed"
        return Step("done", Event(False, "ArtifactRemoved", message))
    if result is not None:
        return _give_up(observation, f"{result['reason']}: {result['message']}")
    if observation.blocked:
        return _give_up(observation, observation.blocked)
    if observation.waited > GIVE_UP_SECONDS:
        return _give_up(observation, _delay(observation))
    if observation.backup_runs:
        return Step("cancel")
    return Step("wait" if observation.job else "start")


def _delay(observation: Observation) -> str:
    """Say what took too long."""
    if observation.backup_runs:
        return "the Job that makes the backup does not end"
    if observation.job is None:
        return "the Job that removes them could not be made, as the operator's log says"
    if observation.job.problem:
        return observation.job.problem[1]
    return f"Job {observation.job.name} has not ended yet"


def _give_up(observation: Observation, why: str) -> Step:
    return Step(
        "done",
        Event(
            True,
            "ArtifactNotRemoved",
            f"the Backup was deleted but its files at {observation.location} may still exist:"
            f" {why}; remove them from {observation.place} by hand",
        ),
    )
