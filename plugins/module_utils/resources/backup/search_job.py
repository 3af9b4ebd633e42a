"""The Job that searches a store for the artifacts of Completed Backups, and its NetworkPolicy."""

from __future__ import annotations

from collections.abc import Sequence

from ...kube.client import Object
from .adoption import artifact_of
from .search import kept_seconds
from .store_job import StoreWork, reference_of, store_definitions


def search_definitions(
    name: str,
    backup: Object,
    beside: Sequence[Object],
    image: str,
    database: Object | None,
    period_seconds: int,
) -> list[Object]:
    """Return the NetworkPolicy and the Job.

    Kubernetes deletes the Job some time after its end, however that was. Until then there is no
    other one of its name, so that a search that failed is not repeated at once.

    Args:
        name: of both.
        backup: the one that the search is made for.
        beside: the Backups whose artifacts are looked for, as `list_completed_beside` has them.
        image: the operator's own.
        database: that of the Backup, which says what its Jobs' pods have; None if it is gone.
    """
    artifact = artifact_of(backup)
    variables = {
        "namespace": artifact["namespace"],
        "resource": artifact["resource"],
        "completed": [artifact_of(other)["uid"] for other in beside],
    }
    work = StoreWork(
        name=name,
        app="backup-search",
        backup=backup,
        image=image,
        database=database,
        playbook="search",
        variables=variables,
        owners=[reference_of(backup)],
        kept_seconds=kept_seconds(period_seconds),
        read_only=True,
    )
    return store_definitions(work)
