"""Ask Patroni for a switchover through its Kubernetes store."""

from __future__ import annotations

from ..kubernetes.client import Cluster, Object
from ..kubernetes.objects import owner_reference


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
                "name": f"{scope}-failover",
                "namespace": database["metadata"]["namespace"],
                "labels": {"app": "database", "database": scope},
                "ownerReferences": [owner_reference(database)],
                "annotations": {"leader": leader, "member": candidate},
            },
        }
    )
