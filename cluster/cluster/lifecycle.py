"""Bringing a cluster up, taking it down, and everything in between."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from cluster import (
    addons,
    cgroups,
    control_plane,
    dns_probe,
    images,
    leftovers,
    network,
    node,
    packages,
    postgres_images,
    state,
)
from cluster.api import Api, wait_for
from cluster.builds import KUBERNETES, PAUSE, binary, build, version
from cluster.errors import ClusterError
from cluster.machine import Machine, machines
from cluster.paths import STATE_ROOT, cache_root, kubeconfig_path, kubectl_link, link, local_root
from cluster.pki import Pki
from cluster.progress import Progress
from cluster.shell import run, succeeds
from cluster.state import DNS_ADDRESS, Cluster

API_SECONDS = 180.0
NODE_SECONDS = 180.0
ADDON_SECONDS = 90.0
API_NAME = "kubernetes.default.svc.cluster.local"


def up(name: str, nodes: int | None, progress: Progress) -> None:
    """Bring a cluster up: make it, or start whatever of it does not run."""
    _require_root()
    state.check_name(name)
    if nodes is not None and not 1 <= nodes <= state.MAX_NODES:
        raise ClusterError(f"a cluster has 1 to {state.MAX_NODES} nodes, not {nodes}")
    install_packages(progress)
    with ThreadPoolExecutor(max_workers=8) as pool:
        stand_ins = [
            pool.submit(postgres_images.archives, postgres, progress)
            for postgres in postgres_images.POSTGRES
        ]
        system = pool.submit(images.system_archive, progress)
        build(KUBERNETES, progress)
        build(PAUSE, progress)
        with state.lock(f"cluster-{name}"):
            cluster = _record(name, nodes)
            pki = _prepare(cluster, progress)
            _start(cluster, pki, system, stand_ins, pool, progress)
    progress.say(
        f"cluster {name} is up: export KUBECONFIG={kubeconfig_path(name)}; {kubectl_link()}"
    )


def install_packages(progress: Progress) -> None:
    """Install the Debian packages that clusters, and a build of the operator's image, need."""
    _require_root()
    os.environ["PATH"] = packages.SEARCH_PATH
    with state.lock("packages"):
        log = cache_root() / "log" / "packages.log"
        packages.install(packages.missing_packages(), progress, log)


def _record(name: str, nodes: int | None) -> Cluster:
    """Find the cluster's record, or make it."""
    cluster = state.load(name)
    if cluster is None:
        # What an unclean end left without a readable record is of no further use.
        _erase(name)
        return state.create(name, nodes or 1)
    nodes = nodes or cluster.nodes
    if nodes < cluster.nodes:
        raise ClusterError(
            f"cluster {name} has {cluster.nodes} nodes; to make it smaller take it down first"
        )
    if nodes > cluster.nodes:
        cluster = replace(cluster, nodes=nodes)
        cluster.save()
    return cluster


def _prepare(cluster: Cluster, progress: Progress) -> Pki:
    """Make what outlives the processes: certificates, kubeconfig, bridge, control groups."""
    pki = Pki(cluster)
    with progress.step("certificates, kubeconfig and network"):
        pki.issue_all()
        pki.write_kubeconfig(kubeconfig_path(cluster.name), "admin")
        link(kubectl_link(), binary(KUBERNETES, "kubectl"))
        cgroups.ensure_mounted()
        network.ensure_bridge(cluster)
    return pki


def _start(
    cluster: Cluster,
    pki: Pki,
    system: Future[Path],
    stand_ins: list[Future[list[Path]]],
    pool: ThreadPoolExecutor,
    progress: Progress,
) -> None:
    """Start every machine and daemon that does not run, and wait until all is ready."""
    control, *nodes = machines(cluster)
    # After an unclean end the API server still remembers what was well before it.
    since = 0.0
    for machine in (control, *nodes):
        if not machine.complete(_daemons(machine)):
            since = time.time()
        if machine.init() is None:
            with progress.step(f"start machine {machine.name}"):
                machine.start(binary(PAUSE))
        else:
            machine.connect()
    control_plane.start_api(control, pki)
    api = Api(pki)
    starts = [pool.submit(_start_node, machine, pki, system) for machine in nodes]
    with progress.step("API server ready"):
        _await(api.ready, API_SECONDS, "the API server is not ready", control, "kube-apiserver")
    control_plane.start_controllers(control, pki)
    wanted = {machine.name for machine in nodes}
    with progress.step(f"{len(wanted)} node(s) Ready"):
        _await(
            lambda: wanted <= api.ready_nodes(since) or any(_failed(job) for job in starts),
            NODE_SECONDS,
            "not every node is Ready",
            nodes[0],
            "kubelet",
        )
    # Pods whose image is yet to be built would be tried ever more seldom.
    with progress.step("every node has the system images"):
        for job in starts:
            job.result()
    imports = [
        pool.submit(_import_stand_in, machine, stand_in, progress)
        for machine in nodes
        for stand_in in stand_ins
    ]
    with progress.step("apply name service and storage"):
        addons.apply(pki)
    with progress.step("names are answered on every node"):
        for machine in nodes:
            _await(
                partial(_answers_names, machine),
                ADDON_SECONDS,
                f"no name service on {machine.name}: see `kubectl -n kube-system describe pods`",
                machine,
                "kube-proxy",
            )
    for namespace, name in addons.DEPLOYMENTS:
        with progress.step(f"{name} available"):
            _await(
                partial(api.deployed, namespace, name),
                ADDON_SECONDS,
                f"{name} is not available: see `kubectl -n {namespace} describe pods`",
                nodes[0],
                "kubelet",
            )
    for job in imports:
        job.result()


