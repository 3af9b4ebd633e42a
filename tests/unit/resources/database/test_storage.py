"""Which volume of a Database grows next, and what is said of those that do not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.storage import (
    Growth,
    claims_to_create,
    describe_refusal,
    next_growth,
    smallest_volume,
)
from ansible_collections.postgres.operator.plugins.module_utils.units import format_time

NOW = datetime(2026, 3, 1, tzinfo=UTC)
GIB = 1 << 30
Object = dict[str, Any]


def database(size: str = "2Gi", replicas: int = 3, **storage: str) -> Object:
    metadata = {"name": "app", "namespace": "shop"}
    return {
        "metadata": metadata,
        "spec": {"replicas": replicas, "storage": {"size": size, **storage}},
    }


def claim(
    number: int,
    request: str,
    capacity: str | None = "",
    conditions: tuple[str, ...] = (),
    **of: str,
) -> Object:
    """A claim; without a capacity it has what it asks for, with None it has no volume."""
    found: Object = {
        "metadata": {"name": f"data-app-{number}"},
        "spec": {
            "resources": {"requests": {"storage": request}},
            "storageClassName": of.get("of", "fast"),
        },
        "status": {"phase": "Pending" if capacity is None else "Bound"},
    }
    if capacity is not None:
        found["status"]["capacity"] = {"storage": capacity or request}
    since = format_time(NOW - timedelta(minutes=int(of.get("minutes", "0"))))
    found["status"]["conditions"] = [
        {"type": kind, "status": "True", "lastTransitionTime": since, "message": "no space left"}
        for kind in conditions
    ]
    return found


def grow(found: Object, *claims: Object, leader: str = "app-0", without: str = "") -> Growth:
    instances = {f"app-{number}" for number in range(3)} - {without}
    return next_growth(found, claims, instances, leader, NOW)


@pytest.mark.parametrize(
    ("size", "found"),
    [
        ("2Gi", claim(0, "2Gi")),
        ("2Gi", claim(0, "2048Mi")),
        # Kubernetes writes sizes so.
        ("1024Gi", claim(0, "1Ti")),
        # A driver may give more than it was asked for.
        ("2Gi", claim(0, "1Gi", "5Gi")),
        ("2Gi", claim(0, "2Gi", None)),
        ("2Gi", claim(0, "1Gi", None)),
        # Of an instance that the spec does not ask for.
        ("2Gi", claim(7, "1Gi")),
        ("2Gi", {**claim(0, "1Gi"), "metadata": {"name": "app-backups"}}),
    ],
)
def test_what_is_as_asked_for(size: str, found: Object) -> None:
    growth = grow(database(size, storageClass="fast"), found)
    assert (growth.claim, growth.message, growth.differs) == ("", "", ())


def test_volumes_grow_one_after_the_other_the_primarys_last() -> None:
    claims = [claim(number, "1Gi") for number in range(3)]
    order = []
    for _ in claims:
        growth = grow(database(), *claims, leader="app-2")
        order.append(growth.claim)
        number = int(growth.claim[-1])
        assert growth.message == f"changing claim data-app-{number} from 1Gi to 2Gi"
        claims[number] = claim(number, "2Gi", "1Gi", ("Resizing",))
        waiting = grow(database(), *claims, leader="app-2")
        assert waiting.claim == ""
        assert (
            waiting.message == f"waiting for the volume of claim data-app-{number} to grow to 2Gi"
        )
        claims[number] = claim(number, "2Gi")
    assert order == ["data-app-1", "data-app-0", "data-app-2"]
    sizes = dict.fromkeys(("app-0", "app-1", "app-2"), "2Gi")
    assert grow(database(), *claims) == Growth(capacities=sizes)


def test_a_file_system_that_grows_at_a_start_is_named_and_holds_up_no_other() -> None:
    pending = claim(2, "2Gi", "1Gi", ("FileSystemResizePending",))
    growth = grow(database(), pending, claim(0, "1Gi"))
    assert (growth.claim, bool(growth.message), growth.differs) == ("", True, ())
    late = claim(2, "2Gi", "1Gi", ("FileSystemResizePending",), minutes="6")
    growth = grow(database(), late, claim(0, "1Gi"))
    assert growth.claim == "data-app-0"
    assert growth.differs[0] == "FileSystemResizePending"
    assert "data-app-2" in growth.differs[1]
    assert "restartedAt" in growth.differs[1]
    # Without its instance nothing can be done about it.
    growth = grow(database(), late, claim(0, "2Gi"), without="app-2")
    assert (growth.claim, growth.message, growth.differs) == ("", "", ())


def test_a_driver_that_fails_stops_the_others_and_is_quoted() -> None:
    failed = claim(2, "2Gi", "1Gi", ("Resizing", "ControllerResizeError"))
    growth = grow(database(), failed, claim(0, "1Gi"))
    assert (growth.claim, growth.message) == ("", "")
    reason, message = growth.differs
    assert reason == "ExpansionFailed"
    assert "data-app-2 stays at 1Gi instead of 2Gi: no space left" in message
    # What the message advises.
    lower = grow(database("1536Mi"), failed)
    assert lower.claim == "data-app-2"


def test_a_larger_volume_that_was_kept_is_named_with_the_size_to_write() -> None:
    growth = grow(database(), claim(0, "1Ti"))
    assert growth.claim == ""
    assert growth.differs[0] == "ClaimsKept"
    assert growth.differs[1].startswith("claim data-app-0 was kept and has 1Ti and not 2Gi: ")
    assert "set spec.storage.size: 1024Gi" in growth.differs[1]


def test_a_claim_without_a_volume_names_its_class() -> None:
    growth = grow(database(), claim(0, "2Gi", None, of="fats"))
    assert growth.capacities == {}
    assert "claim data-app-0 has no volume of StorageClass fats yet" in growth.unbound["app-0"]
    assert "kubectl delete pvc data-app-0" in growth.unbound["app-0"]


def test_a_claim_without_a_volume_can_be_deleted() -> None:
    """As one with an error in the StorageClass, which stays after that is corrected."""
    growth = grow(database(storageClass="fast"), claim(0, "2Gi", None, of="fats"))
    assert "has the StorageClass fats and not fast" in growth.differs[1]
    assert "kubectl delete pvc/data-app-0 pod/app-0" in growth.differs[1]


def test_a_refusal_names_the_class_or_the_words_of_the_api_server() -> None:
    words = "only dynamically provisioned pvc can be resized and the storageclass that provisions"
    found = claim(0, "1Gi", of="local")
    reason, message = describe_refusal(database(), found, f"{words} the pvc must support resize")
    assert reason == "ExpansionRefused"
    assert "StorageClass local does not let volumes grow" in message
    assert "set spec.storage.size back to 1Gi" in message
    _, message = describe_refusal(database(), found, "exceeded quota: full")
    assert "exceeded quota: full; correct what refuses it" in message


def test_an_instance_relies_on_what_the_smallest_volume_has() -> None:
    found = database("4Gi")
    assert smallest_volume(found) == 4 * GIB
    found["status"] = {"storage": {"smallest": "1Gi", "largest": "4Gi"}}
    assert smallest_volume(found) == GIB
    found["status"] = {"storage": {"smallest": "8Gi", "largest": "8Gi"}}
    assert smallest_volume(found) == 4 * GIB


def stateful_set(size: str) -> Object:
    template = {
        "metadata": {"name": "data", "labels": {"app.kubernetes.io/managed-by": "it"}},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": size}},
            "storageClassName": "fast",
        },
    }
    labels = {"app": "database", "database": "app"}
    return {"spec": {"selector": {"matchLabels": labels}, "volumeClaimTemplates": [template]}}


def test_claims_of_instances_to_come_have_the_size_of_the_spec() -> None:
    made = claims_to_create(database(), stateful_set("1Gi"), [claim(0, "2Gi")], {"app-0", "app-1"})
    assert made == [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {
                "name": "data-app-2",
                "namespace": "shop",
                "labels": {
                    "app": "database",
                    "database": "app",
                    "app.kubernetes.io/managed-by": "it",
                },
            },
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "2Gi"}},
                "storageClassName": "fast",
            },
        }
    ]
    assert claims_to_create(database(), stateful_set("2048Mi"), [], set()) == []
