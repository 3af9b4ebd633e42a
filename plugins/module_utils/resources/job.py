"""The state of a Job and its pods: result, progress or problem."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from ..kube.client import GROUP_VERSION, ApiError, Cluster, Object
from ..kube.events import find_refusal
from ..kube.objects import is_condition_true, job_name
from ..kube.pods import OOM_KILLED, describe_end, find_problem, kubelet_message
from ..units import format_duration, parse_time
from .job_state import JobState, has_ended

VERIFY_CONTAINER = "verify"
"""It restores and compares what the container before it has made: a backup."""

COPY_CONTAINER = "copy"
"""It fetches for the verification, which has no credentials, what is in a bucket."""

RECOVER_CONTAINER = "recover"
"""It recovers the server of a moment from a physical backup, for what comes after it."""

EXTRACT_CONTAINER = "extract"
"""It makes a logical backup of a database of that server, which the Job restores."""

RESULT_ANNOTATION = "database.example.com/result"
"""On a Job that `end_held_pod` has suspended: the results that its pod had left."""

_FINAL_EXIT_CODE = 2
"""Of a playbook that ended with a reason of its own: the Job has failed then (`job_pod.job`)."""

_PROGRESS_LINE = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z (.+?)(?: \.\.\.)?")
"""A line of ``backup.progress`` in a container's log, among those of Ansible."""

_LOG_LINES = 20

_FOLLOWED_AFTER_TIMEOUT = frozenset({"backup", "restore"})
_DEADLINE_EXCEEDED = "DeadlineExceeded"

_POD_PATIENCE = timedelta(seconds=60)
"""A Job without a pod for longer is not just starting, also where no Event says why."""


class LatestJob(NamedTuple):
    """The newest Job of a custom resource.

    Attributes:
        state: None where there is no Job of that name yet.
        timed_out: the one before it, where Kubernetes has ended that at its deadline.
    """

    name: str
    state: JobState | None
    timed_out: JobState | None = None


def read_latest_job(
    cluster: Cluster, kind: str, resource: Object, failed_reason: str, attempt: int = 1
) -> LatestJob:
    """Return the newest Job of a custom resource.

    A Job may be done and its result gone: with a node that was drained while no operator looked. A
    second Job then finds what the first has done, for the work of a resource can be repeated. A
    backup or a restore that was ended at its deadline is followed by a second Job, too: that one
    removes what the backup has left, or finds out how the restore ended. There is no third.

    Args:
        kind: of work, as `job_name` has it.
        attempt: which one's, counted from 1.
    """
    namespace, name = resource["metadata"]["namespace"], job_name(kind, resource, attempt)
    job = read_job(cluster, namespace, name, failed_reason)
    follows = job is not None and job.timed_out and kind in _FOLLOWED_AFTER_TIMEOUT
    if job is None or not (job.lost or follows):
        return LatestJob(name, job)
    second = f"{name}-2"
    state = read_job(cluster, namespace, second, failed_reason)
    if not follows:
        return LatestJob(second, state)
    if state is not None:
        annotations = {**job.annotations, **state.annotations}
        state = replace(state, annotations=annotations, after_timeout=True)
    return LatestJob(second, state, timed_out=job)


def read_job(cluster: Cluster, namespace: str, name: str, failed_reason: str) -> JobState | None:
    """Return the Job's state, or None where there is no such Job.

    Args:
        failed_reason: the reason of a Job that ended without a result of its own.
    """
    job = cluster.get("batch/v1", "Job", namespace, name)
    if job is None:
        return None
    annotations = job["metadata"].get("annotations") or {}
    pods = cluster.list("v1", "Pod", namespace, f"batch.kubernetes.io/job-name={name}")
    state = job_state(job, pods, failed_reason)
    # A node that is lost would not answer; what its pod said last is no progress.
    progress = "" if state.result or state.problem else _read_progress(cluster, job, pods)
    age = datetime.now(UTC) - parse_time(job["metadata"]["creationTimestamp"])
    if not state.result and all(map(_has_ended, pods)):
        state = replace(state, problem=_lack_of_pod(cluster, job, bool(pods), age))
    return replace(
        state, annotations=annotations, progress=progress, age=max(age.total_seconds(), 0.0)
    )


