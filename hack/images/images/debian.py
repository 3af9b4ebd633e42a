"""Debian's packages on this machine: installing missing ones, and knowing its mirrors."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .steps import StepFailed, output_of, run, step

RELEASE = "trixie"


@dataclass(frozen=True)
class Source:
    """A place that apt installs from."""

    uri: str
    suite: str


def parse_sources(targets: str) -> list[Source]:
    """Read the output of `apt-get indextargets` (one "URI SUITE COMPONENT" a line).

    >>> parse_sources("http://mirror/debian bookworm main\\nhttp://other/repo stable contrib\\n")
    [Source(uri='http://mirror/debian', suite='bookworm')]
    """
    found: dict[Source, None] = {}
    for line in targets.splitlines():
        uri, suite, component = line.split()
        if component == "main":
            found[Source(uri.rstrip("/"), suite)] = None
    return list(found)


def sources_for(machine: Iterable[Source], release: str = RELEASE) -> list[Source]:
    """The sources of one Debian release: the machine's mirrors, with that release's suites.

    The main archive comes first. Mirrors of other things than Debian are left out.

    >>> sources_for([Source("http://m/debian-security", "bookworm-security"),
    ...              Source("http://m/debian", "bookworm")])
    [Source(uri='http://m/debian', suite='trixie'), \
Source(uri='http://m/debian-security', suite='trixie-security')]
    """
    endings = {"": 0, "-updates": 1, "-security": 2}
    found: dict[Source, int] = {}
    for source in machine:
        name, dash, ending = source.suite.partition("-")
        if name in ("bookworm", "trixie", "stable", "testing", "sid") and dash + ending in endings:
            found[Source(source.uri, release + dash + ending)] = endings[dash + ending]
    return sorted(found, key=lambda source: found[source])


def machine_sources(release: str = RELEASE) -> list[Source]:
    """Where this machine's apt would install the packages of a release from, by its own mirrors."""
    listed = output_of(
        [
            "apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)",
            "Created-By: Packages",
        ]
    )  # fmt: skip
    sources = sources_for(parse_sources(listed), release)
    if not sources or sources[0].suite != release:
        raise StepFailed(
            f"no Debian mirror is configured for apt on this machine: packages of {release} can't "
            "be had, nor a stand-in for the base image be made. Make the registry reachable, or "
            "use a Debian machine."
        )
    return sources


def install_missing(packages: dict[str, str]) -> None:
    """Install the Debian packages whose program (key: program, value: package) is not there."""
    missing = [package for program, package in packages.items() if not find_program(program)]
    if not missing:
        return
    with step(f"install {' '.join(missing)}"):
        run(["apt-get", "update"], log="apt-update")
        run(
            ["apt-get", "install", "--yes", "--no-install-recommends", *missing],
            log="apt-install",
            environment={"DEBIAN_FRONTEND": "noninteractive"},
        )


def find_program(name: str) -> str | None:
    """Find a program, also where only root has its PATH."""
    return shutil.which(name) or next(
        (str(path) for path in (Path("/usr/sbin") / name, Path("/sbin") / name) if path.exists()),
        None,
    )
