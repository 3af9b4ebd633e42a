"""An API server that has nothing but Secrets, and a Database."""

from __future__ import annotations

import base64
import copy
from typing import Any


class SecretsApi:
    """Just enough of Cluster for Secrets; notes what was written."""

    def __init__(self) -> None:
        self.secrets: dict[str, dict[str, Any]] = {}
        self.reads: list[str] = []
        self.writes: list[str] = []

    def get(self, api_version: str, kind: str, namespace: str, name: str) -> Any:
        assert kind == "Secret"
        self.reads.append(name)
        return copy.deepcopy(self.secrets.get(name))

    def create(self, manifest: dict[str, Any]) -> None:
        made = copy.deepcopy(manifest)
        made["data"] = {key: _encode(value) for key, value in made.pop("stringData").items()}
        assert made["metadata"]["name"] not in self.secrets
        self.secrets[made["metadata"]["name"]] = made
        self.writes.append(made["metadata"]["name"])

    def merge(self, api_version: str, kind: str, namespace: str, name: str, patch: Any) -> None:
        secret = self.secrets[name]
        for key, value in patch.get("stringData", {}).items():
            secret["data"][key] = _encode(value)
        secret["metadata"].update(patch.get("metadata", {}))
        self.writes.append(name)

    def add(self, name: str, labels: dict[str, str] | None = None, **data: str) -> None:
        """Add a Secret that a person has made."""
        metadata = {"name": name, "namespace": "shop", "labels": labels or {}}
        values = {key: _encode(value) for key, value in data.items()}
        self.secrets[name] = {"metadata": metadata, "data": values}

    def value(self, name: str, key: str) -> str:
        """Return what is in a Secret."""
        return base64.b64decode(self.secrets[name]["data"][key]).decode()


def _encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def database(name: str = "app", **spec: Any) -> dict[str, Any]:
    """Return a Database with these fields in its spec."""
    return {
        "kind": "Database",
        "metadata": {"name": name, "namespace": "shop", "uid": "u"},
        "spec": {
            "databaseName": "appdb",
            "username": "owner",
            "reclaimPolicy": "Retain",
            "tls": {"clients": "Require"},
            **spec,
        },
    }
