"""A role whose collection finds nothing to do ends before Ansible, and any other run as ever."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from warm_box import COLLECTION, SOURCE, Outcome, WarmBox, event_receiver, wait_until

sys.path.insert(0, str(SOURCE.parent))

# What the role `thing` has to do, by the variable `how`.
EARLY_END = """
import os
import signal
import time
from pathlib import Path

FOUND = []

def find(variables, role_path):
    Path(variables["traces"], "asked").write_text(str(os.getpid()))
    print("printed by the function", flush=True)
    how = variables["how"]
    if how == "died":
        os.kill(os.getpid(), signal.SIGSEGV)
    if how == "raised":
        raise ValueError("a secret")
    if how == "exited":
        raise SystemExit(0)
    if how == "hung":
        time.sleep(600)
    answers = {
        "end": {"end": True},
        "again": {"end": True, "requeue_after": "7s"},
        "environment": {"end": True, "requeue_after": os.environ.get("KUBECONFIG")},
        "folder": {"end": True, "requeue_after": role_path},
        "go on": {"end": False},
        "found": {"end": False, "found": {"text": variables.get("text")}},
        "a word": "end",
        "another word": {"end": "yes"},
        "another key": {"end": True, "more": 1},
        "a number": {"end": True, "requeue_after": 7},
        "no JSON": {"end": True, "requeue_after": object()},
    }
    return answers[how]

def hand_over(found):
    FOUND.append(found)

EARLY_ENDS = {"thing": find}
"""
ACTION = """
from ansible.plugins.action import ActionBase
from ansible_collections.demo.things.plugins.plugin_utils.early_end import FOUND

