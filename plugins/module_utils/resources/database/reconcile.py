"""One reconcile of a Database: what is read, what is to be done, and the steps that do it.

The steps and their order are those of `plan.Step`. Nearly every reconcile is of a Database in its
steady state, so this is found out first, by reads that cost more and more until one of them shows
that something is to be done. Then the role takes the steps of the plan, each by a module that calls
a function here or beside it; they read anew, since each changes what the next one finds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from ...errors import OperatorError
from ...kube.client import Cluster, Object
from ...kube.events import find_refusal
from . import rollout
from .applied import content, digest, is_unchanged
from .certificates import ensure_certificates
from .instances import newest_revision, read_instances
from .members import Member, describe, find_primary
from .plan import Plan, State, make_plan
from .primary import provision_and_observe
from .secrets import ensure_credentials, ensure_internal, read_last_primary, remember_primary
from .switchover import asked_candidate, request_switchover
from .volumes import describe_other_claims
from .watches import is_watched


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


def observe(
    cluster: Cluster, connect_to_proxy: Callable[[], Cluster], database: Object, made_with: str
) -> State:
    """Read what each reconcile needs of a Database.

    Args:
        cluster: one that reads once, for `find_plan` reads some of it too.
        connect_to_proxy: gives the operator's proxy, which watches each kind that is read by it.
        made_with: as in `State`.

    Raises:
        ApiError: the API server refused or was not reached.
    """
    name, namespace = database["metadata"]["name"], database["metadata"]["namespace"]
    selector = f"app=database,database={name}"
    claims = cluster.list("v1", "PersistentVolumeClaim", namespace, selector)
    members, leader = read_instances(cluster, namespace, name)
    return State(
        resource=database,
        claims=tuple(sorted(claim["metadata"]["name"] for claim in claims)),
        storage=describe_other_claims(database, claims),
        members=tuple(members),
        leader=leader,
        last_primary=read_last_primary(cluster, database),
        # Also while there is still something to do: after that, the next reconcile may be minutes
        # away.
        watched=is_watched(cluster, connect_to_proxy, database),
        made_with=made_with,
    )


def objects_inputs(state: State) -> str:
    """Return a digest of all that the Database's objects are made from; empty if not all is known.

    Of the volumes only what follows from them decides: which instances there are to be.
    """
    if not state.made_with:
        return ""
    resource = content(state.resource)
    return digest([resource, state.refused, state.wanted(), state.made_with])


def find_plan(cluster: Cluster, state: State, check_mode: bool = False) -> tuple[Plan, bool]:
    """Return what is to be done for a Database, and whether anything was changed here.

    Where everything that the API server has of it is as it should be, the primary is made what it
    should be and queried. What cannot be read is left to the step that needs it, which reports why.

    Args:
        cluster: the one that `observe` has read by.
        check_mode: nothing may be changed: what there is to do on the primary stays unknown.
    """
    if check_mode:
        state = replace(state, server_changed=True)
    plan = make_plan(state, datetime.now(UTC))
    for look in (_look_at_objects, _look_at_secrets, _maintain_server):
        if plan.steps:
            break
        state = look(cluster, state)
        plan = make_plan(state, datetime.now(UTC))
    return plan, state.server_changed and not check_mode


def _look_at_objects(cluster: Cluster, state: State) -> State:
    """Compare the objects with a digest of what was applied: none is rendered or applied."""
    metadata = state.resource["metadata"]
    try:
        found = cluster.get("apps/v1", "StatefulSet", metadata["namespace"], metadata["name"])
        if found is None or not is_unchanged(cluster, found, objects_inputs(state)):
            return replace(state, objects_changed=True)
    except OperatorError:
        return replace(state, objects_changed=True)
    return replace(state, revision=newest_revision(found))


def _look_at_secrets(cluster: Cluster, state: State) -> State:
    try:
        changed = ensure_secrets(cluster, state.resource, has_data=bool(state.claims), dry_run=True)
    except OperatorError:
        changed = True
    return replace(state, secrets_changed=changed)


def _maintain_server(cluster: Cluster, state: State) -> State:
    """Do what only a query shows to be due: a user or database that is missing, and the like."""
    primary = state.primary
    assert primary is not None
    try:
        found = provision_and_observe(
            cluster,
            state.resource,
            primary.name,
            primary.pod_ip,
            primary.encrypted,
            check_mode=False,
        )
    except OperatorError:
        return replace(state, server_changed=True)
    return replace(state, server_changed=found["changed"], server=found["server"])


def ensure_secrets(
    cluster: Cluster, database: Object, has_data: bool, dry_run: bool = False
) -> bool:
    """Make all Secrets of a Database exist, with certificates that are not about to end.

    Args:
        has_data: whether it has volumes.

    Returns:
        Whether anything was (or would be) written.

    Raises:
        SecretMissing: one is gone that cannot be made again.
        SecretInvalid: one cannot be used.
    """
    internal = ensure_internal(cluster, database, has_data, dry_run)
    certificates = ensure_certificates(cluster, database, datetime.now(UTC), dry_run)
    # Last: applications are given the authorities of the certificates.
    credentials = ensure_credentials(cluster, database, dry_run)
    return internal or certificates or credentials


def update_instances(
    cluster: Cluster, database: Object, allowed: bool, dry_run: bool = False
) -> dict[str, Any]:
    """Read the instances and take at most one step of a rolling update.

    Args:
        allowed: whether a step may be taken.

    Returns:
        `changed`, `action` and `message` of the step, `leader`, `primary` (the leader, once it runs
        as the primary: its name, pod_ip and encrypted), `instances`, and `not_created`: reason and
        message where the API server refuses one that is missing.

    Raises:
        ApiError: the API server refused or was not reached.
    """
    name, namespace = database["metadata"]["name"], database["metadata"]["namespace"]
    members, leader = read_instances(cluster, namespace, name)
    primary = find_primary(members, leader)
    if primary and not dry_run:
        _remember(cluster, database, primary)
    step = rollout.Step(rollout.Action.NOTHING)
    if allowed:
        revision = newest_revision(cluster.get("apps/v1", "StatefulSet", namespace, name))
        asked = asked_candidate(cluster, database, leader)
        step = rollout.next_step(members, leader, revision, database["spec"]["replicas"], asked)
    changed = step.action in {rollout.Action.DELETE_POD, rollout.Action.SWITCHOVER}
    if changed and not dry_run:
        _take(cluster, database, step, members)
    return {
        "changed": changed,
        "action": step.action.value,
        "message": step.message,
        "leader": leader,
        "primary": _address(primary) if primary else {},
        "instances": [describe(member) for member in members],
        "not_created": _find_refusal(cluster, database, members),
    }


def _find_refusal(cluster: Cluster, database: Object, members: list[Member]) -> list[str]:
    if len(members) >= database["spec"]["replicas"]:
        return []
    metadata = database["metadata"]
    found = cluster.get("apps/v1", "StatefulSet", metadata["namespace"], metadata["name"])
    refusal = find_refusal(cluster, found) if found else None
    return [refusal.reason, refusal.message] if refusal else []


def _address(primary: Member) -> dict[str, Any]:
    return {"name": primary.name, "pod_ip": primary.pod_ip, "encrypted": primary.encrypted}


def _remember(cluster: Cluster, database: Object, primary: Member) -> None:
    """Note who leads, also where the server cannot be queried: its volume is to start first."""
    metadata = database["metadata"]
    internal = cluster.get("v1", "Secret", metadata["namespace"], f"{metadata['name']}-internal")
    if internal is not None:
        remember_primary(cluster, internal, primary.name)


def _take(cluster: Cluster, database: Object, step: rollout.Step, members: list[Member]) -> None:
    if step.action is rollout.Action.SWITCHOVER:
        request_switchover(cluster, database, step.member, step.candidate)
        return
    uid = next(member.uid for member in members if member.name == step.member)
    cluster.delete("v1", "Pod", database["metadata"]["namespace"], step.member, uid)
