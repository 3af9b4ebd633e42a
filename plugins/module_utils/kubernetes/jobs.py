"""Read a Job and its pods into what a status speaks of."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..status.job import JobState
from .client import GROUP_VERSION, Cluster, Object
from .objects import is_condition_true
from .pods import find_problem


def read_job(cluster: Cluster, namespace: str, name: str, failed_reason: str) -> JobState | None:
    """Return the Job's state, or None where there is no such Job.

    Args:
        failed_reason: the reason of a Job that ended without a result of its own.
    """
    job = cluster.get("batch/v1", "Job", namespace, name)
    if job is None:
        return None
    pods = cluster.list("v1", "Pod", namespace, f"batch.kubernetes.io/job-name={name}")
    return job_state(job, pods, failed_reason)


def read_unfinished(cluster: Cluster, kind: str, namespace: str, name: str) -> Object | None:
    """Return a Backup or a Restore that still needs work; None where it is done or going away.

    A Backup with a schedule is never done.
    """
    resource = cluster.get(GROUP_VERSION, kind, namespace, name)
    if resource is None or resource["metadata"].get("deletionTimestamp"):
        return None
    done = resource.get("status", {}).get("phase") in {"Completed", "Failed"}
    return None if done and "schedule" not in resource["spec"] else resource


def job_state(job: Object, pods: Sequence[Object], failed_reason: str) -> JobState:
    """Return the state of a Job with these pods.

    A result counts only once Kubernetes calls the Job complete or failed: a pod that was killed is
    replaced, and the replacement's result is the one.
    """
    name = job["metadata"]["name"]
    newest_first = sorted(
        pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), reverse=True
    )
    complete = is_condition_true(job, "Complete")
    if complete or is_condition_true(job, "Failed"):
        result = _final_result(job, newest_first, complete, failed_reason)
        return JobState(name, result=result)
    for pod in newest_first:
        problem = find_problem(pod)
        if problem:
            return JobState(name, (problem.reason, problem.message), problem.needs_user)
    return JobState(name)


def _final_result(
    job: Object, pods: Sequence[Object], complete: bool, failed_reason: str
) -> Mapping[str, Any]:
    name = job["metadata"]["name"]
    for pod in pods:
        result = _termination_message(pod)
        if result is not None and bool(result.get("ok")) == complete:
            return result
    if complete:
        return _failure(
            failed_reason, f"Job {name} ended without the result that it must leave; make another"
        )
    told = next(
        (c.get("message", "") for c in job["status"]["conditions"] if c["type"] == "Failed"), ""
    )
    return _failure(failed_reason, f"{told or 'it failed'}; see: kubectl logs job/{name}")


def _failure(reason: str, message: str) -> Mapping[str, Any]:
    return {"ok": False, "reason": reason, "message": message}


def _termination_message(pod: Object) -> dict[str, Any] | None:
    """Return the JSON document that the pod's main container left, if it is one of ours."""
    for container in pod.get("status", {}).get("containerStatuses", []):
        terminated = container.get("state", {}).get("terminated") or {}
        try:
            document = json.loads(terminated.get("message", ""))
        except ValueError:
            continue
        if isinstance(document, dict) and isinstance(document.get("ok"), bool):
            return document
    return None
