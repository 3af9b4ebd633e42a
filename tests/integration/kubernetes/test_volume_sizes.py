"""The module volume_sizes, against Kubernetes' own rules for claims.

No driver that resizes is here: where Kubernetes lets a claim grow, the test writes what a driver
and the node would write into the claim's status. That a file system grows is not tested.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.modules import volume_sizes
from custom_resources import Create, Resource, run_module
from kubernetes import client


@pytest.fixture(scope="module")
def classes() -> Iterator[dict[str, str]]:
    """A StorageClass that lets volumes grow, and one that does not; nothing provisions for them."""
    storage, suffix = client.StorageV1Api(), uuid.uuid4().hex[:8]
    made = {}
    for kind in ("growing", "fixed"):
        made[kind] = f"{kind}-{suffix}"
        body = {
            "metadata": {"name": made[kind]},
            "provisioner": "none.example.com",
            "allowVolumeExpansion": kind == "growing",
        }
        storage.create_storage_class(body)
    yield made
    for name in made.values():
        storage.delete_storage_class(name)


@pytest.fixture
def database(create: Create, name: str) -> Resource:
    spec = {"databaseName": "app", "username": "app", "storage": {"size": "1Gi"}, "replicas": 2}
    return create("Database", name, spec)


def make_volumes(database: Resource, storage_class: str) -> None:
    """Give each instance a claim that is bound to a volume of 1Gi."""
    core, namespace = client.CoreV1Api(), database["metadata"]["namespace"]
    for number in range(2):
        name = f"data-{database['metadata']['name']}-{number}"
        asked = {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": storage_class,
            "resources": {"requests": {"storage": "1Gi"}},
        }
        volume = f"{namespace}-{name}"
        body = {"metadata": {"name": name, "labels": labels(database)}, "spec": asked}
        core.create_namespaced_persistent_volume_claim(
            namespace, body | {"spec": asked | {"volumeName": volume}}
        )
        found = core.read_namespaced_persistent_volume_claim(name, namespace)
        reference = {"namespace": namespace, "name": name, "uid": found.metadata.uid}
        of_volume = {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": storage_class,
            "capacity": {"storage": "1Gi"},
            "claimRef": {"kind": "PersistentVolumeClaim", "apiVersion": "v1", **reference},
            "csi": {"driver": "none.example.com", "volumeHandle": volume},
            "persistentVolumeReclaimPolicy": "Retain",
        }
        core.create_persistent_volume({"metadata": {"name": volume}, "spec": of_volume})
        status = {"phase": "Bound", "capacity": {"storage": "1Gi"}}
        patch_status(database, number, status)


@pytest.fixture(autouse=True)
def _no_volumes_left(database: Resource) -> Iterator[None]:
    yield
    core, namespace = client.CoreV1Api(), database["metadata"]["namespace"]
    for number in range(2):
        name = f"data-{database['metadata']['name']}-{number}"
        for volume in core.list_persistent_volume().items:
            if volume.metadata.name == f"{namespace}-{name}":
                core.delete_namespaced_persistent_volume_claim(name, namespace)
                core.delete_persistent_volume(volume.metadata.name)


def labels(database: Resource) -> dict[str, str]:
    return {"app": "database", "database": database["metadata"]["name"]}


def patch_status(database: Resource, number: int, status: Any) -> None:
    name, namespace = database["metadata"]["name"], database["metadata"]["namespace"]
    client.CoreV1Api().patch_namespaced_persistent_volume_claim_status(
        f"data-{name}-{number}", namespace, {"status": status}
    )


def requests(database: Resource) -> list[str]:
    found = client.CoreV1Api().list_namespaced_persistent_volume_claim(
        database["metadata"]["namespace"],
        label_selector=f"database={database['metadata']['name']}",
    )
    claims = sorted(found.items, key=lambda claim: str(claim.metadata.name))
    return [claim.spec.resources.requests["storage"] for claim in claims]


def run(database: Resource, size: str, check_mode: bool = False, **options: Any) -> dict[str, Any]:
    resource = database | {"spec": database["spec"] | {"storage": {"size": size}}}
    return run_module(volume_sizes, check_mode, resource=resource, **options)


def test_claims_grow_one_after_the_other(database: Resource, classes: dict[str, str]) -> None:
    name = database["metadata"]["name"]
    make_volumes(database, classes["growing"])
    assert run(database, "1Gi")["changed"] is False
    assert run(database, "2Gi", allowed=False)["changed"] is False
    first = f"PersistentVolumeClaim/data-{name}-1"
    assert run(database, "2Gi", check_mode=True)["written"] == [first]
    assert requests(database) == ["1Gi", "1Gi"]

    assert run(database, "2Gi")["written"] == [first]
    assert requests(database) == ["1Gi", "2Gi"]
    waiting = run(database, "2Gi")
    assert (waiting["written"], waiting["differs"]) == ([], [])
    assert waiting["message"] == f"waiting for the volume of claim data-{name}-1 to grow to 2Gi"
    assert waiting["capacities"] == {f"{name}-0": "1Gi", f"{name}-1": "1Gi"}

    patch_status(database, 1, {"capacity": {"storage": "2Gi"}})
    assert run(database, "2Gi")["written"] == [f"PersistentVolumeClaim/data-{name}-0"]
    assert requests(database) == ["2Gi", "2Gi"]
    patch_status(database, 0, {"capacity": {"storage": "2Gi"}})
    done = run(database, "2Gi")
    assert (done["written"], done["message"], done["differs"]) == ([], "", [])


def test_a_class_that_does_not_allow_it_is_named(
    database: Resource, classes: dict[str, str]
) -> None:
    make_volumes(database, classes["fixed"])
    found = run(database, "2Gi")
    assert (found["changed"], found["message"]) == (False, "")
    reason, message = found["differs"]
    assert reason == "ExpansionRefused"
    assert f"StorageClass {classes['fixed']} does not let volumes grow" in message
    assert "set spec.storage.size back to 1Gi" in message
    assert requests(database) == ["1Gi", "1Gi"]


def test_a_size_that_cannot_be_reached_can_be_made_less(
    database: Resource, classes: dict[str, str]
) -> None:
    make_volumes(database, classes["growing"])
    run(database, "9000Gi")
    failed = {"type": "ControllerResizeError", "status": "True", "message": "no room in the pool"}
    patch_status(database, 1, {"conditions": [failed]})
    reason, message = run(database, "9000Gi")["differs"]
    assert reason == "ExpansionFailed"
    assert "no room in the pool" in message
    assert requests(database) == ["1Gi", "9000Gi"]
    run(database, "2Gi")
    assert requests(database) == ["1Gi", "2Gi"]


def test_an_instance_to_come_has_a_claim_of_the_specs_size(database: Resource) -> None:
    name, namespace = database["metadata"]["name"], database["metadata"]["namespace"]
    assert run(database, "2Gi")["changed"] is False
    template = {
        "metadata": {"name": "data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    pod = {"containers": [{"name": "postgres", "image": "postgres:17"}]}
    spec = {
        "replicas": 0,
        "serviceName": name,
        "selector": {"matchLabels": labels(database)},
        "template": {"metadata": {"labels": labels(database)}, "spec": pod},
        "volumeClaimTemplates": [template],
    }
    client.AppsV1Api().create_namespaced_stateful_set(
        namespace, {"metadata": {"name": name}, "spec": spec}
    )
    resource = database | {"spec": database["spec"] | {"reclaimPolicy": "Delete"}}
    both = [f"PersistentVolumeClaim/data-{name}-{number}" for number in range(2)]
    assert run(resource, "2Gi")["written"] == both
    found = client.CoreV1Api().read_namespaced_persistent_volume_claim(f"data-{name}-0", namespace)
    assert found.spec.resources.requests == {"storage": "2Gi"}
    assert found.metadata.labels == labels(database)
    assert [owner.kind for owner in found.metadata.owner_references] == ["StatefulSet"]
    assert run(resource, "2Gi")["changed"] is False
