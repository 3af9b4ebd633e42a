"""The volumes of a Database: the reclaimPolicy, and claims that are not what the spec asks for."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ...kube.client import Cluster, Object


def describe_other_claims(database: Object, claims: Iterable[Object]) -> str:
    """Say which claims have another size or class than the spec; empty where none has.

    Kubernetes takes a claim that is there already for an instance of that name as it is: one that
    was kept from a former Database, or that was made before an error in the spec was corrected.
    """
    of_instance = _of_instance(database["metadata"]["name"])
    mine = (claim for claim in claims if of_instance.fullmatch(claim["metadata"]["name"]))
    return "; ".join(text for claim in mine if (text := _describe_other(database, claim)))


def _of_instance(name: str) -> re.Pattern[str]:
    return re.compile(rf"data-{re.escape(name)}-\d+")


def _describe_other(database: Object, claim: Object) -> str:
    name, wanted, spec = claim["metadata"]["name"], database["spec"]["storage"], claim["spec"]
    size = spec.get("resources", {}).get("requests", {}).get("storage", "")
    storage_class = wanted.get("storageClass")
    if _mebibytes(size) != _mebibytes(wanted["size"]):
        differs = f"has {size} and not {wanted['size']}"
    elif storage_class and spec.get("storageClassName") != storage_class:
        differs = f"has the StorageClass {spec.get('storageClassName')} and not {storage_class}"
    else:
        return ""
    if claim.get("status", {}).get("phase") == "Pending":
        return (
            f"claim {name} was made before, {differs}, and has no volume: delete it and its pod,"
            f" kubectl delete pvc/{name} pod/{name.removeprefix('data-')}, and both are made anew"
        )
    return (
        f"claim {name} was kept and {differs}: make the Database with what the claim has, or one of"
        " another name, and restore a Backup into it"
    )


def _mebibytes(size: str) -> int | str:
    """Return a size that the spec may have; another one as it is."""
    factor = {"Gi": 1024, "Mi": 1}.get(size[-2:])
    return int(size[:-2]) * factor if factor and size[:-2].isdigit() else size


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
    of_instance = _of_instance(name)
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
