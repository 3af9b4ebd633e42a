"""The finalizer by which the operator removes an artifact before its Backup goes.

ansible-operator puts it on every Backup that it reconciles. Only where files are to be removed does
it stay: other Backups can be deleted also while no operator runs.
"""

from __future__ import annotations

from typing import Any

from ...kube.client import GROUP_VERSION, ApiError, Cluster, Object

FINALIZER = "database.example.com/artifact"


def release(cluster: Cluster, backup: Object) -> bool:
    """Take the finalizer off; False where it is not there."""
    finalizers: list[str] = backup["metadata"].get("finalizers") or []
    if FINALIZER not in finalizers:
        return False
    kept = [finalizer for finalizer in finalizers if finalizer != FINALIZER]
    return _change(cluster, backup, {"finalizers": kept}, {})


def set_deletion_policy(cluster: Cluster, backup: Object, policy: str) -> bool:
    """Set the deletionPolicy, and with Delete the finalizer that makes it come true.

    Returns:
        Whether it is set; False where the Backup was changed since it was read.
    """
    metadata: Object = {}
    finalizers: list[str] = backup["metadata"].get("finalizers") or []
    if policy == "Delete" and FINALIZER not in finalizers:
        metadata["finalizers"] = [*finalizers, FINALIZER]
    spec: Object = {}
    if backup["spec"].get("deletionPolicy") != policy:
        spec["deletionPolicy"] = policy
    return not (metadata or spec) or _change(cluster, backup, metadata, spec)


def _change(cluster: Cluster, backup: Object, metadata: Object, spec: Object) -> bool:
    """Write, unless the Backup was changed since it was read: the next reconcile will do it.

    A list is replaced as a whole, so no other finalizer must have been added meanwhile.
    """
    found = backup["metadata"]
    patch: dict[str, Any] = {
        "metadata": {**metadata, "resourceVersion": found["resourceVersion"]},
        **({"spec": spec} if spec else {}),
    }
    try:
        cluster.merge(GROUP_VERSION, "Backup", found["namespace"], found["name"], patch)
    except ApiError as error:
        if error.status in {404, 409}:
            return False
        raise
    return True
