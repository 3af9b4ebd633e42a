"""The Job of one Backup or Restore, in the Database's own image, and its NetworkPolicy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..kube.client import Object
from ..kube.objects import MANAGED_BY, owner_reference
from .backup.adoption import artifact_of
from .backup.destination import claim_of, s3_of, s3_port_of
from .first_volume import DATA_MOUNT, first_claim
from .job import COPY_CONTAINER, EXTRACT_CONTAINER, RECOVER_CONTAINER, VERIFY_CONTAINER
from .job_disk import disk_request
from .job_pod import (
    AGENT,
    ENVIRONMENT,
    Container,
    Mount,
    Pod,
    asked_resources,
    bucket_mounts,
    bucket_options,
    claim_mount,
    job,
    network_policy,
    run_playbook,
    secret_mount,
    tcp,
    tmp_mount,
    variables_mount,
)
from .pod_fields import PodFields, instance_fields, job_fields

REBUILD = "rebuild"
"""The playbook that makes the data directory of a new server."""

_REQUESTS = {"cpu": "100m", "memory": "128Mi"}
# pg_dump holds a value four times in memory, as does the server that verifies. pg_restore passes
# it on in pieces, and so do files on their way to or from a store (docs/explanation/speed.md).
_MEMORY_LIMITS = {
    "backup": "1Gi",
    VERIFY_CONTAINER: "1Gi",
    # Each runs a server.
    RECOVER_CONTAINER: "1Gi",
    EXTRACT_CONTAINER: "1Gi",
    REBUILD: "1Gi",
}
_MEMORY_LIMIT = "512Mi"
# Not more than the smallest limit that jobs.resources takes.
_COPYING: Mapping[str, Mapping[str, Any]] = {
    "requests": {"cpu": "10m", "memory": "16Mi"},
    "limits": {"memory": "128Mi"},
}
# The agent is copied while the container that waits for it, beside it, is being made: one that
# comes after another starts seconds later.
_COPY_AGENT = ("sh", "-c", "cp -a /opt/agent/* /volume/ && touch /volume/.complete")
_WAIT_FOR_AGENT = (
    "trap 'exit 143' TERM; tries=0; until [ -e /opt/agent/.complete ]; do tries=$((tries + 1));"
    ' if [ "$tries" -gt 6000 ]; then echo \'the agent is not there; see the log of the container'
    ' agent\' >&2; exit 1; fi; sleep 0.1 || sleep 1; done; exec "$@"'
)
_KEPT_SECONDS = 86400
_OWN_VARIABLES = (COPY_CONTAINER, VERIFY_CONTAINER, RECOVER_CONTAINER, EXTRACT_CONTAINER)
"""The containers that stand beside another one in a Job, by the names of their playbooks: they
read variables of their own."""


@dataclass(frozen=True)
class Recovery:
    """What comes before the restore of a physical backup.

    Attributes:
        target: the variables that name it; none for the end of the backup.
        sha256: of the backup's manifest.
        database: the name of the one that is restored.
        selection: `include` and `exclude`, as far as there are any.
    """

    target: Mapping[str, Any]
    sha256: str
    database: str
    selection: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Work:
    """What a Job is to do.

    Attributes:
        name: the Job's.
        owner: the Backup or the Restore.
        database: the Database whose server it works with.
        playbook: `backup`, `physical`, which backs up the files of the server, `adopt`, which reads
            back what a store has already, `restore`, `rebuild`, which makes the data directory of a
            Database that has no instance yet, or `outcome`, which finds out without an artifact how
            a restore ended.
        backup: the Backup whose files are written or read.
        variables: the playbook's, beyond those of the server and the artifact.
        timeout_seconds: how long it may take.
        verify: whether what was made is then restored and compared, in a container of its own.
        identity_secret: the Secret with the identity that decrypts the backup; empty where none is
            needed. What writes a backup never has it.
        annotations: what the Job is to remember of what it was made with.
        agent_image: the image that the agent is copied from.
        recovery: what is recovered first, and what of it is extracted, where the backup is a
            physical one that is restored; None else.
        disk_bytes: what it takes on the node's disk; 0 where that is not known. Of one that
            verifies it is what the verification takes.
    """

    name: str
    owner: Object
    database: Object
    playbook: str
    backup: Object
    variables: Mapping[str, Any]
    timeout_seconds: int
    agent_image: str
    verify: bool = False
    identity_secret: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)
    recovery: Recovery | None = None
    disk_bytes: int = 0

    @property
    def writes(self) -> bool:
        """Whether it makes a backup."""
        return self.playbook in {"backup", "physical"}

    @property
    def reaches_server(self) -> bool:
        """Whether it connects to the Database's server."""
        return self.playbook not in {"adopt", REBUILD}

    @property
    def has_artifact(self) -> bool:
        """Whether it reaches the backup's files."""
        return self.playbook != "outcome"

    @property
    def claim(self) -> str:
        """The PersistentVolumeClaim with the backups; empty where they are in a bucket."""
        return claim_of(self.backup) if self.has_artifact else ""

    @property
    def in_bucket(self) -> bool:
        """Whether the backup's files are in a bucket."""
        return self.has_artifact and bool(s3_of(self.backup))

    @property
    def encrypted(self) -> bool:
        """Whether the backup's files are encrypted."""
        return self.has_artifact and bool(self.backup["spec"].get("encryption"))


