"""The quick client does the usual case by itself, and leaves all else to the one in Python."""

from __future__ import annotations

import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from warm_box import SOURCE, WarmBox, wait_until

TASKS = "- {requeue_after: }"


@pytest.fixture
def alone(shared_box: WarmBox) -> Path:
    """The quick client where there is no other to become; a parent waits already."""
    assert shared_box.run(TASKS).code == 0
    path = shared_box.folder / "alone" / "quick" / "ansible-runner"
    if not path.exists():
        path.parent.mkdir(parents=True)
        shutil.copy(SOURCE / "quick" / "ansible-runner", path)
    return path


def start(box: WarmBox, client: Path, *arguments: str, **variables: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [client, *arguments],
        env=box.environment | {"PATH": f"{client.parent}:{box.real.parent}:/usr/bin"} | variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.parametrize(
    "variables",
    [
        {"LC_ALL": "C.UTF-8"},
        # Of the key, and with what is more than ASCII: both clients have to come to the same.
        {"ANSIBLE_LOG_FILTER": "\u00e4, \u20ac\U0001f418", "TZ": "Europe/Berlin", "COLUMNS": ""},
    ],
)
def test_it_finds_the_parent_by_the_same_key(
    shared_box: WarmBox, alone: Path, variables: dict[str, str]
) -> None:
    folder = shared_box.private_folder(TASKS)
    arguments = shared_box.arguments(folder)
    # As the other client is: its parent has to be there before.
    assert shared_box.start(arguments, **variables).wait(timeout=60) == 0
    cold = shared_box.cold_runs
    process = start(shared_box, alone, *arguments, WARM_RUNNER="", **variables)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert "[case : " in output
    assert shared_box.cold_runs == cold


def test_without_a_parent_it_is_the_other_client(shared_box: WarmBox, alone: Path) -> None:
    folder = shared_box.private_folder(TASKS)
    process = start(
        shared_box, alone, *shared_box.arguments(folder), ANSIBLE_TIMEOUT="11", WARM_RUNNER=""
    )
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "cannot execute" in output
    assert f"{alone.parents[1]}/bin/ansible-runner" in output


def test_switched_off_it_is_the_real_one_at_once(shared_box: WarmBox, alone: Path) -> None:
    process = start(shared_box, alone, "--version", WARM_RUNNER="off")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert output.strip()[0].isdigit()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGABRT, signal.SIGKILL])
def test_it_ends_by_the_signal_that_ended_the_run(
    shared_box: WarmBox, alone: Path, number: signal.Signals
) -> None:
    """Go's own handlers would make an exit of it."""
    folder = shared_box.private_folder("- {requeue_after: {sleep: 60}}")
    process = start(shared_box, alone, *shared_box.arguments(folder), WARM_RUNNER="")
    wait_until((folder / "artifacts" / "1" / "stdout").exists)
    (run,) = [
        int(child)
        for parent in shared_box.parents
        for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    ]
    subprocess.run(["kill", f"-{number.value}", str(run)], check=True)
    code = process.wait(timeout=20)
    if number == signal.SIGTERM:
        # ansible-runner ends its playbook, and exits.
        assert code > 0
    else:
        assert code == -number
