"""Debian's Python of the image, for a machine whose own Python is older: prints its path.

    python3 hack/newer_python.py

Ansible needs a newer Python than Debian 12's. The image's is unpacked into the cache from Debian's
own packages, which apt chooses and checks, together with the C library that it was built for: the
interpreter's ELF header names that library's loader and folder. Nothing of the machine is changed,
apart from patchelf, which is installed where it is missing.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent / "images"))

from images.debian import RELEASE, install_missing, machine_sources
from images.steps import StepFailed, cache_folder, output_of, run

# With the wheel of pip that Debian's ensurepip installs.
PACKAGE = "python3-venv"
WHEELS = "/usr/share/python-wheels/"


def provide() -> Path:
    """Return the path of the interpreter, made once for this recipe."""
    recipe = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    tree = cache_folder().parent / f"python-{RELEASE}-{recipe}"
    # The ELF header names the folder, so it is made under its own name, and this link comes last.
    finished = tree / "python"
    if not finished.exists():
        install_missing({"patchelf": "patchelf"})
        shutil.rmtree(tree, ignore_errors=True)
        unpack(tree)
        finished.symlink_to(bind(tree))
    # An environment looks for the library next to the file itself.
    return finished.resolve()


def unpack(tree: Path) -> None:
    """Unpack the package and all that it depends on."""
    state = tree / "apt"
    for folder in ("lists/partial", "archives/partial"):
        (state / folder).mkdir(parents=True)
    sources = state / "sources.list"
    lines = (f"deb {source.uri} {source.suite} main\n" for source in machine_sources())
    sources.write_text("".join(lines))
    apt = [
        "apt-get", "--option", f"Dir::Etc::SourceList={sources}",
        "--option", "Dir::Etc::SourceParts=-", "--option", f"Dir::State::Lists={state}/lists",
        "--option", "Dir::State::Status=/dev/null", "--option", f"Dir::Cache={state}",
        "--option", "Debug::NoLocking=1",
    ]  # fmt: skip
    run([*apt, "update"], log="python-update")
    run(
        [*apt, "install", "--yes", "--no-install-recommends", "--download-only", PACKAGE],
        log="python-download",
    )
    for package in sorted((state / "archives").glob("*.deb")):
        run(["dpkg-deb", "--extract", str(package), str(tree)], log="python-unpack")
    shutil.rmtree(state)


def bind(tree: Path) -> Path:
    """Bind the interpreter to the tree, and return its path."""
    interpreter = (tree / "usr/bin/python3").resolve()
    named = output_of(["patchelf", "--print-interpreter", str(interpreter)])
    loader = next((tree / "usr").rglob(Path(named).name))
    # An RPATH (not a RUNPATH) also counts for what the interpreter's libraries load. The order is
    # the one that patchelf 0.18 stands: see image/agent/assemble.py.
    for options in (
        ["--force-rpath", "--set-rpath", str(library_folder(tree))],
        ["--set-interpreter", str(loader)],
    ):
        run(["patchelf", *options, str(interpreter)], log="patchelf")
    for settings in interpreter.parents[1].glob("lib/python3.*/_sysconfigdata*.py"):
        settings.write_text(settings.read_text().replace(f"'{WHEELS}'", f"'{tree}{WHEELS}'"))
    return interpreter


def library_folder(tree: Path) -> Path:
    """Return the folder of the C library."""
    return next((tree / "usr/lib").rglob("libc.so.6")).parent


def main() -> int:
    """Print the path; returns the exit code."""
    try:
        # The path alone goes to standard output.
        with contextlib.redirect_stdout(sys.stderr):
            python = provide()
    except StepFailed as failure:
        print(f"error: no newer Python for {os.uname().nodename}: {failure}", file=sys.stderr)
        return 1
    print(python)
    return 0


if __name__ == "__main__":
    sys.exit(main())
