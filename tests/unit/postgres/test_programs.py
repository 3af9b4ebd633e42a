"""Versions that fit together, and programs that fail, hang or shout."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest
from ansible_collections.postgres.operator.plugins.module_utils import errors
from ansible_collections.postgres.operator.plugins.module_utils.postgres.cancellation import (
    Cancellation,
    run_together,
)
from ansible_collections.postgres.operator.plugins.module_utils.postgres.programs import (
    require_client_not_older,
    require_not_newer,
    run_program,
)
from ansible_collections.postgres.operator.plugins.module_utils.postgres.releases import Version


def test_clients_and_servers() -> None:
    require_client_not_older("pg_dump", Version(17, 1), Version(15, 20))
    require_client_not_older("pg_dump", Version(15, 1), Version(15, 20))
    with pytest.raises(errors.ServerVersionUnsupported, match="16 or newer"):
        require_client_not_older("pg_dump", Version(15, 20), Version(16, 1))
    require_not_newer(Version(15, 20), Version(15, 1))
    with pytest.raises(errors.IncompatibleVersion, match="16 or newer"):
        require_not_newer(Version(16, 1), Version(15, 20))


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Put a shell script called `tool` on PATH."""
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    def write(script: str) -> dict[str, str]:
        path = tmp_path / "tool"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return {"PATH": os.environ["PATH"]}

    return write


def test_success_is_the_exit_status_and_no_word_in_the_output(program) -> None:
    run_program(["tool"], program("echo ERROR >&2; echo ERROR; exit 0"), errors.BackupFailed)
    with pytest.raises(errors.BackupFailed, match="status 3"):
        run_program(["tool"], program("echo done successfully; exit 3"), errors.BackupFailed)


def test_the_end_of_what_it_says_is_kept(program) -> None:
    environment = program("seq 100000 >&2; echo No space left on device >&2; exit 1")
    with pytest.raises(errors.NoSpace) as caught:
        run_program(["tool"], environment, errors.BackupFailed)
    assert "100000 No space left on device" in caught.value.message
    assert len(caught.value.message) < 2000


def test_what_it_says_reports_no_value_of_a_row(program) -> None:
    environment = program("echo 'CONTEXT:  COPY t, line 1, column a: \"secret\"' >&2; exit 1")
    with pytest.raises(errors.RestoreFailed, match=r'column a: "\.\.\."'):
        run_program(["tool"], environment, errors.RestoreFailed)


def test_killed_by_a_signal(program) -> None:
    with pytest.raises(
        errors.OutOfMemory, match=r"signal 9.*raise jobs\.resources\.limits\.memory"
    ):
        run_program(["tool"], program("kill -9 $$"), errors.BackupFailed)
    with pytest.raises(errors.BackupFailed, match="signal 11"):
        run_program(["tool"], program("kill -11 $$"), errors.BackupFailed)


DIED = "pg_dump: error: a worker process died unexpectedly"


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        ([DIED], errors.OutOfMemory),
        (
            ["pg_dump: warning: there are circular foreign-key constraints", DIED],
            errors.OutOfMemory,
        ),
        # The worker has said why.
        (["pg_dump: error: query failed: ERROR:  out of shared memory", DIED], errors.BackupFailed),
        (["pg_dump: error: could not close: No space left on device", DIED], errors.NoSpace),
        (["pg_dump: error: something else"], errors.BackupFailed),
    ],
)
def test_a_worker_that_is_gone_without_a_word_was_killed(program, lines, error) -> None:
    environment = program("".join(f"echo '{line}' >&2; " for line in lines) + "exit 1")
    with pytest.raises(errors.OperatorError) as caught:
        run_program(["tool"], environment, errors.BackupFailed)
    assert type(caught.value) is error
    assert ("jobs.resources.limits.memory" in caught.value.message) is (error is errors.OutOfMemory)


def test_a_worker_that_outlives_its_parent_is_ended(program, tmp_path) -> None:
    environment = program(f"sleep 60 & echo $! > {tmp_path}/worker; kill -9 $$")
    started = time.monotonic()
    with pytest.raises(errors.OutOfMemory):
        run_program(["tool"], environment, errors.BackupFailed)
    assert time.monotonic() - started < 30
    worker = int((tmp_path / "worker").read_text())
    assert not runs(worker)


def runs(pid: int) -> bool:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return False
        if state == "Z":
            return False
        time.sleep(0.02)
    return True


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(errors.ServerVersionUnsupported, match="no-such-tool is not on PATH"):
        run_program(["no-such-tool"], {}, errors.BackupFailed)


def test_the_first_failure_ends_the_others(program) -> None:
    environment = program("sleep 60")
    cancellation = Cancellation()

    def hang() -> None:
        run_program(["tool"], environment, errors.BackupFailed, cancellation)

    def fail() -> None:
        time.sleep(0.1)
        raise errors.NoSpace("the cause")

    started = time.monotonic()
    with pytest.raises(errors.NoSpace, match="the cause"):
        run_together(cancellation, [hang, fail, hang])
    assert time.monotonic() - started < 30


def test_what_starts_after_the_cancellation_ends_at_once() -> None:
    cancellation = Cancellation()
    cancellation.cancel()
    called = threading.Event()
    with cancellation.calls(called.set):
        assert called.is_set()