def _lack_of_pod(
    cluster: Cluster, job: Object, had_pods: bool, age: timedelta
) -> tuple[str, str] | None:
    """Return why a Job that has not ended has no pod; None while it may just be starting."""
    refusal = find_refusal(cluster, job)
    if refusal:
        return refusal.reason, refusal.message
    if had_pods or age < _POD_PATIENCE:
        return None
    namespace, name = job["metadata"]["namespace"], job["metadata"]["name"]
    return (
        "PodNotCreated",
        f"Kubernetes has made no pod for Job {name}; see why:"
        f" kubectl describe job {name} --namespace={namespace}",
    )


def end_held_pod(cluster: Cluster, namespace: str, state: JobState) -> None:
    """End the pod in which a container of another program runs on though the work has ended.

    The Job is suspended, which deletes the pod and makes no other, and gets the results in the same
    write: so they are in one of the two at any time. Where there is no result yet, since a
    container was killed, the pod alone is deleted, and Kubernetes replaces it as it would have
    done.

    Raises:
        ApiError: it was not possible, and nothing was changed.
    """
    assert state.held_pod is not None
    if state.result is None:
        name, uid = state.held_pod
        cluster.delete("v1", "Pod", namespace, name, uid)
        return
    results = json.dumps({"result": state.result, "verification": state.verification})
    patch: Object = {
        "metadata": {"annotations": {RESULT_ANNOTATION: results}},
        "spec": {"suspend": True},
    }
    cluster.merge("batch/v1", "Job", namespace, state.name, patch)


def _read_progress(cluster: Cluster, job: Object, pods: Sequence[Object]) -> str:
    """Return the step that a container of the pods last logged; empty if none runs."""
    for pod in pods:
        for container in reversed(_containers(job, pod)):
            if "running" not in container.get("state", {}):
                continue
            metadata = pod["metadata"]
            try:
                log = cluster.read_log(
                    metadata["namespace"], metadata["name"], container["name"], _LOG_LINES
                )
            except ApiError:
                # It has just ended. What a person would like to know stops no backup.
                return ""
            steps = [found[1] for found in map(_PROGRESS_LINE.fullmatch, log.splitlines()) if found]
            return steps[-1] if steps else ""
    return ""


def needs_work(resource: Object) -> bool:
    """Return whether a Backup or a Restore is neither done nor going away.

    A Backup with a schedule is never done.
    """
    if resource["metadata"].get("deletionTimestamp"):
        return False
    return not has_ended(resource) or "schedule" in resource["spec"]


def read_unfinished(cluster: Cluster, kind: str, namespace: str, name: str) -> Object | None:
    """Return a Backup or a Restore that `needs_work`; None where it does not."""
    resource = cluster.get(GROUP_VERSION, kind, namespace, name)
    return resource if resource is not None and needs_work(resource) else None


def job_state(job: Object, pods: Sequence[Object], failed_reason: str) -> JobState:
    """Return the state of a Job with these pods.

    A result counts only once a pod has succeeded, or Kubernetes calls the Job complete or failed: a
    pod that was killed is replaced, and the replacement's result is the one. A pod in which another
    program's container runs on never fails: there the exit code that fails the Job counts.
    """
    name = job["metadata"]["name"]
    saved = (job["metadata"].get("annotations") or {}).get(RESULT_ANNOTATION)
    if saved:
        return JobState(name, **json.loads(saved))
    newest_first = sorted(
        pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), reverse=True
    )
    failed = is_condition_true(job, "Failed")
    timed_out = failed and _is_timed_out(job)
    # Before Kubernetes 1.31 such a Job is called Failed while its pods are still being ended.
    if timed_out and all(map(_has_ended, pods)):
        return JobState(name, result=_timeout_result(job), timed_out=True)
    succeeded = any(_has_succeeded(job, pod) for pod in pods)
    complete = not failed and (is_condition_true(job, "Complete") or succeeded)
    held = None if failed else next((pod for pod in pods if _is_held(job, pod)), None)
    held_pod = (held["metadata"]["name"], held["metadata"]["uid"]) if held else None
    if held and not complete and _FINAL_EXIT_CODE in _exit_codes(job, held):
        failed, newest_first = True, [held]
    if complete or (failed and not timed_out):
        result, verification = (_results if _verifies(job) else _final_result)(
            job, newest_first, complete, failed_reason
        )
        # Whatever else a pod says that did not succeed, the one that did is gone.
        lost = complete and not (result["ok"] and (verification is None or verification["ok"]))
        return JobState(
            name, result=result, verification=verification, lost=lost, held_pod=held_pod
        )
    if held and not held["metadata"].get("deletionTimestamp"):
        return JobState(name, held_pod=held_pod)
    for pod in newest_first:
        problem = find_problem(pod)
        if problem:
            return JobState(name, (problem.reason, problem.message), problem.needs_user)
    return JobState(name)


