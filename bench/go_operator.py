"""make bench-go-operator: a reconcile of an unchanged cluster, beside one of an operator in Go.

The other is CloudNativePG, built from its Go module (bench/go) and deployed from the manifest in
it, in a namespace that is gone afterwards. Both operators have one healthy cluster of one instance
of the same PostgreSQL image, and are made to reconcile it about once a second. Changed in the
manifest are the image's name, which no registry has, and the limit of a tenth of a core, which
would be all that is measured.

- *reconcile*: the mean, as each operator's controller-runtime counts it. A reconcile of ours that
  has to wait in the warm runner counts in full.
- *CPU*: of the operator's pod with all its processes, as the kubelet counts it, for each reconcile;
  leader election, watches and probes are in it.

CloudNativePG reads from its caches and asks the instance by HTTP. Ours asks the API server and
PostgreSQL anew every time. Needs a cluster of `make cluster-up` with the operator deployed, and
nothing else running.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import re
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from lifecycle import KUBECTL, Namespace, database, kubectl
from stand_in import free_port

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT / "cluster"))
from cluster.progress import Progress  # noqa: E402

from cluster import archive, builds, images  # noqa: E402

MODULE = "github.com/cloudnative-pg/cloudnative-pg"
CLOUDNATIVE_PG = builds.Program(
    "cloudnative-pg",
    package=f"{MODULE}/cmd/manager",
    module=MODULE,
    sources=CHECKOUT / "bench" / "go",
)
IMAGE = f"cluster.local/cloudnative-pg:{builds.version(CLOUDNATIVE_PG)}"
COUNTS = re.compile(r"^controller_runtime_reconcile_time_seconds_(sum|count)\{(.*)\} (\S+)$", re.M)
# The kubelet reads a pod's CPU every 10 to 15 s.
READ_SECONDS = 20.0


@dataclass(frozen=True)
class Operator:
    """An operator that runs on the cluster.

    Attributes:
        controller: the name under which it counts the reconciles of a PostgreSQL cluster.
        port: of its metrics.
        token: to read them, where they ask for one.
    """

    name: str
    namespace: str
    selector: str
    controller: str
    port: int
    token: str = ""

    def pod(self) -> dict[str, Any]:
        """Return its pod."""
        found = kubectl("-n", self.namespace, "get", "pods", "-l", self.selector, "-o", "json")
        pods = json.loads(found)["items"]
        if len(pods) != 1:
            raise SystemExit(f"{len(pods)} pods of {self.selector} in {self.namespace}, not 1")
        pod: dict[str, Any] = pods[0]
        return pod

    def cpu(self) -> tuple[float, float]:
        """Return the CPU seconds of its pod so far, and when that was, in seconds of the epoch."""
        pod = self.pod()
        node = pod["spec"]["nodeName"]
        summary = json.loads(kubectl("get", "--raw", f"/api/v1/nodes/{node}/proxy/stats/summary"))
        for found in summary["pods"]:
            if found["podRef"]["uid"] == pod["metadata"]["uid"]:
                when = datetime.datetime.fromisoformat(found["cpu"]["time"])
                return found["cpu"]["usageCoreNanoSeconds"] / 1e9, when.timestamp()
        raise SystemExit(f"the kubelet of {node} tells nothing of pod {pod['metadata']['name']}")

    def reconciles(self) -> tuple[float, float]:
        """Return how many reconciles of clusters it has done, and how many seconds they took."""
        with forwarded(self.namespace, self.pod()["metadata"]["name"], self.port) as port:
            scheme = "https" if self.token else "http"
            request = urllib.request.Request(f"{scheme}://127.0.0.1:{port}/metrics")  # noqa: S310
            context = None
            if self.token:
                request.add_header("Authorization", f"Bearer {self.token}")
                # Its certificate is of its own making, and the way to it is the API server's.
                context = ssl._create_unverified_context()  # noqa: S323
            with urllib.request.urlopen(request, context=context, timeout=10) as answer:  # noqa: S310
                text = answer.read().decode()
        figures = {
            what: float(value)
            for what, labels, value in COUNTS.findall(text)
            if f'controller="{self.controller}"' in labels
        }
        return figures["count"], figures["sum"]


@contextlib.contextmanager
def forwarded(namespace: str, pod: str, port: int) -> Iterator[int]:
    """Lend a port of this machine that leads to a pod's."""
    local = free_port()
    command = [KUBECTL, "-n", namespace, "port-forward", f"pod/{pod}", f"{local}:{port}"]
    # What it says of connections that end is noise.
    forward = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        if forward.stdout is None or not forward.stdout.readline():
            raise SystemExit(f"port {port} of pod {pod} in {namespace} cannot be reached")
        yield local
    finally:
        forward.terminate()
        forward.wait()


@contextlib.contextmanager
def cloudnative_pg(cluster_name: str) -> Iterator[Operator]:
    """Run CloudNativePG until the context ends; take all that it brought away again."""
    progress = Progress()
    program = builds.build(CLOUDNATIVE_PG, progress)
    with images.scratch() as folder:
        layer, image = folder / "layer.tar", folder / "image.tar"
        name = f"/operator/manager_{archive.architecture()}"
        archive.pack_layer(layer, {name: program}, {"/manager": name.removeprefix("/")})
        archive.write(image, layer, [archive.Image([IMAGE], {"Entrypoint": ["/manager"]})])
        load = ["cluster", "load", "--name", cluster_name, str(image)]
        subprocess.run([sys.executable, *load], cwd=CHECKOUT, check=True)
    manifest = yaml.safe_dump_all(_manifest())
    try:
        kubectl("apply", "--server-side", "-f", "-", text=manifest)
        kubectl(
            *("-n", "cnpg-system", "rollout", "status", "--timeout=180s"),
            "deployment/cnpg-controller-manager",
        )
        yield Operator(
            "CloudNativePG " + builds.version(CLOUDNATIVE_PG),
            "cnpg-system",
            "app.kubernetes.io/name=cloudnative-pg",
            "cluster",
            8080,
        )
    finally:
        kubectl("delete", "--ignore-not-found", "--timeout=180s", "-f", "-", text=manifest)


