"""Requests to the Kubernetes API, over a connection that is kept.

HTTP/1.1 as an API server speaks it, and no more: no redirects, cookies or compression. Libraries
that know those take most of the time that a small answer needs.
"""

from __future__ import annotations

import contextlib
import json
import socket
from typing import Any, BinaryIO
from urllib.parse import urlencode, urlsplit

from .access import Access

# In seconds: a silent API server must end a reconcile, not hang it.
CONNECT_TIMEOUT = 5
READ_TIMEOUT = 30
ATTEMPTS = 3
_LONGEST_LINE = 1 << 16


class RefusedError(Exception):
    """The API server answered with an error.

    Attributes:
        status: of HTTP.
        body: what it said.
    """

    def __init__(self, status: int, reason: str, body: bytes) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.body = body

    @property
    def document(self) -> dict[str, Any] | None:
        """The API server's Status object, None where the answer was anything else."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return None
        return found if isinstance(found, dict) and found.get("kind") == "Status" else None

    @property
    def message(self) -> str:
        """What the Status object says, else what HTTP says."""
        return " ".join(str((self.document or {}).get("message") or self).split())


class Transport:
    """Sends requests to one API server.

    What only reads is repeated where no answer comes. What writes is not: it may have been done.
    """

    def __init__(self, access: Access) -> None:
        address = urlsplit(access.server)
        self._host = str(address.hostname)
        self._tls = access.tls() if address.scheme == "https" else None
        self._port = address.port or (443 if self._tls else 80)
        self._base = address.path.rstrip("/")
        lines = [f"Host: {address.netloc.rpartition('@')[2]}", "Accept: application/json"]
        lines += ["User-Agent: postgres-operator"]
        if access.authorization:
            lines.append(f"Authorization: {access.authorization}")
        self._head = "".join(f"{line}\r\n" for line in lines)
        self._socket: socket.socket | None = None
        self._answers: BinaryIO | None = None

    def send(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
    ) -> bytes:
        """Return the body of the answer.

        Raises:
            RefusedError: it is an error.
            OSError: there is none, or it is not HTTP.
        """
        url = f"{self._base}{path}?{urlencode(query)}" if query else f"{self._base}{path}"
        head, data = f"{method} {url} HTTP/1.1\r\n{self._head}", b""
        if body is not None:
            data = json.dumps(body, separators=(",", ":")).encode()
            head += f"Content-Type: {content_type}\r\nContent-Length: {len(data)}\r\n"
        request = f"{head}\r\n".encode() + data
        attempts = ATTEMPTS if method == "GET" else 1
        while True:
            try:
                status, reason, answer = self._exchange(request)
            except OSError:
                self._close()
                attempts -= 1
                if not attempts:
                    raise
            else:
                break
        if not 200 <= status < 300:
            raise RefusedError(status, reason, answer)
        return answer

    def _exchange(self, request: bytes) -> tuple[int, str, bytes]:
        if self._socket is None or self._answers is None:
            self._socket = self._connect()
            self._answers = self._socket.makefile("rb")
        self._socket.sendall(request)
        status = 100
        while status < 200:
            status, reason = self._read_status(self._answers)
            headers = self._read_headers(self._answers)
        answer = self._read_body(self._answers, status, headers)
        if headers.get("connection", "").lower() == "close" or not _has_an_end(status, headers):
            self._close()
        return status, reason, answer

    def _connect(self) -> socket.socket:
        connection = socket.create_connection((self._host, self._port), CONNECT_TIMEOUT)
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.settimeout(READ_TIMEOUT)
            if self._tls:
                return self._tls.wrap_socket(connection, server_hostname=self._host)
        except BaseException:
            connection.close()
            raise
        return connection

    def _close(self) -> None:
        for end in (self._answers, self._socket):
            if end is not None:
                with contextlib.suppress(OSError):
                    end.close()
        self._socket = self._answers = None

    @staticmethod
    def _read_status(answers: BinaryIO) -> tuple[int, str]:
        words = _read_line(answers).split(" ", 2)
        if not words[0].startswith("HTTP/1.") or len(words) < 2 or not words[1].isdigit():
            raise ConnectionError(f"not an answer of HTTP: {' '.join(words)[:80]!r}")
        return int(words[1]), words[2] if len(words) > 2 else ""

    @staticmethod
    def _read_headers(answers: BinaryIO) -> dict[str, str]:
        headers = {}
        while line := _read_line(answers):
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return headers

    @staticmethod
    def _read_body(answers: BinaryIO, status: int, headers: dict[str, str]) -> bytes:
        if status in (204, 304):
            return b""
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return b"".join(_read_chunks(answers))
        if "content-length" in headers:
            return _read_exactly(answers, _number(headers["content-length"], 10))
        return answers.read()


def _has_an_end(status: int, headers: dict[str, str]) -> bool:
    """Tell whether an answer ends before its connection does."""
    return status in (204, 304) or "transfer-encoding" in headers or "content-length" in headers


def _read_line(answers: BinaryIO) -> str:
    line = answers.readline(_LONGEST_LINE)
    if not line.endswith(b"\n"):
        raise ConnectionError("the connection was closed before the end of the answer")
    return line.decode("latin-1").rstrip("\r\n")


def _read_exactly(answers: BinaryIO, length: int) -> bytes:
    data = answers.read(length)
    if len(data) != length:
        raise ConnectionError("the connection was closed before the end of the answer")
    return data


def _read_chunks(answers: BinaryIO) -> list[bytes]:
    chunks = []
    while length := _number(_read_line(answers).partition(";")[0], 16):
        chunks.append(_read_exactly(answers, length))
        _read_line(answers)
    while _read_line(answers):
        pass
    return chunks


def _number(text: str, base: int) -> int:
    try:
        return int(text, base)
    except ValueError as error:
        raise ConnectionError(f"not a length of HTTP: {text[:80]!r}") from error
