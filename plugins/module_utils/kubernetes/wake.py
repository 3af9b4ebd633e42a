"""What wakes a Database at rest when one of its instances comes, goes, fails or leads.

ansible-operator reconciles the owner of an object that changes, once it watches objects of that
kind; and it watches a kind from the moment when an object of it that has an owner is read through
its proxy. Kubernetes keeps the Endpoints of NAME-pods and NAME-ro as the instances are: ready or
not, and which of them are replicas. So these two belong to their Database, and each look reads one
through the proxy: it cannot know whether the operator was started anew since the last one.
"""

from __future__ import annotations

from collections.abc import Callable

from .client import ApiError, Cluster, Object

_SERVICES = ("ro", "pods")


def is_woken(cluster: Cluster, connect_to_proxy: Callable[[], Cluster], database: Object) -> bool:
    """Tell whether the operator hears of the Database's instances; from now on, where it can.

    Where the proxy cannot be asked, it does not hear. That is so at times for a run that starts
    while the one before it ends: ansible-runner gives it back the kubeconfig of that one.

    Args:
        cluster: the API server.
        connect_to_proxy: gives the operator's proxy, which takes a read for a wish to be woken.
        database: the owner.
    """
    metadata = database["metadata"]
    try:
        return all(
            _belongs(asked, f"{metadata['name']}-{service}", metadata)
            for service, asked in zip(_SERVICES, (connect_to_proxy(), cluster), strict=True)
        )
    except ApiError:
        return False


def _belongs(cluster: Cluster, name: str, owner: Object) -> bool:
    found = cluster.get("v1", "Endpoints", owner["namespace"], name)
    owners = (found or {"metadata": {}})["metadata"].get("ownerReferences") or []
    return owner["uid"] in [reference["uid"] for reference in owners]
