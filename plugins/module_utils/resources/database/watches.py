"""What has a Database reconciled: its instances, and changes or deletions of its objects.

ansible-operator reconciles the owner of an object that changes, once it watches objects of that
kind; and it watches a kind from the moment when an object of it that has an owner is read through
its proxy. So each check reads one object of each kind through the proxy: it cannot know whether the
operator was restarted since the last one.

Kubernetes keeps the Endpoints of NAME-pods and NAME-ro as the instances are: ready or not, and
which of them are replicas. So these two belong to their Database. Of the other kinds those are
watched of which a cluster has about as many as Databases, or that are small.
"""

from __future__ import annotations

from collections.abc import Callable

from ...kube.client import ApiError, Cluster, Object

_REPLICAS = ("v1", "Endpoints", "-ro")
_INSTANCES = ("v1", "Endpoints", "-pods")
_OBJECTS = (
    ("v1", "Service", ""),
    ("apps/v1", "StatefulSet", ""),
    ("networking.k8s.io/v1", "NetworkPolicy", ""),
    ("policy/v1", "PodDisruptionBudget", ""),
)


def is_watched(cluster: Cluster, connect_to_proxy: Callable[[], Cluster], database: Object) -> bool:
    """Return whether the operator hears of the Database's objects; from now on, where it can.

    Where the proxy cannot be asked, it does not hear. That is so at times for a run that starts
    while the one before it ends: ansible-runner gives it back the kubeconfig of that one.

    Args:
        cluster: the API server.
        connect_to_proxy: gives the operator's proxy, which watches each kind that is read by it.
        database: the owner.
    """
    try:
        proxy = connect_to_proxy()
        return _belongs(cluster, _INSTANCES, database) and all(
            _belongs(proxy, watched, database) for watched in (_REPLICAS, *_OBJECTS)
        )
    except ApiError:
        return False


def _belongs(cluster: Cluster, watched: tuple[str, str, str], database: Object) -> bool:
    owner = database["metadata"]
    api_version, kind, suffix = watched
    found = cluster.get(api_version, kind, owner["namespace"], f"{owner['name']}{suffix}")
    owners = (found or {"metadata": {}})["metadata"].get("ownerReferences") or []
    return owner["uid"] in [reference["uid"] for reference in owners]
