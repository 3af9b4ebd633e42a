"""Writes a status and the Events of what changed in it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ..kube import events
from ..kube.client import GROUP_VERSION, ApiError, Cluster
from .transitions import Transition


def write_status(
    cluster: Cluster,
    resource: Mapping[str, Any],
    status: dict[str, Any],
    transitions: list[Transition],
    now: datetime,
) -> None:
    """Write status and Events; a resource that was deleted meanwhile needs neither.

    One that was created again under its name has not been reconciled yet.
    """
    metadata, kind = resource["metadata"], resource["kind"]
    namespace, name, uid = metadata["namespace"], metadata["name"], metadata["uid"]
    try:
        cluster.replace_status(GROUP_VERSION, kind, namespace, name, uid, status)
    except ApiError as error:
        if error.status == 404:
            return
        # The answer where the UID is another one, and where a value is none that the CRD allows.
        if error.status == 422 and _is_gone(cluster, resource):
            return
        raise
    for transition in transitions:
        _write_event(cluster, dict(resource), transition, now)


def _write_event(
    cluster: Cluster, resource: dict[str, Any], transition: Transition, now: datetime
) -> None:
    """Write an Event; a namespace that is being deleted takes none."""
    try:
        events.record(
            cluster,
            resource,
            transition.warning,
            transition.reason,
            transition.message,
            now,
        )
    except ApiError as error:
        if error.status != 403 or "is being terminated" not in error.message:
            raise


def _is_gone(cluster: Cluster, resource: Mapping[str, Any]) -> bool:
    """Return whether the resource does not exist any more, whatever has its name now."""
    metadata = resource["metadata"]
    found = cluster.get(GROUP_VERSION, resource["kind"], metadata["namespace"], metadata["name"])
    return found is None or found["metadata"]["uid"] != metadata["uid"]
