"""Small facts about any Kubernetes object."""

from __future__ import annotations

from .client import GROUP_VERSION, Object


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
    """Tell whether the object's status has the condition with status True."""
    return any(
        condition["type"] == condition_type and condition["status"] == "True"
        for condition in resource.get("status", {}).get("conditions", [])
    )


def job_name(kind: str, resource: Object) -> str:
    """Return the name of the one Job of a custom resource.

    It derives from the UID, so a restarted operator finds its Job again and a resource of the same
    name made later gets another. At most 50 characters: the Job's pods add 6 to their label.
    """
    name = resource["metadata"]["name"][:30].rstrip("-.")
    return f"{name}-{kind}-{resource['metadata']['uid'][:8]}".replace(".", "-")


def backup_claim(database_name: str) -> str:
    """Return the name of the PersistentVolumeClaim that a Database's backups are written to."""
    return f"{database_name}-backups"
