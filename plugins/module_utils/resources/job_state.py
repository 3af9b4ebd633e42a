"""What the statuses of Backup and Restore share: both depend on a Job and its result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..units import format_duration, format_size, parse_time
from .conditions import SOON, WAITING, Condition, Decision

# A Backup that ends notifies the next in the queue; this is in case that is lost.
_WAITS = {"Queued": 30.0}
# Seconds that a pod takes at the least until its work begins.
_POD_START = 3.0

ENDED = frozenset({"Completed", "Failed"})
"""The final phases."""

_RESULT_KEYS = (
    "startTime",
    "completionTime",
    "sizeBytes",
    "restoreSizeBytes",
    "sha256",
    "serverVersion",
    "tables",
    "rows",
    # Of a physical backup, and of what was recovered from one.
    "method",
    "timeline",
    "startLSN",
    "endLSN",
    "consistentTime",
    "fromStandby",
    "archive",
    "recoveredTime",
    "recoveredLSN",
)


FINISHED = "Finished"
"""The condition of a Backup or a Restore that has ended, whichever way: what can be waited for."""


def add_finished(decision: Decision) -> Decision:
    """Return a decision with the condition Finished where it is about what has ended."""
    if decision.phase not in ENDED:
        return decision
    message = f"it is {decision.phase} and is not tried again"
    finished = Condition(FINISHED, "True", decision.phase, message)
    return replace(decision, conditions=[*decision.conditions, finished])


def has_ended(resource: Mapping[str, Any]) -> bool:
    """Return whether a Backup or a Restore has its final phase."""
    return resource.get("status", {}).get("phase") in ENDED


@dataclass(frozen=True)
class JobState:
    """A Job and its pod, as far as the status speaks of them.

    Attributes:
        name: the Job's.
        problem: (reason, message) of what keeps its pod from running.
        needs_user: whether only a change by a person can end the problem.
        result: the JSON document of the pod's termination message, or one made up from the Job's
            own failure: `ok`, and `reason` and `message` where it is false. None while it runs.
        annotations: what the role wrote on the Job when it made it.
        verification: the same of the container that restored and compared what the first one made;
            None where there is none, or nothing was made.
        progress: the step that it is at; empty where that is not known.
        age: seconds since the Job was made.
        lost: whether Kubernetes calls it complete, and no pod is there that says so.
        timed_out: whether Kubernetes has ended it at its deadline.
        after_timeout: whether it follows one that was, to find out or to remove what that has left.
        held_pod: name and UID of the pod whose work has ended and in which a container of another
            program, such as a service mesh's, goes on running: `job.end_held_pod` ends it.
    """

    name: str
    problem: tuple[str, str] | None = None
    needs_user: bool = False
    result: Mapping[str, Any] | None = None
    verification: Mapping[str, Any] | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)
    progress: str = ""
    age: float = 0.0
    lost: bool = False
    timed_out: bool = False
    after_timeout: bool = False
    held_pod: tuple[str, str] | None = None


def next_poll(age: float) -> float:
    """Return in how many seconds to poll a running Job again.

    A small backup is done a few seconds after its Job was made, of which none ends before its pod
    has started. A large one is reported little later by polling less often, which saves CPU.

    >>> [next_poll(age) for age in (0, 3, 60, 3600)]
    [3.0, 1.0, 6.0, 10.0]
    """
    if age < _POD_START:
        return _POD_START - age
    return min(max(1.0, age / 10), WAITING)


def decide_unfinished(
    condition: str,
    running_reason: str,
    what: str,
    what_follows: str,
    blocked: tuple[str, str] | None,
    job: JobState | None,
) -> Decision:
    """Decide for a resource whose Job has not ended, or has not been made.

    Args:
        what: what the Job does.
        what_follows: the sentence about a Job after one that was ended at its deadline.
    """
    if job is None:
        reason, message = blocked or (running_reason, f"{what} is about to start")
        return Decision(
            phase="Pending",
            conditions=[Condition(condition, "False", reason, message)],
            requeue_after=_WAITS.get(reason, WAITING) if blocked else SOON,
        )
    progress = f"; {job.progress}" if job.progress else ""
    doing = what_follows if job.after_timeout else f"{what} is being done"
    done_by = f"{doing} by Job {job.name}{progress}"
    reason, message = job.problem or (running_reason, done_by)
    return Decision(
        phase="InProgress",
        conditions=[Condition(condition, "False", reason, message)],
        fields={"job": job.name, "progress": job.progress or None},
        requeue_after=WAITING if job.needs_user else next_poll(job.age),
    )


def result_fields(job: JobState) -> dict[str, Any]:
    """Return the status fields that the Job's result gives."""
    assert job.result is not None
    result = job.result
    fields: dict[str, Any] = {"job": job.name}
    for key in _RESULT_KEYS:
        fields[key] = result.get(key)
    if result.get("startTime") and result.get("completionTime"):
        fields["duration"] = elapsed(result)
    if result.get("sizeBytes") is not None:
        fields["size"] = format_size(result["sizeBytes"])
    return fields


def with_warning(done: str, result: Mapping[str, Any]) -> str:
    """Return the sentence, with what the result warns of."""
    warning = result.get("warning")
    return f"{done}, but {warning}" if warning else done


def elapsed(result: Mapping[str, Any]) -> str:
    """Return how long the work took that ended with this result, such as 2m5s.

    Nothing where the clock was put back meanwhile.
    """
    taken = parse_time(result["completionTime"]) - parse_time(result["startTime"])
    return format_duration(max(taken.total_seconds(), 0))
