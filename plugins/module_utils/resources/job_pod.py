"""What all Jobs are made of: containers that may do as little as possible, and what they mount.

What a Job is to do travels as data: an annotation of its pod holds JSON, the downward API makes a
file of it, and the playbook's module reads that. Ansible has the file's name only, so nothing of a
resource's text is in a command line or a template.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..kube.client import Object
from .backup.destination import s3_of
from .pod_fields import PodFields

AGENT = "/opt/agent"
_PLAYBOOKS = f"{AGENT}/collections/ansible_collections/postgres/operator/playbooks"
_VARIABLES = "/etc/job"
_TMP = "/tmp"  # noqa: S108 (a container's own)
# Ansible's files and lists of a dump's entries: no data.
_TMP_LIMIT = "1Gi"
ENVIRONMENT = {"ANSIBLE_CONFIG": f"{AGENT}/ansible.cfg", "HOME": _TMP, "LC_ALL": "C.UTF-8"}
_PREFIX = "database.example.com/"
OWNER_ONLY = 0o440
"""The mode of a file with a secret; libpq accepts it of a key that root owns."""

_RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


@dataclass(frozen=True)
class Mount:
    """A volume, and where a container has it.

    Attributes:
        name: the volume's.
        source: the volume's, as Kubernetes has it.
        path: where the container has it.
        sub_path: the one file of it that is mounted.
    """

    name: str
    source: Mapping[str, Any]
    path: str
    read_only: bool = False
    sub_path: str = ""

    def render(self) -> Object:
        """Return the container's part of it."""
        rendered: Object = {"name": self.name, "mountPath": self.path}
        if self.sub_path:
            rendered["subPath"] = self.sub_path
        return rendered | ({"readOnly": True} if self.read_only else {})


@dataclass(frozen=True)
class Container:
    """A container of a Job.

    Attributes:
        command: with its arguments.
        resources: requests and limits.
    """

    name: str
    image: str
    command: Sequence[str]
    mounts: Sequence[Mount]
    resources: Mapping[str, Any]
    environment: Mapping[str, str] = field(default_factory=dict)

    def render(self) -> Object:
        """Return it as the pod has it."""
        rendered = {
            "name": self.name,
            "image": self.image,
            "imagePullPolicy": "IfNotPresent",
            "command": list(self.command),
            "resources": self.resources,
            "securityContext": _RESTRICTED,
            "volumeMounts": [mount.render() for mount in self.mounts],
        }
        environment = [{"name": name, "value": value} for name, value in self.environment.items()]
        return rendered | ({"env": environment} if environment else {})


def run_playbook(playbook: str, variables: str = "variables") -> list[str]:
    """Return the command that runs a playbook of this collection.

    Args:
        variables: which of `variables_mount` it reads.
    """
    return [
        f"{AGENT}/bin/tini", "--", f"{AGENT}/bin/ansible-playbook",
        "--extra-vars", f"variables_file={_VARIABLES}/{variables}.json",
        f"{_PLAYBOOKS}/{playbook}.yml",
    ]  # fmt: skip


def annotation_of(variables: str) -> str:
    """Return the pod's annotation that holds variables of a container."""
    return _PREFIX + (variables if variables == "variables" else f"{variables}-variables")


def variables_mount(*names: str) -> Mount:
    """Return where containers find their variables. A file is empty where the pod has none."""
    items = [
        {
            "path": f"{name}.json",
            "fieldRef": {"fieldPath": f"metadata.annotations['{annotation_of(name)}']"},
        }
        for name in names
    ]
    return Mount("variables", {"downwardAPI": {"items": items}}, _VARIABLES, read_only=True)


def tmp_mount() -> Mount:
    """Return the only folder that every container may write to."""
    return Mount("tmp", {"emptyDir": {"sizeLimit": _TMP_LIMIT}}, _TMP)


def secret_mount(
    name: str,
    path: str,
    secret: str,
    files: Mapping[str, str],
    *,
    mode: int | None = OWNER_ONLY,
    optional: bool = True,
) -> Mount:
    """Return a Secret as files.

    Args:
        files: the key of each file.
        mode: None leaves it to Kubernetes: what is in it is no secret.
        optional: whether one that was deleted since it was read ends the run with a reason, where
            it would otherwise keep the pod waiting.
    """
    items = [{"key": key, "path": file} for file, key in files.items()]
    source: Object = {"secretName": secret, "items": items}
    if optional:
        source["optional"] = True
    if mode is not None:
        source["defaultMode"] = mode
    return Mount(name, {"secret": source}, path, read_only=True)


