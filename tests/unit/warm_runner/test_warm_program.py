"""A forked program ends as the interpreter would end it; events go over one connection."""

from __future__ import annotations

import os
import signal
import socketserver
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from fake_api import QuietHandler
from warm_runner.event_post import Poster
from warm_runner.program import end_as_program


def _status_of(program: Callable[[], object]) -> int:
    pid = os.fork()
    if pid == 0:
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        # Who starts the tests in the background may have it ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        end_as_program(program)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.parametrize(
    ("program", "code"),
    [
        (lambda: None, 0),
        (lambda: 3, 3),
        (lambda: 256 + 4, 4),
        (lambda: "a message", 1),
        (lambda: sys.exit(5), 5),
        (sys.exit, 0),
        (lambda: sys.exit("a message"), 1),
        (lambda: 1 / 0, 1),
        (lambda: signal.raise_signal(signal.SIGINT), -signal.SIGINT),
    ],
)
def test_a_program_ends_as_ever(program: Callable[[], object], code: int) -> None:
    assert _status_of(program) == code


class _Handler(QuietHandler):
    connections: ClassVar[list[int]] = []
    bodies: ClassVar[list[bytes]] = []

    def setup(self) -> None:
        super().setup()
        self.connections.append(1)

    def respond(self) -> None:
        self.bodies.append(self.read_body())
        self.send(200)


@pytest.fixture(params=["HTTP/1.1", "HTTP/1.0"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """A server that keeps connections, and one that does not."""
    _Handler.protocol_version = request.param
    _Handler.connections.clear()
    _Handler.bodies.clear()
    path = str(tmp_path / "s")
    with socketserver.ThreadingUnixStreamServer(path, _Handler) as unix_server:
        unix_server.daemon_threads = True
        thread = threading.Thread(target=unix_server.serve_forever, args=(0.01,))
        thread.start()
        yield path, request.param
        unix_server.shutdown()
        thread.join()


def _never(*args: object, **options: object) -> None:
    raise AssertionError("the ordinary way was taken")


def test_events_go_over_one_connection(server: tuple[str, str]) -> None:
    path, version = server
    poster = Poster(_never)
    for number in range(3):
        assert poster(path, {"counter": number}, urlpath="/events/") == 200
    assert _Handler.bodies == [b'{"counter": 0}', b'{"counter": 1}', b'{"counter": 2}']
    assert len(_Handler.connections) == (1 if version == "HTTP/1.1" else 3)


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("http://127.0.0.1:1/", {}),
        ("/no/such/socket", {}),
        (__file__, {}),
        ("/", {"headers": {"A": "b"}}),
    ],
)
def test_all_else_goes_the_ordinary_way(url: str, options: dict[str, Any]) -> None:
    taken = []
    poster = Poster(lambda *args, **given: taken.append((args, given)))
    poster(url, {"a": 1}, **options)
    assert len(taken) == 1
