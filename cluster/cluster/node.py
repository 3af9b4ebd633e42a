"""A node: containerd, kubelet and kube-proxy on a machine of its own."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from cluster import archive
from cluster.builds import KUBERNETES, binary
from cluster.errors import ClusterError
from cluster.images import PAUSE_IMAGE
from cluster.machine import Machine
from cluster.pki import Pki
from cluster.shell import run
from cluster.state import DNS_ADDRESS

DAEMONS = ("containerd", "kubelet", "kube-proxy")
RUNTIME_SECONDS = 20.0
CTR = ("ctr", "--namespace", "k8s.io")

CONTAINERD_CONFIG = """\
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.internal.v1.opt",
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
]

[grpc]
address = "/run/containerd/containerd.sock"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{sandbox}"
# Where the power to lower a process's out-of-memory score is missing, runc fails without this.
restrict_oom_score_adj = true
enable_unprivileged_ports = true

[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
default_runtime_name = "runc"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{networks}"
"""


def start(machine: Machine, pki: Pki) -> None:
    """Start every daemon that does not run."""
    pki.issue_node(machine.name, str(machine.address))
    settings = machine.folder / "etc"
    networks = settings / "net.d"
    networks.mkdir(parents=True, exist_ok=True)
    _write(networks / "10-pods.conflist", network_config(machine))
    containerd = settings / "containerd.toml"
    containerd.write_text(CONTAINERD_CONFIG.format(sandbox=PAUSE_IMAGE, networks=networks))
    (settings / "resolv.conf").write_text("")
    _write(settings / "kubelet.json", kubelet_config(machine, pki))
    _write(settings / "kube-proxy.json", proxy_config(machine, pki))

    machine.start_daemon("containerd", ["containerd", "--config", containerd])
    machine.start_daemon(
        "kube-proxy",
        [binary(KUBERNETES, "kube-proxy"), f"--config={settings / 'kube-proxy.json'}",
         f"--hostname-override={machine.name}"],
    )  # fmt: skip
    _await_runtime(machine)
    machine.start_daemon(
        "kubelet",
        [
            binary(KUBERNETES, "kubelet"),
            f"--config={settings / 'kubelet.json'}",
            f"--kubeconfig={pki.kubeconfig(machine.name)}",
            f"--hostname-override={machine.name}",
            f"--node-ip={machine.address}",
        ],
    )


def _await_runtime(machine: Machine) -> None:
    """Wait for containerd: kubelet gives up without it."""
    deadline = time.monotonic() + RUNTIME_SECONDS
    while True:
        try:
            machine.execute([*CTR, "version"])
            return
        except ClusterError as error:
            if time.monotonic() > deadline or not machine.runs("containerd"):
                raise ClusterError(
                    f"containerd of {machine.name} does not answer", machine.log("containerd")
                ) from error
            time.sleep(0.1)


def image_names(machine: Machine) -> set[str]:
    """List the images that a node has."""
    return set(machine.execute([*CTR, "images", "list", "--quiet"]).split())


def import_archive(machine: Machine, path: Path) -> None:
    """Import an archive unless the node has its images."""
    names = set(archive.names_in(path))
    if not names or not names <= image_names(machine):
        with path.open("rb") as content:
            import_images(machine, content)


def import_images(machine: Machine, content: IO[bytes]) -> None:
    """Import an archive from an open file: a machine does not see all of the host's folders."""
    run([*machine.enter([*CTR, "images", "import", "-"])], stdin=content)


def network_config(machine: Machine) -> Mapping[str, Any]:
    """Configure pod networking: a routed cable per pod, addresses from the node's subnet."""
    subnet = machine.cluster.pod_subnet(machine.number)
    return {
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [
            {
                "type": "ptp",
                "ipMasq": False,
                "ipam": {
                    "type": "host-local",
                    "dataDir": "/var/lib/cni/networks",
                    "ranges": [[{"subnet": str(subnet)}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def kubelet_config(machine: Machine, pki: Pki) -> Mapping[str, Any]:
    """Configure kubelet."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(pki.certificate("ca"))},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(pki.certificate(machine.name)),
        "tlsPrivateKeyFile": str(pki.key(machine.name)),
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": machine.group,
        "clusterDNS": [str(DNS_ADDRESS)],
        "clusterDomain": "cluster.local",
        "resolvConf": str(machine.folder / "etc" / "resolv.conf"),
        "failSwapOn": False,
        "failCgroupV1": False,
        "oomScoreAdj": 0,
        # The disk is shared with the host: how full it is says nothing about the node.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {
            "imagefs.available": "0%",
            "nodefs.available": "0%",
            "nodefs.inodesFree": "0%",
        },
        "serializeImagePulls": False,
    }


def proxy_config(machine: Machine, pki: Pki) -> Mapping[str, Any]:
    """Configure kube-proxy."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(pki.kubeconfig("kube-proxy"))},
        "mode": "iptables",
        "clusterCIDR": str(machine.cluster.pod_network),
        "detectLocalMode": "ClusterCIDR",
        "oomScoreAdj": 0,
        # The limits of connection tracking are the host's to set.
        "conntrack": {"maxPerCore": 0, "min": 0},
        "iptables": {"minSyncPeriod": "0s"},
    }


def _write(path: Path, document: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=2) + "\n")
