"""Small HTTP servers, and API servers of which the test says what they answer."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class QuietHandler(http.server.BaseHTTPRequestHandler):
    """Answers as `respond` says, and logs nothing.

    It may be behind a Unix socket, whose clients have no address.
    """

    def do_GET(self) -> None:
        self.respond()

    def do_PUT(self) -> None:
        self.respond()

    def do_POST(self) -> None:
        self.respond()

    def do_PATCH(self) -> None:
        self.respond()

    def do_DELETE(self) -> None:
        self.respond()

    def respond(self) -> None:
        """Answer the request `self.command` for `self.path`."""
        raise NotImplementedError

    def read_body(self) -> bytes:
        """Return what was sent."""
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def send(self, code: int, body: bytes = b"", content_type: str = "") -> None:
        """Send an answer."""
        self.send_response(code)
        if content_type:
            self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        """Return nothing."""
        return ""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class JsonHandler(QuietHandler):
    """Takes JSON, and answers in it."""

    def read_json(self) -> Any:
        """Return the document that was sent, None if there is none."""
        body = self.read_body()
        return json.loads(body) if body else None

    def answer(self, document: Any, code: int = 200) -> None:
        """Send a document."""
        self.send(code, json.dumps(document).encode(), "application/json")


@contextlib.contextmanager
def serve(handler: type[JsonHandler], folder: Path) -> Iterator[Path]:
    """Serve, and yield the kubeconfig."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        path = folder / "kubeconfig"
        url = f"http://127.0.0.1:{server.server_address[1]}"
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": url}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "users": [{"name": "u", "user": {}}],
            "current-context": "c",
        }
        path.write_text(json.dumps(document))
        yield path
        server.shutdown()