def claim_mount(claim: str, path: str = "/backups", read_only: bool = False) -> Mount:
    """Return the PersistentVolumeClaim with the backups."""
    source = {"persistentVolumeClaim": {"claimName": claim}}
    return Mount("backups", source, path, read_only)


def bucket_mounts(backup: Object) -> list[Mount]:
    """Return what a container needs that reaches the bucket; nothing without one."""
    s3 = s3_of(backup)
    if not s3:
        return []
    keys = ("accessKeyId", "secretAccessKey", "sessionToken")
    login = s3["credentialsSecretRef"]["name"]
    mounts = [secret_mount("s3", "/etc/s3", login, {key: key for key in keys})]
    if "caSecretRef" in s3:
        ca = {"ca.crt": "ca.crt"}
        mounts.append(secret_mount("s3-ca", "/etc/s3-ca", s3["caSecretRef"]["name"], ca, mode=None))
    return mounts


def bucket_options(backup: Object) -> Object:
    """Return the variable `s3` of a playbook; empty without a bucket."""
    s3 = s3_of(backup)
    if not s3:
        return {}
    return {
        "endpoint": s3.get("endpoint", ""),
        "proxy": s3.get("proxy", ""),
        "region": s3.get("region", ""),
        "bucket": s3["bucket"],
        "prefix": s3.get("prefix", ""),
        "credentials_folder": "/etc/s3",
        "ca_file": "/etc/s3-ca/ca.crt" if "caSecretRef" in s3 else "",
        "path_style": s3.get("pathStyle", False),
        "sse": s3.get("sse", ""),
    }


@dataclass(frozen=True)
class Pod:
    """The pod of a Job.

    Attributes:
        first: containers that run one after the other, each to its end, before the others begin.
        variables: what the playbooks read, by the name that `variables_mount` has.
        given: what the Database says of the pods of its Jobs, with their security context.
        service_account: empty for the namespace's default one; no pod of a Job has a token of it.
    """

    labels: Mapping[str, str]
    containers: Sequence[Container]
    variables: Mapping[str, Mapping[str, Any]]
    given: PodFields
    first: Sequence[Container] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)
    service_account: str = ""

    def render(self) -> Object:
        """Return it as the Job has it."""
        containers = [*self.first, *self.containers]
        volumes = {mount.name: mount.source for c in containers for mount in c.mounts}
        spec: Object = {
            **self.given.spec,
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "initContainers": [container.render() for container in self.first],
            "containers": [container.render() for container in self.containers],
            "volumes": [{"name": name, **source} for name, source in volumes.items()],
        }
        if self.service_account:
            spec["serviceAccountName"] = self.service_account
        annotations = {**self.given.annotations, **self.annotations}
        for name, values in self.variables.items():
            annotations[annotation_of(name)] = json.dumps(values)
        return {
            "metadata": {
                "labels": {**self.given.labels, **self.labels},
                "annotations": annotations,
            },
            "spec": spec,
        }


def job(
    metadata: Object,
    pod: Pod,
    *,
    timeout_seconds: int,
    kept_seconds: int,
    final: Mapping[str, Any] | None = None,
) -> Object:
    """Return a Job.

    A pod that was killed is replaced; a playbook that ended with a reason of its own, for which it
    exits with 2, is not run again.

    Args:
        metadata: the Job's.
        timeout_seconds: how long it may take; Kubernetes ends it then.
        kept_seconds: how long it stays after its end.
        final: which container's exit code 2 is meant; without it that of each.
    """
    exit_codes = {**(final or {}), "operator": "In", "values": [2]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {
            "backoffLimit": 3,
            "podFailurePolicy": {"rules": [{"action": "FailJob", "onExitCodes": exit_codes}]},
            "activeDeadlineSeconds": timeout_seconds,
            "ttlSecondsAfterFinished": kept_seconds,
            "template": pod.render(),
        },
    }


def asked_resources(database: Object | None) -> Mapping[str, Any]:
    """Return the requests and limits that a Database asks for its Jobs; empty if it does not."""
    spec: Object = database["spec"] if database else {}
    found: Mapping[str, Any] = spec.get("jobs", {}).get("resources", {})
    return found


def network_policy(
    metadata: Object, pods: Mapping[str, str], egress: Sequence[Object], types: Sequence[str]
) -> Object:
    """Return the NetworkPolicy of the pods that have these labels."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata,
        "spec": {
            "podSelector": {"matchLabels": dict(pods)},
            "policyTypes": list(types),
            "egress": list(egress),
        },
    }


def tcp(port: int) -> Object:
    """Return a port as a NetworkPolicy has it."""
    return {"port": port, "protocol": "TCP"}
