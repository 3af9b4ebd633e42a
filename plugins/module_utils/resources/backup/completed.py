"""The Completed Backups beside one: of the same Database, in the same store."""

from __future__ import annotations

from ...kube.client import GROUP_VERSION, Cluster, Object
from .adoption import artifact_of
from .missing import is_missing

_MOST = 1000
"""A look for so many takes a bucket some seconds."""


def list_completed_beside(cluster: Cluster, backup: Object) -> list[str]:
    """Return the UIDs of the artifacts that are to be where a Backup writes, the newest first.

    Raises:
        ApiError: they cannot be read.
    """
    own = artifact_of(backup)
    found = [
        other
        for other in cluster.list(GROUP_VERSION, "Backup", backup["metadata"]["namespace"])
        if other.get("status", {}).get("phase") == "Completed"
        and not is_missing(other)
        and _place(other) == _place(backup)
        and artifact_of(other) == {**own, "uid": other["metadata"]["uid"]}
    ]
    found.sort(key=lambda other: str(other["metadata"]["creationTimestamp"]), reverse=True)
    return [other["metadata"]["uid"] for other in found[:_MOST]]


def _place(backup: Object) -> object:
    """Return what is the same of Backups in one store, beside the Database, whose claim it is."""
    return backup["spec"].get("destination", {}).get("s3")
