"""The Backups of the whole cluster that have not ended."""

from __future__ import annotations

from ..status.job import has_ended
from .client import GROUP_VERSION, ApiError, Cluster, Object

_FIELD_SELECTOR = ",".join(
    f"status.phase!={phase}" for phase in ("Completed", "Failed", "Scheduled", "Suspended")
)


def list_unfinished(cluster: Cluster) -> list[Object]:
    """Return all Backups without a schedule that have not ended and are not being deleted.

    Raises:
        ApiError: they cannot be read.
    """
    try:
        found = cluster.list(GROUP_VERSION, "Backup", "", field_selector=_FIELD_SELECTOR)
    except ApiError as error:
        # An API server older than 1.31 cannot select by the fields of custom resources.
        if error.status != 400:
            raise
        found = cluster.list(GROUP_VERSION, "Backup", "")
    return [
        backup
        for backup in found
        if not has_ended(backup)
        and "schedule" not in backup["spec"]
        and not backup["metadata"].get("deletionTimestamp")
    ]
