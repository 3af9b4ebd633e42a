"""A machine of the cluster: a set of namespaces that behaves like a small computer.

Each machine has its own processes, mounts, network, host name and IPC, held by an init
process. Ending init ends all of it at once: the kernel kills the processes and drops the
mounts and the network devices with them. Nothing of a machine is in the host's own mount
table, and its paths are those of any Kubernetes node (/run, /var/lib/kubelet, ...).
"""

from __future__ import annotations

import ipaddress
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster import cgroups, network
from cluster.errors import ClusterError
from cluster.shell import Argument, run
from cluster.state import Cluster

START_SECONDS = 10.0

OWN_ROOT = Path(__file__).with_name("own_root.py")

PREPARE_MOUNTS = """
set -e
mount --make-rshared /
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/pids /run/lock /run/state
mount --bind "$STATE" /run/state
for folder in /var/lib /var/log; do mount -t tmpfs -o mode=755 tmpfs "$folder"; done
mkdir -p "$STATE"
mount --bind /run/state "$STATE"
umount /run/state
rmdir /run/state
for folder in containerd kubelet cni local-path-provisioner; do
    mkdir -p "$MACHINE/$folder" "/var/lib/$folder"
    mount --bind "$MACHINE/$folder" "/var/lib/$folder"
done
mkdir -p "$MACHINE/pod-logs" /var/log/pods
mount --bind "$MACHINE/pod-logs" /var/log/pods
# No pod of an earlier life can still hold an address.
rm -rf /var/lib/cni/*
hostname "$NAME"
"""

PREPARE_NETWORK = """
set -e
ip link set lo up
ip address add "$ADDRESS/$PREFIX" dev eth0
ip link set eth0 up
ip route add default via "$GATEWAY"
sysctl_set() { [ ! -e "/proc/sys/$1" ] || echo "$2" > "/proc/sys/$1"; }
sysctl_set net/ipv4/ip_forward 1
sysctl_set net/ipv4/conf/all/rp_filter 0
sysctl_set net/bridge/bridge-nf-call-iptables 1
"""


