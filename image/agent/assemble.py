"""Assemble /opt/agent: a Python that brings its own C library and runs in any Linux image.

It runs in a Debian stage of the Dockerfile. The interpreter, the standard library, every shared
library they name and the dynamic loader are copied into one tree; the interpreter's
ELF header names that loader, and libraries are searched for in that tree. So the tree works in an
image that has another C library, or no Python at all, as long as it is mounted where it was built
for.
"""

from __future__ import annotations

import argparse
import compileall
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from py_compile import PycInvalidationMode

HERE = Path(__file__).parent
LAUNCHERS = ("ansible-playbook", "archive-wal", "archiver", "patroni", "patronictl")
MODULES = (
    "authorities.py", "compiled_collections.py", "member_names.py", "private_process.py",
    "server_programs.py", "volume_report.py",
)  # fmt: skip
# The interpreter that runs this is the one that is copied.
INTERPRETER = Path(sys.executable).resolve()
STDLIB = Path(sysconfig.get_path("stdlib"))
# Where Debian's Python looks for packages, seen from its own prefix.
PACKAGES = Path("lib/python3/dist-packages")
# Outside the C library; the one locale that the agent itself needs.
UTF8_LOCALE = Path("/usr/lib/locale/C.utf8")

# Parts of the standard library that need a screen, a compiler or a directory service, or are only
# for developing Python.
UNUSED_STDLIB = (
    "config-3.*", "ensurepip", "idlelib", "lib-dynload/_dbm.*", "pydoc_data", "test", "tkinter",
    "turtle.py", "turtledemo",
)  # fmt: skip
# Parts of the packages that nothing in a pod reaches: Ansible's own test tool and the skeletons of
# `ansible-galaxy init`; Patroni's client for Consul with what only that needs; and the C parser,
# which cffi uses when it builds an extension, not when it loads one.
UNUSED_PACKAGES = (
    "ansible_test", "ansible/galaxy/data", "bin",
    "consul", "py_consul-*", "requests", "requests-*", "charset_normalizer",
    "charset_normalizer-*", "*__mypyc*.so", "certifi", "certifi-*",
    "pycparser", "pycparser-*",
)  # fmt: skip
# Of all the services that botocore describes, the agent speaks to one.
BOTOCORE_DATA = "botocore/data"
USED_SERVICES = ("s3",)
# Where Ansible has the new names of what has left it for other collections. None of them is here,
# and the file is so long that every start of Ansible spends a tenth of its time on reading it.
ROUTING = "ansible/config/ansible_builtin_runtime.yml"
UNUSED_FILES = ("**/tests", "**/__pycache__", "**/*.pyi", "**/*.pyx", "**/*.pxd", "**/*.c")


