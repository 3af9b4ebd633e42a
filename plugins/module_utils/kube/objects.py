"""Small facts about any Kubernetes object."""

from __future__ import annotations

from ..errors import OperatorError
from .client import GROUP_VERSION, Object

MANAGED_BY = {"app.kubernetes.io/managed-by": "postgres-operator"}
_IDENTIFYING_LABELS = ("app", "database")


class NameTaken(OperatorError):
    """An object of that name exists and does not belong to the Database."""


def refuse_foreign(found: Object, definition: Object) -> None:
    """Refuse to take over an object that belongs to another program.

    A definition without the labels by which its own are known, such as that of Endpoints that
    Kubernetes makes, is not refused.

    Raises:
        NameTaken: neither the labels nor an owner of the object found are the definition's.
    """
    wanted = definition["metadata"].get("labels") or {}
    labels = found["metadata"].get("labels") or {}
    if any(key not in wanted for key in _IDENTIFYING_LABELS):
        return
    if all(labels.get(key) == wanted[key] for key in _IDENTIFYING_LABELS):
        return
    owners = {owner["uid"] for owner in found["metadata"].get("ownerReferences") or []}
    if owners & {owner["uid"] for owner in definition["metadata"].get("ownerReferences") or []}:
        return
    kind, name = definition["kind"], definition["metadata"]["name"]
    raise NameTaken(
        f"there is a {kind} {definition['metadata']['namespace']}/{name} that belongs to another"
        f" program; rename or delete that one, or give the {_owner_kind(definition)} another name"
    )


def _owner_kind(definition: Object) -> str:
    owners = definition["metadata"].get("ownerReferences") or []
    return str(owners[0]["kind"]) if owners else "resource"


def owner_reference(resource: Object) -> Object:
    """Return the reference by which an object is deleted together with the custom resource."""
    return {
        "apiVersion": GROUP_VERSION,
        "kind": resource["kind"],
        "name": resource["metadata"]["name"],
        "uid": resource["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def is_condition_true(resource: Object, condition_type: str) -> bool:
    """Return whether the object's status has the condition with status True."""
    return any(
        condition["type"] == condition_type and condition["status"] == "True"
        for condition in resource.get("status", {}).get("conditions", [])
    )


def job_name(kind: str, resource: Object, attempt: int = 1) -> str:
    """Return the name of the Job of a custom resource, for each kind of work and each attempt.

    It derives from the UID, so a restarted operator finds its Job again and a resource of the same
    name made later gets another. At most 52 characters, and two for a second Job: the Job's pods
    add 6 to their label.
    """
    name = resource["metadata"]["name"][:30].rstrip("-.")
    first = f"{name}-{kind}-{resource['metadata']['uid'][:8]}".replace(".", "-")
    return first if attempt == 1 else f"{first}-try{attempt}"


def backup_claim(database_name: str) -> str:
    """Return the name of the PersistentVolumeClaim that a Database's backups are written to."""
    return f"{database_name}-backups"
