"""Parents come, serve and go; no run outlives its client or its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from warm_box import SOURCE, WarmBox, processes_with, wait_until

TASKS = "- {requeue_after: }"
# In the worker itself, so that nothing of it is a program of its own.
LONG = "- {requeue_after: {sleep: 60}}"
RUNS = int(os.environ.get("WARM_RUNNER_TEST_RUNS", "500"))


def _start_long(box: WarmBox) -> subprocess.Popen[str]:
    folder = box.private_folder(LONG)
    process = box.start(box.arguments(folder))
    # ansible-runner, ansible-playbook and its worker.
    wait_until(lambda: box.parents and len(_descendants(box.parents[0])) == 3)
    return process


def _children(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()] if path.exists() else []


def _descendants(pid: int) -> list[int]:
    children = _children(pid)
    return children + [found for child in children for found in _descendants(child)]


def _gone(pids: list[int]) -> bool:
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)


def _forget_the_start(box: WarmBox) -> None:
    """A parent that died a moment after its start is not started again at once."""
    for lock in box.run_folder.glob("*.lock"):
        os.utime(lock, (0, 0))


def test_a_killed_parent_takes_its_run_along(box: WarmBox) -> None:
    process = _start_long(box)
    (parent,) = box.parents
    run = _descendants(parent)

    os.kill(parent, signal.SIGKILL)

    output, _ = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "it is not run again" in output
    wait_until(lambda: _gone(run))
    assert box.run(TASKS).code == 0
    assert not box.parents
    _forget_the_start(box)
    assert box.run(TASKS).code == 0
    assert len(box.parents) == 1


def test_a_killed_client_takes_its_run_along(box: WarmBox) -> None:
    process = _start_long(box)
    (parent,) = box.parents
    run = _descendants(parent)

    process.kill()
    process.communicate(timeout=20)

    wait_until(lambda: _gone(run))
    assert box.run(TASKS).code == 0
    assert box.parents == [parent]
    assert box.cold_runs == 0


def test_a_killed_run_ends_its_client_alike(box: WarmBox) -> None:
    """As the kernel does when memory is short."""
    process = _start_long(box)
    (run,) = _children(*box.parents)

    os.kill(run, signal.SIGKILL)

    assert process.wait(timeout=20) == -signal.SIGKILL


def test_a_changed_collection_is_loaded_anew(box: WarmBox) -> None:
    assert box.run(TASKS).results[0]["word"] == "one"
    (first,) = box.parents
    (box.collection / "plugins" / "module_utils" / "word.py").write_text("WORD = 'two'\n")

    assert box.run(TASKS).results[0]["word"] == "two"

    wait_until(lambda: box.parents and first not in box.parents)
    assert len(box.parents) == 1
    assert box.cold_runs == 0


def test_a_changed_configuration_has_another_parent(box: WarmBox) -> None:
    configuration = box.folder / "ansible.cfg"
    box.environment["ANSIBLE_CONFIG"] = str(configuration)
    printed = []
    tasks = "- {ansible.builtin.debug: {msg: \"{{ lookup('config', 'DEFAULT_FORKS') }}\"}}"
    for forks in (3, 4):
        configuration.write_text(f"[defaults]\nforks = {forks}\n")
        printed.append(int(box.run(tasks).results[0]["msg"]))

    assert printed == [3, 4]
    assert len(box.parents) == 2
    assert box.cold_runs == 0


def test_an_idle_parent_ends(box: WarmBox) -> None:
    assert box.run(TASKS, WARM_RUNNER_IDLE_SECONDS="0.5").code == 0
    wait_until(lambda: not box.parents)
    assert not list(box.run_folder.glob("*.socket"))


def test_a_parent_whose_socket_is_gone_ends(box: WarmBox) -> None:
    assert box.run(TASKS, WARM_RUNNER_IDLE_SECONDS="5").code == 0
    (socket,) = box.run_folder.glob("*.socket")
    socket.unlink()
    wait_until(lambda: not box.parents)
    assert "no longer its own" in box.log


def test_it_is_started_beside_a_command(box: WarmBox) -> None:
    folder = box.private_folder(TASKS)
    arguments = ["with-warm-runner", "sh", "-c", 'sleep 0.2; ansible-runner "$@"', "-"]
    environment = box.environment | {"WARM_RUNNER": ""}
    done = subprocess.run(
        [SOURCE / "bin" / "with-warm-runner", *arguments[1:], *box.arguments(folder)],
        env=environment,
        check=False,
    )
    assert done.returncode == 0
    assert len(box.parents) == 1
    assert box.cold_runs == 0


def test_runs_queue(box: WarmBox) -> None:
    """One at a time here: the others wait, none is refused."""
    box.environment["WARM_RUNNER_MAX_RUNS"] = "1"
    with ThreadPoolExecutor(4) as pool:
        runs = [pool.submit(box.run, TASKS) for _ in range(4)]
        most = 0
        while not all(run.done() for run in runs):
            most = max([most, *(len(_children(parent)) for parent in box.parents)])
            time.sleep(0.005)

    assert [run.result().code for run in runs] == [0] * 4
    assert most == 1
    assert box.cold_runs == 0


def test_many_runs_leave_nothing_behind(box: WarmBox) -> None:
    """Short ones: one in five gets as far as ansible-playbook. 10,000 take minutes."""
    folder = box.private_folder(TASKS)
    (folder / "project" / "play.yml").write_text("[]")

    def run(number: int) -> int:
        arguments = ["run", str(folder), "-i", f"{number % 4}", "-q"]
        if number % 5 == 0:
            arguments += ["-p", "play.yml", "--cmdline=--version"]
        return box.start(arguments).wait(timeout=60)

    def look() -> tuple[int, int]:
        status = Path(f"/proc/{parent}/status").read_text()
        memory = next(line for line in status.splitlines() if line.startswith("RssAnon"))
        return len(list(Path(f"/proc/{parent}/fd").iterdir())), int(memory.split()[1])

    assert [run(number) for number in range(4)] == [0, 1, 1, 1]
    (parent,) = box.parents
    descriptors, memory = look()
    with ThreadPoolExecutor(4) as pool:
        codes = list(pool.map(run, range(RUNS)))

    wait_until(lambda: not _children(parent))
    after_descriptors, after_memory = look()
    assert codes == [0 if number % 5 == 0 else 1 for number in range(RUNS)]
    assert after_descriptors == descriptors
    assert after_memory < memory + 2048
    assert box.parents == [parent]
    assert box.cold_runs == 0
    assert processes_with(str(box.folder)) == [parent]