class ActionModule(ActionBase):
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        return super().run(tmp, task_vars) | {"changed": False, "found": list(FOUND)}
"""
TASKS = "- {name: Ansible runs, demo.things.look: }\n"
NOTHING_TO_DO = "Nothing to do: the run ended before Ansible."


@pytest.fixture(scope="module")
def early_box() -> Iterator[WarmBox]:
    box = WarmBox(Path(tempfile.mkdtemp(prefix="warm-", dir="/tmp")))
    files = {
        "plugins/plugin_utils/early_end.py": EARLY_END,
        "plugins/action/look.py": ACTION,
        "plugins/modules/look.py": "#!/usr/bin/python\n",
        "roles/thing/tasks/main.yml": TASKS,
        "roles/other/tasks/main.yml": TASKS,
        "roles/idle/tasks/main.yml": "[]\n",
        "roles/later/tasks/main.yml": "- {requeue_after: {period: 7s}}\n",
        "roles/later/meta/main.yml": f"collections: [{COLLECTION}]\n",
    }
    for name, text in files.items():
        path = box.collection / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    box.environment["WARM_RUNNER_EARLY_END"] = COLLECTION
    try:
        yield box
    finally:
        box.close()


class Run:
    """A run of a role of the collection, started as ansible-operator does."""

    def __init__(self, box: WarmBox, how: str, role: str = "thing", **variables: Any) -> None:
        self.box, self.role = box, role
        self.folder = box.private_folder("[]")
        self.options: list[str] = []
        self.roles_path = box.collection / "roles"
        # As ansible-operator marks text, so that it is no template.
        text = {key: {"__ansible_unsafe": value} for key, value in variables.items()}
        given = {"how": how, "traces": str(self.folder), **text}
        self.write("env/extravars", json.dumps(given))

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def start(self, warm: bool = True, **environment: str) -> subprocess.Popen[str]:
        arguments = [
            *("run", str(self.folder), "--rotate-artifacts", "2", "--role", self.role),
            *("--roles-path", f"{self.roles_path}/", "--hosts", "localhost"),
            *("-i", "1", "--role-skip-facts", *self.options),
        ]
        return self.box.start(arguments, warm, **environment)

    def end(self, warm: bool = True, **environment: str) -> Outcome:
        with event_receiver(self.folder / "events") as posted:
            if not (self.folder / "env" / "settings").exists():
                self.write(
                    "env/settings",
                    json.dumps(
                        {
                            "runner_http_url": str(self.folder / "events"),
                            "runner_http_path": "/events/",
                        }
                    ),
                )
            process = self.start(warm, **environment)
            output, _ = process.communicate(timeout=120)
        return Outcome(self.folder, process.returncode, output, posted)

    @property
    def was_asked(self) -> bool:
        return (self.folder / "asked").exists()


def _job_events(outcome: Outcome) -> list[dict[str, Any]]:
    """What ansible-operator takes of the posts: the others have no uuid."""
    return [event for event in outcome.posted if "uuid" in event]


def _has_run_ansible(outcome: Outcome) -> bool:
    return "playbook_on_play_start" in {event["event"] for event in outcome.events}


def _only(outcome: Outcome, name: str) -> dict[str, Any]:
    (found,) = [event for event in _job_events(outcome) if event["event"] == name]
    return found


def _assert_of_the_same_form(event: dict[str, Any], like: dict[str, Any]) -> None:
    """All that a reader of one finds in the other, and of the same types."""
    read = {"uuid", "counter", "stdout", "start_line", "end_line", "event", "pid", "created"}
    assert {key: type(event[key]) for key in read} == {key: type(like[key]) for key in read}
    assert event["created"].endswith("+00:00") and like["created"].endswith("+00:00")


def test_nothing_to_do_leaves_what_a_run_of_no_tasks_leaves(early_box: WarmBox) -> None:
    run = Run(early_box, "end")
    early, empty = run.end(), Run(early_box, "", role="idle").end()

    assert (early.code, early.read("rc"), early.read("status")) == (0, "0", "successful")
    assert early.output == early.read("stdout") == f"{NOTHING_TO_DO}\n"
    assert run.was_asked and not _has_run_ansible(early) and _has_run_ansible(empty)
    assert early.events == _job_events(early)
    stats, like = (_only(outcome, "playbook_on_stats") for outcome in (early, empty))
    _assert_of_the_same_form(stats, like)
    counts = ("changed", "dark", "failures", "ignored", "ok", "processed", "rescued", "skipped")
    assert {key: stats["event_data"][key] for key in counts} == {
        key: like["event_data"][key] for key in counts
    }


def test_the_next_run_is_asked_for_as_by_the_task(early_box: WarmBox) -> None:
    early = Run(early_box, "again").end()
    task = Run(early_box, "", role="later").end()

    event, like = (_only(outcome, "runner_on_ok") for outcome in (early, task))
    _assert_of_the_same_form(event, like)
    assert event["event_data"]["task_action"] == like["event_data"]["task_action"]
    assert event["event_data"]["res"]["period"] == like["event_data"]["res"]["period"] == "7s"
    assert [event["event"] for event in _job_events(early)][-1] == "playbook_on_stats"
    assert not _has_run_ansible(early)


def test_the_function_has_the_variables_and_the_environment_of_the_run(
    early_box: WarmBox,
) -> None:
    run = Run(early_box, "environment")
    run.write("env/envvars", json.dumps({"KUBECONFIG": "/of/the/run"}))
    event = _only(run.end(KUBECONFIG="/another"), "runner_on_ok")
    assert event["event_data"]["res"]["period"] == "/of/the/run"

    event = _only(Run(early_box, "folder").end(), "runner_on_ok")
    assert event["event_data"]["res"]["period"] == str(early_box.collection / "roles" / "thing")


def test_what_was_found_is_handed_over(early_box: WarmBox) -> None:
    outcome = Run(early_box, "found", text="{{ 6 * 7 }}").end(WARM_RUNNER_INLINE=COLLECTION)
    assert outcome.results[0]["found"] == [{"text": "{{ 6 * 7 }}"}]
    outcome = Run(early_box, "go on").end(WARM_RUNNER_INLINE=COLLECTION)
    assert outcome.results[0]["found"] == []


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("died", "its process died"),
        ("exited", "SystemExit was raised"),
        ("raised", "ValueError was raised"),
        ("no JSON", "TypeError was raised"),
        ("a word", "the answer is not understood"),
        ("another word", "the answer is not understood"),
        ("another key", "the answer is not understood"),
        ("a number", "the answer is not understood"),
    ],
)
def test_after_any_other_answer_ansible_runs(early_box: WarmBox, how: str, why: str) -> None:
    run = Run(early_box, how)
    before = len(early_box.log)
    outcome = run.end()

    assert run.was_asked and _has_run_ansible(outcome) and outcome.code == 0
    log = early_box.log[before:]
    assert f"role thing did not end early: {why}" in log
    assert "a secret" not in log and "printed by" not in log + outcome.output


def test_a_function_that_hangs_is_killed_and_ansible_runs(early_box: WarmBox) -> None:
    run = Run(early_box, "hung")
    # Long enough for the function to be asked at all.
    outcome = run.end(WARM_RUNNER_EARLY_END_SECONDS="5")
    assert _has_run_ansible(outcome) and outcome.code == 0
    assert "no answer within 5 s" in early_box.log
    assert not Path("/proc", (run.folder / "asked").read_text()).exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_function_ends_with_its_client(early_box: WarmBox, number: int) -> None:
    run = Run(early_box, "hung")
    process = run.start(WARM_RUNNER_EARLY_END_SECONDS="300")
    asked = run.folder / "asked"
    wait_until(lambda: asked.exists() and asked.read_text())
    process.send_signal(number)
    assert process.wait(timeout=60) == -number
    wait_until(lambda: not Path("/proc", asked.read_text()).exists())
    assert not (run.folder / "artifacts" / "1").exists()


def test_it_is_switched_off_by_naming_no_collection(early_box: WarmBox) -> None:
    run = Run(early_box, "end")
    assert _has_run_ansible(run.end(WARM_RUNNER_EARLY_END=""))
    assert not run.was_asked


def test_the_real_runner_does_not_ask(early_box: WarmBox) -> None:
    run = Run(early_box, "end")
    assert _has_run_ansible(run.end(warm=False))
    assert not run.was_asked


ASKS_FOR_MORE = {
    "verbosity": lambda run: run.options.append("-v"),
    "check mode": lambda run: run.options.extend(["--cmdline", "-e a=1 --check"]),
    "check mode of the operator": lambda run: run.write("env/cmdline", "--check"),
    "another inventory": lambda run: run.write("inventory/group_vars/all.yml", "how: go on"),
    "a variable of the host": lambda run: run.write(
        "inventory/hosts", "localhost ansible_connection=local how=other"
    ),
    "a configuration": lambda run: run.write("project/ansible.cfg", "[defaults]\n"),
    "variables beside the play": lambda run: run.write("project/group_vars/all.yml", "a: b"),
    "a setting of Ansible": lambda run: run.write("env/envvars", '{"ANSIBLE_FORKS": "2"}'),
    "a setting of the runner": lambda run: run.write("env/settings", '{"idle_timeout": 600}'),
    "YAML": lambda run: run.write("env/extravars", f"how: end\ntraces: {run.folder}\n"),
    "another role": lambda run: setattr(run, "role", "other"),
}


@pytest.mark.parametrize("name", ASKS_FOR_MORE)
def test_a_run_that_asks_for_more_is_ansible_s(early_box: WarmBox, name: str) -> None:
    run = Run(early_box, "end")
    ASKS_FOR_MORE[name](run)
    assert _has_run_ansible(run.end())
    assert not run.was_asked


def test_verbosity_in_the_environment_is_ansible_s(early_box: WarmBox) -> None:
    run = Run(early_box, "end")
    assert _has_run_ansible(run.end(ANSIBLE_VERBOSITY="1"))
    assert not run.was_asked


def test_a_role_of_the_same_name_elsewhere_is_ansible_s(early_box: WarmBox) -> None:
    run = Run(early_box, "end")
    run.write("elsewhere/thing/tasks/main.yml", TASKS)
    run.roles_path = run.folder / "elsewhere"
    assert _has_run_ansible(run.end())
    assert not run.was_asked


def test_of_the_artifacts_as_many_are_kept_as_asked_for(early_box: WarmBox) -> None:
    run = Run(early_box, "end")
    for number in range(3):
        path = run.folder / "artifacts" / f"old{number}"
        path.mkdir(parents=True)
        os.utime(path, (number, number))
    assert run.end().code == 0
    assert sorted(path.name for path in (run.folder / "artifacts").iterdir()) == ["1", "old2"]


def test_events_that_cannot_be_posted_leave_it_to_ansible(early_box: WarmBox) -> None:
    run = Run(early_box, "end")
    nowhere = {"runner_http_url": str(run.folder / "nowhere"), "runner_http_path": "/events/"}
    run.write("env/settings", json.dumps(nowhere))
    run.end()
    assert run.was_asked
    assert "role thing did not end early" in early_box.log
    assert not list((run.folder / "artifacts" / "1").glob("job_events/1-*.json"))


def test_a_collection_without_such_a_file_does_without(early_box: WarmBox) -> None:
    path = early_box.collection / "plugins" / "plugin_utils" / "early_end.py"
    path.rename(path.with_suffix(".away"))
    try:
        assert _has_run_ansible(Run(early_box, "", role="other").end(NO_COLOR="1"))
    finally:
        path.with_suffix(".away").rename(path)
    assert "runs do not end early: demo.things: No module named" in early_box.log


def test_a_changed_function_counts_at_the_next_run(early_box: WarmBox) -> None:
    path = early_box.collection / "plugins" / "plugin_utils" / "early_end.py"
    assert not _has_run_ansible(Run(early_box, "end").end())
    path.write_text(EARLY_END.replace('"end": {"end": True}', '"end": {"end": False}'))
    os.utime(path, (1, 1))
    try:
        assert _has_run_ansible(Run(early_box, "end").end())
    finally:
        path.write_text(EARLY_END)