def _is_timed_out(job: Object) -> bool:
    return any(
        condition["type"] == "Failed" and condition.get("reason") == _DEADLINE_EXCEEDED
        for condition in job["status"]["conditions"]
    )


def _has_ended(pod: Object) -> bool:
    return pod.get("status", {}).get("phase") in {"Succeeded", "Failed"}


def _timeout_result(job: Object) -> Mapping[str, Any]:
    seconds = job["spec"].get("activeDeadlineSeconds", 0)
    return _failure(
        "Timeout",
        f"Job {job['metadata']['name']} had not ended after {format_duration(seconds)} and was"
        " stopped; find out what took so long, or set a longer timeout",
    )


def _has_succeeded(job: Object, pod: Object) -> bool:
    """Return whether all of the Job's containers ended well in a pod.

    That is final, for none of them starts again. Kubernetes takes seconds more to call the pod
    Succeeded, and then its Job Complete.
    """
    return set(_exit_codes(job, pod)) == {0}


def _is_held(job: Object, pod: Object) -> bool:
    """Return whether the Job's containers have ended in a pod, and another program's has not."""
    own = _names(job["spec"]["template"]["spec"]["containers"])
    return bool(_exit_codes(job, pod)) and any(
        "running" in container.get("state", {})
        for container in pod["status"].get("containerStatuses", [])
        if container["name"] not in own
    )


def _exit_codes(job: Object, pod: Object) -> list[int]:
    """Return those of the Job's containers in a pod; empty where one of them has not ended."""
    own = _names(job["spec"]["template"]["spec"]["containers"])
    ended = [
        container["state"]["terminated"]
        for container in pod.get("status", {}).get("containerStatuses", [])
        if container["name"] in own and "terminated" in container.get("state", {})
    ]
    return [state.get("exitCode") for state in ended] if len(ended) == len(own) else []


def _names(containers: Sequence[Object]) -> set[str]:
    return {container["name"] for container in containers}


def _final_result(
    job: Object, pods: Sequence[Object], complete: bool, failed_reason: str
) -> tuple[Mapping[str, Any], None]:
    for pod in pods:
        documents = _documents(job, pod)
        # What the Job was made for comes last.
        for result in reversed(documents.values()):
            if result["ok"] == complete:
                return {**result, **_moment_of(documents.get(RECOVER_CONTAINER, {}))}, None
    return _lost_result(job, pods, complete, failed_reason), None


_MOMENT = ("startTime", "recoveredTime", "recoveredLSN", "timeline")


def _moment_of(recovered: Mapping[str, Any]) -> dict[str, Any]:
    """Return which moment was recovered, and when that began; empty where none was."""
    return {key: recovered[key] for key in _MOMENT if key in recovered}


def _verifies(job: Object) -> bool:
    containers = job["spec"]["template"]["spec"]["containers"]
    return any(container["name"] == VERIFY_CONTAINER for container in containers)


def _results(
    job: Object, pods: Sequence[Object], complete: bool, failed_reason: str
) -> tuple[Mapping[str, Any], Mapping[str, Any] | None]:
    """Return the results of a backup and of its verification.

    The Job fails with the verification; the backup was read back before, so it counts all the same.
    """
    for pod in pods:
        documents = _documents(job, pod)
        verification: Mapping[str, Any] | None = documents.pop(VERIFY_CONTAINER, None)
        copied = documents.pop(COPY_CONTAINER, None)
        if copied and not copied["ok"]:
            verification = copied
        for result in documents.values():
            if not result["ok"]:
                return result, None
            if verification is None or verification["ok"] != complete:
                verification = _interrupted(job, pod)
            return result, verification
    return _lost_result(job, pods, complete, failed_reason), None


