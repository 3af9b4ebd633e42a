"""What keeps a pod from running, with the next step for the user."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ..units import parse_time, plural
from .client import Object

# A pod whose volume is being bound is Unschedulable for a moment.
_SCHEDULING_GRACE = timedelta(seconds=5)
# Once its deadline is over the kubelet kills a pod, which takes it some seconds.
_TERMINATION_GRACE = timedelta(minutes=1)
# A large image that is being pulled looks the same as a volume that cannot be mounted.
_START_GRACE = timedelta(minutes=5)
_IMAGE_REASONS = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName"})
OOM_KILLED = "OOMKilled"
"""The kubelet's word for a container that the kernel has ended at its memory limit."""
# What the agent leaves in the status of a container (source: image/agent/server_programs.py).
_NO_SERVER = "NoPostgreSQL"
_START_REASONS = frozenset({"ContainerCreating", "PodInitializing"})


@dataclass(frozen=True)
class Problem:
    """A pod that does not get on by itself.

    Attributes:
        reason: a condition's reason, such as ImagePullFailed.
        message: which pod, what is wrong, what to do.
        needs_user: whether nothing but a change by a person can end it.
    """

    reason: str
    message: str
    needs_user: bool


def is_ready(pod: Object) -> bool:
    """Return whether the kubelet calls the pod ready and it is not being deleted."""
    if pod["metadata"].get("deletionTimestamp"):
        return False
    return any(
        condition["type"] == "Ready" and condition["status"] == "True"
        for condition in pod.get("status", {}).get("conditions", [])
    )


def find_problem(pod: Object, now: datetime | None = None) -> Problem | None:
    """Return what keeps the pod from running, or from going where it is being deleted.

    None where it is running, just starting, or has ended.

    Args:
        now: the present time where it is not the clock's, as in tests.
    """
    now = now or datetime.now(UTC)
    name = pod["metadata"]["name"]
    status = pod.get("status", {})
    if status.get("phase") in {"Succeeded", "Failed"}:
        return None
    if _should_be_gone(pod, now):
        node, namespace = pod["spec"]["nodeName"], pod["metadata"]["namespace"]
        return Problem(
            "PodNotTerminated",
            f"pod {name} does not end, as when its node {node} is lost; if that is gone for good:"
            f" kubectl delete node {node},"
            f" or kubectl delete pod {name} --namespace={namespace} --force",
            needs_user=False,
        )
    for condition in status.get("conditions", []):
        if _is_unschedulable(condition, now):
            return Problem(
                "Unschedulable",
                f"no node can run pod {name}: {condition.get('message', '')}",
                needs_user=False,
            )
    statuses = status.get("initContainerStatuses", []) + status.get("containerStatuses", [])
    for container in statuses:
        waiting = container.get("state", {}).get("waiting") or {}
        problem = _ended_problem(name, container) or _waiting_problem(name, container, waiting)
        if problem:
            return problem
    if _should_have_started(pod, now):
        # Without the duration, which would change the status at each reconcile.
        return Problem(
            "PodNotStarted",
            f"pod {name} has been waiting for its volumes or its image for more than"
            f" {_START_GRACE.seconds // 60} minutes; see: kubectl describe pod {name}",
            needs_user=False,
        )
    return None


def _should_be_gone(pod: Object, now: datetime) -> bool:
    """Return whether a pod that a node has is being deleted, and its time to end is long over."""
    # The time that it is given is counted in.
    deadline = pod["metadata"].get("deletionTimestamp")
    if deadline is None or not pod.get("spec", {}).get("nodeName"):
        return False
    return now - parse_time(deadline) >= _TERMINATION_GRACE


