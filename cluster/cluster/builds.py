"""Building the Go programs, once for each state of their sources."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cluster import state
from cluster.errors import ClusterError
from cluster.paths import GO_SOURCES, cache_root
from cluster.progress import Progress
from cluster.shell import run

COMPONENTS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "kubelet",
    "kubectl",
)
"""The names that the one Kubernetes binary answers to."""


@dataclass(frozen=True)
class Program:
    """A Go program.

    Attributes:
        package: what to build.
        module: the module whose version is the program's version.
        sources: the folder of its go.mod. All of a cluster share one, so that what they have in
            common, Kubernetes' client above all, has one version and is compiled once.
    """

    name: str
    package: str
    module: str = ""
    sources: Path = GO_SOURCES


KUBERNETES = Program("kubernetes", package="./kubernetes", module="k8s.io/kubernetes")
COREDNS = Program("coredns", package="./coredns", module="github.com/coredns/coredns")
PROVISIONER = Program(
    "local-path-provisioner",
    package="github.com/rancher/local-path-provisioner",
    module="github.com/rancher/local-path-provisioner",
)
PAUSE = Program("pause", package="./pause")
VERSITYGW = Program(
    "versitygw",
    package="github.com/versity/versitygw/cmd/versitygw",
    module="github.com/versity/versitygw",
    sources=GO_SOURCES / "versitygw",
)
"""No part of a cluster: the S3 server of tests and benchmarks."""

PROGRAMS = (KUBERNETES, COREDNS, PROVISIONER, PAUSE)

_go = threading.Lock()


def fingerprint(files: Iterable[Path]) -> str:
    """Hash the names and contents of files, short enough for a folder's name."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def pinned_version(go_mod: str, module: str) -> str:
    """Read the version of a module that a go.mod requires."""
    found = re.search(rf"^(?:require)?\s*{re.escape(module)} (v\S+)", go_mod, re.MULTILINE)
    if found is None:
        raise ClusterError(f"go.mod requires no {module}")
    return found.group(1)


def version(program: Program) -> str:
    """The version that a program will say it has."""
    if not program.module:
        return "v1"
    return pinned_version((program.sources / "go.mod").read_text(), program.module)


def linker_flags(program: Program) -> str:
    """Leave out debugging tables, and tell Kubernetes its version."""
    flags = ["-s", "-w"]
    if program is KUBERNETES:
        full = version(program)
        major, minor, _ = full.removeprefix("v").split(".", 2)
        for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version"):
            flags += [
                f"-X {package}.gitVersion={full}",
                f"-X {package}.gitMajor={major}",
                f"-X {package}.gitMinor={minor}",
            ]
    return " ".join(flags)


def folder(program: Program) -> Path:
    """Where the cache keeps a program, keyed by its sources."""
    own = sorted((GO_SOURCES / program.name).glob("*.go"))
    files = [program.sources / "go.mod", program.sources / "go.sum", *own]
    return cache_root() / "bin" / f"{program.name}-{fingerprint(files)}"


def binary(program: Program, name: str = "") -> Path:
    """Where a program is, under its own name or another one that it answers to."""
    return folder(program) / (name or program.name)


def build(program: Program, progress: Progress) -> Path:
    """Build a program unless the cache has it; return where it is."""
    target = binary(program)
    if target.exists():
        return target
    if shutil.which("go") is None:
        raise ClusterError("go is not on the PATH: install Go 1.26 or later")
    # One build at a time uses all processors, and another command may want the same build.
    with _go, state.lock(f"build-{program.name}"):
        if target.exists():
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_suffix(".new")
        log = cache_root() / "log" / f"{program.name}.log"
        with progress.step(f"build {program.name} {version(program)}", long=True):
            run(
                ["go", "build", "-trimpath", "-ldflags", linker_flags(program),
                 "-o", unfinished, program.package],
                cwd=program.sources,
                env={**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"},
                log=log,
            )  # fmt: skip
        if program is KUBERNETES:
            for name in COMPONENTS:
                link = target.with_name(name)
                link.unlink(missing_ok=True)
                link.symlink_to(target.name)
        unfinished.rename(target)
    return target
