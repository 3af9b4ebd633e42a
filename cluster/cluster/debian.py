"""Debian root file systems, made with debootstrap from the machine's own mirror."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cluster.errors import ClusterError
from cluster.shell import Argument, run

SLIM = """\
path-exclude /usr/share/doc/*
path-include /usr/share/doc/*/copyright
path-exclude /usr/share/info/*
path-exclude /usr/share/man/*
path-exclude /usr/share/locale/*
path-include /usr/share/locale/locale.alias
"""
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


def mirrors() -> tuple[str, str | None]:
    """Read Debian's mirror, and that of its security fixes, from apt's configuration."""
    rows = run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME) $(LABEL)",
         "Created-By: Packages"]
    )  # fmt: skip
    main = security = None
    for row in rows.splitlines():
        uri, codename, label = row.split(" ", 2)
        if label == "Debian-Security" or codename.endswith("-security"):
            security = security or uri
        elif label == "Debian" and "-" not in codename:
            main = main or uri
    if main is None:
        raise ClusterError("apt knows no Debian mirror: run `apt-get update`, then try again")
    return main.rstrip("/"), security.rstrip("/") if security else None


def make_root(root: Path, suite: str, log: Path) -> None:
    """Make a minimal Debian system whose apt works as the machine's own does."""
    mirror, security = mirrors()
    shutil.rmtree(root, ignore_errors=True)
    root.parent.mkdir(parents=True, exist_ok=True)
    keyring = ["--keyring", str(KEYRING)] if KEYRING.exists() else []
    run(
        ["debootstrap", "--variant=minbase", "--include=ca-certificates", *keyring,
         suite, root, mirror],
        env=_environment(),
        log=log,
    )  # fmt: skip
    sources = [f"deb {mirror} {suite} main", f"deb {mirror} {suite}-updates main"]
    if security:
        sources.append(f"deb {security} {suite}-security main")
    (root / "etc/apt/sources.list").write_text("\n".join(sources) + "\n")
    (root / "etc/dpkg/dpkg.cfg.d/slim").write_text(SLIM)


@contextmanager
def machine_settings(root: Path) -> Iterator[None]:
    """Lend a root the machine's way to its package mirror, and take it back afterwards."""
    policy = root / "usr/sbin/policy-rc.d"
    acquire = root / "etc/apt/apt.conf.d/99machine"
    resolver = root / "etc/resolv.conf"
    bundle = root / "etc/ssl/certs/ca-certificates.crt"
    kept = bundle.read_bytes() if bundle.exists() else None
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    dump = run(["apt-config", "dump", "--no-empty", "Acquire"])
    acquire.write_text(dump)
    for source, target in (
        (Path("/etc/resolv.conf"), resolver),
        (Path("/etc/ssl/certs/ca-certificates.crt"), bundle),
    ):
        if source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            shutil.copyfile(source, target)
    try:
        yield
    finally:
        for path in (policy, acquire, resolver):
            path.unlink(missing_ok=True)
        if kept is not None:
            bundle.write_bytes(kept)


def execute(root: Path, command: Sequence[Argument], log: Path) -> None:
    """Run a command in a root, with /proc, and with no mount left behind on the machine."""
    script = 'mount -t proc proc "$1/proc" && root=$1 && shift && exec chroot "$root" "$@"'
    run(["unshare", "--mount", "sh", "-ec", script, "sh", root, *command], env=_environment(),
        log=log)  # fmt: skip


def _environment() -> dict[str, str]:
    return {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "DEBIAN_FRONTEND": "noninteractive",
        "LC_ALL": "C.UTF-8",
        "HOME": "/root",
        **{key: value for key, value in os.environ.items() if key.lower().endswith("_proxy")},
    }