def work_definitions(work: Work) -> list[Object]:
    """Return the Job, and before it the NetworkPolicy that its pod needs."""
    policies = [_bucket_policy(work)] if work.in_bucket else []
    return [*policies, _job(work)]


def _job(work: Work) -> Object:
    metadata = {
        "name": work.name,
        "namespace": work.owner["metadata"]["namespace"],
        "labels": _labels(work),
        "annotations": dict(work.annotations),
        "ownerReferences": [owner_reference(work.owner)],
    }
    pod = Pod(
        labels=_pod_labels(work),
        annotations={
            "kubectl.kubernetes.io/default-container": (
                VERIFY_CONTAINER if work.verify else _kind(work)
            )
        },
        service_account=f"{work.database['metadata']['name']}-job",
        containers=[_agent(work), _main(work)],
        variables={"variables": _main_variables(work)},
        given=_given(work),
    )
    if work.verify:
        pod = _verified(work, pod)
    if work.recovery:
        pod = _recovered(work, work.recovery, pod)
    return job(metadata, pod, timeout_seconds=work.timeout_seconds, kept_seconds=_KEPT_SECONDS)


def _given(work: Work) -> PodFields:
    """Return what the Database says of the pod.

    A volume may stay on the node where its first pod ran: so the one that fills it goes where an
    instance may go.
    """
    if work.playbook != REBUILD:
        return job_fields(work.database)
    fields = instance_fields(work.database)
    return PodFields(spec=fields.spec)


def _verified(work: Work, pod: Pod) -> Pod:
    """Return the pod that also verifies the backup.

    An init container ends before the next begins: so the backup is there when it is verified.
    """
    first = list(pod.containers)
    variables = {**pod.variables, VERIFY_CONTAINER: _verify_variables(work)}
    if work.in_bucket:
        first.append(_copy(work))
        variables[COPY_CONTAINER] = _copy_variables(work)
    return replace(pod, first=first, containers=[_verify(work)], variables=variables)


def _recovered(work: Work, recovery: Recovery, pod: Pod) -> Pod:
    """Return the pod that first recovers a server, and extracts from that what is restored.

    One after the other, for what can be trusted with what: what fetches has the credentials of the
    store and the identity, and runs no code of users; what runs the recovered server has neither;
    what restores has the certificate of the live server's superuser, and a local artifact.
    """
    agent, main = pod.containers
    scratch = Mount("scratch", _scratch_space(work), "/scratch")
    recover = [*_stored(work), _superuser(work), scratch]
    first = [
        agent,
        _container(work, RECOVER_CONTAINER, RECOVER_CONTAINER, recover),
        _container(work, EXTRACT_CONTAINER, EXTRACT_CONTAINER, [scratch, _copied(work)]),
    ]
    variables = {
        **pod.variables,
        RECOVER_CONTAINER: _recover_variables(work, recovery),
        EXTRACT_CONTAINER: _extract_variables(work, recovery),
    }
    return replace(pod, first=first, containers=[main], variables=variables)


def _recover_variables(work: Work, recovery: Recovery) -> Object:
    return {
        **_without_database(_server(work)),
        **_artifact(work),
        **_store(work),
        **_identity_file(work),
        "sha256": recovery.sha256,
        "folder": "/scratch",
        **recovery.target,
    }