def _should_have_started(pod: Object, now: datetime) -> bool:
    """Return whether a container has been waiting for its start for too long.

    While an init container runs, those after it wait for its end: unless it is one that runs beside
    them.
    """
    status = pod.get("status", {})
    beside = {
        container["name"]
        for container in pod.get("spec", {}).get("initContainers", [])
        if container.get("restartPolicy") == "Always"
    }
    init = status.get("initContainerStatuses", [])
    if any("running" in one.get("state", {}) and one.get("name") not in beside for one in init):
        return False
    containers = [*init, *status.get("containerStatuses", [])]
    reasons = {
        (container.get("state", {}).get("waiting") or {}).get("reason") for container in containers
    }
    if not reasons & _START_REASONS:
        return False
    ends = [
        (container.get(state, {}).get("terminated") or {}).get("finishedAt")
        for container in containers
        for state in ("state", "lastState")
    ]
    changes = [condition.get("lastTransitionTime") for condition in status.get("conditions", [])]
    # The wait began when the pod last got on, or fell back: a node had it, a container ended.
    known = [parse_time(moment) for moment in (*ends, *changes) if moment]
    return bool(known) and now - max(known) >= _START_GRACE


def _is_unschedulable(condition: Object, now: datetime) -> bool:
    if condition["type"] != "PodScheduled" or condition.get("reason") != "Unschedulable":
        return False
    return now - parse_time(condition["lastTransitionTime"]) >= _SCHEDULING_GRACE


def kubelet_message(pod: Object) -> str:
    """Return on one line what the kubelet says of a pod's end; empty where that is nothing."""
    return " ".join(pod.get("status", {}).get("message", "").split()).rstrip(".")


def describe_end(pod: Object, container_name: str) -> str:
    """Return why a container ended, by the kubelet's message for the pod or the container."""
    status = pod.get("status", {})
    if status.get("reason"):
        return f"{status['reason']}: {kubelet_message(pod)}"
    for container in status.get("containerStatuses", []):
        terminated = container.get("state", {}).get("terminated")
        if container["name"] == container_name and terminated:
            return f"{terminated.get('reason', 'Error')}, exit code {terminated['exitCode']}"
    return "for an unknown reason"


def _ended_problem(pod: str, container: Object) -> Problem | None:
    """Return why a container that is not ready was ended and started again.

    Between two starts it is not in a crash loop for some seconds.
    """
    states = (container.get(key, {}).get("terminated") for key in ("state", "lastState"))
    ended: Object = next(filter(None, states), {})
    if container.get("ready") or not container.get("restartCount"):
        return None
    if ended.get("message") == _NO_SERVER:
        return Problem(
            "ImageWithoutPostgreSQL",
            f"image {container['image']} of pod {pod} has no program postgres on its PATH: set"
            " spec.image of the Database to an image of PostgreSQL, such as postgres:17",
            needs_user=True,
        )
    if ended.get("reason") == OOM_KILLED:
        return Problem(
            "OutOfMemory",
            f"pod {pod}, container {container['name']} was restarted"
            f" {plural(container['restartCount'], 'time')}, last because it needed more memory than"
            " its limit (OOMKilled); raise resources.limits.memory of the Database",
            needs_user=False,
        )
    return None


def _waiting_problem(pod: str, container: Object, waiting: Object) -> Problem | None:
    reason = waiting.get("reason", "")
    detail = " ".join(waiting.get("message", "").split())
    if reason in _IMAGE_REASONS:
        return Problem(
            "ImagePullFailed",
            f"pod {pod} cannot get image {container['image']}: {detail or reason};"
            " set an image that exists and that the nodes can pull",
            needs_user=True,
        )
    if reason in {"CreateContainerConfigError", "CreateContainerError"}:
        return Problem(
            "ContainerNotCreated",
            f"pod {pod}, container {container['name']}: {detail or reason}",
            needs_user=True,
        )
    if reason == "CrashLoopBackOff":
        terminated = container.get("lastState", {}).get("terminated") or {}
        return Problem(
            "CrashLoopBackOff",
            f"pod {pod}, container {container['name']} ended {container.get('restartCount', 0)}"
            f" times, last with exit code {terminated.get('exitCode', 'unknown')};"
            f" see: kubectl logs {pod} -c {container['name']} --previous",
            needs_user=False,
        )
    return None
