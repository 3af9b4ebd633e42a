"""What is known of each cluster: its name, size and addresses, kept in its state folder."""

from __future__ import annotations

import fcntl
import ipaddress
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from cluster.errors import ClusterError
from cluster.paths import STATE_ROOT
from cluster.shell import run

NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,28}[a-z0-9])?")
MAX_NODES = 9
FIRST_BLOCK = 200
LAST_BLOCK = 249
SERVICE_SUBNET = ipaddress.IPv4Network("10.96.0.0/16")
"""Service addresses exist only inside a cluster's own network namespaces: all may share them."""
DNS_ADDRESS = SERVICE_SUBNET[10]
API_SERVICE_ADDRESS = SERVICE_SUBNET[1]


@dataclass(frozen=True)
class Cluster:
    """A cluster's name and size, and the block 10.BLOCK.0.0/16 that is all its own."""

    name: str
    nodes: int
    block: int

    @property
    def folder(self) -> Path:
        """Everything of this cluster on disk."""
        return STATE_ROOT / self.name

    @property
    def logs(self) -> Path:
        """Logs of the command's own steps; each machine has its own folder besides."""
        return self.folder / "logs"

    @property
    def network(self) -> ipaddress.IPv4Network:
        """The whole block."""
        return ipaddress.IPv4Network(f"10.{self.block}.0.0/16")

    @property
    def pod_network(self) -> ipaddress.IPv4Network:
        """All pods of the cluster."""
        return ipaddress.IPv4Network(f"10.{self.block}.0.0/17")

    @property
    def machine_network(self) -> ipaddress.IPv4Network:
        """The machines, and the host on the cluster's bridge."""
        return ipaddress.IPv4Network(f"10.{self.block}.255.0/24")

    @property
    def host_address(self) -> ipaddress.IPv4Address:
        """The host, as the cluster sees it."""
        return self.machine_network[1]

    @property
    def api_address(self) -> ipaddress.IPv4Address:
        """The control plane's machine."""
        return self.machine_network[2]

    @property
    def api_url(self) -> str:
        """The API server, from the host and from every machine."""
        return f"https://{self.api_address}:6443"

    @property
    def bridge(self) -> str:
        """The host's one network device for this cluster."""
        return f"pgc{self.block}"

    def node_address(self, number: int) -> ipaddress.IPv4Address:
        """The machine of node 1, 2, ..."""
        return self.machine_network[10 + number]

    def pod_subnet(self, number: int) -> ipaddress.IPv4Network:
        """The pods of node 1, 2, ..."""
        return ipaddress.IPv4Network(f"10.{self.block}.{number}.0/24")

    def save(self) -> None:
        """Write the record."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "cluster.json").write_text(json.dumps(asdict(self), indent=2) + "\n")


def check_name(name: str) -> str:
    """Return the name, or say what a name may be."""
    if not NAME.fullmatch(name):
        raise ClusterError(
            f"cluster name {name!r}: use at most 30 lower-case letters, digits and hyphens"
        )
    return name


def load(name: str) -> Cluster | None:
    """Read a cluster's record, or None when there is no such cluster."""
    try:
        text = (STATE_ROOT / name / "cluster.json").read_text()
    except FileNotFoundError:
        return None
    try:
        return Cluster(**json.loads(text))
    except (ValueError, TypeError):
        # A record cut short by an unclean end: the caller makes the cluster anew.
        return None


def all_clusters() -> list[Cluster]:
    """Every cluster of this machine, by name."""
    if not STATE_ROOT.exists():
        return []
    found = (load(path.name) for path in sorted(STATE_ROOT.iterdir()) if path.is_dir())
    return [cluster for cluster in found if cluster is not None]


def free_block(taken: Iterable[int], routed: Iterable[ipaddress.IPv4Network]) -> int:
    """Choose the lowest block that neither a cluster nor a route of the host uses."""
    used = set(taken)
    routes = list(routed)
    for block in range(FIRST_BLOCK, LAST_BLOCK + 1):
        network = ipaddress.IPv4Network(f"10.{block}.0.0/16")
        if block not in used and not any(network.overlaps(route) for route in routes):
            return block
    raise ClusterError(
        f"no free network in 10.{FIRST_BLOCK}.0.0 - 10.{LAST_BLOCK}.255.255: "
        "end clusters with `down`, or see `ip route`"
    )


def host_routes() -> list[ipaddress.IPv4Network]:
    """The host's own destinations (not its default route, which overlaps with everything)."""
    routes = json.loads(run(["ip", "-j", "-4", "route", "show", "table", "all"]) or "[]")
    destinations = (str(route.get("dst", "default")) for route in routes)
    return [
        ipaddress.IPv4Network(destination, strict=False)
        for destination in destinations
        if destination[:1].isdigit() and destination != "0.0.0.0/0"
    ]


def create(name: str, nodes: int) -> Cluster:
    """Reserve a block for a new cluster and write its record."""
    with lock("registry"):
        # The block of a cluster that is being replaced may still be routed: it is its own.
        taken = [cluster.block for cluster in all_clusters()]
        cluster = Cluster(name, nodes, free_block(taken, host_routes()))
        cluster.save()
    return cluster


@contextmanager
def lock(name: str) -> Iterator[None]:
    """Keep two commands from working at the same thing; ends with the process at the latest."""
    folder = STATE_ROOT / ".locks"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / name).open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