def _extract_variables(work: Work, recovery: Recovery) -> Object:
    return {
        **_artifact(work),
        **recovery.selection,
        "folder": "/scratch",
        "target": "/copy",
        "database": recovery.database,
    }


def _agent(work: Work) -> Container:
    return Container(
        name="agent",
        image=work.agent_image,
        command=_COPY_AGENT,
        mounts=[replace(_agent_mount(), path="/volume", read_only=False)],
        resources=_copying(work),
    )


def _main(work: Work) -> Container:
    mounts = [replace(_copied(work), read_only=True)] if work.recovery else _stored(work)
    if work.reaches_server:
        mounts.append(_superuser(work))
    if work.playbook == REBUILD:
        source = {"persistentVolumeClaim": {"claimName": first_claim(work.database)}}
        mounts.append(Mount("data", source, DATA_MOUNT))
    return _container(work, _kind(work), work.playbook, mounts)


def _stored(work: Work) -> list[Mount]:
    """Return what a container needs that works with the artifact in its store."""
    mounts = [*_bucket(work), *_spool(work)]
    if not work.writes:
        mounts += _identity(work)
    if work.claim:
        mounts.append(claim_mount(work.claim, read_only=not work.writes))
    return mounts


def _copied(work: Work) -> Mount:
    """Return where one container of a Job leaves an artifact for the next."""
    return Mount("copy", _scratch_space(work), "/copy")


def _copy(work: Work) -> Container:
    """Return what fetches the files for the verification, which has no credentials."""
    return _container(work, COPY_CONTAINER, COPY_CONTAINER, [*_bucket(work), _copied(work)])


def _verify(work: Work) -> Container:
    """Return what verifies.

    A restore executes functions of the owners of tables, as a superuser of the scratch server: so
    here they find no password, no credentials of a bucket, and can alter no backup.
    """
    backups = (
        replace(_copied(work), path="/backups", read_only=True)
        if work.in_bucket
        else claim_mount(work.claim, read_only=True)
    )
    # A database that fits its own volume fits this one; it goes with the pod, however that ends.
    scratch = Mount("scratch", _scratch_space(work), "/scratch")
    spool = _spool(work) if work.encrypted else []
    mounts = [*_identity(work), *spool, scratch, backups]
    return _container(work, VERIFY_CONTAINER, VERIFY_CONTAINER, mounts)


def _container(work: Work, name: str, playbook: str, mounts: list[Mount]) -> Container:
    """Return a container in the Database's image that runs a playbook once the agent is there."""
    variables = playbook if playbook in _OWN_VARIABLES else "variables"
    return Container(
        name=name,
        image=work.database["spec"]["image"],
        command=["sh", "-c", _WAIT_FOR_AGENT, "sh", *run_playbook(playbook, variables)],
        environment=ENVIRONMENT,
        resources=_resources(work, playbook),
        mounts=[
            _agent_mount(),
            variables_mount("variables", *_OWN_VARIABLES),
            *_users(work),
            tmp_mount(),
            *mounts,
        ],
    )


def _resources(work: Work, playbook: str) -> Mapping[str, Any]:
    """Return the requests and limits of what runs a playbook."""
    limit = _MEMORY_LIMITS.get(playbook, _MEMORY_LIMIT)
    takes_disk = playbook == _largest(work)
    requests = _REQUESTS | (disk_request(work.disk_bytes) if takes_disk else {})
    return asked_resources(work.database) or {"requests": requests, "limits": {"memory": limit}}


def _largest(work: Work) -> str:
    """Return the playbook that takes what `disk_bytes` says."""
    if work.recovery:
        return RECOVER_CONTAINER
    return VERIFY_CONTAINER if work.verify else work.playbook


def _copying(work: Work) -> Mapping[str, Any]:
    """Return the requests and limits of what copies the agent.

    Of what the Database's `jobs.resources` has a ResourceQuota may ask for some in each container.
    """
    asked = asked_resources(work.database)
    return {kind: {**asked.get(kind, {}), **own} for kind, own in _COPYING.items()}


def _agent_mount() -> Mount:
    return Mount("agent", {"emptyDir": {}}, AGENT, read_only=True)


