"""Events of a resource (kubectl describe, kubectl get events)."""

from __future__ import annotations

import hashlib
import uuid
from datetime import datetime

from ..printable import printable
from .client import FIELD_MANAGER, GROUP_VERSION, ApiError, Cluster, Object

_MAX_NOTE = 1024


def record(
    cluster: Cluster,
    resource: Object,
    warning: bool,
    reason: str,
    message: str,
    now: datetime,
    once: bool = False,
) -> None:
    """Write one Event about the custom resource.

    Args:
        once: write nothing if the same Event exists: what lasts is reported again when that has
            expired.

    Raises:
        ApiError: the Event could not be written.
    """
    text = "\n".join((resource["metadata"]["uid"], reason, message))
    number = hashlib.sha256(text.encode()).hexdigest() if once else uuid.uuid4().hex
    try:
        cluster.create(_manifest(resource, warning, reason, message, now, number[:16]))
    except ApiError as error:
        if not (once and error.status == 409):
            raise


def _manifest(
    resource: Object, warning: bool, reason: str, message: str, now: datetime, number: str
) -> Object:
    metadata = resource["metadata"]
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {
            "name": f"{metadata['name'][:200]}.{number}",
            "namespace": metadata["namespace"],
        },
        "eventTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "type": "Warning" if warning else "Normal",
        "reason": reason,
        "action": "Reconcile",
        "note": printable(message)[:_MAX_NOTE],
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
