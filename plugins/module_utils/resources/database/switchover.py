"""Ask Patroni for a switchover through its Kubernetes store, the Endpoints `SCOPE-failover`."""

from __future__ import annotations

from ...kube.client import Cluster, Object
from ...kube.objects import owner_reference

REQUEST = "{}-failover"


def asked_candidate(cluster: Cluster, database: Object, leader: str) -> str:
    """Return the instance that has been asked to take over from a leader; empty if none is.

    Raises:
        ApiError: the request could not be read.
    """
    metadata = database["metadata"]
    name = REQUEST.format(metadata["name"])
    request = cluster.get("v1", "Endpoints", metadata["namespace"], name) or {}
    annotations = request.get("metadata", {}).get("annotations") or {}
    return str(annotations.get("member", "")) if annotations.get("leader") == leader else ""


def request_switchover(cluster: Cluster, database: Object, leader: str, candidate: str) -> None:
    """Write the request that patronictl writes: the annotations of Endpoints `SCOPE-failover`.

    Patroni's leader sees it in its next loop, checks the candidate itself and removes the request,
    whether it followed it or not (source: patroni/dcs/kubernetes.py, manual_failover).

    Raises:
        ApiError: the request could not be written.
    """
    scope = database["metadata"]["name"]
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": {
                "name": REQUEST.format(scope),
                "namespace": database["metadata"]["namespace"],
                "labels": {"app": "database", "database": scope},
                "ownerReferences": [owner_reference(database)],
                "annotations": {"leader": leader, "member": candidate},
            },
        }
    )
