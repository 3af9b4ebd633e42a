"""Whatever is odd before a run has started makes it cold, and nothing after that runs it again."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from warm_box import SOURCE, WarmBox
from warm_runner import key, protocol

TASKS = "- {requeue_after: }"


def test_it_can_be_switched_off(box: WarmBox) -> None:
    assert box.run(TASKS, warm=False).code == 0
    assert not box.run_folder.exists()


def test_other_commands_are_the_real_program_s(box: WarmBox) -> None:
    output, _ = box.start(["--version"]).communicate(timeout=60)
    assert output.strip()[0].isdigit()
    assert not box.run_folder.exists()


def test_wrong_arguments_are_reported_as_before(shared_box: WarmBox) -> None:
    folder = shared_box.private_folder("[]")
    outputs = [
        shared_box.start(["run", str(folder), "--no-such"], warm).communicate(timeout=60)
        for warm in (True, False)
    ]
    assert outputs[0] == outputs[1]


def test_no_real_runner_is_an_error(box: WarmBox) -> None:
    process = box.start(["run", "x"], PATH=f"{SOURCE / 'bin'}:/usr/bin:/bin")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "pip install ansible-runner" in output


def test_a_runner_that_is_no_python_program(box: WarmBox) -> None:
    wrapper = box.folder / "wrapper"
    wrapper.write_text(f'#!/bin/sh\nexec {box.real} "$@"\n')
    wrapper.chmod(0o755)

    assert box.run(TASKS, WARM_RUNNER_REAL=str(wrapper)).code == 0
    assert "names no Python in its first line" in box.log


def test_a_folder_that_others_may_enter(box: WarmBox) -> None:
    box.run_folder.mkdir(mode=0o755)
    assert box.run(TASKS).code == 0
    assert not list(box.run_folder.iterdir())


def test_a_collection_that_cannot_be_loaded(box: WarmBox) -> None:
    (box.collection / "plugins" / "module_utils" / "broken.py").write_text("1 / 0\n")
    for _ in range(2):
        assert box.run(TASKS).code == 0
    assert "cannot load Ansible, runs are cold: ZeroDivisionError" in box.log
    assert box.log.count("started a parent") == 1


def test_a_setting_of_the_run_that_the_parent_has_not(shared_box: WarmBox) -> None:
    """ansible-runner is warm, the playbook gets an interpreter of its own."""
    folder = shared_box.private_folder(TASKS, env__envvars='{"ANSIBLE_FORKS": "2"}')
    assert shared_box.start(shared_box.arguments(folder)).wait(timeout=60) == 0
    assert "a playbook starts cold: $ANSIBLE_FORKS differs" in shared_box.log


Behaviour = Callable[[socket.socket], object]


@contextlib.contextmanager
def _false_parent(box: WarmBox, behave: Behaviour) -> Iterator[None]:
    """Listen where the parent would."""
    box.run_folder.mkdir(mode=0o700)
    environment = box.environment | {"WARM_RUNNER": ""}
    name = key.of(environment, str(box.real))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(box.run_folder / f"{name}.socket"))
        listener.listen()

        def serve() -> None:
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    behave(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield
        thread.join(timeout=10)


def _close(connection: socket.socket) -> None:
    pass


def _accept_and_close(connection: socket.socket) -> None:
    connection.sendall(protocol.ACCEPTED)


def _end_at_once(connection: socket.socket) -> None:
    connection.sendall(protocol.ACCEPTED + protocol.ENDED + protocol.encode_number(0))


@pytest.mark.parametrize("behave", [_close, _accept_and_close, _end_at_once])
def test_an_end_before_the_pid(box: WarmBox, behave: Behaviour) -> None:
    with _false_parent(box, behave):
        outcome = box.run(TASKS)
    assert outcome.code == 0, outcome.output
    assert "a cold run" in box.log


def test_a_parent_that_says_nothing(box: WarmBox) -> None:
    box.environment["WARM_RUNNER_WAIT_SECONDS"] = "0.5"
    with _false_parent(
        box, lambda connection: connection.recv(1 << 20) and threading.Event().wait(5)
    ):
        assert box.run(TASKS).code == 0


def test_an_end_after_the_pid_fails(box: WarmBox) -> None:
    """The run may have happened: it is not done again."""

    def behave(connection: socket.socket) -> None:
        pid = protocol.encode_number(os.getpid())
        connection.sendall(protocol.ACCEPTED + protocol.STARTED + pid)
        while not connection.recv(1 << 20).endswith(protocol.GO):
            pass

    with _false_parent(box, behave):
        outcome = box.run(TASKS)
    assert outcome.code == 1
    assert "it is not run again" in outcome.output
    assert not (outcome.folder / "artifacts").exists()


def test_another_user_is_refused(box: WarmBox) -> None:
    """The folder and the socket keep others out; a client that gets past them is not served."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to be another user")
    assert box.run(TASKS).code == 0
    (path,) = box.run_folder.glob("*.socket")
    assert box.run_folder.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_mode & 0o077 == 0
    for opened in (box.folder, box.run_folder, path):
        opened.chmod(0o777)
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setuid(65534)
        answer = b"not connected"
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))
            answer = connection.recv(1) or b"closed"
        os.write(writer, answer)
        os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(reader, 20) == b"closed"
