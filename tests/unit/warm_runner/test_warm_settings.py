"""Settings, the key of a parent, the real runner, and changes of loaded files."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType

import pytest
from warm_runner import key, real_runner, settings
from warm_runner.loaded_files import LoadedFiles


@pytest.mark.parametrize(("value", "off"), [("off", True), ("OFF", True), ("0", True), ("", False)])
def test_the_switch(value: str, off: bool) -> None:
    assert settings.is_off({"WARM_RUNNER": value}) is off


def test_a_wrong_number_is_named() -> None:
    with pytest.raises(settings.SettingsError, match="WARM_RUNNER_MAX_RUNS='many' is no number"):
        settings.most_runs({"WARM_RUNNER_MAX_RUNS": "many"})


def test_the_folder_is_the_user_s_alone(tmp_path: Path) -> None:
    path = tmp_path / "run"
    environment = {"WARM_RUNNER_FOLDER": str(path)}
    assert settings.folder(environment) == str(path)
    assert path.stat().st_mode & 0o777 == 0o700
    path.chmod(0o750)
    with pytest.raises(settings.SettingsError, match="mode 0700"):
        settings.folder(environment)


def test_a_link_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "run").symlink_to(tmp_path / "real")
    with pytest.raises(settings.SettingsError):
        settings.folder({"WARM_RUNNER_FOLDER": str(tmp_path / "run")})


BASE = {"HOME": "/nowhere", "LANG": "C.UTF-8", "ANSIBLE_FORKS": "5", "KUBECONFIG": "/one"}


@pytest.mark.parametrize("name", ["HOME", "LANG", "ANSIBLE_FORKS", "PYTHONPATH", "LC_ALL", "TERM"])
def test_what_ansible_reads_once_makes_another_key(name: str) -> None:
    assert key.of(BASE | {name: "other"}, "runner") != key.of(BASE, "runner")


@pytest.mark.parametrize(
    "name", ["KUBECONFIG", "ANSIBLE_ROLES_PATH", "ANSIBLE_CACHE_PLUGIN_CONNECTION"]
)
def test_what_changes_with_every_run_does_not(name: str) -> None:
    assert key.of(BASE | {name: "other"}, "runner") == key.of(BASE, "runner")


def test_a_changed_configuration_makes_another_key(tmp_path: Path) -> None:
    path = tmp_path / "ansible.cfg"
    environment = BASE | {"ANSIBLE_CONFIG": str(path)}
    keys = {key.of(environment, "runner")}
    for text in ("[defaults]\n", "[defaults]\nforks = 3\n"):
        path.write_text(text)
        keys.add(key.of(environment, "runner"))
    assert len(keys) == 3


def _program(path: Path, first: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{first}\n")
    path.chmod(0o755)
    return path


def test_the_real_runner_is_the_next_on_path(tmp_path: Path) -> None:
    real = _program(tmp_path / "b" / "ansible-runner", "#!/usr/bin/python3")
    linked = tmp_path / "a"
    linked.symlink_to(real_runner.BIN, target_is_directory=True)
    path = os.pathsep.join([real_runner.BIN, str(linked), str(real.parent)])
    assert real_runner.find({"PATH": path}) == str(real)
    assert real_runner.find({"PATH": path, "WARM_RUNNER_REAL": "/x"}) == "/x"
    with pytest.raises(real_runner.NoRealRunnerError, match="set WARM_RUNNER_REAL"):
        real_runner.find({"PATH": real_runner.BIN})


@pytest.mark.parametrize(
    ("first", "words"),
    [
        ("#!/opt/x/bin/python3", ["/opt/x/bin/python3"]),
        ("#!/opt/x/bin/python3.11 -s", ["/opt/x/bin/python3.11", "-s"]),
        ("#!/bin/sh", []),
        ("#!", []),
        ("text", []),
    ],
)
def test_the_interpreter_is_that_of_the_first_line(
    tmp_path: Path, first: str, words: list[str]
) -> None:
    assert real_runner.interpreter(str(_program(tmp_path / "program", first))) == words


def test_changed_files_of_collections_are_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "plugins" / "a.py"
    file.parent.mkdir()
    file.touch()
    runtime = tmp_path / "meta" / "runtime.yml"
    for name, attributes in {
        "ansible_collections.demo.seen": {"__path__": [str(tmp_path)]},
        "ansible_collections.demo.seen.plugins": {"__path__": [str(file.parent)]},
        "ansible_collections.demo.seen.plugins.a": {"__file__": str(file)},
    }.items():
        module = ModuleType(name)
        vars(module).update(attributes)
        monkeypatch.setitem(sys.modules, name, module)

    files = LoadedFiles.of_this_process()
    assert files.changed() == ""
    os.utime(file, (1, 1))
    assert files.changed() == str(file)

    files = LoadedFiles.of_this_process()
    runtime.parent.mkdir()
    runtime.touch()
    assert files.changed() == str(runtime)

    files = LoadedFiles.of_this_process()
    (file.parent / "new.py").touch()
    os.utime(file.parent, (1, 1))
    assert files.changed() == str(file.parent)
