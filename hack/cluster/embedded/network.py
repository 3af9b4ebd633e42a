"""The one device that a cluster adds to the host: its bridge."""

from __future__ import annotations

from pathlib import Path

from embedded.errors import ClusterError
from embedded.shell import run
from embedded.state import Cluster


def ensure_bridge(cluster: Cluster) -> None:
    """Make the cluster's bridge, with the host's address on it."""
    if not _exists(cluster.bridge):
        run(["ip", "link", "add", cluster.bridge, "type", "bridge"])
    address = f"{cluster.host_address}/{cluster.machine_network.prefixlen}"
    run(["ip", "address", "replace", address, "dev", cluster.bridge])
    run(["ip", "link", "set", cluster.bridge, "up"])


def remove_bridge(cluster: Cluster) -> None:
    """Remove the bridge and the host's ends of all cables."""
    # A dead machine's end goes with its namespace, but the kernel takes its time over that.
    for link in sorted(Path("/sys/class/net").glob(f"{cluster.bridge}n[0-9]")):
        remove(link.name)
    remove(cluster.bridge)


def _exists(name: str) -> bool:
    return Path("/sys/class/net", name).exists()


def remove(name: str) -> None:
    """Remove a device, if it is still there."""
    if not _exists(name):
        return
    try:
        run(["ip", "link", "delete", name])
    except ClusterError:
        # It may have gone by itself meanwhile; only one that stays is an error.
        if _exists(name):
            raise
