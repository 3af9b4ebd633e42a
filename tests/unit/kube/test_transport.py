"""Answers come whole, whatever their form, or not at all; what writes is sent once."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Iterator

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.kube.access import Access
from ansible_collections.postgres.operator.plugins.module_utils.kube.transport import (
    RefusedError,
    Transport,
)
from urllib3.exceptions import HTTPError

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def _read_request(connection: socket.socket) -> bytes:
    """Read a request with its body, which may come in a packet of its own."""
    data = b""
    while b"\r\n\r\n" not in data or len(data.partition(b"\r\n\r\n")[2]) < _length(data):
        more = connection.recv(65536)
        if not more:
            break
        data += more
    return data


def _length(data: bytes) -> int:
    found = re.search(rb"content-length: *(\d+)", data, re.IGNORECASE)
    return int(found[1]) if found else 0


@contextlib.contextmanager
def served(*connections: list[bytes]) -> Iterator[tuple[Transport, list[bytes]]]:
    """Answer the requests of each connection in turn, then close it; note what was asked."""
    asked: list[bytes] = []

    def serve() -> None:
        for answers in connections:
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    for answer in answers:
                        asked.append(_read_request(connection))
                        connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield Transport(Access(f"http://127.0.0.1:{listener.getsockname()[1]}/base/")), asked


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (OK, b"ok"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, b"ok"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3;x=y\r\none\r\nA\r\n0123456789\r\n0\r\nTrailer: t\r\n\r\n",
            b"one0123456789",
        ),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 200\r\nCONTENT-LENGTH:  0\r\n\r\n", b""),
    ],
)
def test_every_form_of_answer_leaves_the_connection_usable(answer: bytes, body: bytes) -> None:
    with served([answer, OK]) as (transport, asked):
        assert transport.send("GET", "/one") == body
        assert transport.send("GET", "/two", {"a": "b c"}) == b"ok"
    assert asked[0].startswith(b"GET /base/one HTTP/1.1\r\nHost: 127.0.0.1:")
    assert asked[1].startswith(b"GET /base/two?a=b+c HTTP/1.1\r\n")


def test_an_answer_may_end_with_its_connection() -> None:
    with served([b"HTTP/1.1 200 OK\r\n\r\nall of it"], [OK]) as (transport, _):
        assert transport.send("GET", "/") == b"all of it"
        assert transport.send("GET", "/") == b"ok"


def test_a_connection_that_the_server_gives_up_is_made_anew() -> None:
    closing = OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    with served([closing], [OK], [OK]) as (transport, asked):
        for _ in range(3):
            assert transport.send("GET", "/") == b"ok"
    assert len(asked) == 3


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok",
        b"SSH-2.0-OpenSSH\r\n",
    ],
)
def test_half_an_answer_is_none(answer: bytes) -> None:
    """A read is repeated; a write, which may have been done, is reported as failed."""
    with served([answer], [answer], [OK]) as (transport, asked):
        assert transport.send("GET", "/") == b"ok"
        assert len(asked) == 3
    with served([answer], [OK]) as (transport, asked):
        with pytest.raises((OSError, HTTPError)):
            transport.send("POST", "/", body={})
        assert len(asked) == 1


def test_a_body_says_what_it_is() -> None:
    with served([OK]) as (transport, asked):
        transport.send(
            "PATCH", "/", body={"a": "\u00e4"}, content_type="application/merge-patch+json"
        )
    head, _, body = asked[0].partition(b"\r\n\r\n")
    assert body == b'{"a":"\\u00e4"}'
    assert f"Content-Length: {len(body)}".encode() in head
    assert b"Content-Type: application/merge-patch+json" in head


def test_an_error_holds_what_the_server_said() -> None:
    refusal = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno!"
    with served([refusal]) as (transport, _), pytest.raises(RefusedError) as caught:
        transport.send("GET", "/")
    assert (caught.value.status, caught.value.body, caught.value.message) == (
        403,
        b"no!",
        "403 Forbidden",
    )
