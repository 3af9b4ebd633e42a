"""An operator with another agent restarts no Database, until that is asked for."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import runner

NAMESPACE = "scenario-upgrade"
TIMEOUT_SECONDS = 180
# So long it is watched that nothing happens: several reconciles.
QUIET_SECONDS = 20

pytestmark = [pytest.mark.e2e, pytest.mark.alone]


def kubectl(*arguments: str, text: str = "") -> str:
    return runner.kubectl("-n", NAMESPACE, *arguments, text=text)


def agent() -> str:
    """Return the image that the deployed operator gives to instances."""
    found = json.loads(
        runner.kubectl("-n", runner.NAMESPACE, "get", runner.DEPLOYMENT, "-o", "json")
    )
    environment = found["spec"]["template"]["spec"]["containers"][0]["env"]
    return str(next(one["value"] for one in environment if one["name"] == "OPERATOR_IMAGE"))


def deploy(image: str) -> None:
    """Have an operator with another agent."""
    target = ("-n", runner.NAMESPACE)
    runner.kubectl(*target, "set", "env", runner.DEPLOYMENT, f"OPERATOR_IMAGE={image}")
    runner.kubectl(*target, "rollout", "status", runner.DEPLOYMENT, "--timeout=180s")


@pytest.fixture
def namespace() -> Iterator[None]:
    image = agent()
    runner.kubectl("create", "namespace", NAMESPACE)
    yield
    if agent() != image:
        deploy(image)
    runner.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def database() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(kubectl("get", "database/app", "-o", "json"))
    return found


def pods() -> set[str]:
    listed = kubectl("get", "pods", "-l", "database=app", "-o", "jsonpath={.items[*].metadata.uid}")
    return set(listed.split())


def condition() -> str:
    """Return what AgentOutdated says; empty where there is none."""
    conditions = database()["status"]["conditions"]
    return next((c["message"] for c in conditions if c["type"] == "AgentOutdated"), "")


def until(what: str, holds: Any) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"{what}: {kubectl('describe', 'database/app')}"
        time.sleep(1)


def patch(**spec: Any) -> None:
    kubectl("patch", "database/app", "--type=merge", "--patch", json.dumps({"spec": spec}))


def is_ready() -> bool:
    found = database()
    current = found["status"].get("observedGeneration") == found["metadata"]["generation"]
    return current and found["status"]["phase"] == "Ready"


@pytest.mark.usefixtures("namespace")
def test_an_upgrade_restarts_nothing_until_it_is_asked_for() -> None:
    image = agent()
    # The same image to the node, another one to the operator.
    other = image.removeprefix("docker.io/library/")
    other = f"docker.io/library/{image}" if other == image else other
    spec = {"databaseName": "app", "username": "app", "storage": {"size": "1Gi"}, "replicas": 2}
    manifest = {"apiVersion": "database.example.com/v1", "kind": "Database"}
    kubectl(
        "apply", "-f", "-", text=json.dumps({**manifest, "metadata": {"name": "app"}, "spec": spec})
    )
    until("it is made", lambda: "status" in database() and is_ready())
    before = pods()

    deploy(other)
    until("the condition comes", lambda: image in condition())
    patch(users=[{"name": "guest"}])
    until("the spec is followed", is_ready)
    time.sleep(QUIET_SECONDS)
    assert pods() == before
    assert database()["status"]["phase"] == "Ready"

    patch(agentUpdate="Immediate")
    until("the instances are replaced", lambda: not pods() & before and len(pods()) == 2)
    until("all is as it should be", lambda: is_ready() and not condition())
    images = kubectl(
        "get", "pods", "-l", "database=app",
        "-o", "jsonpath={.items[*].spec.initContainers[0].image}",
    )  # fmt: skip
    assert set(images.split()) == {other}

    replaced = pods()
    patch(agentUpdate="WithRestart", restartedAt="2026-11-30T12:00:00Z")
    until("the instances are restarted", lambda: not pods() & replaced and len(pods()) == 2)
    until("all is as it should be", is_ready)
