"""A server between client and S3 that breaks chosen requests."""

from __future__ import annotations

import http.client
import http.server
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from s3_server import S3Server

CHUNK = 65536


@dataclass
class Faults:
    """What is done to the next requests.

    Attributes:
        applies: tells by method and path whether a request is broken.
        kind: status-500, status-503, stall, reset, truncate, forget, or trailers: only requests
            with checksums in trailers are broken, by a server that does not know them.
        times: how many of them; the others get through.
        broken: how many there were.
    """

    applies: Callable[[str, str], bool] = lambda method, path: False
    kind: str = ""
    times: int = 10**6
    broken: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def set(self, kind: str, applies: Callable[[str, str], bool], times: int = 10**6) -> None:
        self.applies, self.kind, self.times, self.broken = applies, kind, times, 0

    def next(self, method: str, path: str) -> str:
        with self.lock:
            if self.broken >= self.times or not self.applies(method, path):
                return ""
            self.broken += 1
            return self.kind


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    upstream: S3Server
    faults: Faults

    def log_message(self, *arguments: object) -> None:
        pass

    def handle_any(self) -> None:
        fault = self.faults.next(self.command, self.path)
        if fault == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            self.close_connection = True
            self.connection.close()
            return
        body = self._body()
        if fault == "stall":
            time.sleep(6)
            self.close_connection = True
            return
        if fault == "trailers" and "x-amz-trailer" in self.headers:
            self._answer(501, [], b"<Error><Code>NotImplemented</Code></Error>")
            return
        if fault.startswith("status-"):
            self._answer(int(fault[-3:]), [], b"<Error><Code>SlowDown</Code></Error>")
            return
        if fault == "forget":
            self._answer(200, [("ETag", '"0123456789abcdef0123456789abcdef"')], b"")
            return
        self._forward(body, truncate=fault == "truncate")

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any  # noqa: N815

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _forward(self, body: bytes, truncate: bool) -> None:
        # Its authority has no key usage, as some that users have: Python 3.13 refuses it by default.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.upstream.ca_file)
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.upstream.port, context=context, timeout=60
        )
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in ("transfer-encoding", "content-length", "expect"):
                connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        content = answer.read()
        headers = [
            (name, value)
            for name, value in answer.getheaders()
            if name.lower() not in ("transfer-encoding", "content-length", "connection")
        ]
        length = answer.getheader("Content-Length") if self.command == "HEAD" else None
        self._answer(answer.status, headers, content, truncate, length)
        connection.close()

    def _answer(
        self,
        status: int,
        headers: list[tuple[str, str]],
        content: bytes,
        truncate: bool = False,
        length: str | None = None,
    ) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", length or str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if truncate else content)
        if truncate:
            self.close_connection = True


@contextmanager
def _serving(server: http.server.ThreadingHTTPServer) -> Iterator[int]:
    """Serve while the block runs; the port."""
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def faulty(server: S3Server) -> Iterator[tuple[str, Faults]]:
    """An endpoint in front of a server, and what breaks there."""
    faults = Faults()
    handler = type("Handler", (_Handler,), {"upstream": server, "faults": faults})
    proxy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(
        server.ca_file.with_name("tls.crt"), server.ca_file.with_name("tls.key")
    )
    proxy.socket = context.wrap_socket(
        proxy.socket, server_side=True, do_handshake_on_connect=False
    )
    with _serving(proxy) as port:
        yield f"https://127.0.0.1:{port}", faults


class _Tunnel(http.server.BaseHTTPRequestHandler):
    """An HTTP proxy that knows CONNECT only."""

    protocol_version = "HTTP/1.1"
    asked: list[str]

    def log_message(self, *arguments: object) -> None:
        pass

    def do_CONNECT(self) -> None:
        self.asked.append(self.path)
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=60) as upstream:
            self.send_response_only(200)
            self.end_headers()
            back = threading.Thread(target=self._copy, args=(upstream, self.connection))
            back.start()
            self._copy(self.connection, upstream)
            back.join()
        self.close_connection = True

    @staticmethod
    def _copy(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(CHUNK):
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)


@contextmanager
def tunnel() -> Iterator[tuple[str, list[str]]]:
    """An HTTP proxy, and the addresses that it was asked for."""
    asked: list[str] = []
    handler = type("Handler", (_Tunnel,), {"asked": asked})
    proxy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    with _serving(proxy) as port:
        yield f"http://127.0.0.1:{port}", asked
