"""No secret is anywhere but in its Secret, after all that a Database does, at high verbosity.

Every secret that a Database, its Backups and its Restores have, generated or given by a user, is
searched for in all that can be read without the right to read Secrets, in the arguments and the
environments of all processes, and in the files that pods wrote.
"""

from __future__ import annotations

import base64
import json
import subprocess
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyrage
import pytest
import runner
import yaml
from canaries import MACHINES, Disk, Finder, Processes, read_file, readable_by_others, secret_values
from runner import CHECKOUT
from runner import NAMESPACE as OPERATOR

NAMESPACE = "scenario-secrets"
SERVER = CHECKOUT / "molecule" / "s3" / "files" / "server.yml"
# Found by the same search: that it looks where it says.
CONTROL = f"control-{uuid.uuid4().hex}"
VERBOSE = {"ansible.sdk.operatorframework.io/verbosity": "4"}
# Quoting, addresses and encodings all write it another way.
PASSWORD = f"canary /+?&%='\\\" ü {uuid.uuid4()}"
TIMEOUT_SECONDS = 300
# Files that group or others may read, and why.
READABLE = {
    "termination log: ": "the kubelet makes it for each container, and shows what is in it",
    "volume tmp: control": "this test's own",
}
# Files with a secret in them, and why.
HOLDING = {"volume tmp: pgpass: ": "libpq reads the password for replication there"}

pytestmark = pytest.mark.e2e


def kubectl(*arguments: str, text: str = "") -> str:
    """Run kubectl in the namespace and return what it printed."""
    return runner.kubectl("-n", NAMESPACE, *arguments, text=text, timeout=2 * TIMEOUT_SECONDS)


def apply(*objects: dict[str, Any]) -> None:
    manifest = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
    kubectl("apply", "-f", "-", text=json.dumps(manifest))


def secret(name: str, **data: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "stringData": {key.replace("_", "."): value for key, value in data.items()},
    }


def resource(kind: str, name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "database.example.com/v1",
        "kind": kind,
        "metadata": {"name": name, "annotations": {**VERBOSE, "example.com/control": CONTROL}},
        "spec": spec,
    }


