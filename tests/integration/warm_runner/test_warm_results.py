"""A warm run leaves behind what a cold one does."""

from __future__ import annotations

import json
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from warm_box import Outcome, WarmBox, assert_alike, event_receiver, wait_until


@dataclass
class Case:
    tasks: str
    status: str
    code: int
    arguments: tuple[str, ...] = ()
    role: str = "case"
    files: dict[str, str] = field(default_factory=dict)


RESCUED = """
- block:
    - {name: It fails, ansible.builtin.fail: {msg: no}}
  rescue:
    - {name: It is rescued, ansible.builtin.set_fact: {saved: true}}
"""
VARIETY = """
- {name: Loop, ansible.builtin.debug: {msg: "{{ item }} ünï"}, loop: [1, 2]}
- {name: Secret, ansible.builtin.set_fact: {password: x}, no_log: true}
- {name: Skipped, ansible.builtin.debug: {msg: a}, when: false}
- {name: Ignored, ansible.builtin.fail: {msg: b}, ignore_errors: true}
- {name: A process of its own, ansible.builtin.command: echo hi}
- {name: Undefined, ansible.builtin.debug: {msg: "{{ missing }}"}}
"""
PLAY = [{"hosts": "localhost", "gather_facts": False, "roles": ["case"]}]
CASES = {
    "ok": Case("- {ansible.builtin.set_fact: {a: 1}}", "successful", 0),
    "failed": Case("- {name: No, ansible.builtin.fail: {msg: no}}", "failed", 2),
    "unreachable": Case(
        "- {ansible.builtin.ping: }",
        "failed",
        4,
        files={
            "inventory__hosts": "localhost ansible_connection=ssh ansible_port=1"
            " ansible_ssh_executable=/bin/false\n"
        },
    ),
    "syntax error": Case("- {name: [", "failed", 4),
    "unknown module": Case("- {no.such.module: }", "failed", 4),
    "rescued": Case(RESCUED, "successful", 0),
    "variety": Case(VARIETY, "failed", 2),
    "requeue_after": Case("- {requeue_after: {period: 7s}}", "successful", 0),
    "no task": Case("[]", "successful", 0),
    "verbose": Case("- {ansible.builtin.command: echo hi}", "successful", 0, ("-vvv",)),
    "very verbose": Case("- {requeue_after: }", "successful", 0, ("-vvvv",)),
    "missing role": Case("[]", "failed", 1, role="nowhere"),
    "command line": Case(
        "- {ansible.builtin.debug: {msg: '{{ given }}'}}",
        "successful",
        0,
        ("--cmdline", "-e given=1 --check"),
    ),
    "quiet": Case("- {ansible.builtin.debug: {msg: a}}", "successful", 0, ("-q",)),
    "playbook": Case("- {ansible.builtin.debug: {msg: a}}", "successful", 0, role=""),
}


def _run_both(box: WarmBox, case: Case, **variables: str) -> tuple[Outcome, Outcome]:
    folders = {
        warm: box.private_folder(case.tasks, name="warm" if warm else "cold", **case.files)
        for warm in (True, False)
    }
    processes = {}
    for warm, folder in folders.items():
        arguments = box.arguments(folder, *case.arguments, role=case.role)
        if not case.role:
            (folder / "project" / "play.yml").write_text(json.dumps(PLAY))
            arguments = ["run", str(folder), "-p", "play.yml", "-i", "1"]
        roles = str(folder / "roles")
        processes[warm] = box.start(arguments, warm, ANSIBLE_ROLES_PATH=roles, **variables)
    outputs = {warm: process.communicate(timeout=120)[0] for warm, process in processes.items()}
    warm, cold = (
        Outcome(folders[which], processes[which].returncode, outputs[which])
        for which in (True, False)
    )
    return warm, cold


@pytest.mark.parametrize("name", CASES)
def test_warm_is_as_cold(shared_box: WarmBox, name: str) -> None:
    case = CASES[name]
    cold_before = shared_box.cold_runs

    warm, cold = _run_both(shared_box, case)

    assert cold.read("status") == case.status, cold.output
    assert cold.code == case.code
    assert_alike(warm, cold)
    expected_cold = 1 if "-vvvv" in case.arguments else 0
    assert shared_box.cold_runs - cold_before == expected_cold, shared_box.log


