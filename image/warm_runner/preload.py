"""Loads all that a run would load, once, as a run would.

Ansible looks at its environment, its terminal and its configuration while it is imported. So it is
imported with the variables that ansible-runner sets and on a terminal like the one that
ansible-runner makes; and every variable that was read is remembered, for a run to compare.
"""

from __future__ import annotations

import ast
import atexit
import contextlib
import fcntl
import importlib
import os
import pkgutil
import shutil
import struct
import sys
import tempfile
import termios
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from . import arguments, early_end, key, parsed_files, renew, settings
from .loaded_files import LoadedFiles

TERMINAL_SIZE = (24, 80)
# Ansible loads these kinds whole at every run, those of the configuration's folders included.
WHOLE_KINDS = ("become", "connection", "shell")
# Of these it loads what is wanted: of its own all are made ready. Of callbacks it looks at all, to
# find those that are enabled.
OWN_KINDS = ("action", "cache", "callback", "inventory", "strategy")
PACKAGES = (
    "ansible.playbook",
    "ansible.plugins.filter",
    "ansible.plugins.lookup",
    "ansible.plugins.test",
)
# Each process that forks workers would import these itself.
MODULES = ("multiprocessing.popen_fork", "multiprocessing.synchronize")
VARS_PLUGIN = "host_group_vars"


@dataclass(frozen=True)
class Warm:
    """What a parent has loaded.

    Attributes:
        started_with: the environment that the parent itself got.
        read_by_runner: the variables that were read while ansible-runner's library was imported.
        read_by_main: those that its program read; renew.main reads them again.
        runner_parser: of ansible-runner's command line, None where it is to make its own.
        read: the variables that were read while Ansible was imported, None where unset.
        of_the_key: the variables of the key as they were during the imports.
        configuration: Ansible's configuration file, described.
        files: the loaded files, to see changes.
        playbook_parser: of ansible-playbook's command line.
        documents: the collections' roles, parsed.
        early_ends: the roles that may end before Ansible runs.
        usable: why a playbook must not run in a fork of this process; empty where it may.
    """

    started_with: dict[str, str]
    read_by_runner: dict[str, str | None]
    read_by_main: dict[str, str | None]
    runner_parser: Any
    read: dict[str, str | None]
    of_the_key: dict[str, str]
    configuration: str
    files: LoadedFiles
    playbook_parser: Any
    documents: parsed_files.Documents
    early_ends: early_end.Roles
    usable: str

    def changed(self) -> str:
        """Return a loaded file that is no longer what was loaded, empty where there is none."""
        return self.files.changed()

    def refusal(self, environment: Mapping[str, str]) -> str:
        """Say why a run with this environment cannot be a fork of this process, if so."""
        return first_difference(self.read_by_runner, environment)

    def difference(self, environment: Mapping[str, str]) -> str:
        """Say in what a run's environment, of the parent's key, differs from what was read."""
        # Those of the key are the same, but for what ansible-runner changes for a playbook.
        read = {name: value for name, value in self.read.items() if not key.is_of_the_key(name)}
        return first_difference(read, environment)

    def summary(self) -> str:
        """Say in a line what there is."""
        warning = f"; playbooks start cold: {self.usable}" if self.usable else ""
        problem = self.early_ends.problem
        warning += f"; runs do not end early: {problem}" if problem else ""
        return f"{len(sys.modules)} modules, {len(self.files)} files watched{warning}"


def first_difference(read: Mapping[str, str | None], environment: Mapping[str, str]) -> str:
    """Name a variable that has another value in an environment than it was read with."""
    for name, value in read.items():
        if environment.get(name) != value:
            return f"${name} differs from the parent's"
    return ""


def preload(runner: str, collections: Sequence[str], started_with: dict[str, str]) -> Warm:
    """Load ansible-runner, Ansible and the collections into this process."""
    with _record_variables() as read_by_runner:
        importlib.import_module("ansible_runner")
    with _record_variables() as read_by_main:
        importlib.import_module("ansible_runner.__main__")
        runner_parser = arguments.build_for_runner()
    before = dict(os.environ)
    os.environ.update(_environment_of_a_playbook())
    of_the_key = key.environment_of(os.environ)
    own_arguments = sys.argv
    # Ansible looks at the name it was called by; the paths too are as in its own program.
    sys.argv = [os.path.join(os.path.dirname(runner), "ansible-playbook")]
    sys.path[0] = os.path.dirname(runner)
    try:
        with _terminal(), _record_variables() as read:
            _load_ansible()
            playbook_parser = arguments.build_for_playbook()
            _load_collections(collections)
            documents = parsed_files.parse(collections)
            early_ends = early_end.load(settings.early_end_collections(before))
        for name in renew.VARIABLES:
            read.pop(name, None)
    finally:
        sys.argv = own_arguments
        os.environ.clear()
        os.environ.update(before)
    _remove_own_temporary_folder()
    constants = importlib.import_module("ansible.constants")
    return Warm(
        started_with=started_with,
        read_by_runner=read_by_runner,
        read_by_main=read_by_main,
        runner_parser=runner_parser,
        read=read,
        of_the_key=of_the_key,
        configuration=key.fingerprint(constants.CONFIG_FILE or ""),
        files=LoadedFiles.of_this_process(),
        playbook_parser=playbook_parser,
        documents=documents,
        early_ends=early_ends,
        usable=_relative_setting(constants.config),
    )


