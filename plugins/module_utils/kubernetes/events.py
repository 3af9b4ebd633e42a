"""Tell people about a resource by Events (kubectl describe, kubectl get events)."""

from __future__ import annotations

import uuid
from datetime import datetime

from .client import FIELD_MANAGER, GROUP_VERSION, Cluster, Object

_MAX_NOTE = 1024


def record(
    cluster: Cluster, resource: Object, warning: bool, reason: str, message: str, now: datetime
) -> None:
    """Write one Event about the custom resource.

    Raises:
        ApiError: the Event could not be written.
    """
    metadata = resource["metadata"]
    cluster.create(
        {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {
                "name": f"{metadata['name'][:200]}.{uuid.uuid4().hex[:16]}",
                "namespace": metadata["namespace"],
            },
            "eventTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "type": "Warning" if warning else "Normal",
            "reason": reason,
            "action": "Reconcile",
            "note": message[:_MAX_NOTE],
            "reportingController": f"database.example.com/{FIELD_MANAGER}",
            "reportingInstance": FIELD_MANAGER,
            "regarding": {
                "apiVersion": GROUP_VERSION,
                "kind": resource["kind"],
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "uid": metadata["uid"],
            },
        }
    )