# What a worker in the playbook's own process might do otherwise.
INLINE = """
- {name: Loop, ansible.builtin.debug: {msg: "{{ item }} ünï"}, loop: [1, 2]}
- {name: A loop of its own, requeue_after: {period: "{{ item }}s"}, loop: [1, 2], register: looped}
- {name: Retried, requeue_after: , until: tried.word == 'one', retries: 2, register: tried}
- name: Again
  ansible.builtin.include_tasks: again.yml
  loop: [1, 2]
  loop_control: {loop_var: turn}
- {name: Changed, requeue_after: {changed: true}, notify: Handler}
- {name: Handlers, ansible.builtin.meta: flush_handlers}
- {name: Changed again, requeue_after: {changed: true}, notify: Handler}
- {name: Secret, ansible.builtin.set_fact: {password: x}, no_log: true}
- {name: Warned of, requeue_after: {warn: it is late}, failed_when: false}
- {name: A process, slow: {seconds: 0}}
- {name: Ignored, requeue_after: {fail: true}, ignore_errors: true}
- {name: Raised, requeue_after: {raise: true}, ignore_errors: true}
- {name: Undefined, ansible.builtin.debug: {msg: "{{ missing }}"}}
"""
AGAIN = "- {name: Turn, ansible.builtin.set_fact: {turned: '{{ turned | default([]) + [turn] }}'}}"
HANDLERS = "- {name: Handler, ansible.builtin.debug: {msg: '{{ turned }}'}}"


@pytest.mark.parametrize("verbosity", ["-v", "-vvv"])
def test_inline_tasks_are_as_cold(shared_box: WarmBox, verbosity: str) -> None:
    files = {"roles__case__handlers__main.yml": HANDLERS, "roles__case__tasks__again.yml": AGAIN}
    case = Case(INLINE, "failed", 2, (verbosity,), files=files)

    warm, cold = _run_both(shared_box, case, WARM_RUNNER_INLINE="demo.things")

    assert cold.code == case.code, cold.output
    assert_alike(warm, cold)
    workers = [
        len({result["process"] for result in outcome.results if "process" in result})
        for outcome in (warm, cold)
    ]
    assert workers[0] == 1
    assert workers[1] > 5


def test_the_minute_of_a_run_makes_no_difference(tmp_path: Path) -> None:
    """A warm run may be the first of a minute, and the cold one the last of that before."""
    output = 'Task\\r\\n "start": "2026-01-01 10:{}.025100",\\r\\n "delta": "0:00:0{}.004"'
    outcomes = []
    for name, start, delta in (("warm", "59:59", 1), ("cold", "00:00", 2)):
        folder = tmp_path / name
        (folder / "artifacts" / "1").mkdir(parents=True)
        (folder / "artifacts" / "1" / "command").write_text("{}")
        outcomes.append(Outcome(folder, 0, output.format(start, delta)))

    assert_alike(*outcomes)


def test_posted_events_are_the_same(shared_box: WarmBox) -> None:
    outcomes = []
    for warm in (True, False):
        socket = shared_box.folder / f"events-{warm}"
        folder = shared_box.private_folder(
            VARIETY,
            env__settings=json.dumps(
                {"runner_http_url": str(socket), "runner_http_path": "/events/"}
            ),
        )
        with event_receiver(socket) as received:
            process = shared_box.start(shared_box.arguments(folder), warm)
            output, _ = process.communicate(timeout=120)
        outcomes.append(Outcome(folder, process.returncode, output, received))

    warm, cold = outcomes
    assert warm.posted[0]["status"] == "starting"
    assert warm.posted[-1]["status"] == "failed"
    warm_posted, cold_posted = (
        [event.get("event", event.get("status")) for event in outcome.posted]
        for outcome in (warm, cold)
    )
    assert warm_posted == cold_posted
    assert warm.comparable()["events"] == cold.comparable()["events"]