@dataclass(frozen=True)
class Machine:
    """One machine of a cluster; ``number`` is 0 for the control plane, else the node's."""

    cluster: Cluster
    name: str
    number: int

    @property
    def is_node(self) -> bool:
        """Tell a node, which runs pods, from the control plane, which does not."""
        return self.number > 0

    @property
    def address(self) -> ipaddress.IPv4Address:
        """Its address on the cluster's bridge."""
        return self.cluster.node_address(self.number) if self.is_node else self.cluster.api_address

    @property
    def folder(self) -> Path:
        """Its disk."""
        return self.cluster.folder / "machines" / self.name

    @property
    def group(self) -> str:
        """The control group of all its processes."""
        return cgroups.group_name(self.cluster.name, self.name)

    @property
    def link(self) -> str:
        """The host's end of its network cable."""
        return f"{self.cluster.bridge}n{self.number}"

    def log(self, daemon: str) -> Path:
        """Where a daemon writes."""
        return self.folder / "log" / f"{daemon}.log"

    def init(self) -> int | None:
        """Find the init process, or None when the machine is off."""
        for pid in cgroups.members(self.group + "/daemons"):
            # Seen from here: the own id, then the one inside, which is 1 for init alone.
            if namespace_ids(pid)[1:] == [1]:
                return pid
        return None

    def start(self, pause: Path) -> None:
        """Switch the machine on: namespaces, disk and network, but no daemon yet."""
        require_mounted_root()
        self.stop()
        cgroups.create(self.group + "/daemons")
        shutil.rmtree(self.folder / "log", ignore_errors=True)
        for name in ("log", "etc"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        log = self.log("init")
        with log.open("w") as output:
            starter = subprocess.Popen(
                [
                    *cgroups.start_inside(self.group + "/daemons"),
                    "unshare", "--fork", "--kill-child", "--pid", "--mount-proc", "--mount",
                    "--propagation", "slave", "--uts", "--ipc", "--net",
                    sys.executable, str(OWN_ROOT), str(pause),
                ],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + START_SECONDS
        # Init runs `pause` only once its namespaces are complete.
        while (pid := self.init()) is None or program(pid) != pause.name:
            if starter.poll() is not None or time.monotonic() > deadline:
                raise ClusterError(f"machine {self.name} does not start", log)
            time.sleep(0.01)
        self.execute(
            ["sh", "-c", PREPARE_MOUNTS],
            environment={
                "STATE": str(self.cluster.folder),
                "MACHINE": str(self.folder),
                "NAME": self.name,
            },
        )
        self._plug_in(pid)

    def _plug_in(self, pid: int) -> None:
        """Lay a cable between the machine and the cluster's bridge."""
        run(
            ["ip", "link", "add", self.link, "type", "veth",
             "peer", "name", "eth0", "netns", str(pid)]
        )  # fmt: skip
        self.join()
        self.execute(
            ["sh", "-c", PREPARE_NETWORK],
            environment={
                "ADDRESS": str(self.address),
                "PREFIX": str(self.cluster.machine_network.prefixlen),
                "GATEWAY": str(self.cluster.host_address),
            },
        )
        self.connect()
        if self.is_node:
            # Pods keep their address inside the cluster and take the node's outside of it.
            pods = str(self.cluster.pod_network)
            self.execute(
                ["iptables", "-w", "-t", "nat", "-A", "POSTROUTING",
                 "-s", pods, "!", "-d", pods, "-j", "MASQUERADE"]
            )  # fmt: skip

    def connect(self) -> None:
        """Plug the cable in and learn the way to every other node's pods, new nodes' included."""
        self.join()
        for other in machines(self.cluster):
            if other.is_node and other != self:
                subnet = str(self.cluster.pod_subnet(other.number))
                self.execute(["ip", "route", "replace", subnet, "via", str(other.address)])

    def stop(self) -> None:
        """Switch the machine off as a power cut does; its disk stays."""
        cgroups.kill(self.group)
        cgroups.remove(self.group)
        network.remove(self.link)

    def cut(self) -> None:
        """Pull the network cable."""
        run(["ip", "link", "set", self.link, "down"])

    def join(self) -> None:
        """Plug the network cable into the cluster's bridge."""
        run(["ip", "link", "set", self.link, "master", self.cluster.bridge, "up"])

    def enter(self, command: Sequence[Argument]) -> list[str]:
        """Give the words that run a command inside the machine."""
        pid = self.init()
        if pid is None:
            raise ClusterError(
                f"machine {self.name} of cluster {self.cluster.name} is off: start it with `up`"
            )
        namespaces = ["--mount", "--net", "--pid", "--uts", "--ipc"]
        words = [str(word) for word in command]
        return ["nsenter", "--target", str(pid), *namespaces, "--", *words]

    def execute(
        self,
        command: Sequence[Argument],
        *,
        environment: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> str:
        """Run a command inside the machine, to its end."""
        settings = [f"{key}={value}" for key, value in (environment or {}).items()]
        prefix = ["env", *settings] if settings else []
        return run(self.enter([*prefix, *command]), timeout=timeout)

    def start_daemon(self, name: str, command: Sequence[Argument]) -> None:
        """Start a daemon inside the machine, unless it runs already."""
        if self.runs(name):
            return
        script = 'setsid "$@" >> "$LOG" 2>&1 < /dev/null & echo $! > "/run/pids/$DAEMON"'
        settings = [f"LOG={self.log(name)}", f"DAEMON={name}"]
        run(
            [
                *cgroups.start_inside(self.group + "/daemons"),
                *self.enter(["env", *settings, "sh", "-c", script, "sh", *command]),
            ]
        )

    def runs(self, name: str) -> bool:
        """Return whether a daemon of the machine is alive."""
        pid = self.init()
        if pid is None:
            return False
        root = Path(f"/proc/{pid}/root")
        try:
            inner = (root / "run/pids" / name).read_text().strip()
            words = (root / "proc" / inner / "cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        # A process that ended has no command line; one of another program took its number.
        return Path(words[0].decode(errors="replace")).name in (name, "setsid")

    def complete(self, daemons: Iterable[str]) -> bool:
        """Return whether the machine is on and all of these daemons are alive."""
        return all(self.runs(name) for name in daemons)


def machines(cluster: Cluster) -> list[Machine]:
    """Every machine of a cluster, the control plane first."""
    nodes = [Machine(cluster, f"node-{n}", n) for n in range(1, cluster.nodes + 1)]
    return [Machine(cluster, "control-plane", 0), *nodes]


def require_mounted_root() -> None:
    """Refuse a chroot into a plain folder: the mounts of a machine could not be kept to itself."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    if not any(line.split(" ")[4] == "/" for line in lines):
        raise ClusterError(
            "the root folder is no mount point: before chroot, `mount --bind FOLDER FOLDER` it"
        )


def namespace_ids(pid: int) -> list[int]:
    """Give a process's id in each nested process namespace, the caller's own first."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return []
    found = next((line for line in lines if line.startswith("NSpid:")), "")
    return [int(number) for number in found.split()[1:]]


def program(pid: int) -> str:
    """Name the program that a process runs."""
    try:
        return Path(f"/proc/{pid}/exe").readlink().name
    except OSError:
        return ""
