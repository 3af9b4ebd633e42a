"""What the warm runner relies on and ansible-core, ansible-runner and others do not promise.

This file is the list: every name that the warm runner takes from their insides, in INSIDES, and
below a test for each way in which it expects them to behave. When a release of one of them is
taken, what fails here is what has to be mended in image/warm_runner.
"""

from __future__ import annotations

import ast
import inspect
import json
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from warm_runner import arguments, inline_tasks, playbook, preload

SOURCE = Path(preload.__file__).parent

# Module, what is used of it ("a.b": an attribute of an attribute), by which file.
INSIDES = (
    # ansible-runner
    ("ansible_runner.__main__", "main", "run.py"),
    ("ansible_runner.__main__", "AnsibleRunnerArgumentParser.parse_args", "arguments.py"),
    ("ansible_runner.config.runner", "RunnerConfig.prepare_env", "preload.py"),
    ("ansible_runner.utils", "cleanup_artifact_dir", "early_end.py"),
    ("ansible_runner.utils", "get_callback_dir", "preload.py"),
    ("ansible_runner_http.events", "send_request", "event_post.py"),
    ("pexpect", "spawn._spawnpty", "playbook.py"),
    ("ptyprocess", "PtyProcess.close", "playbook.py"),
    # The start of ansible-playbook
    ("ansible.cli", "init_plugin_loader", "playbook.py"),
    ("ansible.cli.playbook", "main", "playbook.py"),
    ("ansible.cli.playbook", "PlaybookCLI.init_parser", "arguments.py"),
    ("ansible.config.manager", "find_ini_config_file", "playbook.py"),
    ("ansible.constants", "CONFIG_FILE", "preload.py"),
    ("ansible.constants", "CONFIGURABLE_PLUGINS", "preload.py"),
    ("ansible.constants", "DEFAULT_LOCAL_TMP", "preload.py"),
    ("ansible.constants", "config.get_config_value", "renew.py"),
    ("ansible.constants", "config.get_configuration_definitions", "preload.py"),
    ("ansible.constants", "config.has_configuration_definition", "preload.py"),
    ("ansible.constants", "config.initialize_plugin_configuration_definitions", "preload.py"),
    ("ansible.constants", "set_constant", "renew.py"),
    ("ansible.utils.display", "Display", "renew.py"),
    ("ansible.utils.path", "cleanup_tmp_file", "preload.py"),
    ("ansible.utils.vars", "random_int", "renew.py"),
    # Plugins
    ("ansible.plugins.loader", "_load_plugin_filter", "playbook.py"),
    ("ansible.plugins.loader", "init_plugin_loader", "preload.py"),
    ("ansible.plugins.loader", "callback_loader._load_config_defs", "preload.py"),
    ("ansible.plugins.loader", "vars_loader._load_config_defs", "preload.py"),
    *(
        ("ansible.plugins.loader", f"{kind}_loader.all", "preload.py")
        for kind in preload.WHOLE_KINDS
    ),
    *(
        ("ansible.plugins.loader", f"{kind}_loader.get_with_context", "preload.py")
        for kind in preload.OWN_KINDS
    ),
    *((f"ansible.plugins.{kind}", "__path__", "preload.py") for kind in preload.OWN_KINDS),
    ("ansible.plugins.vars.host_group_vars", "DOCUMENTATION", "preload.py"),
    ("ansible.plugins.filter", "__path__", "preload.py"),
    ("ansible.plugins.lookup", "__path__", "preload.py"),
    ("ansible.plugins.test", "__path__", "preload.py"),
    # Roles
    ("ansible.playbook", "__path__", "preload.py"),
    ("ansible.parsing.dataloader", "DataLoader.get_text_file_contents", "parsed_files.py"),
    ("ansible.parsing.dataloader", "DataLoader.load", "parsed_files.py"),
    ("ansible.parsing.dataloader", "DataLoader.load_from_file", "parsed_files.py"),
    ("ansible.parsing.dataloader", "DataLoader.path_dwim", "parsed_files.py"),
    ("ansible._internal._datatag._tags", "SourceWasEncrypted.is_tagged_on", "parsed_files.py"),
    ("ansible._internal._datatag._tags", "TrustedAsTemplate.tag", "parsed_files.py"),
    # Tasks in the playbook's own process
    ("ansible.executor.process.worker", "WorkerProcess.start", "inline_tasks.py"),
    ("ansible.executor.task_executor", "TaskExecutor.run", "inline_tasks.py"),
    ("ansible._internal._task", "TaskContext.create", "inline_tasks.py"),
    (
        "ansible._internal._task",
        "UnifiedTaskResult.create_from_action_exception",
        "inline_tasks.py",
    ),
    ("ansible._internal._task", "UnifiedTaskResult.finalize_registered_values", "inline_tasks.py"),
    ("ansible.plugins.strategy", "WorkerProcess", "inline_tasks.py"),
    # Python's own
    ("atexit", "_clear", "renew.py"),
    ("atexit", "_run_exitfuncs", "program.py"),
    ("multiprocessing.popen_fork", "Popen", "preload.py"),
    ("multiprocessing.synchronize", "Lock", "preload.py"),
    ("multiprocessing.util", "_exit_function", "renew.py"),
    ("threading", "_shutdown", "program.py"),
)
PROMISED = {"ansible_runner", "requests", "kubernetes.config.kube_config"}


