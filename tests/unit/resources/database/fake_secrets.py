"""A cluster that holds nothing but Secrets, and a Database."""

from __future__ import annotations

import base64
from typing import Any


class FakeCluster:
    """Just enough of Cluster for Secrets."""

    def __init__(self) -> None:
        self.secrets: dict[str, dict[str, Any]] = {}

    def get(self, api_version: str, kind: str, namespace: str, name: str) -> Any:
        return self.secrets.get(name)

    def create(self, manifest: dict[str, Any]) -> None:
        data = manifest.pop("stringData")
        manifest["data"] = {key: encode(value) for key, value in data.items()}
        self.secrets[manifest["metadata"]["name"]] = manifest

    def merge(self, api_version: str, kind: str, namespace: str, name: str, patch: Any) -> None:
        secret = self.secrets[name]
        for key, value in patch.get("stringData", {}).items():
            secret["data"][key] = encode(value)
        secret["metadata"].update(patch.get("metadata", {}))


def encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def database(policy: str = "Retain", **tls: Any) -> dict[str, Any]:
    return {
        "kind": "Database",
        "metadata": {"name": "app", "namespace": "shop", "uid": "u"},
        "spec": {
            "databaseName": "appdb",
            "username": "owner",
            "reclaimPolicy": policy,
            "tls": {"clients": "Require"} | tls,
        },
    }


def value(cluster: FakeCluster, name: str, key: str) -> str:
    return base64.b64decode(cluster.secrets[name]["data"][key]).decode()