def _interrupted(job: Object, pod: Object) -> Mapping[str, Any]:
    """Return the result of a verification whose container was ended before it could leave one."""
    ended = describe_end(pod, VERIFY_CONTAINER)
    name, pod_name = job["metadata"]["name"], pod["metadata"]["name"]
    if _outgrew_disk(ended):
        return _failure(
            "NoSpace",
            f"pod {pod_name} was ended: {ended}; verifying takes the size of the whole database on"
            " the node's disk: let spec.storage.size of the Database have room for it, and the"
            " node, and jobs.resources.limits.ephemeral-storage if that is set",
        )
    killed = _out_of_memory(job, [pod])
    if killed:
        return killed
    return _failure(
        "VerificationFailed",
        f"pod {pod_name} was ended before it had verified the backup: {ended};"
        f" see: kubectl logs job/{name}, then make another Backup",
    )


def _outgrew_disk(ended: str) -> bool:
    """Return whether the kubelet says that a volume or the pod exceeded its limit, or the node its.

    Its words are "EmptyDir volume", "ephemeral local storage", "local ephemeral storage" and
    "ephemeral-storage" (pkg/kubelet/eviction/helpers.go).
    """
    return "EmptyDir" in ended or "ephemeral" in ended


def _lost_result(
    job: Object, pods: Sequence[Object], complete: bool, failed_reason: str
) -> Mapping[str, Any]:
    """Return a result for a Job that has left none that can be believed."""
    name = job["metadata"]["name"]
    if complete:
        return _failure(
            failed_reason, f"Job {name} ended without the result that it must leave; make another"
        )
    for pod in pods:
        ended = kubelet_message(pod)
        if _outgrew_disk(ended):
            return _failure(
                "NoSpace",
                f"pod {pod['metadata']['name']} was ended: {ended};"
                " the files on their way to or from the store need room on the node's disk: let"
                " spec.storage.size of the Database have it, and the node, and"
                " jobs.resources.limits.ephemeral-storage if that is set",
            )
    killed = _out_of_memory(job, pods)
    if killed:
        return killed
    message = next(
        (
            condition.get("message", "")
            for condition in job["status"].get("conditions", [])
            if condition["type"] == "Failed"
        ),
        "",
    )
    return _failure(failed_reason, f"{message or 'it failed'}; see: kubectl logs job/{name}")


def _out_of_memory(job: Object, pods: Sequence[Object]) -> Mapping[str, Any] | None:
    """Return the result of a Job one of whose containers was killed at its memory limit."""
    for pod in pods:
        for container in _containers(job, pod):
            terminated = container.get("state", {}).get("terminated") or {}
            if terminated.get("reason") == OOM_KILLED:
                limit = _memory_limit(job, container["name"])
                return _failure(
                    "OutOfMemory",
                    f"container {container['name']} of pod {pod['metadata']['name']} was killed: it"
                    f" needed more memory than its limit{f' of {limit}' if limit else ''}; raise"
                    " jobs.resources.limits.memory of the Database and try again",
                )
    return None


def _memory_limit(job: Object, name: str) -> str:
    for container in _templates(job):
        if container["name"] == name:
            limits = container.get("resources", {}).get("limits", {})
            return str(limits.get("memory", ""))
    return ""


def _containers(job: Object, pod: Object) -> list[Object]:
    """Return the statuses of the Job's containers in a pod, those that run first included."""
    status, own = pod.get("status", {}), _names(_templates(job))
    statuses = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
    return [container for container in statuses if container["name"] in own]


def _templates(job: Object) -> list[Object]:
    spec = job["spec"]["template"]["spec"]
    return [*spec.get("initContainers", []), *spec["containers"]]


def _failure(reason: str, message: str) -> Mapping[str, Any]:
    return {"ok": False, "reason": reason, "message": message}


def _documents(job: Object, pod: Object) -> dict[str, dict[str, Any]]:
    """Return the JSON documents that the pod's containers left, if they are ours, by container."""
    documents = {}
    for container in _containers(job, pod):
        terminated = container.get("state", {}).get("terminated") or {}
        try:
            document = json.loads(terminated.get("message", ""))
        except ValueError:
            continue
        if isinstance(document, dict) and isinstance(document.get("ok"), bool):
            documents[container["name"]] = document
    return documents