@pytest.mark.parametrize(("module", "name", "used_by"), INSIDES, ids=str)
def test_it_is_there(module: str, name: str, used_by: str) -> None:
    found: Any = import_module(module)
    for part in name.split("."):
        assert hasattr(found, part), f"{module}.{name} is gone: see image/warm_runner/{used_by}"
        found = getattr(found, part)


def test_the_list_is_complete() -> None:
    """Every module of others that the warm runner names in its sources is in INSIDES."""
    listed = {module for module, _, _ in INSIDES} | PROMISED
    begins = re.compile(r"(ansible|ansible_runner|ansible_runner_http)(\.\w+)+|requests")
    for path in SOURCE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                name = node.value
                if name.startswith("ansible.builtin") or name == "ansible.cfg":
                    continue
                if begins.fullmatch(name):
                    assert name in listed, f"{path.name} uses {name}: add it to INSIDES"


def test_the_runner_builds_its_parser_from_its_own_class_and_then_parses() -> None:
    parser = arguments.build_for_runner()
    options = parser.parse_args(["run", "/folder", "--playbook", "one.yml"])
    assert (options.private_data_dir, options.playbook) == ("/folder", "one.yml")


def test_the_playbook_s_parser_is_what_init_parser_leaves() -> None:
    parser = arguments.build_for_playbook()
    assert parser.parse_args(["-i", "hosts", "one.yml"]).args == ["one.yml"]