def run(*command: str | Path) -> str:
    """Run a command and return what it printed; a failure names the command and its output."""
    words = [str(part) for part in command]
    done = subprocess.run(words, text=True, capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def remove(root: Path, patterns: tuple[str, ...]) -> None:
    """Remove the files and folders below `root` that match one of the glob patterns."""
    for pattern in patterns:
        for path in list(root.glob(pattern)):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def elf_files(root: Path) -> Iterator[Path]:
    """All ELF files below `root`: programs and shared libraries."""
    for path in sorted(root.rglob("*")):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                if file.read(4) == b"\x7fELF":
                    yield path


def system_libraries(path: Path) -> set[Path]:
    """The libraries of this system that an ELF file needs, as the dynamic loader finds them."""
    done = subprocess.run(["ldd", str(path)], text=True, capture_output=True, check=False)
    missing = re.findall(r"^\s*(\S+) => not found", done.stdout, re.MULTILINE)
    if missing:
        raise SystemExit(f"{path} needs {', '.join(missing)}: install the Debian package with it")
    found = re.findall(r"=> (/\S+)", done.stdout)
    return {Path(name) for name in found if name.startswith(("/lib/", "/usr/lib/"))}


def copy_python(output: Path) -> None:
    """Copy the interpreter and the standard library."""
    (output / "bin").mkdir(parents=True)
    shutil.copy2(INTERPRETER, output / "bin" / "python3")
    library = output / "lib" / STDLIB.name
    shutil.copytree(STDLIB, library, symlinks=False, ignore_dangling_symlinks=True)
    remove(library, UNUSED_STDLIB)
    shutil.copytree(UTF8_LOCALE, output / "lib" / "locale" / UTF8_LOCALE.name)


def install_packages(requirements: Path, output: Path) -> None:
    """Install the packages."""
    packages = output / PACKAGES
    run(
        "python3", "-m", "pip", "install", "--no-compile", "--no-deps",
        "--target", packages, "--requirement", requirements,
    )  # fmt: skip
    remove(packages, UNUSED_PACKAGES)
    for service in (packages / BOTOCORE_DATA).iterdir():
        if service.is_dir() and service.name not in USED_SERVICES:
            shutil.rmtree(service)
    routing = packages / ROUTING
    routing.write_text(without_routes(routing.read_text()))


def without_routes(routing: str) -> str:
    """Return Ansible's routing without the routes of plugins and the groups of modules."""
    beginning = routing.index("\nimport_redirection:")
    end = routing.index("\naction_groups:")
    return f"plugin_routing: {{}}{routing[beginning:end]}\naction_groups: {{}}\n"


def copy_libraries(output: Path) -> None:
    """Copy the dynamic loader and the libraries, and bind every program and library to them."""
    libraries = output / "lib"
    programs = list(elf_files(output))
    for library in set().union(*map(system_libraries, programs)):
        shutil.copy2(library.resolve(), libraries / library.name)
    system_loader = Path(run("patchelf", "--print-interpreter", output / "bin" / "python3").strip())
    loader = libraries / system_loader.name
    shutil.copy2(system_loader.resolve(), loader)
    # An RPATH (not a RUNPATH) of the program also counts for what its libraries load.
    # In this order: patchelf 0.18 breaks the interpreter, whose addresses are fixed, in the other.
    python = output / "bin" / "python3"
    run("patchelf", "--force-rpath", "--set-rpath", libraries, python)
    run("patchelf", "--set-interpreter", loader, python)
    for library in libraries.glob("*.so*"):
        if library != loader:
            run("patchelf", "--force-rpath", "--set-rpath", "$ORIGIN", library)
    # A library with a RUNPATH ignores the program's RPATH, so it has to name the tree as well.
    for library in programs[1:]:
        own = run("patchelf", "--print-rpath", library).strip()
        if own:
            run("patchelf", "--force-rpath", "--set-rpath", f"{own}:{libraries}", library)


def copy_launchers(output: Path) -> None:
    """Add the commands, Ansible's settings and a static init."""
    for name in LAUNCHERS:
        shutil.copy(HERE / name, output / "bin" / name)
        (output / "bin" / name).chmod(0o755)
    shutil.copy("/usr/bin/tini-static", output / "bin" / "tini")
    for name in ("ansible.cfg", "inventory"):
        shutil.copy(HERE / name, output / name)
    for name in MODULES:
        shutil.copy(HERE / name, output / PACKAGES)


def compile_sources(output: Path) -> None:
    """Compile all sources once.

    The compiled files hold however the tree is copied: they are not tied to the sources' times,
    and the pods that use the tree cannot write new ones.
    """
    remove(output, UNUSED_FILES)
    compileall.compile_dir(
        output / "lib", quiet=1, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH
    )


def main(arguments: list[str]) -> None:
    """Assemble the tree that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--requirements", type=Path, required=True, help="packages to install")
    parser.add_argument("--output", type=Path, required=True, help="where the tree will be mounted")
    options = parser.parse_args(arguments)
    copy_python(options.output)
    install_packages(options.requirements, options.output)
    copy_libraries(options.output)
    copy_launchers(options.output)
    compile_sources(options.output)
    run(
        options.output / "bin" / "python3",
        "-c",
        "import ansible, boto3, patroni, psycopg, pyrage, ssl, yaml, zstandard",
    )


if __name__ == "__main__":
    main(sys.argv[1:])
