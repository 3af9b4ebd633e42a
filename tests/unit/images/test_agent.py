"""What makes the agent's Ansible start faster."""

from __future__ import annotations

import importlib.util
import os
import py_compile
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from collection_root import CHECKOUT


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, CHECKOUT / f"image/agent/{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Loader:
    """As much of Ansible's loader of collections as is replaced."""

    def __init__(self, path: Path) -> None:
        self._source_code_path = str(path)
        self._compiled_code = None

    def get_code(self, _name: str) -> Any:
        return self._compiled_code or compile(
            Path(self._source_code_path).read_text(), self._source_code_path, "exec"
        )

    def value(self) -> int:
        namespace: dict[str, Any] = {}
        exec(self.get_code("m"), namespace)
        found: int = namespace["value"]
        return found


@pytest.fixture
def loader() -> type[Loader]:
    class Own(Loader):
        pass

    load("compiled_collections").install(Own)
    return Own


def test_collections_are_loaded_as_they_were_compiled(loader: type[Loader], tmp_path: Path) -> None:
    source = tmp_path / "m.py"
    source.write_text("value = 1")
    py_compile.compile(str(source), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    source.write_text("value = 2")
    assert Loader(source).value() == 2
    assert loader(source).value() == 1


def test_what_was_not_compiled_for_this_python_is_loaded_as_ever(
    loader: type[Loader], tmp_path: Path
) -> None:
    source = tmp_path / "m.py"
    source.write_text("value = 2")
    assert loader(source).value() == 2
    compiled = Path(importlib.util.cache_from_source(str(source)))
    compiled.parent.mkdir()
    compiled.write_bytes(b"another Python's" + b"\0" * 16)
    assert loader(source).value() == 2


def test_ansibles_loader_has_what_is_replaced() -> None:
    finder = importlib.import_module("ansible.utils.collection_loader._collection_finder")
    base = finder._AnsibleCollectionPkgLoaderBase
    assert {"_source_code_path", "_compiled_code"} <= set(base.get_code.__code__.co_names) | set(
        base.get_source.__code__.co_names
    )


def test_ansible_finds_its_own_plugins_without_the_routes_to_others() -> None:
    """The routes are of Ansible's own file, in the version that is installed here."""
    yaml = pytest.importorskip("yaml")
    ansible = Path(importlib.import_module("ansible").__file__ or "").parent
    routing = (ansible / "config/ansible_builtin_runtime.yml").read_text()
    whole = yaml.load(routing, yaml.CSafeLoader)
    left = yaml.safe_load(load("assemble").without_routes(routing))
    assert left == {**whole, "plugin_routing": {}, "action_groups": {}}
    assert sys.getsizeof(routing) > 100_000


def test_what_the_agent_writes_is_for_its_own_user_only() -> None:
    script = (
        "import os, resource, private_process\n"
        "most = resource.getrlimit(resource.RLIMIT_CORE)[1]\n"
        "resource.setrlimit(resource.RLIMIT_CORE, (most, most))\n"
        "os.umask(0o022)\n"
        "private_process.begin()\n"
        "os.execvp('sh', ['sh', '-c', 'umask; ulimit -Sc'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT / "image/agent")},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ["0077", "0"]


@pytest.mark.parametrize("launcher", ["ansible-playbook", "patroni"])
def test_every_launcher_of_the_agent_begins_so(launcher: str) -> None:
    assert "private_process.begin()" in (CHECKOUT / "image/agent" / launcher).read_text()


def test_an_image_without_a_server_is_said_in_the_status_of_the_pod(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs, log = load("server_programs"), tmp_path / "log"
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match="has no program postgres on its PATH"):
        programs.require_server(log)
    assert log.read_text() == "NoPostgreSQL"
    with pytest.raises(SystemExit):
        programs.require_server(tmp_path / "missing" / "log")
    server = tmp_path / "postgres"
    server.touch(0o755)
    log.unlink()
    programs.require_server(log)
    assert not log.exists()


def test_patroni_does_not_start_without_a_server() -> None:
    assert "server_programs.require_server()" in (CHECKOUT / "image/agent/patroni").read_text()