def await_phase(name: str, phase: str) -> None:
    """Wait until a resource has that phase; give up where it has failed."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while (found := kubectl("get", name, "-o", "jsonpath={.status.phase}")) != phase:
        assert found != "Failed", kubectl("describe", name)
        assert time.monotonic() < deadline, kubectl("describe", name)
        time.sleep(1)


def in_primary(*command: str, text: str = "") -> None:
    """Run a command in the pod of the instance that leads now."""
    primary = json.loads(kubectl("get", "database", "life", "-o", "json"))["status"]["primary"]
    kubectl("exec", "-i", primary, "-c", "postgres", "--", *command, text=text)


def psql(database: str, script: str) -> None:
    in_primary("psql", "-qX", "-d", database, "-v", "ON_ERROR_STOP=1", text=script)


def certificates(folder: Path) -> dict[str, str]:
    """A server certificate of an authority that was made for it."""
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    subject = ["-subj", "/CN=s3", "-CA", "ca.crt", "-CAkey", "ca.key"]
    names = ["-addext", f"subjectAltName=DNS:s3.{NAMESPACE}.svc"]
    leaf = ["-addext", "basicConstraints=CA:FALSE", "-keyout", "tls.key", "-out", "tls.crt"]
    authority = ["-subj", "/CN=secrets", "-keyout", "ca.key", "-out", "ca.crt"]
    for rest in (authority, [*subject, *names, *leaf]):
        subprocess.run(
            ["openssl", "req", "-x509", *curve, *rest], cwd=folder, check=True, capture_output=True
        )
    return {name: (folder / name).read_text() for name in ("ca.crt", "tls.crt", "tls.key")}


@pytest.fixture
def namespace(tmp_path: Path) -> Iterator[None]:
    """A namespace with an S3 server, and the Secrets that a user brings."""
    kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=180s")
    label = {"pod-security.kubernetes.io/enforce": "restricted"}
    metadata = {"name": NAMESPACE, "labels": label}
    apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    tls = certificates(tmp_path)
    apply(
        secret("s3-tls", **{name.replace(".", "_"): text for name, text in tls.items()}),
        secret("s3-ca", ca_crt=tls["ca.crt"]),
        secret(
            "s3-credentials",
            accessKeyId=f"canary{uuid.uuid4().hex[:12]}",
            secretAccessKey=base64.b64encode(uuid.uuid4().bytes * 2).decode(),
        ),
        secret("backup-key", identity=str(pyrage.x25519.Identity.generate())),
        secret("life-credentials", password=PASSWORD),
        *yaml.safe_load_all(SERVER.read_text()),
    )
    try:
        yield
    finally:
        kubectl("delete", "postgres", "--all", "--timeout=180s")
        kubectl("delete", "namespace", NAMESPACE, "--timeout=180s")


def use_everything() -> None:
    """Do all that the project does with a Database."""
    size = {"size": "1Gi"}
    spec = {"databaseName": "life", "username": "life", "storage": size, "reclaimPolicy": "Delete"}
    apply(resource("Database", "life", replicas=2, **spec))
    await_phase("database/life", "Ready")
    # From here on the server logs every statement; a session that begins now may not know it yet.
    psql("postgres", "ALTER SYSTEM SET log_statement = 'all'; SELECT pg_reload_conf()")
    logged = "SET log_statement = 'all';"
    psql("postgres", f"{logged} ALTER ROLE life PASSWORD NULL")
    psql("life", f"{logged} CREATE TABLE kept AS SELECT '{CONTROL}' AS control")
    kubectl("wait", "--for=condition=Ready", "pod/s3", "--timeout=240s")
    store = {
        "endpoint": f"https://s3.{NAMESPACE}.svc:7070",
        "bucket": "backups",
        "pathStyle": True,
        "credentialsSecretRef": {"name": "s3-credentials"},
        "caSecretRef": {"name": "s3-ca"},
    }
    backup = {"databaseRef": {"name": "life"}, "deletionPolicy": "Delete"}
    encryption = {"secretRef": {"name": "backup-key"}}
    # One run, in a minute or two: twice an hour, since rarer ones start up to ten minutes late.
    minute = (datetime.now(UTC) + timedelta(seconds=75)).minute % 30
    apply(
        resource("Backup", "nightly", schedule=f"{minute},{minute + 30} * * * *", **backup),
        resource(
            "Backup",
            "life",
            destination={"s3": store},
            encryption=encryption,
            verify="restore",
            **backup,
        ),
    )
    await_phase("backup/life", "Completed")
    names = {"databaseRef": {"name": "life"}, "backupRef": {"name": "life"}}
    apply(
        resource("Restore", "rehearsal", dryRun=True, **names), resource("Restore", "life", **names)
    )
    await_phase("restore/rehearsal", "Completed")
    await_phase("restore/life", "Completed")
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not json.loads(kubectl("get", "backup", "nightly", "-o", "json"))["status"].get(
        "lastSuccessfulTime"
    ):
        assert time.monotonic() < deadline, kubectl("describe", "backup", "nightly")
        time.sleep(1)
    in_primary("env", f"CONTROL={CONTROL}", "sleep", "5")
    in_primary("sh", "-c", f"echo {CONTROL} > /tmp/control")


def gather(finder: Finder) -> None:
    """Search all that can be read without the right to read Secrets."""
    for namespace in (NAMESPACE, OPERATOR):
        kinds = kubectl("api-resources", "--verbs=list", "--namespaced", "-o", "name").split()
        readable = ",".join(kind for kind in kinds if kind != "secrets")
        objects = kubectl("-n", namespace, "get", readable, "-o", "json", "--show-managed-fields")
        finder.search(f"objects of {namespace}", objects.encode())
    for pod in pods():
        metadata, spec = pod["metadata"], pod["spec"]
        for container in (*spec.get("initContainers", ()), *spec["containers"]):
            which = (metadata["name"], "-c", container["name"])
            text = kubectl(
                "-n", metadata["namespace"], "logs", *which, "--tail=-1", "--ignore-errors"
            )
            finder.search(f"log of {metadata['name']}, {container['name']}", text.encode())
    for name, path in written():
        finder.search(name, read_file(path))


def pods() -> list[Any]:
    """The project's pods: the operator's, and those of the namespace but the S3 server's."""
    found = json.loads(kubectl("get", "pods", "--selector=app!=s3", "-o", "json"))["items"]
    operator = json.loads(kubectl("-n", OPERATOR, "get", "pods", "-o", "json"))["items"]
    return [pod for pod in (*found, *operator) if pod["status"]["phase"] != "Pending"]


def written() -> Iterator[tuple[str, Path]]:
    """The files that the project's pods have written."""
    uids = [pod["metadata"]["uid"] for pod in pods()]
    claims = json.loads(kubectl("get", "pvc", "-o", "json"))["items"]
    names = [f"{NAMESPACE}_{claim['metadata']['name']}" for claim in claims]
    for root in sorted(MACHINES.glob("*")):
        yield from Disk(root).files(uids, names)


def test_no_secret_is_anywhere_but_in_its_secret(namespace: None) -> None:
    with Processes() as processes:
        use_everything()
        found = json.loads(kubectl("get", "secrets", "-o", "json"))["items"]
        values = secret_values(found)
        finder = Finder({**values, "control": CONTROL.encode()})
        gather(finder)
        open_files = {name for name, path in written() if readable_by_others(path)}
        # Its Job goes with it: what is left to be seen are its processes and the operator's log.
        kubectl("delete", "backup", "life", f"--timeout={TIMEOUT_SECONDS}s")
        gather(finder)
    for arguments, environment in processes.seen:
        if b"versitygw" not in arguments:
            program = arguments.partition(b"\0")[0].decode(errors="replace")
            finder.search(f"arguments of {program}", arguments)
            finder.search(f"environment of {program}", environment)

    assert len(values) >= 12, sorted(values)
    control = {where for where in finder.found if where.endswith(": control")}
    leaks = {
        where for where in finder.found - control if not any(part in where for part in HOLDING)
    }
    assert leaks == set()
    places = ("objects of", "log of life-", "environment of")
    unseen = [where for where in places if not any(name.startswith(where) for name in control)]
    assert not unseen, control
    if MACHINES.is_dir():
        assert any("volume tmp: control" in name for name in control), control
    assert {name for name in open_files if not any(part in name for part in READABLE)} == set()
