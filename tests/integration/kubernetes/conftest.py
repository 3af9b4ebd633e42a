"""A namespace on the API server of $KUBECONFIG, which has the CRDs; the operator is kept away."""

from __future__ import annotations

import functools
import uuid
from collections.abc import Iterator

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.kube.client import connect
from custom_resources import Create, create_resource
from kubernetes import client, config, watch
from kubernetes.client.exceptions import ApiException

OPERATOR = ("postgres-operator-controller-manager", "postgres-operator-system")


@pytest.fixture(scope="session", autouse=True)
def _api() -> None:
    config.load_kube_config()
    connect.cache_clear()


@pytest.fixture(scope="session", autouse=True)
def _operator_away(_api: None) -> Iterator[None]:
    """An operator that is deployed would work on the tests' resources, so it is away meanwhile."""
    apps = client.AppsV1Api()
    try:
        replicas = apps.read_namespaced_deployment(*OPERATOR).spec.replicas
    except ApiException as error:
        assert error.status == 404
        yield
        return
    apps.patch_namespaced_deployment_scale(*OPERATOR, {"spec": {"replicas": 0}})
    _wait_until_gone(OPERATOR[1])
    yield
    apps.patch_namespaced_deployment_scale(*OPERATOR, {"spec": {"replicas": replicas}})


def _wait_until_gone(namespace: str) -> None:
    core = client.CoreV1Api()
    selector = {"label_selector": "control-plane=controller-manager"}
    pods = core.list_namespaced_pod(namespace, **selector)
    left = {pod.metadata.name for pod in pods.items}
    if not left:
        return
    events = watch.Watch().stream(
        core.list_namespaced_pod,
        namespace,
        **selector,
        resource_version=pods.metadata.resource_version,
        timeout_seconds=60,
    )
    for event in events:
        if event["type"] == "DELETED":
            left.discard(event["object"].metadata.name)
        if not left:
            return
    pytest.fail(f"the operator does not go away: {left}")


@pytest.fixture(scope="session")
def namespace(_operator_away: None) -> Iterator[str]:
    name = f"integration-{uuid.uuid4().hex[:8]}"
    core = client.CoreV1Api()
    core.create_namespace({"metadata": {"name": name}})
    yield name
    core.delete_namespace(name)


@pytest.fixture
def name() -> str:
    return f"it-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def create(namespace: str) -> Create:
    """Create a custom resource in the tests' namespace; with ``dry_run="All"`` only judge it."""
    return functools.partial(create_resource, namespace)
