"""What wakes a Database at rest when one of its instances comes, goes, fails or leads.

ansible-operator reconciles the owner of an object that changes, once it watches objects of that
kind; and it watches a kind from the moment when an object of it that has an owner is read through
its proxy. Kubernetes keeps the Endpoints of NAME-pods and NAME-ro as the instances are: ready or
not, and which of them are replicas. So these two belong to their Database, and each look reads one.
"""

from __future__ import annotations

from .client import Cluster, Object

_SERVICES = ("ro", "pods")


def is_woken(cluster: Cluster, proxy: Cluster, database: Object) -> bool:
    """Tell whether the operator hears of the Database's instances; from now on, where it can.

    Args:
        cluster: the API server.
        proxy: the operator's proxy, which takes a read for a wish to be woken.
        database: the owner.
    """
    metadata = database["metadata"]
    for service, asked in zip(_SERVICES, (proxy, cluster), strict=True):
        found = asked.get("v1", "Endpoints", metadata["namespace"], f"{metadata['name']}-{service}")
        owners = (found or {"metadata": {}})["metadata"].get("ownerReferences") or []
        if metadata["uid"] not in [owner["uid"] for owner in owners]:
            return False
    return True
