"""A Kubernetes without nodes: the API server, and stand-ins for all that would run on nodes.

`Control` is a real etcd and a real kube-apiserver on the loopback interface. `Instances` plays the
StatefulSet controller, the kubelet and Patroni: it makes a pod for each wanted instance and reports
it ready with the role that it would have. `Server` is one real PostgreSQL, at an address that all
those pods have, so that the operator's SQL is real too.

Left out: pods, Patroni, volumes, the scheduler, the other controllers, and a PostgreSQL for each
Database. What remains is what the operator does, and what the API server does for it.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT / "cluster"))
from cluster.builds import KUBERNETES, build  # noqa: E402
from cluster.progress import Progress  # noqa: E402

POD_ADDRESS = "127.77.0.1"
POSTGRES_PORT = 5432
START_SECONDS = 60.0
NAMESPACES = ("default",)
Object = dict[str, Any]


def operator_programs() -> Path:
    """Return the folder of the runs' ansible-runner: $OPERATOR_BIN, else this Python's."""
    return Path(os.environ.get("OPERATOR_BIN") or Path(sys.executable).parent)


def free_port() -> int:
    """Return a free port of the loopback interface."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def _process(
    command: list[str | Path], log: Path, **options: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program until the context ends; its output goes to the log."""
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, **options)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def control(folder: Path) -> Iterator[Path]:
    """Run etcd and kube-apiserver; give the path of an administrator's kubeconfig."""
    programs = build(KUBERNETES, Progress()).parent
    folder.mkdir(mode=0o700, exist_ok=True)
    token = secrets.token_urlsafe(24)
    (folder / "tokens.csv").touch(mode=0o600)
    (folder / "tokens.csv").write_text(f'{token},bench,bench,"system:masters"\n')
    key, public = folder / "service-accounts.key", folder / "service-accounts.pub"
    curve = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    for arguments in (
        ["genpkey", *curve, "-out", str(key)],
        ["pkey", "-in", str(key), "-pubout", "-out", str(public)],
    ):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)
    etcd, peer, port = (free_port() for _ in range(3))
    etcd_url, peer_url = f"http://127.0.0.1:{etcd}", f"http://127.0.0.1:{peer}"
    etcd_command: list[str | Path] = [
        programs / "etcd",
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={etcd_url}",
        f"--advertise-client-urls={etcd_url}",
        f"--listen-peer-urls={peer_url}",
        f"--initial-advertise-peer-urls={peer_url}",
        f"--initial-cluster=default={peer_url}",
        "--unsafe-no-fsync",
        "--log-level=error",
    ]
    api_command: list[str | Path] = [
        programs / "kube-apiserver",
        "--bind-address=127.0.0.1",
        # Endpoints of the API itself must not be on the loopback interface; these are not used.
        "--endpoint-reconciler-type=none",
        f"--secure-port={port}",
        f"--etcd-servers={etcd_url}",
        f"--cert-dir={folder / 'certificates'}",
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--authorization-mode=RBAC",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-signing-key-file={key}",
        f"--service-account-key-file={public}",
        # No controller makes the default ServiceAccount, and no kubelet needs its token.
        "--disable-admission-plugins=ServiceAccount",
    ]
    kubeconfig = folder / "kubeconfig"
    certificate = folder / "certificates" / "apiserver.crt"
    with _process(etcd_command, folder / "log"), _process(api_command, folder / "log"):
        # The API server makes it as it starts, its authority in the same file.
        address = {"server": f"https://127.0.0.1:{port}", "certificate-authority": str(certificate)}
        _write_kubeconfig(kubeconfig, address, {"token": token})
        _wait_for_api(programs / "kubectl", kubeconfig, folder / "log")
        yield kubeconfig


def _write_kubeconfig(path: Path, cluster: dict[str, str], user: dict[str, str]) -> None:
    path.touch(mode=0o600)
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "bench", "cluster": cluster}],
        "users": [{"name": "bench", "user": user}],
        "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}],
        "current-context": "bench",
    }
    path.write_text(json.dumps(document))


