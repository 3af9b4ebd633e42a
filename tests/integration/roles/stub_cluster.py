"""An API server of a few lines for the roles: it keeps what it is given and validates nothing."""

from __future__ import annotations

import base64
import contextlib
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import fake_api
from fake_api import JsonHandler

Object = dict[str, Any]

PLURALS = {
    "Database": "databases",
    "Backup": "backups",
    "Restore": "restores",
    "Secret": "secrets",
    "PersistentVolumeClaim": "persistentvolumeclaims",
    "Namespace": "namespaces",
}


class StubCluster:
    """The objects, by the path of each in the API."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.requests: list[str] = []
        self._lock = threading.Lock()

    def add(self, manifest: Object) -> None:
        """Put an object there."""
        version, metadata = manifest["apiVersion"], manifest["metadata"]
        prefix = f"/{'apis' if '/' in version else 'api'}/{version}"
        space = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
        path = f"{prefix}{space}/{PLURALS[manifest['kind']]}/{metadata['name']}"
        self.objects[path] = _stored(manifest)

    def of_kind(self, kind: str) -> list[Object]:
        """Return all objects of a kind."""
        return [found for found in self.objects.values() if found["kind"] == kind]

    def answer(self, method: str, url: str, content_type: str, body: Any) -> tuple[int, Any]:
        """Return the HTTP status and the document."""
        address = urlsplit(url)
        path = unquote(address.path)
        path, status = path.removesuffix("/status"), path.endswith("/status")
        with self._lock:
            self.requests.append(f"{method} {path}")
            if method == "POST":
                name = body["metadata"]["name"]
                found = self.objects[f"{path}/{name}"] = _stored(body)
                return 201, found
            if method == "GET":
                return self._read(path, parse_qs(address.query).get("labelSelector", [""])[0])
            if method == "DELETE":
                return (200, {}) if self.objects.pop(path, None) else (404, _status("NotFound"))
            present = self.objects.get(path)
            if status:
                if present is None:
                    return 404, _status("NotFound")
                present["status"] = body[1]["value"]
                return 200, present
            if "apply" not in content_type and present is None:
                return 404, _status("NotFound")
            self.objects[path] = _stored(_merged(present or {}, body))
            return 200, self.objects[path]

    def _read(self, path: str, selector: str) -> tuple[int, Any]:
        if path in self.objects:
            return 200, self.objects[path]
        if path.rpartition("/")[2] not in {*PLURALS.values(), "pods", "jobs", "events"}:
            return 404, _status("NotFound")
        wanted = dict(item.split("=", 1) for item in selector.split(",") if item)
        plural = path.rpartition("/")[2]
        spaces = path.count("/namespaces/")
        items = [
            found
            for key, found in self.objects.items()
            if (key.startswith(f"{path}/") if spaces else f"/{plural}/" in key)
            and wanted.items() <= (found["metadata"].get("labels") or {}).items()
        ]
        return 200, {"items": items}


def _stored(manifest: Object) -> Object:
    metadata = {
        "uid": str(uuid.uuid4()),
        "generation": 1,
        "creationTimestamp": "2026-01-01T00:00:00Z",
        **manifest["metadata"],
        "resourceVersion": uuid.uuid4().hex,
    }
    stored = {**manifest, "metadata": metadata}
    # As an API server does; the plain texts are kept, to be found.
    encoded = {
        key: base64.b64encode(text.encode()).decode()
        for key, text in manifest.get("stringData", {}).items()
    }
    return stored | ({"data": manifest.get("data", {}) | encoded} if encoded else {})


def _merged(old: Any, new: Any) -> Any:
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return new
    return old | {key: _merged(old.get(key), value) for key, value in new.items()}


def _status(reason: str) -> Object:
    return {"kind": "Status", "reason": reason, "message": reason}


@contextlib.contextmanager
def serve(cluster: StubCluster, folder: Path) -> Iterator[Path]:
    """Serve it on loopback and yield the kubeconfig."""

    class Handler(JsonHandler):
        protocol_version = "HTTP/1.1"

        def respond(self) -> None:
            content_type = self.headers.get("Content-Type", "")
            body = self.read_json()
            code, document = cluster.answer(self.command, self.path, content_type, body)
            self.answer(document, code)

    with fake_api.serve(Handler, folder) as kubeconfig:
        yield kubeconfig
