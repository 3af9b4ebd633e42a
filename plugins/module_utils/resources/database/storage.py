"""The volumes of a Database as their claims show them, and which of them grows next.

A volume grows by its claim: Kubernetes refuses a larger request where the StorageClass does not
allow it, and otherwise has the driver enlarge the volume and the node its file system, while
PostgreSQL goes on (https://kubernetes.io/docs/concepts/storage/persistent-volumes/). What does not
grow stops at one volume, while the others serve: replicas first, then the primary's.

The template of claims in a StatefulSet cannot be changed, and stays as it was. Kubernetes takes a
claim that is there already for an instance of that name, so the claims of instances to come are
made before them, with the size of the spec (`claims_to_create`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from ...units import first_of, parse_quantity, parse_time
from .members import ordinal_of

CLAIMS_KEPT = "ClaimsKept"
EXPANSION_FAILED = "ExpansionFailed"
EXPANSION_REFUSED = "ExpansionRefused"
RESIZE_PENDING = "FileSystemResizePending"
"""Kubernetes' own word for a volume that is larger already, and its file system is not."""

_ERRORS = frozenset({"ControllerResizeError", "NodeResizeError"})
# A driver that resizes a file system in use is done within seconds; the kubelet tries it again
# after up to two minutes.
_RESIZE_GRACE = timedelta(minutes=5)
_MAX_QUOTED = 500

Object = Mapping[str, Any]


@dataclass(frozen=True)
class Growth:
    """How far the volumes are from what the spec asks for.

    Attributes:
        claim: the claim to be given the spec's size now; empty where none is.
        message: what is being awaited, in words; empty where nothing is.
        differs: a condition's reason and message where volumes do not become what the spec asks
            for by themselves; empty where all do.
        capacities: the size of the volume of each instance that has one, as Kubernetes writes it.
        unbound: of each instance whose claim has no volume, what there is to do if none comes.
    """

    claim: str = ""
    message: str = ""
    differs: tuple[str, ...] = ()
    capacities: Mapping[str, str] = field(default_factory=dict)
    unbound: Mapping[str, str] = field(default_factory=dict)


def next_growth(
    database: Object,
    claims: Iterable[Object],
    instances: Collection[str],
    leader: str,
    now: datetime,
) -> Growth:
    """Return which claim is to be changed next, and what of the volumes there is to say.

    Claims of instances that the spec does not ask for are left alone.

    Args:
        claims: any of the Database's.
        instances: the names of those that exist.
        leader: the name of the leader, whose volume comes last; empty where there is none.
    """
    mine = _of_instances(database, claims)
    sizes = {name: _capacity(claim) for name, claim in mine.items()}
    return replace(
        _next_step(database, mine, instances, leader, now),
        capacities={name: size for name, size in sizes.items() if size},
        unbound={name: _describe_unbound(mine[name]) for name, size in sizes.items() if not size},
    )


def _next_step(
    database: Object,
    mine: Mapping[str, Object],
    instances: Collection[str],
    leader: str,
    now: datetime,
) -> Growth:
    size = database["spec"]["storage"]["size"]
    wanted = parse_quantity(size)
    kept: list[str] = []
    late: list[str] = []
    for name in sorted(mine, key=lambda name: (name == leader, -ordinal_of(name))):
        claim = mine[name]
        text = _describe_kept(database, claim, wanted)
        if text:
            kept.append(text)
        capacity = _capacity(claim)
        if not capacity or parse_quantity(capacity) >= wanted:
            continue
        claim_name = claim["metadata"]["name"]
        if parse_quantity(_request(claim)) != wanted:
            return Growth(claim_name, describe_step(claim, size), _differing(kept, late))
        found = {c["type"]: c for c in claim.get("status", {}).get("conditions") or []}
        error = next((found[kind] for kind in sorted(_ERRORS & set(found))), None)
        if error is not None:
            return Growth("", "", (EXPANSION_FAILED, _describe_error(claim, error)))
        pending = found.get(RESIZE_PENDING)
        if pending is not None and name not in instances:
            # The node does it when the instance starts.
            continue
        if pending is not None and _is_late(pending, now):
            late.append(claim_name)
            continue
        message = f"waiting for the volume of claim {claim_name} to grow to {size}"
        return Growth("", message, _differing(kept, late))
    return Growth("", "", _differing(kept, late))


def describe_step(claim: Object, size: str) -> str:
    """Return in words that a claim is given another size."""
    return f"changing claim {claim['metadata']['name']} from {_request(claim)} to {size}"


def describe_refusal(database: Object, claim: Object, refusal: str) -> tuple[str, str]:
    """Return a condition's reason and message where Kubernetes refuses a claim its size.

    Args:
        refusal: the API server's words.
    """
    name, has = claim["metadata"]["name"], _capacity(claim) or _request(claim)
    size, storage_class = database["spec"]["storage"]["size"], _class(claim)
    back = f"or set spec.storage.size back to {has}"
    if "must support resize" in refusal:
        # Source: plugin/pkg/admission/storage/persistentvolume/resize.
        return EXPANSION_REFUSED, (
            f"claim {name} stays at {has} instead of {size}: its StorageClass {storage_class} does"
            " not let volumes grow; if its driver can, set allowVolumeExpansion: true in that"
            f" class, {back}, or create another Database with a class that can and restore a Backup"
            " into it"
        )
    return EXPANSION_REFUSED, (
        f"claim {name} stays at {has} instead of {size}: {refusal}; correct what refuses it, such"
        f" as a ResourceQuota, {back}; it is tried again"
    )


