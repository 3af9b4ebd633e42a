"""What is reported of a scratch server that ends; a shell stands for the server."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.postgres.connection import (
    ConnectionParameters,
)
from ansible_collections.postgres.operator.plugins.module_utils.postgres.scratch import (
    ScratchServer,
)

Run = Callable[[str], ScratchServer]


@pytest.fixture
def run() -> Iterator[Run]:
    servers = []

    def start(script: str) -> ScratchServer:
        process = subprocess.Popen(["sh", "-c", script], stderr=subprocess.PIPE, text=True)
        servers.append(ScratchServer(ConnectionParameters("/nowhere", 1, "nobody"), process))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


def test_a_complaint_that_comes_late_is_waited_for(run: Run) -> None:
    killed = "LOG:  server process (PID 7) was terminated by signal 9: Killed"
    server = run(f"sleep 0.3; echo '{killed}' >&2; exec sleep 60")
    assert not server.crashed
    server.await_complaint()
    assert server.crashed
    assert server.out_of_memory
    assert "the scratch server's log: LOG: server process (PID 7)" in server.explain("it failed")


def test_a_crash_is_no_lack_of_memory(run: Run) -> None:
    crashed = "LOG:  server process (PID 7) was terminated by signal 11: Segmentation fault"
    server = run(f"echo '{crashed}' >&2; exec sleep 60")
    server.await_complaint()
    assert (server.crashed, server.out_of_memory) == (True, False)
    server = run("kill -9 $$")
    server.process.wait()
    assert (server.crashed, server.out_of_memory) == (True, True)


def test_only_the_first_grave_lines_are_kept(run: Run) -> None:
    server = run(
        "echo 'FATAL:  the database system is starting up' >&2; echo 'ERROR:  a row' >&2;"
        ' for n in 1 2 3 4 5 6 7; do echo "PANIC:  number $n" >&2; done; exit 3'
    )
    server.process.wait()
    text = server.explain("it failed")
    assert text.startswith("it failed; the scratch server ended with status 3; ")
    assert "PANIC: number 1" in text
    for unwanted in ("starting up", "a row", "number 6"):
        assert unwanted not in text
