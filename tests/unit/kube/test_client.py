"""Known kinds are asked for at once; what the API server does not serve is reported as such."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.kube.access import Access
from ansible_collections.postgres.operator.plugins.module_utils.kube.client import (
    ApiError,
    Cluster,
    connect_to_proxy,
)
from ansible_collections.postgres.operator.plugins.module_utils.kube.transport import Transport
from fake_api import QuietHandler


class Api(QuietHandler):
    """An API server that notes what it is asked for, and has one kind of answer."""

    protocol_version = "HTTP/1.1"
    asked: list[str]
    sent: list[tuple[str, bytes]]
    connections: set[object]
    answer: tuple[int, str, bytes]

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        self.asked.append(f"{self.command} {self.path}")
        self.sent.append((self.headers.get("Content-Type", ""), self.read_body()))
        self.connections.add(self.client_address)
        status, kind, body = self.answer
        self.send(status, body, kind)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    Api.asked, Api.sent, Api.connections = [], [], set()
    Api.answer = (200, "application/json", b'{"kind": "Any", "metadata": {}, "items": []}')
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Cluster(Transport(Access(server=f"http://127.0.0.1:{server.server_address[1]}")))
        server.shutdown()


def test_a_known_kind_costs_one_request(cluster: Cluster) -> None:
    cluster.get("v1", "ConfigMap", "shop", "app")
    cluster.get("database.example.com/v1", "Database", "shop", "app")
    cluster.list("v1", "Pod", "shop", "app=database")
    cluster.replace_status("database.example.com/v1", "Backup", "shop", "b", "u1", {"phase": "x"})
    assert Api.asked == [
        "GET /api/v1/namespaces/shop/configmaps/app",
        "GET /apis/database.example.com/v1/namespaces/shop/databases/app",
        "GET /api/v1/namespaces/shop/pods?labelSelector=app%3Ddatabase",
        "PATCH /apis/database.example.com/v1/namespaces/shop/backups/b/status"
        "?fieldManager=postgres-operator",
    ]
    assert len(Api.connections) == 1, "the connection is kept"


def test_a_name_is_no_path(cluster: Cluster) -> None:
    for name in (".", ".."):
        assert cluster.get("v1", "Secret", "shop", name) is None
    cluster.get("v1", "Secret", "shop", "../../x?y#z%2f")
    assert Api.asked == ["GET /api/v1/namespaces/shop/secrets/..%2F..%2Fx%3Fy%23z%252f"]


def test_a_status_is_written_to_the_object_with_that_uid_only(cluster: Cluster) -> None:
    cluster.replace_status("database.example.com/v1", "Backup", "shop", "b", "u1", {"phase": "x"})
    kind, body = Api.sent[0]
    assert kind == "application/json-patch+json"
    assert json.loads(body) == [
        {"op": "test", "path": "/metadata/uid", "value": "u1"},
        {"op": "add", "path": "/status", "value": {"phase": "x"}},
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


def test_what_is_written_says_who_writes_and_how(cluster: Cluster) -> None:
    manifest = {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "app", "namespace": "shop"},
    }
    cluster.apply(manifest)
    cluster.apply(manifest, dry_run=True)
    cluster.create(manifest)
    cluster.delete("v1", "Pod", "shop", "app-0", uid="u1")
    path = "/apis/apps/v1/namespaces/shop/statefulsets"
    assert Api.asked == [
        f"PATCH {path}/app?fieldManager=postgres-operator&force=true",
        f"PATCH {path}/app?fieldManager=postgres-operator&force=true&dryRun=All",
        f"POST {path}?fieldManager=postgres-operator",
        "DELETE /api/v1/namespaces/shop/pods/app-0",
    ]
    kinds = [kind for kind, _ in Api.sent]
    assert kinds == ["application/apply-patch+yaml"] * 2 + ["application/json"] * 2
    assert json.loads(Api.sent[0][1]) == manifest
    assert json.loads(Api.sent[3][1]) == {
        "propagationPolicy": "Background",
        "preconditions": {"uid": "u1"},
    }


def test_another_kind_is_asked_for_once(cluster: Cluster) -> None:
    resources = [
        {"name": "leases", "kind": "Lease", "namespaced": True},
        {"name": "leases/status", "kind": "Lease", "namespaced": True},
        {"name": "nodes", "kind": "Node", "namespaced": False},
    ]
    body = json.dumps({"kind": "APIResourceList", "resources": resources}).encode()
    Api.answer = (200, "application/json", body)
    for name in ("one", "two"):
        cluster.get("coordination.k8s.io/v1", "Lease", "shop", name)
    cluster.get("coordination.k8s.io/v1", "Node", "", "n")
    assert Api.asked == [
        "GET /apis/coordination.k8s.io/v1",
        "GET /apis/coordination.k8s.io/v1/namespaces/shop/leases/one",
        "GET /apis/coordination.k8s.io/v1/namespaces/shop/leases/two",
        "GET /apis/coordination.k8s.io/v1/nodes/n",
    ]
    with pytest.raises(ApiError, match="does not know Other"):
        cluster.get("coordination.k8s.io/v1", "Other", "shop", "app")


def test_a_refusal_is_reported_in_the_servers_words(cluster: Cluster) -> None:
    body = json.dumps({"kind": "Status", "message": "not  yours"}).encode()
    Api.answer = (403, "application/json", body)
    with pytest.raises(ApiError, match="cannot read Secret shop/app: not yours") as caught:
        cluster.get("v1", "Secret", "shop", "app")
    assert caught.value.status == 403
    Api.answer = (503, "text/plain", b"starting")
    with pytest.raises(ApiError, match="cannot list Pod in all namespaces: 503"):
        cluster.list("v1", "Pod", "")


def test_a_log_is_text(cluster: Cluster) -> None:
    Api.answer = (200, "text/plain", b"one\ntwo\n")
    assert cluster.read_log("shop", "app-0", "postgres", 2) == "one\ntwo\n"
    path = "GET /api/v1/namespaces/shop/pods/app-0/log"
    assert Api.asked == [f"{path}?container=postgres&tailLines=2&limitBytes=65536"]


def test_a_silent_address_is_an_error_that_says_so() -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), Api) as server:
        port = server.server_address[1]
    cluster = Cluster(Transport(Access(server=f"http://127.0.0.1:{port}")))
    with pytest.raises(ApiError, match="cannot be reached") as caught:
        cluster.get("v1", "Secret", "shop", "app")
    assert caught.value.status == 0


def test_a_kubeconfig_that_is_gone_is_an_error_of_the_api(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/nonexistent/kubeconfig")
    connect_to_proxy.cache_clear()
    with pytest.raises(ApiError, match=r"cannot find the operator's proxy: .*/nonexistent"):
        connect_to_proxy()
