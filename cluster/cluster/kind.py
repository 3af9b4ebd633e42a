"""The same commands on kind, for a machine that has Docker."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from cluster import images, packages, postgres_images
from cluster.builds import KUBERNETES, binary, build
from cluster.errors import ClusterError
from cluster.paths import cache_root, kubeconfig_path, kubectl_link, link
from cluster.progress import Progress
from cluster.shell import run, succeeds

READY_SECONDS = "180s"


def up(name: str, nodes: int | None, progress: Progress) -> None:
    """Make a cluster, or start its containers again, and give it the PostgreSQL images."""
    _require()
    if name not in _clusters():
        with progress.step(f"kind create cluster {name}", long=True):
            run(
                ["kind", "create", "cluster", "--name", name, "--config", "-",
                 "--kubeconfig", kubeconfig_path(name), "--wait", READY_SECONDS],
                stdin=json.dumps(configuration(nodes or 1)),
            )  # fmt: skip
    else:
        present = _nodes(name)
        if nodes is not None and len(configuration(nodes)["nodes"]) != len(present):
            raise ClusterError(f"kind cluster {name} has another number of nodes: `down` first")
        with progress.step(f"start the containers of {name}"):
            run(["docker", "start", *present])
            run(["kind", "export", "kubeconfig", "--name", name,
                 "--kubeconfig", kubeconfig_path(name)])  # fmt: skip
    link(kubectl_link(), _kubectl(progress))
    for postgres in postgres_images.POSTGRES:
        with progress.step(f"postgres:{postgres.major}", long=True):
            _give(name, postgres, progress)
    with progress.step("nodes Ready"):
        run([kubectl_link(), "--kubeconfig", kubeconfig_path(name), "wait", "nodes", "--all",
             "--for=condition=Ready", f"--timeout={READY_SECONDS}"])  # fmt: skip
    progress.say(f"cluster {name} is up: export KUBECONFIG={kubeconfig_path(name)}")


def install_packages(progress: Progress) -> None:
    """Install nothing: Docker has all that is needed."""


def down(name: str, progress: Progress) -> None:
    """Delete a cluster."""
    _require()
    with progress.step(f"kind delete cluster {name}"):
        run(["kind", "delete", "cluster", "--name", name])
        kubeconfig_path(name).unlink(missing_ok=True)


def status(name: str) -> str:
    """Describe a cluster."""
    _require()
    _existing(name)
    nodes = run(
        [kubectl_link(), "--kubeconfig", kubeconfig_path(name), "get", "nodes", "-o", "wide"]
    )
    return f"cluster     {name} (kind)\nkubeconfig  {kubeconfig_path(name)}\n{nodes}".rstrip()


def load(name: str, image: str, progress: Progress) -> None:
    """Give every node an image: of Docker's or buildah's, or an archive file."""
    _require()
    _existing(name)
    with progress.step(f"load {image}"), images.scratch() as folder:
        path = Path(image)
        if not path.is_file():
            path = folder / "image.tar"
            with images.exported(image, progress) as content, path.open("wb") as output:
                shutil.copyfileobj(content, output)
        run(["kind", "load", "image-archive", path, "--name", name])


def configuration(nodes: int) -> dict[str, Any]:
    """Describe a kind cluster of so many nodes that run pods."""
    # With workers beside it, kind's control plane runs no pods.
    workers = nodes if nodes > 1 else 0
    roles = ["control-plane", *["worker"] * workers]
    return {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "nodes": [{"role": role} for role in roles],
    }


def _give(name: str, postgres: postgres_images.Postgres, progress: Progress) -> None:
    """Load the official images where Docker can pull them, else the stand-ins."""
    if all(succeeds(["docker", "pull", "--quiet", tag]) for tag in postgres.names):
        run(["kind", "load", "docker-image", "--name", name, *postgres.names])
        return
    packages.install(packages.missing_packages(), progress, cache_root() / "log" / "packages.log")
    for path in postgres_images.archives(postgres, progress):
        run(["kind", "load", "image-archive", path, "--name", name])


def _kubectl(progress: Progress) -> Path:
    """Take the machine's kubectl, or build one where it has none."""
    found = shutil.which("kubectl")
    if found:
        return Path(found)
    build(KUBERNETES, progress)
    return binary(KUBERNETES, "kubectl")


def _clusters() -> list[str]:
    return run(["kind", "get", "clusters", "--quiet"]).split()


def _nodes(name: str) -> list[str]:
    return run(["kind", "get", "nodes", "--quiet", "--name", name]).split()


def _existing(name: str) -> None:
    if name not in _clusters():
        raise ClusterError(f"there is no kind cluster {name}; make it with `up --provider kind`")


def _require() -> None:
    for program in ("docker", "kind"):
        if shutil.which(program) is None:
            raise ClusterError(f"--provider kind needs {program} on the PATH")
    if not succeeds(["docker", "info"]):
        raise ClusterError("Docker does not answer: start it, or use --provider embedded")