def _manifest() -> list[dict[str, Any]]:
    """Return CloudNativePG's own manifest, for an image of this machine and all of a core."""
    go = ["go", "list", "-m", "-f", "{{.Dir}}", MODULE]
    folder = subprocess.run(
        go, cwd=CLOUDNATIVE_PG.sources, capture_output=True, text=True, check=True
    ).stdout.strip()
    version = builds.version(CLOUDNATIVE_PG).removeprefix("v")
    text = (Path(folder) / "releases" / f"cnpg-{version}.yaml").read_text()
    objects: list[dict[str, Any]] = [found for found in yaml.safe_load_all(text) if found]
    deployment = next(found for found in objects if found["kind"] == "Deployment")
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    container["image"] = IMAGE
    container["imagePullPolicy"] = "IfNotPresent"
    del container["resources"]["limits"]["cpu"]
    for variable in container["env"]:
        if variable["name"] == "OPERATOR_IMAGE_NAME":
            variable["value"] = IMAGE
    return objects


@contextlib.contextmanager
def ours(namespace: Namespace) -> Iterator[Operator]:
    """Lend our operator, with a token that may read its metrics until the context ends."""
    namespace.kubectl("create", "serviceaccount", "reader")
    account = f"--serviceaccount={namespace.name}:reader"
    role = "--clusterrole=postgres-operator-metrics-reader"
    binding = ("clusterrolebinding", namespace.name)
    kubectl("create", *binding, role, account)
    try:
        token = namespace.kubectl("create", "token", "reader", "--duration=1h").strip()
        selector = "control-plane=controller-manager"
        controller = "database-v1-controller"
        yield Operator("ours", "postgres-operator-system", selector, controller, 8443, token)
    finally:
        kubectl("delete", *binding)


def measure(running: Operator, poke: Callable[[int], None], seconds: float) -> list[str]:
    """Make it reconcile about once a second; return the columns of its row."""
    poke(0)
    time.sleep(READ_SECONDS)
    cpu, when = running.cpu()
    count, total = running.reconciles()
    begun = time.monotonic()
    for number in range(1, int(seconds) + 1):
        poke(number)
        time.sleep(max(0.0, begun + number - time.monotonic()))
    reconciles, spent = running.reconciles()
    elapsed = time.monotonic() - begun
    cpu_after, when_after = running.cpu()
    done = reconciles - count
    each = (cpu_after - cpu) / (when_after - when) / (done / elapsed)
    return [f"{done:.0f}", f"{(spent - total) / done * 1000:.0f}", f"{each * 1000:.0f}"]


def bench_cloudnative_pg(options: argparse.Namespace, namespace: Namespace) -> list[str]:
    """Measure CloudNativePG; return the columns of its row."""
    with cloudnative_pg(options.cluster) as running:
        spec = {
            "instances": 1,
            "imageName": options.image,
            "imagePullPolicy": "IfNotPresent",
            "postgresUID": 999,
            "postgresGID": 999,
            "storage": {"size": "1Gi"},
        }
        manifest = {
            "apiVersion": "postgresql.cnpg.io/v1",
            "kind": "Cluster",
            "metadata": {"name": "theirs"},
            "spec": spec,
        }
        namespace.kubectl("apply", "-f", "-", text=json.dumps(manifest))
        namespace.kubectl("wait", "--for=condition=Ready", "cluster/theirs", "--timeout=300s")

        def poke(number: int) -> None:
            namespace.kubectl("annotate", "--overwrite", "cluster/theirs", f"bench/look={number}")

        row = measure(running, poke, options.seconds)
        namespace.kubectl("delete", "cluster/theirs", "--timeout=120s")
        return [running.name, *row]


def bench_ours(options: argparse.Namespace, namespace: Namespace) -> list[str]:
    """Measure our operator; return the columns of its row."""
    namespace.until("Database", "ours", "Ready", database(1, options.image))
    period = "ansible.sdk.operatorframework.io/reconcile-period=1s"

    def poke(number: int) -> None:
        if number == 0:
            namespace.kubectl("annotate", "database/ours", period)
            # An annotation does not wake it, but a change of one of its objects does.
            namespace.kubectl("label", "service/ours", "bench=look")

    with ours(namespace) as running:
        return [running.name, *measure(running, poke, options.seconds)]


def main() -> int:
    """Measure both and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cluster", default="demo", help="name of the cluster (make cluster-up)")
    parser.add_argument("--image", default="postgres:17", help="PostgreSQL's image, of both")
    parser.add_argument("--seconds", type=float, default=120)
    options = parser.parse_args()
    namespace = Namespace()
    try:
        rows = [bench_ours(options, namespace), bench_cloudnative_pg(options, namespace)]
    finally:
        namespace.kubectl("delete", "namespace", namespace.name, "--timeout=180s")
    print("| operator | reconciles | mean ms | CPU ms each |\n|---|---|---|---|")
    for row in rows:
        print(f"| {' | '.join(row)} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
