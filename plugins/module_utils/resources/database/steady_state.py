"""Whether a Database is in its steady state: as its spec says, so that a reconcile writes nothing.

It is checked first, as nearly every reconcile is of such a Database. The answer rests on the same
reads, the same SQL and the same decisions as the whole reconcile: only the objects are compared
with a digest of what was applied, and not rendered and applied again.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ...errors import OperatorError
from ...kube.client import Cluster, Object
from ..conditions import build_status, merge_patch
from ..decide import decide
from .applied import is_unchanged
from .certificates import ensure_certificates
from .instances import describe, newest_revision, read_instances
from .primary import provision_and_observe
from .rollout import Action, next_step
from .secrets import ensure_credentials, ensure_internal

LAG_STEP_BYTES = 1 << 20


class ReadOnce:
    """A cluster each of whose objects is read once in a reconcile."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._known: dict[tuple[str, ...], Object | None] = {}
        self._listed: dict[tuple[str, ...], list[Object]] = {}

    def get(self, *key: str) -> Object | None:
        """Return the object, or None where there is none of that name."""
        if key not in self._known:
            api_version, kind, namespace, name = key
            self._known[key] = self._cluster.get(api_version, kind, namespace, name)
        return self._known[key]

    def list(self, *key: str) -> list[Object]:
        """Return the objects that fit."""
        if key not in self._listed:
            self._listed[key] = self._cluster.list(*key)
        return self._listed[key]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cluster, name)


def is_steady(cluster: Cluster, resource: Object, inputs: str, has_data: bool) -> bool:
    """Return whether there is nothing to do for a Database.

    Whatever is in doubt, or fails, leads to the whole reconcile, which reports what is wrong.

    Args:
        cluster: one that reads once has what this reconcile has read already.
        resource: the Database.
        inputs: the digest of what its objects are made from.
        has_data: whether it has volumes.
    """
    if resource.get("status", {}).get("phase") != "Ready":
        return False
    try:
        return _is_steady(cluster, resource, inputs, has_data)
    except OperatorError:
        return False


def _is_steady(cluster: Cluster, resource: Object, inputs: str, has_data: bool) -> bool:
    name, namespace = resource["metadata"]["name"], resource["metadata"]["namespace"]
    stateful_set = cluster.get("apps/v1", "StatefulSet", namespace, name)
    if stateful_set is None or not is_unchanged(cluster, stateful_set, inputs):
        return False
    members, leader = read_instances(cluster, namespace, name)
    replicas = resource["spec"]["replicas"]
    step = next_step(members, leader, newest_revision(stateful_set), replicas)
    primary = next((m for m in members if m.name == leader and m.leading), None)
    if step.action is not Action.NOTHING or primary is None:
        return False
    if ensure_internal(cluster, resource, has_data, dry_run=True):
        return False
    if ensure_credentials(cluster, resource, dry_run=True):
        return False
    if ensure_certificates(cluster, resource, datetime.now(UTC), dry_run=True):
        return False
    observed = provision_and_observe(
        cluster, resource, leader, primary.pod_ip, primary.encrypted, check_mode=False
    )
    if observed["changed"]:
        return False
    observation = {
        "replicas": replicas,
        "instances": [describe(member) for member in members],
        "primary": leader,
        "server": observed["server"],
    }
    decision = decide(resource, observation)
    status = build_status(resource, decision, datetime.now(UTC))
    if decision.requeue_after is not None:
        return False
    return not merge_patch(_rounded(resource["status"]), _rounded(status))


def _rounded(status: Object) -> Object:
    """Return the status with lags in steps: a few bytes more or less are no news."""
    instances = [
        {**instance, "lagBytes": instance["lagBytes"] // LAG_STEP_BYTES}
        if "lagBytes" in instance
        else instance
        for instance in status.get("instances", [])
    ]
    return {**status, "instances": instances}
