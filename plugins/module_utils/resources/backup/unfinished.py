"""The Backups of all namespaces of the operator that have not ended."""

from __future__ import annotations

import os

from ...kube.client import GROUP_VERSION, ApiError, Cluster, Object
from ..job_state import has_ended

_FIELD_SELECTOR = ",".join(
    f"status.phase!={phase}" for phase in ("Completed", "Failed", "Scheduled", "Suspended")
)


def list_unfinished(cluster: Cluster) -> list[Object]:
    """Return all Backups without a schedule that have not ended and are not being deleted.

    Raises:
        ApiError: they cannot be read.
    """
    return [
        backup
        for namespace in watched_namespaces()
        for backup in _list(cluster, namespace)
        if not has_ended(backup)
        and "schedule" not in backup["spec"]
        and not backup["metadata"].get("deletionTimestamp")
    ]


def watched_namespaces() -> list[str]:
    """Return the namespaces that $WATCH_NAMESPACE names; an empty name alone means all."""
    names = [name.strip() for name in os.environ.get("WATCH_NAMESPACE", "").split(",")]
    return [name for name in names if name] or [""]


def _list(cluster: Cluster, namespace: str) -> list[Object]:
    try:
        return cluster.list(GROUP_VERSION, "Backup", namespace, field_selector=_FIELD_SELECTOR)
    except ApiError as error:
        # An API server older than 1.31 cannot select by the fields of custom resources.
        if error.status != 400:
            raise
        return cluster.list(GROUP_VERSION, "Backup", namespace)
