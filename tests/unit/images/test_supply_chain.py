"""The lists of components, and what is said of vulnerabilities."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
from collection_root import CHECKOUT

STATUS = """\
Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9+deb12u14

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1.0
"""
MODULES = (
    "/ansible-operator: go1.26.0\n"
    "\tpath\tx.org/a/cmd\n"
    "\tmod\tx.org/a\tv1.0.0\th1:=\n"
    "\tdep\tx.org/b\tv2.1.0\n"
    "\t=>\tx.org/c\tv3.0.0\th1:=\n"
)


def load(path: str) -> ModuleType:
    name = Path(path).stem
    spec = importlib.util.spec_from_file_location(name, CHECKOUT / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def sbom() -> ModuleType:
    return load("image/sbom/sbom.py")


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    return load("hack/audit.py")


def test_what_debian_has_installed_is_listed(sbom: ModuleType) -> None:
    found = [str(each.purl) for each in sbom.debian_packages(STATUS)]
    assert found == ["pkg:deb/debian/libc6@2.36-9%2Bdeb12u14?arch=amd64"]


def test_a_module_that_was_replaced_is_listed_as_what_it_is(sbom: ModuleType) -> None:
    found = [str(each.purl) for each in sbom.go_modules(MODULES)]
    assert found == [
        "pkg:golang/stdlib@1.26.0",
        "pkg:golang/x.org/a@v1.0.0",
        "pkg:golang/x.org/c@v3.0.0",
    ]


def test_python_packages_have_the_names_that_pypi_has(sbom: ModuleType, tmp_path: Path) -> None:
    metadata = tmp_path / "Foo_Bar-1.2.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: Foo_Bar\nVersion: 1.2\n")
    assert [str(each.purl) for each in sbom.python_packages(tmp_path)] == ["pkg:pypi/foo-bar@1.2"]


def test_the_same_components_make_the_same_list(sbom: ModuleType, tmp_path: Path) -> None:
    components = [*sbom.debian_packages(STATUS), *sbom.go_modules(MODULES)]
    texts = []
    for order in (components, components[::-1]):
        sbom.write("image", order, tmp_path)
        texts.append((tmp_path / "image.cdx.json").read_text())
    assert texts[0] == texts[1]
    document = json.loads(texts[0])
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    assert len(document["components"]) == len(components)


def test_what_could_not_be_asked_is_no_clean_result(audit: ModuleType) -> None:
    text = json.dumps(
        {
            "dependencies": [
                {"name": "a", "version": "1", "vulns": [{"id": "CVE-1"}]},
                {"name": "b", "skip_reason": "not found on PyPI"},
                {"name": "c", "version": "1", "vulns": []},
            ]
        }
    )
    found = audit.read_pip_audit("x.txt", text, "")
    assert found.vulnerable == ["x.txt: a 1: CVE-1"]
    assert found.unknown == ["x.txt: b: not found on PyPI"]
    assert audit.read_pip_audit("x.txt", "", "a\nno route to host\n").unknown == [
        "x.txt: no route to host"
    ]
