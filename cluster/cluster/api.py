"""Asking a cluster's API server, without starting kubectl for every question."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from cluster.errors import ClusterError
from cluster.pki import Pki

ANSWER_SECONDS = 5.0


class Api:
    """The API server as the cluster's administrator sees it."""

    def __init__(self, pki: Pki) -> None:
        self._host = str(pki.cluster.api_address)
        self._tls = ssl.create_default_context(cafile=str(pki.certificate("ca")))
        self._tls.load_cert_chain(pki.certificate("admin"), pki.key("admin"))

    def get(self, path: str) -> str | None:
        """Return the answer to a GET, or None when there was none or it was an error."""
        connection = http.client.HTTPSConnection(
            self._host, 6443, timeout=ANSWER_SECONDS, context=self._tls
        )
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read().decode(errors="replace")
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()
        return body if answer.status == 200 else None

    def object(self, path: str) -> dict[str, Any]:
        """Return an object or a list, empty when there is none."""
        found = json.loads(self.get(path) or "{}")
        if not isinstance(found, dict):
            raise ClusterError(f"the API server's answer to {path} is no object")
        return found

    def ready(self) -> bool:
        """Return whether the API server serves and has finished its start."""
        return self.get("/readyz") is not None

    def ready_nodes(self, since: float = 0) -> set[str]:
        """Name the nodes that said at some time since then (in Unix time) that they are Ready."""
        items = self.object("/api/v1/nodes").get("items", [])
        return {item["metadata"]["name"] for item in items if ready_since(item, since)}

    def deployed(self, namespace: str, name: str) -> bool:
        """Return whether all pods of a Deployment's newest state are available."""
        found = self.object(f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}")
        status = found.get("status", {})
        wanted = found.get("spec", {}).get("replicas")
        return bool(
            found
            and status.get("observedGeneration") == found.get("metadata", {}).get("generation")
            and status.get("updatedReplicas") == wanted
            and status.get("availableReplicas") == wanted
        )


def ready_since(node: dict[str, Any], since: float) -> bool:
    """Return whether a node's newest word, not older than the given time, is that it is Ready."""
    for entry in node.get("status", {}).get("conditions", []):
        if entry["type"] == "Ready" and entry["status"] == "True":
            said = datetime.fromisoformat(entry["lastHeartbeatTime"])
            # The API server keeps whole seconds.
            return said.timestamp() >= int(since)
    return False


def wait_for(question: Callable[[], bool], seconds: float) -> bool:
    """Ask until the answer is yes or the time is over."""
    deadline = time.monotonic() + seconds
    while not question():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True