def test_the_runner_starts_programs_by_pexpect_and_posts_by_the_module_s_function(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both are looked up when they are called, so that they can be replaced after the import."""
    runner: Any = import_module("ansible_runner.runner")
    assert "pexpect.spawn(" in inspect.getsource(runner.Runner.run)
    events: Any = import_module("ansible_runner_http.events")
    posted: list[Any] = []
    monkeypatch.setattr(
        events, "send_request", lambda *words, **named: posted.append((words, named))
    )
    settings = {"runner_http_url": "/socket", "runner_http_path": "/path"}
    events.event_handler(type("Config", (), {"settings": settings}), {"event": 1})
    expected = {"data": {"event": 1}, "headers": None, "urlpath": "/path"}
    assert posted == [(("/socket",), expected)]


def test_pexpect_makes_the_terminal_in_one_method(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it hands over is what playbook._fork takes."""
    pexpect: Any = import_module("pexpect")
    given: dict[str, Any] = {}

    class Spawn(pexpect.spawn):  # type: ignore[misc]
        def _spawnpty(self, words: Any, **options: Any) -> Any:
            given.update(options, words=words)
            return super()._spawnpty(words, **options)

    options: dict[str, Any] = {"cwd": "/", "env": {"A": "b"}, "echo": False}
    spawned = Spawn("/bin/true", [], ignore_sighup=True, encoding="utf-8", **options)
    spawned.expect(pexpect.EOF)
    spawned.close()
    assert given.pop("words") == [b"/bin/true"]
    assert set(given) <= set(inspect.signature(playbook._fork).parameters)
    process: Any = import_module("ptyprocess").PtyProcess
    assert list(inspect.signature(process.__init__).parameters) == ["self", "pid", "fd"]
    assert {"terminated", "delayafterclose"} <= vars(spawned.ptyproc).keys()


def test_the_runner_s_configuration_gives_the_playbook_s_environment() -> None:
    environment = preload._environment_of_a_playbook()
    assert environment["ANSIBLE_STDOUT_CALLBACK"] == "awx_display"


def test_the_runner_s_callback_documents_its_options_by_a_literal() -> None:
    utils: Any = import_module("ansible_runner.utils")
    text = (Path(utils.get_callback_dir()) / "awx_display.py").read_text()
    documented = [
        ast.literal_eval(statement.value)
        for statement in ast.parse(text).body
        if isinstance(statement, ast.Assign)
        and ast.unparse(statement.targets[0]) == "DOCUMENTATION"
    ]
    assert yaml.safe_load(documented[0])


def test_the_program_is_ansible_s_own() -> None:
    program = Path(sys.executable).with_name(playbook.PROGRAM)
    assert playbook.ENTRY_POINT in program.read_bytes()


def test_a_file_is_loaded_by_path_text_and_trust(tmp_path: Path) -> None:
    """A document that was parsed before is what the loader would return, its tags included."""
    signature = inspect.signature(
        import_module("ansible.parsing.dataloader").DataLoader.load_from_file
    )
    assert {name: each.default for name, each in list(signature.parameters.items())[2:]} == {
        "cache": "all",
        "unsafe": False,
        "json_only": False,
        "trusted_as_template": False,
    }
    path = tmp_path / "main.yml"
    path.write_text("- name: '{{ one }}'\n")
    printed = run(
        f"""
        from ansible._internal._datatag._tags import Origin, TrustedAsTemplate
        from ansible.parsing.dataloader import DataLoader
        from pathlib import Path
        from warm_runner import parsed_files

        def described(value):
            origin = Origin.get_tag(value)
            return [value, TrustedAsTemplate.is_tagged_on(value), origin.path, origin.line_num]

        parsed_files._files = lambda _names: [Path({str(path)!r})]
        documents = parsed_files.parse(["any"])
        ordinary = DataLoader().load_from_file({str(path)!r}, trusted_as_template=True)
        parsed_files.hand_out(documents)
        warm = DataLoader().load_from_file({str(path)!r}, trusted_as_template=True)
        names = ordinary[0]["name"], warm[0]["name"]
        print(json.dumps([*map(described, names), len(documents)]))
        """
    )
    ordinary, warm, left = json.loads(printed)
    assert ordinary == warm
    assert warm[:2] == ["{{ one }}", True]
    assert left == 0


def test_settings_are_read_from_the_environment_by_name() -> None:
    """Else a playbook could not tell that it would read others than its parent did."""
    printed = run(
        """
        import os
        os.environ["ANSIBLE_FORKS"] = "7"
        with preload._record_variables() as read:
            import ansible.constants
        print(json.dumps(read))
        """
    )
    read = json.loads(printed)
    assert read["ANSIBLE_FORKS"] == "7"
    assert read["ANSIBLE_GATHERING"] is None


def test_what_depends_on_the_environment_is_renewed() -> None:
    """The constants are set anew, and every process has its own folder, uuids and Display."""
    printed = run(
        """
        import atexit, os
        registered, ordinary = [], atexit.register
        atexit.register = lambda *a, **named: registered.append(a[0]) or ordinary(*a, **named)
        import ansible.constants as constants
        from ansible.utils import path, vars as variables
        from ansible.utils.display import Display

        def own():
            roles = constants.DEFAULT_ROLES_PATH
            return [constants.DEFAULT_LOCAL_TMP, variables.get_unique_id()[14:23], str(roles)]

        before = own()
        was_there = os.path.isdir(before[0])
        preload._remove_own_temporary_folder()
        cleaned = path.cleanup_tmp_file in registered
        os.environ["ANSIBLE_ROLES_PATH"] = "/other"
        display = Display()
        display._warns.add("a warning")
        renew.ansible()
        same = Display() is display
        print(json.dumps([before, own(), was_there, cleaned, same, list(display._warns)]))
        """
    )
    before, after, was_there, cleaned, same, warned = json.loads(printed)
    assert not set(before) & set(after)
    assert "/other" in after[2]
    assert was_there
    assert cleaned
    assert same
    assert warned == []


def test_plugins_are_loaded_before_they_are_asked_for() -> None:
    """Ansible remembers the classes and options of plugins; without options it needs a reminder."""
    printed = run(
        """
        import sys
        preload._load_ansible()
        import ansible.constants as constants
        config = constants.config
        some = {"cache": "memory", "callback": "minimal", "inventory": "ini"}
        print(json.dumps([
            [*(kind for kind in some if not config.has_configuration_definition(kind, some[kind]))],
            config.has_configuration_definition("callback", "awx_display"),
            config.has_configuration_definition("vars", "host_group_vars"),
            [f"ansible.plugins.{kind}" in sys.modules for kind in preload.WHOLE_KINDS],
        ]))
        """
    )
    unknown, callback, variables, packages = json.loads(printed)
    assert unknown == []
    assert callback
    assert variables
    assert all(packages)


PLAY = """
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - ansible.builtin.set_fact: {one: "{{ 1 + 1 }}"}
    - {ansible.builtin.debug: {msg: "{{ item }}{{ one }}"}, loop: [a, b], register: said}
    - {ansible.builtin.fail: {msg: bad}, ignore_errors: "{{ one == 2 }}", register: end}
    - {ansible.builtin.debug: {msg: no}, when: one == 3}
    - {ansible.builtin.include_tasks: more.yml, vars: {word: "w{{ one }}"}}
    - ansible.builtin.assert:
        that: "said.results[1].msg == 'b2' and end.msg == 'bad' and given == 'w2'"
    - {ansible.builtin.debug: {msg: "{{ unknown }}"}, ignore_errors: true}
"""


@pytest.mark.parametrize("inline", [False, True])
def test_a_worker_can_be_the_playbook_s_own_process(tmp_path: Path, inline: bool) -> None:
    """Its results are the same, and no process is forked."""
    (tmp_path / "play.yml").write_text(PLAY)
    (tmp_path / "more.yml").write_text("- ansible.builtin.set_fact: {given: '{{ word }}'}\n")
    printed = run(
        f"""
        import os
        import re
        import sys
        forks = []
        os.register_at_fork(before=lambda: forks.append(1))
        inline_tasks.run_inline({["no.collection"] if inline else []!r})
        from ansible.cli.playbook import main
        sys.argv = ["ansible-playbook", {str(tmp_path / "play.yml")!r}]
        try:
            main()
        except SystemExit:
            pass
        print("forks", len(forks))
        """
    )
    recap = re.search(r"ok=(\d+) .*failed=(\d+) +skipped=(\d+) .*ignored=(\d+)", printed)
    assert recap
    assert recap.groups() == ("7", "0", "1", "2")
    assert ("forks 0" in printed) == inline


def test_a_worker_is_made_and_told_what_inline_tasks_takes() -> None:
    worker: Any = import_module("ansible.executor.process.worker").WorkerProcess
    text = inspect.getsource(worker)
    for name in re.findall(r"self\.(_\w+)", inspect.getsource(inline_tasks)):
        if name not in {"_inline", "_run_task"}:
            assert f"self.{name} = " in text, f"WorkerProcess.{name} is gone"
    executor: Any = import_module("ansible.executor.task_executor").TaskExecutor
    names = ["host", "play_context", "loader", "shared_loader_obj", "final_q", "variable_manager"]
    assert list(inspect.signature(executor.__init__).parameters)[1:] == names
    strategy: Any = import_module("ansible.plugins.strategy")
    assert "= WorkerProcess(" in inspect.getsource(strategy.StrategyBase._queue_task)
    queue: Any = import_module("ansible.executor.task_queue_manager").FinalQueue
    assert list(inspect.signature(queue.send_task_result).parameters)[1:] == ["host", "task", "utr"]


def run(code: str) -> str:
    """Return what a new Python prints, with the warm runner's modules there; it must succeed."""
    lines = [f"import json, sys; sys.path.append({str(SOURCE.parent)!r})"]
    lines.append("from warm_runner import inline_tasks, parsed_files, preload, renew")
    environment = {
        name: text for name, text in os.environ.items() if not name.startswith("ANSIBLE")
    }
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines) + "\n" + inspect.cleandoc(code)],
        capture_output=True,
        text=True,
        env=environment | {"LC_ALL": "C.UTF-8"},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
