"""What the API server says of pods that it refuses, as Kubernetes' own controllers report it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.kube.client import connect
from ansible_collections.postgres.operator.plugins.module_utils.kube.events import find_refusal
from ansible_collections.postgres.operator.plugins.module_utils.kube.pods import Problem
from ansible_collections.postgres.operator.plugins.module_utils.resources.job import read_job
from kubernetes import client

LABELS = {"app": "refused"}
POD = {
    "metadata": {"labels": LABELS},
    # It is only to be created; there need be no such image.
    "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "nothing:1"}]},
}
STATEFUL_SET: dict[str, Any] = {
    "serviceName": "none",
    "selector": {"matchLabels": LABELS},
    "podManagementPolicy": "Parallel",
    "template": {**POD, "spec": {**POD["spec"], "restartPolicy": "Always"}},
}


@pytest.fixture
def full() -> Iterator[str]:
    """A namespace whose ResourceQuota allows no pod."""
    core, name = client.CoreV1Api(), f"refused-{uuid.uuid4().hex[:8]}"
    core.create_namespace({"metadata": {"name": name}})
    quota = {"metadata": {"name": "full"}, "spec": {"hard": {"pods": "0"}}}
    core.create_namespaced_resource_quota(name, quota)
    wait_for(lambda: core.read_namespaced_resource_quota("full", name).status.hard)
    # Without the namespace's own account pods are refused because of that.
    wait_for(lambda: core.list_namespaced_service_account(name).items)
    yield name
    core.delete_namespace(name)


def wait_for(found: Callable[[], Any], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (answer := found()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return answer


def owner(namespace: str, kind: str) -> dict[str, Any]:
    versions = {"Job": "batch/v1", "StatefulSet": "apps/v1"}
    found = connect().get(versions[kind], kind, namespace, "one")
    assert found
    return found


def refusal(namespace: str, kind: str) -> Problem | None:
    return find_refusal(connect(), owner(namespace, kind))


@pytest.mark.parametrize("kind", ["Job", "StatefulSet"])
def test_the_words_of_a_quota_are_known_until_the_pod_is_created(full: str, kind: str) -> None:
    meta = {"name": "one"}
    if kind == "Job":
        client.BatchV1Api().create_namespaced_job(
            full, {"metadata": meta, "spec": {"template": POD}}
        )
    else:
        client.AppsV1Api().create_namespaced_stateful_set(
            full, {"metadata": meta, "spec": STATEFUL_SET}
        )
    problem = wait_for(lambda: refusal(full, kind), seconds=5)
    assert problem.reason == "PodNotCreated"
    assert f"cannot create a pod of {kind} one: " in problem.message
    assert "is forbidden: exceeded quota: full, requested: pods=1" in problem.message
    if kind == "Job":
        state = read_job(connect(), full, "one", "BackupFailed")
        assert state and state.problem and state.problem[1] == problem.message
    core = client.CoreV1Api()
    # By then the controller waits for longer than a second, which is as exact as its Events are.
    time.sleep(3)
    core.delete_namespaced_resource_quota("full", full)
    wait_for(lambda: core.list_namespaced_pod(full).items, seconds=120)
    assert wait_for(lambda: refusal(full, kind) is None, seconds=10)