def smallest_volume(database: Object) -> int:
    """Return the bytes that every instance may rely on: the spec's size, unless a volume has less.

    One that cannot grow, or has not yet, must not be filled with what a larger one would hold.
    """
    size = parse_quantity(database["spec"]["storage"]["size"])
    found = database.get("status", {}).get("storage", {}).get("smallest")
    return min(size, parse_quantity(found)) if found else size


def claims_to_create(
    database: Object, stateful_set: Object, claims: Iterable[Object], instances: Collection[str]
) -> list[dict[str, Any]]:
    """Return the claims of instances to come, where the StatefulSet would make them too small.

    Args:
        stateful_set: the one that makes the others.
        claims: those that are there.
        instances: the names of the instances that exist, which have a claim, or are given one.
    """
    size, name = database["spec"]["storage"]["size"], database["metadata"]["name"]
    templates = stateful_set["spec"].get("volumeClaimTemplates") or []
    template = next((one for one in templates if one["metadata"]["name"] == "data"), None)
    if template is None or parse_quantity(_request(template)) == parse_quantity(size):
        return []
    known = {*instances, *_of_instances(database, claims)}
    wanted = (f"{name}-{number}" for number in range(database["spec"]["replicas"]))
    labels = {
        **(template["metadata"].get("labels") or {}),
        **stateful_set["spec"]["selector"]["matchLabels"],
    }
    return [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {
                "name": f"data-{instance}",
                "namespace": database["metadata"]["namespace"],
                "labels": labels,
            },
            "spec": {**template["spec"], "resources": {"requests": {"storage": size}}},
        }
        for instance in wanted
        if instance not in known
    ]


def claim_pattern(name: str) -> re.Pattern[str]:
    """Return what the names of the claims of a Database's instances match."""
    return re.compile(rf"data-{re.escape(name)}-\d+")


def _of_instances(database: Object, claims: Iterable[Object]) -> dict[str, Object]:
    """Return the claims of the instances that the spec asks for, by the instances' names."""
    pattern = claim_pattern(database["metadata"]["name"])
    named = {claim["metadata"]["name"]: claim for claim in claims}
    found = {n.removeprefix("data-"): c for n, c in named.items() if pattern.fullmatch(n)}
    replicas = database["spec"]["replicas"]
    return {name: claim for name, claim in found.items() if ordinal_of(name) < replicas}


def _describe_kept(database: Object, claim: Object, wanted: int) -> str:
    """Say how a claim differs from the spec for good; empty where it does not.

    Kubernetes takes a claim that is there already for an instance of that name as it is: one that
    was kept from a former Database, or that was made before an error in the spec was corrected.
    """
    name, storage_class = claim["metadata"]["name"], database["spec"]["storage"].get("storageClass")
    has = _capacity(claim) or _request(claim)
    if parse_quantity(has) > wanted and parse_quantity(_request(claim)) > wanted:
        differs = f"has {has} and not {database['spec']['storage']['size']}"
        remedy = f"set spec.storage.size: {_in_units(has)}"
    elif storage_class and _class(claim) != storage_class:
        differs = f"has the StorageClass {_class(claim)} and not {storage_class}"
        remedy = "make the Database with what the claim has"
    else:
        return ""
    if claim.get("status", {}).get("phase") == "Pending":
        return (
            f"claim {name} was made before, {differs}, and has no volume: delete it and its pod,"
            f" kubectl delete pvc/{name} pod/{name.removeprefix('data-')}, and both are made anew"
        )
    return (
        f"claim {name} was kept and {differs}: {remedy}, or make one of another name, and restore a"
        " Backup into it"
    )


def _describe_unbound(claim: Object) -> str:
    name = claim["metadata"]["name"]
    return (
        f"claim {name} has no volume of StorageClass {_class(claim) or '(the default)'} yet: if"
        " there is no such class (kubectl get storageclass), delete the Database, and the claim"
        f" (kubectl delete pvc {name}), and make it again with another storage.storageClass; else"
        f" see: kubectl describe pvc {name}"
    )


def _differing(kept: Sequence[str], late: Sequence[str]) -> tuple[str, ...]:
    if late:
        named = first_of(late)
        return RESIZE_PENDING, (
            f"the volumes have grown and their file systems have not, of the claims {named}: the"
            " driver does that when an instance starts; to replace the instances one at a time, set"
            " spec.restartedAt to another value"
        )
    return (CLAIMS_KEPT, "; ".join(kept)) if kept else ()


def _describe_error(claim: Object, error: Object) -> str:
    said = " ".join(error.get("message", "").split())[:_MAX_QUOTED]
    name, has = claim["metadata"]["name"], _capacity(claim)
    return (
        f"the volume of claim {name} stays at {has} instead of {_request(claim)}:"
        f" {said or error['type']}; Kubernetes goes on to try; other volumes are not changed until"
        " it has grown. If it never can, set spec.storage.size to less, but more than the volume"
        " has"
    )


def _is_late(pending: Object, now: datetime) -> bool:
    since = pending.get("lastTransitionTime", "")
    return bool(since) and now - parse_time(since) >= _RESIZE_GRACE


def _in_units(quantity: str) -> str:
    """Return a size as the spec takes it.

    >>> _in_units("1Ti"), _in_units("1500M")
    ('1024Gi', '1431Mi')
    """
    size = parse_quantity(quantity)
    return f"{size >> 30}Gi" if size % (1 << 30) == 0 else f"{-(-size >> 20)}Mi"


def _request(claim: Object) -> str:
    return str(claim["spec"].get("resources", {}).get("requests", {}).get("storage", "0"))


def _capacity(claim: Object) -> str:
    """Return the size of a claim's volume; empty while it has none."""
    return str((claim.get("status", {}).get("capacity") or {}).get("storage", ""))


def _class(claim: Object) -> str:
    return str(claim["spec"].get("storageClassName", ""))
