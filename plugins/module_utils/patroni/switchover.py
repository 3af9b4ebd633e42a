"""Ask Patroni for a switchover through its Kubernetes store."""

from __future__ import annotations

from ..kubernetes.client import Cluster


def request_switchover(
    cluster: Cluster, namespace: str, scope: str, leader: str, candidate: str
) -> None:
    """Write the request that patronictl writes: the annotations of Endpoints `SCOPE-failover`.

    Patroni's leader sees it in its next loop, checks the candidate itself and removes the request,
    whether it followed it or not (source: patroni/dcs/kubernetes.py, manual_failover).

    Raises:
        ApiError: the request could not be written.
    """
    name = f"{scope}-failover"
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": {
                "name": name,
                "namespace": namespace,
                "labels": {"app": "database", "database": scope},
                "annotations": {"leader": leader, "member": candidate},
            },
        }
    )
