"""What keeps a pod from running, as its status tells it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.kubernetes.pods import find_problem

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def unschedulable(since: timedelta) -> dict[str, Any]:
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/1 nodes are available: 1 Insufficient memory.",
        "lastTransitionTime": (NOW - since).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return {"metadata": {"name": "app-0"}, "status": {"conditions": [condition]}}


def test_a_pod_that_no_node_takes_is_told_with_the_schedulers_words() -> None:
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
def test_a_container_that_waits_is_told(waiting: str, reason: str, needs_user: bool) -> None:
    container = {
        "name": "postgres",
        "image": "postgres:17",
        "state": {"waiting": {"reason": waiting}},
    }
    pod = {"metadata": {"name": "app-0"}, "status": {"containerStatuses": [container]}}
    problem = find_problem(pod, NOW)
    assert problem is not None
    assert (problem.reason, problem.needs_user) == (reason, needs_user)


def test_a_container_that_is_being_made_is_no_problem() -> None:
    container = {"name": "postgres", "state": {"waiting": {"reason": "ContainerCreating"}}}
    pod = {"metadata": {"name": "app-0"}, "status": {"containerStatuses": [container]}}
    assert find_problem(pod, NOW) is None