def _environment_of_a_playbook() -> dict[str, str]:
    """Return the variables of the key that ansible-runner sets or changes for a playbook."""
    config = importlib.import_module("ansible_runner.config.runner")
    folder = tempfile.mkdtemp(prefix="warm-runner-")
    try:
        runner_config = config.RunnerConfig(folder, playbook="none")
        runner_config.prepare_env()
        return key.environment_of(runner_config.env)
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def _terminal() -> Iterator[None]:
    """Have a terminal like ansible-runner's as standard input, output and error."""
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", *TERMINAL_SIZE, 0, 0))
    kept = [os.dup(number) for number in range(3)]
    streams = sys.stdin, sys.stdout, sys.stderr
    for number in range(3):
        os.dup2(slave, number)
    sys.stdin, sys.stdout, sys.stderr = renew.standard_streams()
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        sys.stdin, sys.stdout, sys.stderr = streams
        for number, copy in enumerate(kept):
            os.dup2(copy, number)
            os.close(copy)
        os.close(slave)
        os.close(master)


@contextlib.contextmanager
def _record_variables() -> Iterator[dict[str, str | None]]:
    """Collect the environment variables that are read by name, None where unset."""
    read: dict[str, str | None] = {}
    ordinary: type = type(os.environ)

    class Recording(ordinary):  # type: ignore[misc]
        def __getitem__(self, name: str) -> Any:
            read[name] = None
            read[name] = super().__getitem__(name)
            return read[name]

    os.environ.__class__ = Recording
    try:
        yield read
    finally:
        os.environ.__class__ = ordinary


def _load_ansible() -> None:
    importlib.import_module("ansible.cli.playbook")
    for name in MODULES:
        importlib.import_module(name)
    for name in PACKAGES:
        _load_package(name)
    loaders = importlib.import_module("ansible.plugins.loader")
    loaders.init_plugin_loader([])
    for kind in WHOLE_KINDS:
        for _ in getattr(loaders, f"{kind}_loader").all(class_only=True):
            pass
    for kind in OWN_KINDS:
        package = importlib.import_module(f"ansible.plugins.{kind}")
        for found in pkgutil.iter_modules(package.__path__):
            if (kind, found.name) != ("cache", "base"):
                getattr(loaders, f"{kind}_loader").get_with_context(found.name, class_only=True)
                _remember_no_options(kind, found.name)
    # Asked for its class, this loader would keep the class for an instance: only its options.
    plugin = importlib.import_module(f"ansible.plugins.vars.{VARS_PLUGIN}")
    loaders.vars_loader._load_config_defs(VARS_PLUGIN, plugin, plugin.__file__)
    _load_options_of_awx_display(loaders)


def _remember_no_options(kind: str, name: str) -> None:
    """Of a plugin without options Ansible remembers nothing and parses its documentation anew."""
    constants = importlib.import_module("ansible.constants")
    config = constants.config
    if kind in constants.CONFIGURABLE_PLUGINS and not config.has_configuration_definition(
        kind, name
    ):
        config.initialize_plugin_configuration_definitions(kind, name, {})


def _load_options_of_awx_display(loaders: ModuleType) -> None:
    """Read the options of ansible-runner's callback, and leave its import to the run.

    It changes Ansible's Display as it is imported, and takes the run's own variables.
    """
    utils = importlib.import_module("ansible_runner.utils")
    path = Path(utils.get_callback_dir()) / "awx_display.py"
    for statement in ast.parse(path.read_text()).body:
        if (
            isinstance(statement, ast.Assign)
            and ast.unparse(statement.targets[0]) == "DOCUMENTATION"
        ):
            documented = SimpleNamespace(DOCUMENTATION=ast.literal_eval(statement.value))
            loaders.callback_loader._load_config_defs("awx_display", documented, str(path))


def _load_collections(names: Sequence[str]) -> None:
    for name in names:
        base = f"ansible_collections.{name}.plugins"
        # Modules run in processes of their own, or are imported by the action that runs them here.
        for found in pkgutil.iter_modules(importlib.import_module(base).__path__):
            if found.name != "modules":
                _load_package(f"{base}.{found.name}")


def _load_package(name: str) -> None:
    """Import a package and all in it; leave out what lacks a library, as Ansible does."""
    try:
        package = importlib.import_module(name)
    except ImportError:
        return
    for found in pkgutil.iter_modules(getattr(package, "__path__", [])):
        _load_package(f"{name}.{found.name}")


def _remove_own_temporary_folder() -> None:
    """Remove the folder that Ansible made as it was imported: each run makes its own."""
    constants = importlib.import_module("ansible.constants")
    path = importlib.import_module("ansible.utils.path")
    atexit.unregister(path.cleanup_tmp_file)
    shutil.rmtree(constants.DEFAULT_LOCAL_TMP, ignore_errors=True)


def _relative_setting(config: Any) -> str:
    """Name a path of the configuration that depends on the folder where a run starts."""
    for name, definition in config.get_configuration_definitions().items():
        if definition.get("type") not in ("path", "pathspec", "pathlist", "tmp", "tmppath"):
            continue
        for entry in definition.get("env", []):
            value = os.environ.get(entry["name"], "")
            if any(part and part[0] not in "/~" for part in value.split(os.pathsep)):
                return f"${entry['name']} ({name}) holds a relative path: make it absolute"
    return ""