def _wait_for_api(kubectl: Path, kubeconfig: Path, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    command: list[str | Path] = [kubectl, "--kubeconfig", kubeconfig, "get", "--raw", "/readyz"]
    while subprocess.run(command, capture_output=True, check=False).returncode:
        if time.monotonic() > deadline:
            raise SystemExit(f"the API server did not become ready:\n{log.read_text()[-3000:]}")
        time.sleep(0.2)


def kubectl(kubeconfig: Path, *arguments: str, text: str | None = None) -> str:
    """Run kubectl and return what it printed; it ends the program where it fails."""
    program = build(KUBERNETES, Progress()).parent / "kubectl"
    command = [str(program), "--kubeconfig", str(kubeconfig), *arguments]
    done = subprocess.run(command, input=text, text=True, capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(f"kubectl {' '.join(arguments)} failed:\n{done.stderr}")
    return done.stdout


@contextlib.contextmanager
def server(folder: Path) -> Iterator[None]:
    """Run one PostgreSQL at POD_ADDRESS, with a certificate that all Databases accept.

    The superuser needs one too; of others it trusts every client of this machine's loopback.
    """
    folder.mkdir(mode=0o700)
    account: dict[str, Any] = {}
    if os.getuid() == 0:
        postgres = pwd.getpwnam("postgres")
        account = {"user": postgres.pw_uid, "group": postgres.pw_gid, "extra_groups": []}
        shutil.chown(folder, postgres.pw_uid, postgres.pw_gid)
    programs = _postgres_programs()
    data = folder / "data"
    initdb: list[str | Path] = [programs / "initdb", "-D", data, "-U", "postgres", "--auth=trust"]
    subprocess.run(
        [*initdb, "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8"],
        check=True,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        **account,
    )
    certificate, key, signed_by = _certificates()
    for name, text in {"tls.crt": certificate, "tls.key": key, "ca.crt": signed_by}.items():
        (folder / name).touch(mode=0o600)
        (folder / name).write_text(text)
        if account:
            os.chown(folder / name, account["user"], account["group"])
    rules = data / "pg_hba.conf"
    rules.write_text("hostssl all postgres all cert\n" + rules.read_text())
    options = {
        "ssl": "on",
        "ssl_cert_file": str(folder / "tls.crt"),
        "ssl_key_file": str(folder / "tls.key"),
        "ssl_ca_file": str(folder / "ca.crt"),
        "listen_addresses": POD_ADDRESS,
        "unix_socket_directories": str(folder),
        "fsync": "off",
        "max_connections": "100",
    }
    command: list[str | Path] = [programs / "postgres", "-D", data, "-p", str(POSTGRES_PORT)]
    command += [word for item in options.items() for word in ("-c", "=".join(item))]
    log = folder / "log"
    log.touch()
    if account:
        os.chown(log, account["user"], account["group"])
    with _process(command, log, cwd=folder, **account) as process:
        _wait_for_postgres(process, log)
        yield


@functools.cache
def _issue() -> Any:
    """Return the module that issues certificates, and the authority of all Databases."""
    sys.path.insert(0, str(CHECKOUT / "hack"))
    from collection_root import ensure_collection_root  # noqa: PLC0415

    sys.path.insert(0, str(ensure_collection_root()))
    from ansible_collections.postgres.operator.plugins.module_utils.tls import (  # noqa: PLC0415
        issue,
    )

    return issue, issue.make_authority("bench", datetime.now(UTC))


def _certificates() -> tuple[str, str, str]:
    """Return the server's certificate, its key, and the authority."""
    issue, authority = _issue()
    names = [f"*.{namespace}.svc" for namespace in NAMESPACES]
    pair = issue.issue_server(authority, "bench", names, datetime.now(UTC))
    return pair.certificate, pair.key, authority.certificate


def _postgres_programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    if not found and not on_path:
        raise SystemExit("no PostgreSQL server on this machine: install PostgreSQL 15 or later")
    return found[-1].parent if found else Path(str(on_path)).parent


def _wait_for_postgres(process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while "ready to accept connections" not in log.read_text():
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"PostgreSQL did not start:\n{log.read_text()[-3000:]}")
        time.sleep(0.1)


def api_client(kubeconfig: Path) -> Any:
    """Return a client of kubernetes.client's classes."""
    from kubernetes import client, config  # noqa: PLC0415 (kubectl-only benches need it not)

    configuration = client.Configuration()
    config.load_kube_config(str(kubeconfig), client_configuration=configuration)
    return client.ApiClient(configuration)


class Instances:
    """Follows the StatefulSets of all namespaces and has their instances ready at once."""

    def __init__(self, kubeconfig: Path) -> None:
        from kubernetes import client  # noqa: PLC0415 (kubectl-only benches need it not)

        api = api_client(kubeconfig)
        self._core = client.CoreV1Api(api)
        self._apps = client.AppsV1Api(api)
        self._errors = client.exceptions.ApiException
        self._stopped = threading.Event()
        self.failures: list[str] = []

    def start(self) -> None:
        """Follow in the background until the process ends."""
        for follow in (self._follow_stateful_sets, self._follow_pods):
            threading.Thread(target=self._run, args=(follow,), daemon=True).start()

    def stop(self) -> None:
        """Look no further; what is under way is finished."""
        self._stopped.set()

    def _run(self, follow: Any) -> None:
        while not self._stopped.is_set():
            try:
                follow()
            except Exception as error:
                if self._stopped.is_set():
                    return
                self.failures.append(f"{type(error).__name__}: {error}")
                time.sleep(0.5)

    def _follow_stateful_sets(self) -> None:
        from kubernetes import watch  # noqa: PLC0415

        listing = self._apps.list_stateful_set_for_all_namespaces
        for event in watch.Watch().stream(listing, timeout_seconds=3600):
            if self._stopped.is_set():
                return
            found = event["object"]
            if (
                event["type"] != "DELETED"
                and (found.status.observed_generation or 0) < found.metadata.generation
            ):
                self._make_ready(found)

    def _follow_pods(self) -> None:
        """Make a pod that was deleted again, from the newest revision."""
        from kubernetes import watch  # noqa: PLC0415

        listing = self._core.list_pod_for_all_namespaces
        for event in watch.Watch().stream(listing, timeout_seconds=3600):
            if self._stopped.is_set():
                return
            if event["type"] != "DELETED":
                continue
            metadata = event["object"].metadata
            name = metadata.labels.get("database", "")
            with contextlib.suppress(self._errors):
                found = self._apps.read_namespaced_stateful_set(name, metadata.namespace)
                self._make_instance(found, int(metadata.name.rpartition("-")[2]))

    def _make_ready(self, found: Any) -> None:
        metadata = found.metadata
        for number in range(found.spec.replicas):
            self._make_instance(found, number)
        leader = {"metadata": {"annotations": {"leader": f"{metadata.name}-0"}}}
        self._create_endpoints(metadata.namespace, metadata.name, leader)
        status = {
            "observedGeneration": metadata.generation,
            "replicas": found.spec.replicas,
            "readyReplicas": found.spec.replicas,
            "updateRevision": _revision(found),
            "currentRevision": _revision(found),
        }
        self._apps.patch_namespaced_stateful_set_status(
            metadata.name, metadata.namespace, {"status": status}
        )

    def _make_instance(self, found: Any, number: int) -> None:
        metadata = found.metadata
        name = f"{metadata.name}-{number}"
        report = {
            "role": "replica" if number else "primary",
            "state": "running",
            "timeline": 1,
            "xlog_location": 1,
        } | ({"replication_state": "streaming"} if number else {})
        pod = {
            "metadata": {
                "name": name,
                "labels": found.spec.template.metadata.labels
                | {"controller-revision-hash": _revision(found)},
                "annotations": {"status": json.dumps(report)},
            },
            # What a pod weighs in the API server's answers is its template.
            "spec": self._core.api_client.sanitize_for_serialization(found.spec.template.spec),
        }
        volumes = [
            {"name": "data", "persistentVolumeClaim": {"claimName": f"data-{name}"}},
            *pod["spec"]["volumes"],
        ]
        pod["spec"]["volumes"] = volumes
        self._create_claim(found, f"data-{name}")
        try:
            self._core.create_namespaced_pod(metadata.namespace, pod)
        except self._errors as error:
            if error.status != 409:
                raise
            return
        ready = [
            {"type": kind, "status": "True"}
            for kind in ("PodScheduled", "Initialized", "ContainersReady", "Ready")
        ]
        running = {"state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}
        container = {
            "name": "postgres",
            "image": "-",
            "imageID": "-",
            "ready": True,
            "started": True,
            "restartCount": 0,
        } | running
        status = {
            "phase": "Running",
            "podIP": POD_ADDRESS,
            "podIPs": [{"ip": POD_ADDRESS}],
            "conditions": ready,
            "containerStatuses": [container],
        }
        self._core.patch_namespaced_pod_status(name, metadata.namespace, {"status": status})

    def _create_claim(self, found: Any, name: str) -> None:
        template = self._core.api_client.sanitize_for_serialization(
            found.spec.volume_claim_templates[0]
        )
        template["metadata"]["name"] = name
        template.pop("status", None)
        with contextlib.suppress(self._errors):
            self._core.create_namespaced_persistent_volume_claim(found.metadata.namespace, template)

    def _create_endpoints(self, namespace: str, name: str, patch: Object) -> None:
        try:
            self._core.create_namespaced_endpoints(
                namespace, patch | {"metadata": {"name": name} | patch["metadata"]}
            )
        except self._errors as error:
            if error.status != 409:
                raise
            self._core.patch_namespaced_endpoints(name, namespace, patch)


def _revision(found: Any) -> str:
    return f"{found.metadata.name}-{found.metadata.generation}"


def database(namespace: str, name: str) -> list[Object]:
    """Return a Database and its Secrets: one password and one authority, as they share a server."""
    _, authority = _issue()
    owned = {
        "app": "database",
        "database": name,
        "app.kubernetes.io/managed-by": "postgres-operator",
    }
    authorities = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": f"{name}-ca", "namespace": namespace, "labels": owned},
        "stringData": {"ca.crt": authority.certificate, "ca.key": authority.key},
    }
    credentials = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": f"{name}-credentials", "namespace": namespace},
        "stringData": {"username": "app", "password": "bench"},
    }
    spec = {"databaseName": "app", "username": "app", "storage": {"size": "1Gi"}}
    resource = {
        "apiVersion": "database.example.com/v1",
        "kind": "Database",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec | {"image": "postgres:15"},
    }
    return [credentials, authorities, resource]


def apply(kubeconfig: Path, items: list[Object]) -> None:
    """Apply objects."""
    listing = {"apiVersion": "v1", "kind": "List", "items": items}
    kubectl(kubeconfig, "apply", "--server-side", "-f", "-", text=json.dumps(listing))


def environment(kubeconfig: Path) -> dict[str, str]:
    """Return what the operator, or a run of a role, finds this cluster by."""
    return {
        "KUBECONFIG": str(kubeconfig),
        "POSTGRES_OPERATOR_KUBECONFIG": str(kubeconfig),
        "POSTGRES_OPERATOR_POD_NETWORK": "direct",
        "OPERATOR_IMAGE": "postgres-operator:latest",
    }


@contextlib.contextmanager
def proxy(kubeconfig: Path) -> Iterator[Path]:
    """Run a proxy that speaks plain HTTP, as ansible-operator's does; give its kubeconfig.

    That of ansible-operator answers reads from its memory; this one asks the API server.
    """
    port = free_port()
    path = kubeconfig.with_name("proxy")
    program = build(KUBERNETES, Progress()).parent / "kubectl"
    command: list[str | Path] = [program, "--kubeconfig", kubeconfig, "proxy", f"--port={port}"]
    with _process(command, kubeconfig.with_name("log")):
        _write_kubeconfig(path, {"server": f"http://127.0.0.1:{port}"}, {})
        _wait_for_api(program, path, kubeconfig.with_name("log"))
        yield path


@contextlib.contextmanager
def cluster() -> Iterator[tuple[Path, Instances]]:
    """Run all of it, with the CRDs installed, and remove it at the end."""
    # A kill is to remove it as well.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="stand-in-", dir="/tmp"))
    # PostgreSQL's own user has to reach its folder.
    folder.chmod(0o711)
    try:
        with control(folder / "control") as kubeconfig, server(folder / "postgres"):
            kubectl(kubeconfig, "apply", "--server-side", "-k", str(CHECKOUT / "crds"))
            crds = "--for=condition=Established"
            kubectl(kubeconfig, "wait", crds, "crd", "--all", "--timeout=30s")
            instances = Instances(kubeconfig)
            instances.start()
            try:
                yield kubeconfig, instances
            finally:
                instances.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    """Run it until it is interrupted, for a look by hand."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--databases", type=int, default=1, help="Databases to make, b-0 and so on")
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with cluster() as (kubeconfig, instances):
        names = [f"b-{number}" for number in range(options.databases)]
        apply(kubeconfig, [item for name in names for item in database("default", name)])
        print(f"export KUBECONFIG={kubeconfig}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()
        print("\n".join(instances.failures[:5]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
