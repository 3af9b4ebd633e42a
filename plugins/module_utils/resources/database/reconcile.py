"""One reconcile of a Database: what is read, what is to be done, and the steps that do it.

The steps and their order are those of `plan.Step`. Nearly every reconcile is of a Database in its
steady state, so this is found out first, by reads that cost more and more until one of them shows
that something is to be done. Then the role takes the steps of the plan, each by a module that calls
a function here or beside it; they read anew, since each changes what the next one finds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from ...errors import OperatorError
from ...kube.client import GROUP_VERSION, Cluster, Object
from ...kube.events import find_refusal
from ..backup.archive_window import Archives, archive_of_database
from ..pod_fields import RESTARTED
from ..prerequisites import is_hibernating, is_paused
from . import rollout
from .applied import content, describe_template, digest, is_unchanged, known_template
from .archive import find_archive_block
from .certificates import ensure_certificates
from .configuration import describe as describe_configuration
from .configuration import is_settled, read_stored
from .instances import newest_revision, read_instances, selector
from .maintenance import find_maintenance
from .members import Member, describe, find_primary
from .plan import Plan, State, Step, make_plan
from .planned_switchover import Outcome, is_switchover_due, next_switchover
from .primary import provision_and_observe
from .secrets import ensure_credentials, ensure_internal, read_last_primary, remember_primary
from .storage import next_growth
from .switchover import asked_candidate, request_switchover
from .synchronous import OFF, mode_of
from .synchronous_state import last_synchronous_leader, mark_candidates
from .template import is_held, is_kept
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
    cluster: Cluster,
    connect_to_proxy: Callable[[], Cluster],
    database: Object,
    made_with: str,
    agent_image: str,
) -> State:
    """Read what each reconcile needs of a Database.

    Args:
        cluster: one that reads once, for `find_plan` reads some of it too.
        connect_to_proxy: gives the operator's proxy, which watches each kind that is read by it.
        made_with, agent_image: as in `State`.

    Raises:
        ApiError: the API server refused or was not reached.
    """
    name, namespace = database["metadata"]["name"], database["metadata"]["namespace"]
    claims = cluster.list("v1", "PersistentVolumeClaim", namespace, selector(name))
    members, leader = read_instances(cluster, namespace, name)
    instances = {member.name for member in members}
    now = datetime.now(UTC)
    state = State(
        resource=database,
        claims=tuple(sorted(claim["metadata"]["name"] for claim in claims)),
        growth=next_growth(database, claims, instances, leader, now),
        members=tuple(members),
        leader=leader,
        last_primary=_find_last_primary(cluster, database, leader),
        # Also while there is still something to do: after that, the next reconcile may be minutes
        # away.
        watched=is_watched(cluster, connect_to_proxy, database),
        made_with=made_with,
        stateful_set=cluster.get("apps/v1", "StatefulSet", namespace, name),
        archive_block=find_archive_block(cluster, database),
        archive_window=_read_window(cluster, database),
        dynamic_hba=_has_dynamic_hba(cluster, database, bool(claims)),
        agent_image=agent_image,
        maintenance=find_maintenance(database, now),
    )
    return replace(state, held=_is_held(state))


def _find_last_primary(cluster: Cluster, database: Object, leader: str) -> str:
    """Return the instance whose volume is to start first.

    One that led for a moment only, as while instances are stopped, is known to Patroni alone. With
    synchronous replication it does not promote the one before that.
    """
    known = read_last_primary(cluster, database)
    if leader or mode_of(database) == OFF:
        return known
    return last_synchronous_leader(cluster, database) or known


def _read_window(cluster: Cluster, database: Object) -> dict[str, Any] | None:
    """Return which moments can be restored, as far as Backups say, as plain values."""
    place = archive_of_database(database)
    if place is None:
        return None
    backups = cluster.list(GROUP_VERSION, "Backup", database["metadata"]["namespace"])
    window = Archives(backups).window(place)
    return asdict(window) if window else None


def _is_held(state: State) -> bool:
    """Return whether the template of the pods waits for a maintenance window."""
    found = state.stateful_set
    if found is None or state.maintenance.open or is_hibernating(state.resource):
        return False
    annotations = found["spec"]["template"].get("metadata", {}).get("annotations") or {}
    restarted_at = annotations.get(RESTARTED, "")
    now = describe_template(found, state.wanted()["template_inputs"])
    return is_held(state.resource, known_template(found), now, restarted_at)


def _has_dynamic_hba(cluster: Cluster, database: Object, has_volumes: bool) -> bool:
    """Return whether the files of the instances are to have no lines of pg_hba.conf.

    Patroni takes those of its files before those of its dynamic configuration. A new Database
    begins with them in the latter; one of before, once a line of its own is written there.
    """
    try:
        stored = read_stored(cluster, database)
    except ValueError:
        return False
    if stored is not None:
        return stored.has_hba
    metadata = database["metadata"]
    files = cluster.get("v1", "ConfigMap", metadata["namespace"], f"{metadata['name']}-patroni")
    if files is None:
        return not has_volumes
    return "pg_hba: null" in (files.get("data") or {}).get("tls.yml", "")


def objects_inputs(state: State) -> str:
    """Return a digest of all that the Database's objects are made from; empty if not all is known.

    Of the volumes only what follows from them decides: which instances there are to be.
    """
    if not state.made_with:
        return ""
    resource = content(state.resource)
    # Where the agent is to be replaced in a window, that one is open makes other objects.
    waits = [state.held, state.maintenance.open and bool(state.agent_outdated)]
    return digest([resource, state.refused, state.wanted(), state.made_with, waits])


def kept_template(state: State) -> Object:
    """Return the template of the pods that is to stay as it is; empty where it is made anew."""
    found = state.stateful_set
    if found is None:
        return {}
    now = describe_template(found, state.wanted()["template_inputs"])
    is_open = state.maintenance.open
    if not state.held and not is_kept(state.resource, known_template(found), now, is_open):
        return {}
    template = found["spec"]["template"]
    metadata = {key: value for key, value in template["metadata"].items() if value is not None}
    return {**template, "metadata": metadata}


def followed_inputs(state: State) -> dict[str, Any]:
    """Return what the template of the pods follows from, as it is to be remembered."""
    if state.held and state.stateful_set is not None:
        return {"followed": known_template(state.stateful_set)["inputs"]}
    inputs: dict[str, Any] = state.wanted()["template_inputs"]
    return inputs


def kept_claim_templates(state: State) -> list[Object]:
    """Return the templates of claims of the StatefulSet that there is, which cannot be changed."""
    templates: list[Object] = (state.stateful_set or {}).get("spec", {}).get(
        "volumeClaimTemplates"
    ) or []
    return templates


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
    if Step.OBJECTS in set(plan.steps) - set(plan.due):
        # As long as it waits for its instances, that is all there is to do.
        state = _look_at_objects(cluster, state)
        plan = make_plan(state, datetime.now(UTC))
    looks = (_look_at_objects, _look_at_secrets, _look_at_configuration, _maintain_server)
    for look in (_query_server,) if state.paused else looks:
        if plan.steps:
            break
        state = look(cluster, state)
        plan = make_plan(state, datetime.now(UTC))
    return plan, state.server_changed and not check_mode


def _look_at_objects(cluster: Cluster, state: State) -> State:
    """Compare the objects with a digest of what was applied: none is rendered or applied."""
    found = state.stateful_set
    try:
        if found is None or not is_unchanged(cluster, found, objects_inputs(state)):
            return replace(state, objects_changed=True)
    except OperatorError:
        return replace(state, objects_changed=True)
    return replace(state, revision=newest_revision(found))


def _look_at_secrets(cluster: Cluster, state: State) -> State:
    try:
        needed = state.internal_is_needed
        changed = ensure_secrets(cluster, state.resource, needed, dry_run=True)
    except OperatorError:
        changed = True
    return replace(state, secrets_changed=changed)


def _look_at_configuration(cluster: Cluster, state: State) -> State:
    try:
        stored = read_stored(cluster, state.resource)
    except (OperatorError, ValueError):
        return replace(state, configuration_changed=True)
    return replace(
        state,
        configuration_changed=not is_settled(stored, state.resource),
        configuration=describe_configuration(stored),
    )


def _maintain_server(cluster: Cluster, state: State) -> State:
    """Do what only a query shows to be due: a user or database that is missing, and the like."""
    return _ask_primary(cluster, state, check_mode=False)


def _query_server(cluster: Cluster, state: State) -> State:
    """Query the primary of a paused Database, without a change."""
    return _ask_primary(cluster, state, check_mode=True)


def _ask_primary(cluster: Cluster, state: State, check_mode: bool) -> State:
    primary = state.primary
    assert primary is not None
    try:
        found = provision_and_observe(
            cluster,
            state.resource,
            primary.name,
            primary.pod_ip,
            primary.encrypted,
            check_mode=check_mode,
        )
    except OperatorError as error:
        if check_mode:
            return replace(state, server={"problem": [error.reason, error.message]})
        return replace(state, server_changed=True)
    return replace(state, server_changed=found["changed"], server=found["server"])


def ensure_secrets(
    cluster: Cluster, database: Object, internal_needed: bool, dry_run: bool = False
) -> bool:
    """Make all Secrets of a Database exist, with certificates that are not about to end.

    Args:
        internal_needed: whether what is in NAME-internal cannot be made again.

    Returns:
        Whether anything was (or would be) written.

    Raises:
        SecretMissing: one is gone that cannot be made again.
        SecretInvalid: one cannot be used.
    """
    internal = ensure_internal(cluster, database, internal_needed, dry_run)
    certificates = ensure_certificates(cluster, database, datetime.now(UTC), dry_run)
    # Last: applications are given the authorities of the certificates.
    credentials = ensure_credentials(cluster, database, dry_run)
    return internal or certificates or credentials


def update_instances(
    cluster: Cluster, database: Object, allowed: bool, dry_run: bool = False
) -> dict[str, Any]:
    """Read the instances and take at most one step of a rolling update, or of a switchover.

    Args:
        allowed: whether a step may be taken.

    Returns:
        `changed`, `action` and `message` of the step, `switchover` (what came of `switchoverTo`,
        where that is not known yet), `leader`, `primary` (the leader, once it runs as the primary:
        its name, pod_ip and encrypted), `instances`, and `not_created`: reason and message where
        the API server refuses one that is missing.

    Raises:
        ApiError: the API server refused or was not reached.
    """
    name, namespace = database["metadata"]["name"], database["metadata"]["namespace"]
    members, leader = read_instances(cluster, namespace, name)
    primary = find_primary(members, leader)
    if primary and not dry_run:
        _remember(cluster, database, primary)
    step, planned = rollout.Step(rollout.Action.NOTHING), Outcome({})
    rolls = allowed and not is_hibernating(database)
    switches = not is_paused(database) and is_switchover_due(database)
    asked = asked_candidate(cluster, database, leader) if rolls or switches else ""
    if rolls or switches:
        members = mark_candidates(cluster, database, members, leader)
    if rolls:
        revision = newest_revision(cluster.get("apps/v1", "StatefulSet", namespace, name))
        step = rollout.next_step(members, leader, revision, database["spec"]["replicas"], asked)
    if switches:
        hindered = _what_hinders(database, allowed, step)
        planned = next_switchover(database, members, leader, asked, datetime.now(UTC), hindered)
    changed = step.action in {rollout.Action.DELETE_POD, rollout.Action.SWITCHOVER}
    if changed and not dry_run:
        _take(cluster, database, step, members)
    if planned.request and not dry_run:
        request_switchover(cluster, database, planned.request.leader, planned.request.candidate)
    return {
        "changed": changed or planned.request is not None,
        "action": step.action.value,
        "message": step.message,
        "switchover": planned.report,
        "leader": leader,
        "primary": _address(primary) if primary else {},
        "instances": [describe(member) for member in members],
        "not_created": _find_refusal(cluster, database, members),
    }


def _what_hinders(database: Object, allowed: bool, step: rollout.Step) -> str:
    """Return in words what goes before a switchover that the spec asks for; empty for nothing."""
    if is_hibernating(database):
        return "waiting until the Database is awake"
    if not allowed:
        return "waiting until what keeps the Database from being changed is corrected"
    return f"after the rolling update: {step.message}" if step.message else ""


def _find_refusal(cluster: Cluster, database: Object, members: list[Member]) -> list[str]:
    if is_hibernating(database) or len(members) >= database["spec"]["replicas"]:
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
