"""What keeps a pod from running, as its status tells it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.kube.pods import find_problem
from ansible_collections.postgres.operator.plugins.module_utils.units import format_time

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
NO_SERVER = "NoPostgreSQL"
# Of a container that has ended and waits for its next start, or was started again.
STATES: list[dict[str, Any]] = [
    {"waiting": {"reason": "CrashLoopBackOff"}},
    {"running": {}},
]


def unschedulable(since: timedelta) -> dict[str, Any]:
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/1 nodes are available: 1 Insufficient memory.",
        "lastTransitionTime": (NOW - since).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return {"metadata": {"name": "app-0"}, "status": {"conditions": [condition]}}


def test_a_pod_that_no_node_takes_is_reported_with_the_schedulers_words() -> None:
    problem = find_problem(unschedulable(timedelta(seconds=5)), NOW)
    assert problem is not None
    assert problem.reason == "Unschedulable"
    assert "app-0" in problem.message
    assert "Insufficient memory" in problem.message


def test_a_pod_whose_volume_is_being_bound_is_just_starting() -> None:
    assert find_problem(unschedulable(timedelta(seconds=2)), NOW) is None


@pytest.mark.parametrize(
    ("waiting", "reason", "needs_user"),
    [
        ("ErrImagePull", "ImagePullFailed", True),
        ("CreateContainerConfigError", "ContainerNotCreated", True),
        ("CrashLoopBackOff", "CrashLoopBackOff", False),
    ],
)
def test_a_container_that_waits_is_reported(waiting: str, reason: str, needs_user: bool) -> None:
    container = {
        "name": "postgres",
        "image": "postgres:17",
        "state": {"waiting": {"reason": waiting}},
    }
    pod = {"metadata": {"name": "app-0"}, "status": {"containerStatuses": [container]}}
    problem = find_problem(pod, NOW)
    assert problem is not None
    assert (problem.reason, problem.needs_user) == (reason, needs_user)


@pytest.mark.parametrize("state", STATES)
def test_an_instance_that_is_killed_again_and_again_for_its_memory_says_so(
    state: dict[str, Any],
) -> None:
    container = {
        "name": "postgres",
        "image": "postgres:17",
        "restartCount": 3,
        "state": state,
        "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137}},
    }
    pod = {"metadata": {"name": "app-0"}, "status": {"containerStatuses": [container]}}
    problem = find_problem(pod, NOW)
    assert problem is not None
    assert problem.reason == "OutOfMemory"
    assert "raise resources.limits.memory of the Database" in problem.message


@pytest.mark.parametrize("state", STATES)
def test_an_image_without_postgresql_is_named(state: dict[str, Any]) -> None:
    container: dict[str, Any] = {
        "name": "postgres",
        "image": "busybox:1",
        "state": state,
        "lastState": {"terminated": {"exitCode": 1, "message": NO_SERVER}},
        "ready": False,
        "restartCount": 1,
    }
    pod = {"metadata": {"name": "app-0"}, "status": {"containerStatuses": [container]}}
    problem = find_problem(pod, NOW)
    assert problem is not None
    assert (problem.reason, problem.needs_user) == ("ImageWithoutPostgreSQL", True)
    assert "image busybox:1 of pod app-0 has no program postgres" in problem.message
    # What has recovered is no problem any more.
    container |= {"ready": True, "state": {"running": {}}}
    assert find_problem(pod, NOW) is None


def test_a_container_that_is_being_made_is_no_problem() -> None:
    container = {"name": "postgres", "state": {"waiting": {"reason": "ContainerCreating"}}}
    pod = {"metadata": {"name": "app-0"}, "status": {"containerStatuses": [container]}}
    assert find_problem(pod, NOW) is None


def deleted(since_deadline: timedelta, phase: str = "Running") -> dict[str, Any]:
    """A pod of a node, whose time to end was over so long ago."""
    going = {"deletionTimestamp": format_time(NOW - since_deadline)}
    return {
        "metadata": {"name": "app-0", "namespace": "shop", **going},
        "spec": {"nodeName": "node-2"},
        "status": {"phase": phase},
    }


def test_a_pod_that_does_not_end_is_reported_with_its_node() -> None:
    problem = find_problem(deleted(timedelta(minutes=1)), NOW)
    assert problem is not None
    assert (problem.reason, problem.needs_user) == ("PodNotTerminated", False)
    assert "kubectl delete node node-2" in problem.message
    assert "kubectl delete pod app-0 --namespace=shop --force" in problem.message


def test_a_pod_that_is_ending_or_has_ended_is_no_problem() -> None:
    assert find_problem(deleted(timedelta(seconds=-30)), NOW) is None
    assert find_problem(deleted(timedelta(seconds=59)), NOW) is None
    # Its Job still has to count it.
    assert find_problem(deleted(timedelta(hours=1), "Failed"), NOW) is None


def ended(since: timedelta) -> dict[str, Any]:
    return {"terminated": {"exitCode": 0, "finishedAt": format_time(NOW - since)}}


def starting(
    since: timedelta, waiting: str, init: tuple[dict[str, Any], ...] = ()
) -> dict[str, Any]:
    """A pod that a node has had for so long, whose last container is being made."""
    scheduled = {
        "type": "PodScheduled",
        "status": "True",
        "lastTransitionTime": format_time(NOW - since),
    }
    return {
        "metadata": {"name": "b-0"},
        "status": {
            "phase": "Pending",
            "conditions": [scheduled],
            "initContainerStatuses": [{"name": "init", "state": state} for state in init],
            "containerStatuses": [{"name": "backup", "state": {"waiting": {"reason": waiting}}}],
        },
    }


@pytest.mark.parametrize("waiting", ["ContainerCreating", "PodInitializing"])
def test_a_pod_that_gets_no_volumes_or_image_is_reported_in_the_same_words(waiting: str) -> None:
    assert find_problem(starting(timedelta(minutes=4, seconds=59), waiting), NOW) is None
    problem = find_problem(starting(timedelta(minutes=5), waiting), NOW)
    assert problem is not None
    assert (problem.reason, problem.needs_user) == ("PodNotStarted", False)
    assert "kubectl describe pod b-0" in problem.message
    assert find_problem(starting(timedelta(hours=9), waiting), NOW) == problem


def test_a_pod_whose_init_containers_work_is_getting_on() -> None:
    def after(*init: dict[str, Any]) -> dict[str, Any]:
        return starting(timedelta(hours=2), "PodInitializing", init)

    assert find_problem(after(ended(timedelta(hours=2)), {"running": {}}), NOW) is None
    # The next one is being made.
    assert find_problem(after(ended(timedelta(seconds=3))), NOW) is None
    stuck = find_problem(after(ended(timedelta(minutes=5))), NOW)
    assert stuck is not None
    assert stuck.reason == "PodNotStarted"


def test_an_init_container_that_runs_beside_the_others_is_not_waited_for() -> None:
    pod = starting(timedelta(hours=2), "ContainerCreating")
    archiver = {"name": "archiver", "state": {"running": {}}}
    pod["status"]["initContainerStatuses"] = [archiver]
    assert find_problem(pod, NOW) is None
    pod["spec"] = {"initContainers": [{"name": "archiver", "restartPolicy": "Always"}]}
    problem = find_problem(pod, NOW)
    assert problem is not None
    assert problem.reason == "PodNotStarted"


def test_a_pod_that_has_ended_without_a_start_waits_for_nothing() -> None:
    evicted = starting(timedelta(hours=1), "ContainerCreating")
    evicted["status"]["phase"] = "Failed"
    assert find_problem(evicted, NOW) is None