def _answers_names(machine: Machine) -> bool:
    probe = [sys.executable, dns_probe.__file__, str(DNS_ADDRESS), API_NAME]
    return succeeds(machine.enter(probe))


def _daemons(machine: Machine) -> tuple[str, ...]:
    return node.DAEMONS if machine.is_node else control_plane.DAEMONS


def _start_node(machine: Machine, pki: Pki, system: Future[Path]) -> None:
    """Start a node and give it the images of what every cluster runs."""
    node.start(machine, pki)
    node.import_archive(machine, system.result())


def _import_stand_in(machine: Machine, stand_in: Future[list[Path]], progress: Progress) -> None:
    """Give a node the images of one major version of PostgreSQL."""
    for path in stand_in.result():
        with progress.step(f"{machine.name} has {path.stem.rsplit('-', 1)[0]}"):
            node.import_archive(machine, path)


def _failed(job: Future[None]) -> bool:
    """Re-raise a job's error as soon as there is one."""
    if job.done():
        job.result()
    return False


def _await(
    question: Callable[[], bool], seconds: float, complaint: str, machine: Machine, daemon: str
) -> None:
    if not wait_for(question, seconds):
        raise ClusterError(f"{complaint} after {seconds:g} s", machine.log(daemon))


def down(name: str, progress: Progress) -> None:
    """End a cluster and leave nothing of it."""
    _require_root()
    state.check_name(name)
    os.environ["PATH"] = packages.SEARCH_PATH
    with state.lock(f"cluster-{name}"), progress.step(f"cluster {name} down"):
        _erase(name)
        kubeconfig = kubeconfig_path(name)
        kubeconfig.unlink(missing_ok=True)
        if kubeconfig.parent != local_root():
            # A folder that holds something else as well is its owner's.
            with suppress(OSError):
                kubeconfig.parent.rmdir()


def _erase(name: str) -> None:
    """End processes, then remove control groups, network and files, in this order."""
    group = cgroups.group_name(name)
    cgroups.kill(group)
    cgroups.remove(group)
    cgroups.remove_root_if_empty()
    network.remove_all(name)
    for target in leftovers.mounts_below(STATE_ROOT / name):
        run(["umount", "--lazy", target])
    if (STATE_ROOT / name).exists():
        shutil.rmtree(STATE_ROOT / name)
    if left := leftovers.find(name):
        raise ClusterError(f"cluster {name} left something behind: {'; '.join(left)}")


def load(name: str, image: str, progress: Progress) -> None:
    """Give every node an image: of buildah's, of Docker's, or an archive file."""
    cluster = _existing(name)
    for machine in machines(cluster):
        if machine.is_node:
            with (
                progress.step(f"{machine.name} has {image}"),
                images.exported(image, progress) as content,
            ):
                node.import_images(machine, content)


def status(name: str) -> str:
    """Describe a cluster: its machines and daemons, its nodes, and how to reach it."""
    cluster = _existing(name)
    api = Api(Pki(cluster))
    ready = api.ready_nodes()
    containerd = run(["containerd", "--version"]).split()[2]
    lines = [
        f"cluster     {name} ({cluster.nodes} node(s), {cluster.network})",
        f"kubernetes  {version(KUBERNETES)}, containerd {containerd}",
        f"api         {cluster.api_url} ({'ready' if api.ready() else 'NOT READY'})",
        f"kubeconfig  {kubeconfig_path(name)}",
        f"logs        {cluster.folder}/machines/MACHINE/log/",
    ]
    for machine in machines(cluster):
        states = [
            f"{daemon} {'ok' if machine.runs(daemon) else 'DOWN'}" for daemon in _daemons(machine)
        ]
        if machine.is_node:
            states.append("Ready" if machine.name in ready else "NOT READY")
        lines.append(f"{machine.name:<14}{machine.address}  {', '.join(states)}")
    for namespace, deployment in addons.DEPLOYMENTS:
        word = "available" if api.deployed(namespace, deployment) else "NOT AVAILABLE"
        lines.append(f"{deployment:<24}{word}")
    return "\n".join(lines)


def unwell(text: str) -> bool:
    """Return whether `status` has found something that should be mended."""
    return "NOT " in text or "DOWN" in text


def machine_named(name: str, machine_name: str) -> Machine:
    """Find a machine of a cluster."""
    found = machines(_existing(name))
    for machine in found:
        if machine.name == machine_name:
            return machine
    names = ", ".join(machine.name for machine in found)
    raise ClusterError(f"cluster {name} has no machine {machine_name}; it has {names}")


def start_machine(name: str, machine_name: str) -> None:
    """Switch one machine on again."""
    machine = machine_named(name, machine_name)
    pki = Pki(machine.cluster)
    if machine.init() is None:
        machine.start(binary(PAUSE))
    if machine.is_node:
        node.start(machine, pki)
        return
    control_plane.start_api(machine, pki)
    _await(Api(pki).ready, API_SECONDS, "the API server is not ready", machine, "kube-apiserver")
    control_plane.start_controllers(machine, pki)


def _existing(name: str) -> Cluster:
    _require_root()
    os.environ["PATH"] = packages.SEARCH_PATH
    cluster = state.load(state.check_name(name))
    if cluster is None:
        known = ", ".join(other.name for other in state.all_clusters()) or "none"
        raise ClusterError(f"there is no cluster {name} (there are: {known}); make it with `up`")
    return cluster


def _require_root() -> None:
    if os.geteuid() != 0:
        raise ClusterError("run this as root: it makes namespaces, mounts and network devices")
