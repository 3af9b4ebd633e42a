"""Brings the volumes of a Database to what the spec says: their sizes and the reclaimPolicy."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ...kube.client import ApiError, Cluster, Object
from ..prerequisites import is_hibernating
from .instances import read_instances, selector
from .storage import claim_pattern, claims_to_create, describe_refusal, next_growth

_REFUSED = frozenset({403, 422})
"""How the API server answers what a quota, an admission plugin or a rule does not allow."""


def ensure_sizes(
    cluster: Cluster, database: Object, allowed: bool, dry_run: bool = False
) -> dict[str, Any]:
    """Take at most one step towards volumes of the spec's size. Never waits for one.

    Args:
        allowed: whether a step may be taken.

    Returns:
        `written`: what was (or would be) changed, as `Kind/name`; `message`, `differs`,
        `capacities` and `unbound` as in `Growth`.

    Raises:
        ApiError: the API server was not reached, or refused something else than a size.
    """
    name, namespace = database["metadata"]["name"], database["metadata"]["namespace"]
    claims = cluster.list("v1", "PersistentVolumeClaim", namespace, selector(name))
    members, leader = read_instances(cluster, namespace, name)
    instances = {member.name for member in members}
    growth = next_growth(database, claims, instances, leader, datetime.now(UTC))
    found = {
        "written": [],
        "message": growth.message,
        "differs": list(growth.differs),
        "capacities": dict(growth.capacities),
        "unbound": dict(growth.unbound),
    }
    if not allowed:
        return found | {"message": ""}
    claim = next((c for c in claims if c["metadata"]["name"] == growth.claim), None)
    try:
        if claim is not None and not dry_run:
            _resize(cluster, database, claim)
    except ApiError as error:
        if error.status not in _REFUSED:
            raise
        return found | {
            "message": "",
            "differs": list(describe_refusal(database, claim or {}, error.message)),
        }
    written = [f"PersistentVolumeClaim/{growth.claim}"] if claim is not None else []
    written += _make_claims(cluster, database, claims, instances, dry_run)
    return found | {"written": written}


def _resize(cluster: Cluster, database: Object, claim: Object) -> None:
    metadata = claim["metadata"]
    patch = {
        # Only the claim that was read: one that was deleted and made again has another volume.
        "metadata": {"uid": metadata["uid"]},
        "spec": {"resources": {"requests": {"storage": database["spec"]["storage"]["size"]}}},
    }
    namespace, name = metadata["namespace"], metadata["name"]
    cluster.merge("v1", "PersistentVolumeClaim", namespace, name, patch)


def _make_claims(
    cluster: Cluster,
    database: Object,
    claims: list[Object],
    instances: set[str],
    dry_run: bool,
) -> list[str]:
    """Make the claims of instances to come, as the StatefulSet would, with the spec's size.

    Where that is refused, so is the StatefulSet's, whose Event says why.
    """
    name, namespace = database["metadata"]["name"], database["metadata"]["namespace"]
    stateful_set = cluster.get("apps/v1", "StatefulSet", namespace, name)
    if stateful_set is None or is_hibernating(database):
        return []
    made = []
    for claim in claims_to_create(database, stateful_set, claims, instances):
        policy = database["spec"]["reclaimPolicy"]
        claim["metadata"]["ownerReferences"] = _wanted_owners(claim, stateful_set, policy)
        made.append(f"PersistentVolumeClaim/{claim['metadata']['name']}")
        if dry_run:
            continue
        try:
            cluster.create(claim)
        except ApiError as error:
            if error.status not in {*_REFUSED, 409}:
                raise
    return made


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
    pods = {
        f"data-{pod['metadata']['name']}"
        for pod in cluster.list("v1", "Pod", namespace, selector(name))
    }
    of_instance = claim_pattern(name)
    return [
        claim
        for claim in cluster.list("v1", "PersistentVolumeClaim", namespace, selector(name))
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
