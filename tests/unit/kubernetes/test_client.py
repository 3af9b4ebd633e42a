"""Known kinds are asked for at once; what the API server does not serve is told as that."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.kubernetes.client import (
    ApiError,
    Cluster,
)
from kubernetes.client import ApiClient, Configuration


class Api(http.server.BaseHTTPRequestHandler):
    """An API server that notes what it is asked for, and has one kind of answer."""

    protocol_version = "HTTP/1.1"
    asked: list[str]
    answer: tuple[int, str, bytes]

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        self.asked.append(f"{self.command} {self.path}")
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, kind, body = self.answer
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    Api.asked = []
    Api.answer = (200, "application/json", b'{"kind": "Any", "metadata": {}, "items": []}')
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        configuration = Configuration(host=f"http://127.0.0.1:{server.server_address[1]}")
        yield Cluster(ApiClient(configuration))
        server.shutdown()


def test_a_known_kind_costs_one_request(cluster: Cluster) -> None:
    cluster.get("v1", "ConfigMap", "shop", "app")
    cluster.get("database.example.com/v1", "Database", "shop", "app")
    cluster.get("v1", "Namespace", "", "shop")
    cluster.list("v1", "Pod", "shop", "app=database")
    cluster.merge_status("database.example.com/v1", "Backup", "shop", "b", {"phase": "Pending"})
    assert Api.asked == [
        "GET /api/v1/namespaces/shop/configmaps/app",
        "GET /apis/database.example.com/v1/namespaces/shop/databases/app",
        "GET /api/v1/namespaces/shop",
        "GET /api/v1/namespaces/shop/pods?fieldSelector=&labelSelector=app%3Ddatabase",
        "PATCH /apis/database.example.com/v1/namespaces/shop/backups/b/status"
        "?fieldManager=postgres-operator",
    ]


def test_a_missing_object_is_an_answer(cluster: Cluster) -> None:
    body = json.dumps({"kind": "Status", "reason": "NotFound", "message": "no app"}).encode()
    Api.answer = (404, "application/json", body)
    assert cluster.get("v1", "ConfigMap", "shop", "app") is None
    assert not cluster.delete("v1", "Pod", "shop", "app")


def test_a_kind_that_is_not_served_is_an_error_that_says_so(cluster: Cluster) -> None:
    Api.answer = (404, "text/plain", b"404 page not found\n")
    with pytest.raises(ApiError, match="install the CRDs"):
        cluster.get("database.example.com/v1", "Database", "shop", "app")
