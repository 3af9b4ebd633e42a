"""Applies the reclaimPolicy of a Database to its StatefulSet and its claims."""

from __future__ import annotations

import re

from ...kube.client import Cluster, Object


def enforce_reclaim_policy(cluster: Cluster, database: Object, dry_run: bool = False) -> list[str]:
    """Have the volumes deleted with the Database, or kept, as its reclaimPolicy says.

    The StatefulSet is patched here and not only when it is applied, which does not happen while
    the spec is refused. Kubernetes passes that on to the claims of instances that exist (source:
    pkg/controller/statefulset, UpdateClaimRetentionPolicy); those of former instances are ours.

    Returns:
        What was (or would be) changed, as `Kind/name`.

    Raises:
        ApiError: the API server refused or was not reached.
    """
    name, namespace = database["metadata"]["name"], database["metadata"]["namespace"]
    stateful_set = cluster.get("apps/v1", "StatefulSet", namespace, name)
    if stateful_set is None:
        return []
    policy = database["spec"]["reclaimPolicy"]
    changed = []
    found = stateful_set["spec"].get("persistentVolumeClaimRetentionPolicy") or {}
    if found.get("whenDeleted") != policy:
        changed.append(f"StatefulSet/{name}")
        patch: Object = {"spec": {"persistentVolumeClaimRetentionPolicy": {"whenDeleted": policy}}}
        if not dry_run:
            cluster.merge("apps/v1", "StatefulSet", namespace, name, patch)
    for claim in _claims_without_instance(cluster, namespace, name):
        owners = _wanted_owners(claim, stateful_set, policy)
        if owners == (claim["metadata"].get("ownerReferences") or []):
            continue
        claim_name = claim["metadata"]["name"]
        changed.append(f"PersistentVolumeClaim/{claim_name}")
        if not dry_run:
            patch = {"metadata": {"ownerReferences": owners}}
            cluster.merge("v1", "PersistentVolumeClaim", namespace, claim_name, patch)
    return changed


def _claims_without_instance(cluster: Cluster, namespace: str, name: str) -> list[Object]:
    selector = f"app=database,database={name}"
    pods = {
        f"data-{pod['metadata']['name']}" for pod in cluster.list("v1", "Pod", namespace, selector)
    }
    of_instance = re.compile(rf"data-{re.escape(name)}-\d+")
    return [
        claim
        for claim in cluster.list("v1", "PersistentVolumeClaim", namespace, selector)
        if of_instance.fullmatch(claim["metadata"]["name"])
        and claim["metadata"]["name"] not in pods
    ]


def _wanted_owners(claim: Object, stateful_set: Object, policy: str) -> list[Object]:
    """Return the claim's owners with the StatefulSet among them, or without it."""
    owner = {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "name": stateful_set["metadata"]["name"],
        "uid": stateful_set["metadata"]["uid"],
    }
    owners: list[Object] = claim["metadata"].get("ownerReferences") or []
    if policy == "Delete":
        return owners if any(o["uid"] == owner["uid"] for o in owners) else [*owners, owner]
    return [other for other in owners if other["uid"] != owner["uid"]]
