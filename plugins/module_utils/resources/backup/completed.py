"""The Completed Backups whose artifacts are in one place: one Database, in one store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...kube.client import GROUP_VERSION, Cluster, Object
from .adoption import adopts, artifact_of
from .destination import claim_of, s3_of
from .missing import is_missing

_MOST = 1000
"""A search for so many takes a bucket some seconds."""


_SAME = ("method", "compression", "include", "exclude")
"""Fields by which a dump takes more or less."""


def list_completed_beside(cluster: Cluster, backup: Object) -> list[Object]:
    """Return the Backups whose artifacts are to be where a Backup's is, the newest first.

    The Backup itself is among them once it is Completed; what is being deleted is not, nor what is
    known to be gone.

    Raises:
        ApiError: they cannot be read.
    """
    place = _place(backup)
    found = [
        other
        for other in cluster.list(GROUP_VERSION, "Backup", backup["metadata"]["namespace"])
        if other.get("status", {}).get("phase") == "Completed"
        and "deletionTimestamp" not in other["metadata"]
        and not is_missing(other)
        and _place(other) == place
        and "uid" in artifact_of(other)
    ]
    found.sort(key=_age, reverse=True)
    return found[:_MOST]


def find_previous(backup: Object, completed: Sequence[Object]) -> Mapping[str, Any] | None:
    """Return the status of the newest backup that took about as much as another one takes.

    None where there is none, or where only a part of the rows is backed up.

    Args:
        completed: as `list_completed_beside` returns them.
    """
    spec = backup["spec"]
    if "include" in spec or "exclude" in spec:
        return None
    for other in completed:
        status: Mapping[str, Any] = other["status"]
        same = all(other["spec"].get(key) == spec.get(key) for key in _SAME)
        if same and not adopts(other) and {"sizeBytes", "rows"} <= status.keys():
            return status
    return None


def _age(backup: Object) -> tuple[str, str]:
    metadata = backup["metadata"]
    return metadata["creationTimestamp"], metadata["uid"]


def _place(backup: Object) -> tuple[Object, str, str, str]:
    """Return the store, and whose folder in it an artifact is in."""
    artifact = artifact_of(backup)
    return s3_of(backup), claim_of(backup), artifact["namespace"], artifact["resource"]
