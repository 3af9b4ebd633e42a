"""The module reclaim_policy: a StatefulSet and the claims of former instances follow the spec."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.modules import reclaim_policy
from custom_resources import Create, Resource, run_module
from kubernetes import client

SPEC = {"databaseName": "app", "username": "app", "storage": {"size": "1Gi"}}


@pytest.fixture
def database(create: Create, name: str) -> Resource:
    return create("Database", name, SPEC | {"reclaimPolicy": "Delete"})


def make_objects(database: Resource, when_deleted: str) -> None:
    """A StatefulSet without instances, and the claims of a former instance and of backups."""
    name, namespace = database["metadata"]["name"], database["metadata"]["namespace"]
    labels = {"app": "database", "database": name}
    container = {"name": "postgres", "image": "postgres:17"}
    stateful_set = {
        "metadata": {"name": name},
        "spec": {
            "replicas": 0,
            "serviceName": name,
            "selector": {"matchLabels": labels},
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": when_deleted},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }
    client.AppsV1Api().create_namespaced_stateful_set(namespace, stateful_set)
    for claim in (f"data-{name}-1", f"{name}-backups"):
        body = {
            "metadata": {"name": claim, "labels": labels},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Mi"}},
            },
        }
        client.CoreV1Api().create_namespaced_persistent_volume_claim(namespace, body)


def owners(database: Resource, claim: str) -> list[str]:
    name, namespace = database["metadata"]["name"], database["metadata"]["namespace"]
    found = client.CoreV1Api().read_namespaced_persistent_volume_claim(
        claim.format(name), namespace
    )
    return [owner.kind for owner in found.metadata.owner_references or []]


def when_deleted(database: Resource) -> str:
    name, namespace = database["metadata"]["name"], database["metadata"]["namespace"]
    found = client.AppsV1Api().read_namespaced_stateful_set(name, namespace)
    policy: str = found.spec.persistent_volume_claim_retention_policy.when_deleted
    return policy


def run(database: Resource, policy: str, check_mode: bool = False) -> dict[str, Any]:
    resource = database | {"spec": database["spec"] | {"reclaimPolicy": policy}}
    return run_module(reclaim_policy, check_mode, resource=resource)


def test_without_a_stateful_set_there_is_nothing_to_do(database: Resource) -> None:
    assert run(database, "Delete") == {"changed": False, "written": []}


def test_what_is_to_go_goes_and_what_is_to_stay_stays(database: Resource) -> None:
    name = database["metadata"]["name"]
    make_objects(database, "Retain")
    both = {
        "changed": True,
        "written": [f"StatefulSet/{name}", f"PersistentVolumeClaim/data-{name}-1"],
    }
    assert run(database, "Delete", check_mode=True) == both
    assert (when_deleted(database), owners(database, "data-{}-1")) == ("Retain", [])

    assert run(database, "Delete") == both
    assert (when_deleted(database), owners(database, "data-{}-1")) == ("Delete", ["StatefulSet"])
    assert owners(database, "{}-backups") == []
    assert run(database, "Delete") == {"changed": False, "written": []}

    assert run(database, "Retain") == both
    assert (when_deleted(database), owners(database, "data-{}-1")) == ("Retain", [])