def _users(work: Work) -> list[Mount]:
    """Return the files by which the user of the Job has a name in every image."""
    names = ("passwd", "group")
    items = [{"key": name, "path": name} for name in names]
    source = {"configMap": {"name": f"{work.database['metadata']['name']}-patroni", "items": items}}
    return [Mount("users", source, f"/etc/{name}", read_only=True, sub_path=name) for name in names]


def _superuser(work: Work) -> Mount:
    """Return the certificate by which the superuser logs in."""
    secret = f"{work.database['metadata']['name']}-certificates"
    files = {"ca.crt": "ca.crt", "tls.crt": "superuser.crt", "tls.key": "superuser.key"}
    if work.playbook == "physical":
        files |= {"replication.crt": "replication.crt", "replication.key": "replication.key"}
    return secret_mount("superuser", "/etc/superuser", secret, files, optional=False)


def _bucket(work: Work) -> list[Mount]:
    return bucket_mounts(work.backup) if work.has_artifact else []


def _identity(work: Work) -> list[Mount]:
    if not work.identity_secret:
        return []
    files = {"identity": "identity"}
    return [secret_mount("encryption", "/etc/encryption", work.identity_secret, files)]


def _spool(work: Work) -> list[Mount]:
    if not (work.in_bucket or work.encrypted):
        return []
    return [Mount("spool", _scratch_space(work), "/spool")]


def _scratch_space(work: Work) -> Object:
    return {"emptyDir": {"sizeLimit": work.database["spec"]["storage"]["size"]}}


def _main_variables(work: Work) -> Object:
    server = _server(work) if work.reaches_server else {}
    if work.playbook == "physical":
        server = _without_database(server)
    if not work.has_artifact:
        return {**server, **work.variables}
    if work.recovery:
        return {**server, **_artifact(work), "root": "/copy", **work.variables}
    key = {} if work.writes else _identity_file(work)
    return {**server, **_artifact(work), **_store(work), **key, **work.variables}


def _store(work: Work) -> Object:
    return {
        "root": "/backups" if work.claim else "",
        "s3": bucket_options(work.backup),
        "spool": "/spool",
    }


def _server(work: Work) -> Object:
    database = work.database["metadata"]
    return {
        "host": f"{database['name']}.{database['namespace']}.svc",
        "port": 5432,
        "user": "postgres",
        "sslmode": "verify-full",
        "sslrootcert": "/etc/superuser/ca.crt",
        "sslcert": "/etc/superuser/tls.crt",
        "sslkey": "/etc/superuser/tls.key",
        "database": work.database["spec"]["databaseName"],
    }


def _without_database(server: Object) -> Object:
    """Return the variables of what works with a whole server."""
    return {key: value for key, value in server.items() if key != "database"}


def _verify_variables(work: Work) -> Object:
    places = {"root": "/backups", "scratch": "/scratch", "spool": "/spool"}
    return {**_artifact(work), **places, **_identity_file(work)}


def _copy_variables(work: Work) -> Object:
    return {**_artifact(work), "s3": bucket_options(work.backup), "target": "/copy"}


def _artifact(work: Work) -> Object:
    return {
        **artifact_of(work.backup),
        "jobs": work.owner["spec"].get("parallelism") or work.backup["spec"]["parallelism"],
        "progress_file": "/proc/1/fd/1",
        "result_file": "/dev/termination-log",
    }


def _identity_file(work: Work) -> Object:
    return {"identity_file": "/etc/encryption/identity"} if work.identity_secret else {}


def _kind(work: Work) -> str:
    return str(work.owner["kind"]).lower()


def _labels(work: Work) -> dict[str, str]:
    return {"app": "database-job", "database": work.database["metadata"]["name"], **MANAGED_BY}


def _pod_labels(work: Work) -> dict[str, str]:
    port = {"database.example.com/s3-port": str(s3_port_of(work.backup))} if work.in_bucket else {}
    return {**_labels(work), **port}


def _bucket_policy(work: Work) -> Object:
    """Return what lets pods of this Database's Jobs connect to any host at the bucket's port."""
    database, port = work.database["metadata"], s3_port_of(work.backup)
    metadata = {
        "name": f"{database['name']}-job-s3-{port}",
        "namespace": database["namespace"],
        "labels": {"app": "database", "database": database["name"], **MANAGED_BY},
        "ownerReferences": [owner_reference(work.database)],
    }
    return network_policy(metadata, _pod_labels(work), [{"ports": [tcp(port)]}], ["Egress"])
