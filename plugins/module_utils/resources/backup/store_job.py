"""A small Job that works on the files of Backups in their store, and its NetworkPolicy.

It runs in the operator's own image, which has the agent where the agent expects to be: the Database
and its image may be gone. It needs no right, and only the claim, or the bucket's Secrets and the
network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...kube.client import GROUP_VERSION, Cluster, Object
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
from ..pod_fields import job_fields
from .destination import claim_of, s3_of, s3_port_of

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


def read_database(cluster: Cluster, backup: Object) -> Object | None:
    """Return the Database of a Backup; None if it is gone.

    Raises:
        ApiError: it cannot be read.
    """
    namespace, name = backup["metadata"]["namespace"], backup["spec"]["databaseRef"]["name"]
    return cluster.get(GROUP_VERSION, "Database", namespace, name)


@dataclass(frozen=True)
class StoreWork:
    """What such a Job is to do.

    Attributes:
        name: of the Job and of the NetworkPolicy.
        app: the label `app` of both.
        backup: whose store it is.
        image: the operator's own.
        database: that of the Backup, which says what its Jobs' pods have; None if it is gone.
        playbook: what it runs, and the container's name.
        variables: the playbook's, beyond the store's.
        owners: the owner references of the Job.
        kept_seconds: how long the Job stays after its end.
        read_only: whether it only reads the claim.
    """

    name: str
    app: str
    backup: Object
    image: str
    database: Object | None
    playbook: str
    variables: Mapping[str, Any]
    owners: Sequence[Object]
    kept_seconds: int
    read_only: bool = False

    @property
    def metadata(self) -> Object:
        """Name, namespace and labels of both objects."""
        namespace = self.backup["metadata"]["namespace"]
        return {"name": self.name, "namespace": namespace, "labels": self.labels}

    @property
    def labels(self) -> dict[str, str]:
        """Those of both objects, and of the pod."""
        return {"app": self.app, **MANAGED_BY}


def store_definitions(work: StoreWork) -> list[Object]:
    """Return the NetworkPolicy and the Job."""
    return [_policy(work), _job(work)]


def reference_of(backup: Object) -> Object:
    """Return the reference by which an object is deleted with a Backup, and does not hold it up."""
    return {
        "apiVersion": GROUP_VERSION,
        "kind": "Backup",
        "name": backup["metadata"]["name"],
        "uid": backup["metadata"]["uid"],
    }


def _job(work: StoreWork) -> Object:
    backup = work.backup
    place = bucket_mounts(backup) or [claim_mount(claim_of(backup), read_only=work.read_only)]
    container = Container(
        name=work.playbook,
        image=work.image,
        command=run_playbook(work.playbook),
        environment=_ENVIRONMENT,
        resources=asked_resources(work.database) or _RESOURCES,
        mounts=[variables_mount("variables"), tmp_mount(), *place],
    )
    variables = {
        "root": "" if s3_of(backup) else "/backups",
        "s3": bucket_options(backup),
        **work.variables,
        "result_file": "/dev/termination-log",
    }
    pod = Pod(
        labels=work.labels,
        containers=[container],
        variables={"variables": variables},
        given=job_fields(work.database),
    )
    return job(
        {**work.metadata, "ownerReferences": list(work.owners)},
        pod,
        timeout_seconds=_TIMEOUT_SECONDS,
        kept_seconds=work.kept_seconds,
        final={"containerName": work.playbook},
    )


def _policy(work: StoreWork) -> Object:
    """Return what lets the pod connect to the bucket, or to nothing; nothing connects to it."""
    ports = [*_DNS, tcp(s3_port_of(work.backup))]
    return network_policy(
        {**work.metadata, "ownerReferences": [reference_of(work.backup)]},
        {"batch.kubernetes.io/job-name": work.name},
        [{"ports": ports}] if s3_of(work.backup) else [],
        ["Ingress", "Egress"],
    )
