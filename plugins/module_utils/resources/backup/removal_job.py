"""The Job that deletes the files of a Backup, and its NetworkPolicy."""

from __future__ import annotations

from ...kube.client import Object
from .adoption import artifact_of
from .destination import s3_of
from .store_job import StoreWork, store_definitions

_KEPT_SECONDS = 600


def removal_definitions(
    name: str, backup: Object, claim: Object, image: str, database: Object | None
) -> list[Object]:
    """Return the NetworkPolicy and the Job.

    Args:
        name: of both.
        claim: the PersistentVolumeClaim with the files; not used for a bucket.
        image: the operator's own.
        database: that of the Backup, which says what its Jobs' pods have; None if it is gone.
    """
    work = StoreWork(
        name=name,
        app="backup-removal",
        backup=backup,
        image=image,
        database=database,
        playbook="remove",
        variables=artifact_of(backup),
        # Not the Backup: its deletion in the foreground would delete the Job before it has run.
        owners=[] if s3_of(backup) else [_claim_owner(claim)],
        kept_seconds=_KEPT_SECONDS,
    )
    return store_definitions(work)


def _claim_owner(claim: Object) -> Object:
    metadata = claim["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "name": metadata["name"],
        "uid": metadata["uid"],
    }
