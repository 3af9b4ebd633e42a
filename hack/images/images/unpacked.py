"""Debian's packages in a folder, with programs bound to the libraries among them.

apt chooses and checks them, with a folder of its own for its state, and dpkg unpacks them: nothing
of the machine is changed, apart from patchelf, which is installed where it is missing.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from .debian import Source, install_missing
from .steps import output_of, run


def unpack(tree: Path, sources: Sequence[Source], package: str, preferences: str = "") -> None:
    """Unpack a package and all that it depends on into a folder that is empty or not there.

    Args:
        preferences: which versions apt is to take, as in its file of that name.
    """
    state = tree / "apt"
    for folder in ("lists/partial", "archives/partial"):
        (state / folder).mkdir(parents=True)
    listed = state / "sources.list"
    listed.write_text("".join(f"deb {source.uri} {source.suite} main\n" for source in sources))
    preferred = state / "preferences"
    preferred.write_text(preferences)
    apt = [
        "apt-get", "--option", f"Dir::Etc::SourceList={listed}",
        "--option", "Dir::Etc::SourceParts=-", "--option", f"Dir::Etc::Preferences={preferred}",
        "--option", "Dir::Etc::PreferencesParts=-", "--option", f"Dir::State::Lists={state}/lists",
        "--option", "Dir::State::Status=/dev/null", "--option", f"Dir::Cache={state}",
        "--option", "Debug::NoLocking=1",
    ]  # fmt: skip
    run([*apt, "update"], log="packages-update")
    run(
        [*apt, "install", "--yes", "--no-install-recommends", "--download-only", package],
        log="packages-download",
    )  # fmt: skip
    for file in sorted((state / "archives").glob("*.deb")):
        run(["dpkg-deb", "--extract", str(file), str(tree)], log="packages-unpack")
    shutil.rmtree(state)


def bind(program: Path, tree: Path) -> None:
    """Have a program of a tree use the tree's C library and its loader, wherever it is started.

    The tree has to stay where it is: the ELF header names its folders.
    """
    install_missing({"patchelf": "patchelf"})
    named = output_of(["patchelf", "--print-interpreter", str(program)])
    c_library = next(tree.rglob("libc.so.6")).parent
    loader = next(c_library.glob(Path(named).name))
    # Before Debian 13 a part of the libraries is in /lib.
    folders = {c_library, tree / "usr/lib" / c_library.name}
    # An RPATH (not a RUNPATH) also counts for what the program's libraries load. The order is the
    # one that patchelf 0.18 stands: see image/agent/assemble.py.
    for options in (
        ["--force-rpath", "--set-rpath", ":".join(sorted(map(str, folders)))],
        ["--set-interpreter", str(loader)],
    ):
        run(["patchelf", *options, str(program)], log="patchelf")
