"""The Job that deletes the files of a Backup, and its NetworkPolicy.

It runs in the operator's own image, which has the agent where the agent expects to be: the Database
and its image may be gone. It needs no right, and only the claim, or the bucket's Secrets and the
network.
"""

from __future__ import annotations

from ...kube.client import GROUP_VERSION, Object
from ...kube.objects import MANAGED_BY
from ..job_pod import (
    AGENT,
    ENVIRONMENT,
    Container,
    Pod,
    asked_resources,
    bucket_mounts,
    bucket_options,
    claim_mount,
    job,
    network_policy,
    run_playbook,
    tcp,
    tmp_mount,
    variables_mount,
)
from .adoption import artifact_of
from .destination import claim_of, s3_of, s3_port_of

_LABELS = {"app": "backup-removal", **MANAGED_BY}
_RESOURCES = {
    "requests": {"cpu": "10m", "memory": "64Mi"},
    "limits": {"memory": "256Mi"},
}
_ENVIRONMENT = {
    **ENVIRONMENT,
    "ANSIBLE_COLLECTIONS_PATH": f"{AGENT}/collections",
    # The image's passwd file does not know the user.
    "USER": "postgres",
}
_DNS = [{"port": 53, "protocol": "UDP"}, tcp(53)]
_TIMEOUT_SECONDS = 3600
_KEPT_SECONDS = 600


def removal_definitions(
    name: str, backup: Object, claim: Object, image: str, database: Object | None
) -> list[Object]:
    """Return the NetworkPolicy and the Job.

    Args:
        name: of both.
        claim: the PersistentVolumeClaim with the files; not used for a bucket.
        image: the operator's own.
        database: that of the Backup, which says what resources its Jobs have; None if it is gone.
    """
    return [_policy(name, backup), _job(name, backup, claim, image, database)]


def _job(name: str, backup: Object, claim: Object, image: str, database: Object | None) -> Object:
    namespace = backup["metadata"]["namespace"]
    place = bucket_mounts(backup) or [claim_mount(claim_of(backup))]
    container = Container(
        name="remove",
        image=image,
        command=run_playbook("remove"),
        environment=_ENVIRONMENT,
        resources=asked_resources(database) or _RESOURCES,
        mounts=[variables_mount("variables"), tmp_mount(), *place],
    )
    variables = {
        "root": "" if s3_of(backup) else "/backups",
        "s3": bucket_options(backup),
        **artifact_of(backup),
        "result_file": "/dev/termination-log",
    }
    metadata = {
        "name": name,
        "namespace": namespace,
        "labels": _LABELS,
        # Not the Backup: its deletion in the foreground would delete the Job before it has run.
        "ownerReferences": [] if s3_of(backup) else [_claim_owner(claim)],
    }
    return job(
        metadata,
        Pod(labels=_LABELS, containers=[container], variables={"variables": variables}),
        timeout_seconds=_TIMEOUT_SECONDS,
        kept_seconds=_KEPT_SECONDS,
        final={"containerName": "remove"},
    )


def _claim_owner(claim: Object) -> Object:
    metadata = claim["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "name": metadata["name"],
        "uid": metadata["uid"],
    }


def _policy(name: str, backup: Object) -> Object:
    """Return what lets the pod connect to the bucket, or to nothing; nothing connects to it."""
    ports = [*_DNS, tcp(s3_port_of(backup))]
    metadata = {
        "name": name,
        "namespace": backup["metadata"]["namespace"],
        "labels": _LABELS,
        "ownerReferences": [
            {
                "apiVersion": GROUP_VERSION,
                "kind": "Backup",
                "name": backup["metadata"]["name"],
                "uid": backup["metadata"]["uid"],
            }
        ],
    }
    return network_policy(
        metadata,
        {"batch.kubernetes.io/job-name": name},
        [{"ports": ports}] if s3_of(backup) else [],
        ["Ingress", "Egress"],
    )
