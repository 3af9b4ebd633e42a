"""Writes the lists of what is in the image and in the agent, as CycloneDX 1.6 in JSON.

It runs in a stage of the Dockerfile, on what the other stages have made: Debian's packages from
dpkg's own list, Python's from their metadata, Go's modules from what `go version -m` prints of the
program. The same image has the same lists: they are sorted, and hold no time and no random number.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import uuid
from collections.abc import Iterable, Iterator
from importlib.metadata import distributions
from pathlib import Path

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL

# Of the agent, what does not name its package by its own name: see image/agent/assemble.py.
AGENT_FILES = (
    "/usr/bin/python3.[0-9]*", "/usr/bin/tini-static", "/usr/lib/python3.[0-9]*/json/__init__.py",
    "/usr/lib/python3.[0-9]*/lib-dynload/_ssl.cpython-*.so", "/usr/lib/locale/C.utf8/LC_CTYPE",
)  # fmt: skip
NAMESPACE = uuid.UUID("2f9d9f3c-1c39-4f0e-9c0c-6d1f3f8f7f52")


def component(kind: str, name: str, version: str, **qualifiers: str) -> Component:
    """A library, with the address by which scanners know it."""
    namespace, _, short = name.rpartition("/")
    if kind == "deb":
        namespace = "debian"
    purl = PackageURL(kind, namespace or None, short, version, qualifiers)
    return Component(
        type=ComponentType.LIBRARY,
        group=namespace or None,
        name=short,
        version=version,
        purl=purl,
        bom_ref=purl.to_string(),
    )


def debian_packages(status: str) -> Iterator[Component]:
    """Those that dpkg's file `status` says are installed."""
    for paragraph in status.split("\n\n"):
        fields = dict(re.findall(r"^([A-Z][\w-]*): (.*)$", paragraph, re.MULTILINE))
        if fields.get("Status", "").endswith(" installed"):
            yield component(
                "deb", fields["Package"], fields["Version"], arch=fields["Architecture"]
            )


def python_packages(folder: Path) -> Iterator[Component]:
    """Those that have their metadata in a folder of packages."""
    for distribution in distributions(path=[str(folder)]):
        name = re.sub(r"[-_.]+", "-", distribution.metadata["Name"]).lower()
        yield component("pypi", name, distribution.version)


def go_modules(listed: str) -> Iterator[Component]:
    """Those that `go version -m` names; of a module that was replaced, what it was replaced by.

    >>> lines = ["p: go1.26.0", "\\tmod\\ta.org/a\\tv1", "\\tdep\\ta.org/b\\tv2"]
    >>> [str(each.purl) for each in go_modules("\\n".join([*lines, "\\t=>\\ta.org/c\\tv3"]))]
    ['pkg:golang/stdlib@1.26.0', 'pkg:golang/a.org/a@v1', 'pkg:golang/a.org/c@v3']
    """
    found: list[tuple[str, str]] = []
    for line in listed.splitlines():
        words = line.split("\t")
        toolchain = re.fullmatch(r".*: go([\d.]+)\S*", line)
        if toolchain:
            found.append(("stdlib", toolchain[1]))
        elif words[1:2] == ["=>"]:
            found[-1] = (words[2], words[3])
        elif words[1:2] in (["dep"], ["mod"]):
            found.append((words[2], words[3]))
    for name, version in found:
        yield component("golang", name, version)


def owners(files: Iterable[str]) -> set[str]:
    """The names of the Debian packages that files, or patterns of them, belong to."""
    done = subprocess.run(
        ["dpkg-query", "--search", *files], text=True, capture_output=True, check=True
    )
    return {line.partition(":")[0] for line in done.stdout.splitlines() if ":" in line}


def agent_libraries(agent: Path) -> list[str]:
    """Patterns of the files that the agent's shared libraries are copies of."""
    return sorted(f"*/lib/*/{path.name}" for path in (agent / "lib").glob("*.so*"))


def write(name: str, components: Iterable[Component], output: Path) -> None:
    """Write one list."""
    unique = {str(each.purl): each for each in components}
    digest = hashlib.sha256("\n".join(sorted(unique)).encode()).hexdigest()
    bom = Bom(components=unique.values(), serial_number=uuid.uuid5(NAMESPACE, digest))
    bom.metadata.component = Component(
        type=ComponentType.CONTAINER if name == "image" else ComponentType.APPLICATION,
        name="postgres-operator" if name == "image" else "postgres-operator-agent",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
        bom_ref=name,
    )
    bom.register_dependency(bom.metadata.component, unique.values())
    text = make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string()
    document = json.loads(text)
    # The one thing that would differ from build to build.
    del document["metadata"]["timestamp"]
    path = output / f"{name}.cdx.json"
    path.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")
    print(f"{path}: {len(unique)} components")


def main() -> None:
    """Write both lists."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--dpkg", type=Path, required=True, help="dpkg's status of the image")
    parser.add_argument("--go", type=Path, required=True, help="what `go version -m` printed")
    parser.add_argument("--python", type=Path, required=True, help="the roles' packages")
    parser.add_argument("--agent", type=Path, required=True, help="the agent's tree")
    parser.add_argument("--output", type=Path, required=True, help="a folder for both lists")
    options = parser.parse_args()
    names = owners([*AGENT_FILES, *agent_libraries(options.agent)])
    here = Path("/var/lib/dpkg/status").read_text()
    agent = [
        *python_packages(options.agent / "lib/python3/dist-packages"),
        *(each for each in debian_packages(here) if each.name in names),
    ]
    image = [
        *debian_packages(options.dpkg.read_text()),
        *go_modules(options.go.read_text()),
        *python_packages(options.python),
    ]
    options.output.mkdir(parents=True, exist_ok=True)
    write("agent", agent, options.output)
    write("image", [*image, *agent], options.output)


if __name__ == "__main__":
    main()
