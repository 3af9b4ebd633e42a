"""What a Database says of its Services (`spec.services`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SERVICES = ("primary", "replicas")


def service_fields(database: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return parts of both Services, `metadata` and `spec` as Kubernetes has them.

    They come below what the operator sets itself, which is kept.
    """
    given = database["spec"].get("services") or {}
    return {name: _fields(given.get(name) or {}) for name in SERVICES}


def _fields(given: Mapping[str, Any]) -> dict[str, Any]:
    # The type is always said: so a Service that another program has changed is what the spec says.
    spec: dict[str, Any] = {"type": given.get("type", "ClusterIP")}
    if given.get("loadBalancerSourceRanges"):
        spec["loadBalancerSourceRanges"] = given["loadBalancerSourceRanges"]
    metadata = {part: given[part] for part in ("labels", "annotations") if given.get(part)}
    return {"metadata": metadata, "spec": spec}
