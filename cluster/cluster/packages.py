"""The Debian packages that the cluster needs; only missing ones are installed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from cluster.errors import ClusterError
from cluster.progress import Progress
from cluster.shell import run

PROGRAMS = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "mount": "mount",
    "buildah": "buildah",
    "debootstrap": "debootstrap",
    "openssl": "openssl",
    "socat": "socat",
    "update-ca-certificates": "ca-certificates",
}
"""Each program that is called, and the package that brings it."""

FILES = {
    Path("/usr/lib/cni/ptp"): "containernetworking-plugins",
    # Debian 13's buildah starts nothing without it, and does not depend on it.
    Path("/usr/lib/podman/netavark"): "netavark",
}

SEARCH_PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"))
"""PATH of a plain user often lacks the system administrator's folders."""


def missing_packages(
    programs: dict[str, str] = PROGRAMS, files: dict[Path, str] = FILES
) -> list[str]:
    """Name the packages whose programs or files are not on this machine."""
    absent = {
        package
        for program, package in programs.items()
        if shutil.which(program, path=SEARCH_PATH) is None
    }
    absent |= {package for path, package in files.items() if not path.exists()}
    return sorted(absent)


def install(packages: Iterable[str], progress: Progress, log: Path) -> None:
    """Install packages with apt-get, after one update of its lists."""
    wanted = list(packages)
    if not wanted:
        return
    if shutil.which("apt-get") is None:
        raise ClusterError(f"install these packages first (no apt-get here): {' '.join(wanted)}")
    # A package's own service must not start: each machine runs its own containerd.
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    with progress.step(f"install Debian packages: {' '.join(wanted)}", long=True):
        run(["apt-get", "update", "-qq"], env=environment, log=log)
        run(
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *wanted],
            env=environment,
            log=log,
        )
