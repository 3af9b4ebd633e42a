"""Events of a resource (kubectl describe, kubectl get events), and of its StatefulSet and Jobs."""

from __future__ import annotations

import hashlib
import uuid
from datetime import datetime

from ..printable import printable
from ..units import format_time, parse_time
from .client import FIELD_MANAGER, GROUP_VERSION, ApiError, Cluster, Object
from .pods import Problem

_MAX_NOTE = 1024
_MAX_QUOTED = 500
"""What a condition quotes of another program's Event, in characters."""

# The words of the controllers of StatefulSets and Jobs.
_NOT_CREATED, _CREATED = "FailedCreate", "SuccessfulCreate"


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


def find_refusal(cluster: Cluster, owner: Object) -> Problem | None:
    """Return what the API server said when a controller last tried to create a pod, or its claim.

    None where one was created since, or the Events have expired or cannot be read.

    Args:
        owner: the StatefulSet or the Job that lacks a pod.
    """
    metadata = owner["metadata"]
    selector = f"regarding.uid={metadata['uid']}"
    try:
        found = cluster.list("events.k8s.io/v1", "Event", metadata["namespace"], "", selector)
    except ApiError:
        # They only explain: what lacks a pod is reported all the same.
        return None
    events = [event for event in found if event.get("reason") in {_NOT_CREATED, _CREATED}]
    # Of two in the same second the refusal counts: a pod is missing.
    newest = max(events, key=lambda e: (_time(e), e["reason"] == _NOT_CREATED), default=None)
    if newest is None or newest["reason"] == _CREATED:
        return None
    note = printable(" ".join(newest.get("note", "").split()))
    if len(note) > _MAX_QUOTED:
        note = f"{note[:_MAX_QUOTED]}…"
    return Problem(
        "PodNotCreated",
        f"Kubernetes cannot create a pod of {owner['kind']} {metadata['name']}: {note}; correct"
        " what refuses it, such as a ResourceQuota, a LimitRange or an admission policy; it is"
        " tried again",
        needs_user=False,
    )


def _time(event: Object) -> datetime:
    """Return when an Event was seen last; the controllers count one that occurs again."""
    series = event.get("series") or {}
    return parse_time(
        series.get("lastObservedTime")
        or event.get("deprecatedLastTimestamp")
        or event.get("eventTime")
        or event["metadata"]["creationTimestamp"]
    )


def _manifest(
    resource: Object, warning: bool, reason: str, message: str, now: datetime, number: str
) -> Object:
    metadata = resource["metadata"]
    second = format_time(now)
    return {
        # Not events.k8s.io, which refuses the times that kubectl describe sorts by.
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{metadata['name'][:200]}.{number}",
            "namespace": metadata["namespace"],
        },
        "eventTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "type": "Warning" if warning else "Normal",
        "reason": reason,
        "action": "Reconcile",
        "message": printable(message)[:_MAX_NOTE],
        "firstTimestamp": second,
        "lastTimestamp": second,
        "count": 1,
        "source": {"component": FIELD_MANAGER},
        "reportingComponent": f"database.example.com/{FIELD_MANAGER}",
        "reportingInstance": FIELD_MANAGER,
        "involvedObject": {
            "apiVersion": GROUP_VERSION,
            "kind": resource["kind"],
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
        },
    }
