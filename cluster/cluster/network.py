"""The one device that a cluster adds to the host: its bridge."""

from __future__ import annotations

from pathlib import Path

from cluster.errors import ClusterError
from cluster.shell import run
from cluster.state import Cluster

DEVICES = Path("/sys/class/net")


def ensure_bridge(cluster: Cluster) -> None:
    """Make the cluster's bridge, with the host's address on it."""
    if not _exists(cluster.bridge):
        run(["ip", "link", "add", cluster.bridge, "type", "bridge"])
    # The label tells whose bridge this is even when the cluster's record is lost.
    run(["ip", "link", "set", cluster.bridge, "alias", _label(cluster.name)])
    address = f"{cluster.host_address}/{cluster.machine_network.prefixlen}"
    run(["ip", "address", "replace", address, "dev", cluster.bridge])
    run(["ip", "link", "set", cluster.bridge, "up"])


def devices(name: str) -> list[str]:
    """Find a cluster's bridge and the host's ends of its cables, the bridge last."""
    bridges = [path.parent.name for path in DEVICES.glob("*/ifalias") if _has_label(path, name)]
    cables = [path.name for bridge in bridges for path in DEVICES.glob(f"{bridge}n[0-9]")]
    return [*sorted(cables), *bridges]


def remove_all(name: str) -> None:
    """Remove every device of a cluster."""
    # A dead machine's end goes with its namespace, but the kernel takes its time over that.
    for device in devices(name):
        remove(device)


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


def _exists(name: str) -> bool:
    return (DEVICES / name).exists()


def _label(name: str) -> str:
    return f"postgres-operator-cluster {name}"


def _has_label(path: Path, name: str) -> bool:
    try:
        return path.read_text().strip() == _label(name)
    except OSError:
        return False