def test_each_run_has_its_own_environment(shared_box: WarmBox) -> None:
    """KUBECONFIG names another file in every run of ansible-operator."""
    temporary = shared_box.folder / "home" / ".ansible" / "tmp"
    before = set(temporary.glob("*"))

    outcomes = [
        shared_box.run("- {requeue_after: }", KUBECONFIG=value, ANSIBLE_ROLES_PATH=value)
        for value in ("/tmp/one", "/tmp/two")
    ]

    assert [outcome.results[0]["kubeconfig"] for outcome in outcomes] == ["/tmp/one", "/tmp/two"]
    uuids = [{event["uuid"] for event in outcome.events} for outcome in outcomes]
    assert uuids[0].isdisjoint(uuids[1])
    assert set(temporary.glob("*")) == before


def test_old_artifacts_are_rotated(shared_box: WarmBox) -> None:
    folder = shared_box.private_folder("[]")
    for number in range(4):
        arguments = shared_box.arguments(folder)
        arguments[arguments.index("-i") + 1] = str(number)
        arguments[arguments.index("--rotate-artifacts") + 1] = "2"
        assert shared_box.start(arguments).wait(timeout=60) == 0
        time.sleep(0.01)

    assert sorted(path.name for path in (folder / "artifacts").iterdir()) == ["2", "3"]


def test_a_timeout_ends_a_run(shared_box: WarmBox) -> None:
    folder = shared_box.private_folder(
        "- {slow: {seconds: 60}}", env__settings='{"job_timeout": 1, "pexpect_timeout": 1}'
    )

    process = shared_box.start(shared_box.arguments(folder))

    assert process.wait(timeout=20) == 254
    assert (folder / "artifacts" / "1" / "status").read_text() == "timeout"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_cancels(shared_box: WarmBox, number: signal.Signals) -> None:
    folder = shared_box.private_folder(
        "- {slow: {seconds: 60}}", env__settings='{"pexpect_timeout": 1}'
    )
    process = shared_box.start(shared_box.arguments(folder))
    events = folder / "artifacts" / "1" / "job_events"
    wait_until(lambda: list(events.glob("*task*")) or len(list(events.glob("*.json"))) > 2)

    process.send_signal(number)

    assert process.wait(timeout=20) == 254
    assert (folder / "artifacts" / "1" / "status").read_text() == "canceled"


# A role of a loaded collection, whose files the parent has parsed: each kind, and one twice.
PARSED = {
    "tasks/main.yml": """
- {name: Values, ansible.builtin.debug: {msg: "{{ parsed_default }} {{ parsed_vars.list }}"}}
- name: Twice
  ansible.builtin.include_tasks: more.yml
  loop: [1, 2]
- {name: Handled, ansible.builtin.set_fact: {a: 1}, changed_when: true, notify: Handler}
- {name: Undefined, ansible.builtin.debug: {msg: "{{ missing }}"}}
""",
    "tasks/more.yml": """
- {name: Turn, ansible.builtin.debug: {msg: "{{ item }} {{ parsed_vars | combine({'b': 2}) }}"}}
""",
    "defaults/main.yml": "parsed_default: '{{ 1 + 1 }}'\n",
    "vars/main.yml": "parsed_vars: {list: [&x '{{ parsed_default }}', *x]}\n",
    "handlers/main.yml": "- {name: Handler, ansible.builtin.debug: {msg: handled}}\n",
    "meta/main.yml": "dependencies: []\n",
    "meta/argument_specs.yml": "argument_specs: {main: {options: {parsed_default: {type: str}}}}\n",
}


def _write_parsed_role(box: WarmBox) -> None:
    for name, text in PARSED.items():
        path = box.collection / "roles" / "parsed" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def _run_parsed_role(box: WarmBox) -> tuple[Outcome, Outcome]:
    case = Case("- {ansible.builtin.import_role: {name: demo.things.parsed}}", "failed", 2)
    return _run_both(box, case)


def test_a_role_that_was_parsed_beforehand_is_as_cold(box: WarmBox) -> None:
    _write_parsed_role(box)

    warm, cold = _run_parsed_role(box)

    assert cold.code == 2
    assert "2 [2, 2]" in cold.output, cold.output
    assert_alike(warm, cold)


def test_a_file_that_has_changed_is_parsed_anew(box: WarmBox) -> None:
    _write_parsed_role(box)
    _run_parsed_role(box)
    changed = box.collection / "roles" / "parsed" / "defaults" / "main.yml"
    changed.write_text("parsed_default: changed\n")

    warm, cold = _run_parsed_role(box)

    assert "changed ['changed', 'changed']" in warm.output
    assert_alike(warm, cold)
