"""The status of a Database: a pure function of what was observed.

While a Database is made, its phases are Pending, Provisioning, Configuring, Deploying, Verifying
and Ready. Once Ready, a change is Updating; what a user has to correct is Failed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ...errors import DatabaseGone
from ...postgres.releases import missing_fixes
from ..conditions import SOON, VERIFYING, WAITING, Condition, Decision
from ..prerequisites import is_to_be_restored

DATABASE_GONE = DatabaseGone.__name__
SERVER_OUTDATED = "ServerOutdated"
STORAGE_DIFFERS = "StorageDiffers"
# A standby further behind than this is not yet a copy to rely on.
MAX_LAG_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class Instance:
    """One instance, as far as the status speaks of it. `problem` is a (reason, message) pair."""

    name: str
    ready: bool
    role: str = ""
    state: str = ""
    timeline: int = 0
    problem: tuple[str, str] | None = None
    needs_user: bool = False


@dataclass(frozen=True)
class Standby:
    """One row of pg_stat_replication on the primary."""

    name: str
    state: str
    lag_bytes: int


@dataclass(frozen=True)
class Server:
    """What the primary said over SQL, or `problem`: the (reason, message) why it said nothing."""

    problem: tuple[str, str] | None = None
    writable: bool = False
    database_exists: bool = False
    role_exists: bool = False
    encrypted: bool = False
    version: str = ""
    timeline: int = 0
    standbys: tuple[Standby, ...] = ()


@dataclass(frozen=True)
class Observation:
    """All that the status of a Database depends on.

    Attributes:
        refused: (reason, message) where the spec or a Secret does not allow to go on.
        instances: the pods.
        not_created: (reason, message) where the API server refuses the pod of an instance.
        storage: which claims have another size or class than the spec; empty where none has.
        primary: the leader's name; empty where there is none.
        rollout: the message of the rolling update's step; empty where nothing is to be rolled.
        server: what the primary said; None where it was not asked, because it does not run yet.
        restoring: (reason, message) while the contents of the Backup that it is made from are not
            there.
        unrestorable: the same if a user has to correct that.
        restored_from: that Backup, once they are there.
    """

    replicas: int
    refused: tuple[str, str] | None = None
    instances: tuple[Instance, ...] = ()
    not_created: tuple[str, str] | None = None
    storage: str = ""
    primary: str = ""
    rollout: str = ""
    server: Server | None = None
    restoring: tuple[str, str] | None = None
    unrestorable: tuple[str, str] | None = None
    restored_from: str = ""


def decide(resource: Mapping[str, Any], observation: Observation) -> Decision:
    """Decide phase, conditions and the other fields of the status."""
    serving = _serves(observation.server) and not _is_awaited(resource, observation)
    decision = _decide(observation, _fields(resource, observation, serving), serving)
    further = (*_outdated(decision), *_other_storage(observation))
    decision = replace(decision, conditions=(*decision.conditions, *further))
    updating = resource.get("status", {}).get("phase") == "Updating"
    if updating and decision.phase in {"Provisioning", "Configuring", "Deploying"}:
        return replace(decision, phase="Updating")
    return decision


def _outdated(decision: Decision) -> tuple[Condition, ...]:
    """Return a condition where the server's release lacks security fixes; it stops nothing."""
    missing = missing_fixes(decision.fields["version"] or "")
    if not missing:
        return ()
    message = f"{missing}; set spec.image to such an image"
    return (Condition(SERVER_OUTDATED, "True", "SecurityFixesMissing", message),)


def _other_storage(observation: Observation) -> tuple[Condition, ...]:
    """Return a condition where volumes are not what the spec asks for; it stops nothing."""
    if not observation.storage:
        return ()
    return (Condition(STORAGE_DIFFERS, "True", "ClaimsKept", observation.storage),)


def _is_awaited(resource: Mapping[str, Any], observation: Observation) -> bool:
    """Return whether the contents that the Database is made from are not known to be there.

    Applications must not write into a database that is about to be replaced.
    """
    return is_to_be_restored(resource) and not observation.restored_from


def _serves(server: Server | None) -> bool:
    return bool(server and server.writable and server.database_exists)


def _decide(observation: Observation, fields: dict[str, Any], serving: bool) -> Decision:
    if observation.refused:
        return _refused(observation.refused, fields, serving)
    ready_count = sum(instance.ready for instance in observation.instances)
    problem = _worst_problem(observation)

    if observation.server is None:
        return _before_primary(observation, fields, problem)
    if observation.server.problem and observation.server.problem[0] == DATABASE_GONE:
        return _failed(fields, *observation.server.problem)
    if observation.server.problem:
        phase = "Deploying" if fields["version"] else "Configuring"
        return _waiting(phase, fields, *observation.server.problem)
    if observation.rollout:
        return _rolling(observation, fields, problem, serving)
    if ready_count < observation.replicas or len(observation.instances) != observation.replicas:
        message = f"not all replicas ready: {ready_count}/{observation.replicas}"
        if problem:
            message = f"{message}; {problem.problem[1]}" if problem.problem else message
        return _waiting(
            "Deploying",
            fields,
            problem.problem[0] if problem and problem.problem else "ReplicasNotReady",
            message,
            log=(f"Consistency check failed, retrying: {message}",),
        )
    return _verify(observation, fields)


def _fields(resource: Mapping[str, Any], observation: Observation, serving: bool) -> dict[str, Any]:
    name = resource["metadata"]["name"]
    namespace = resource["metadata"]["namespace"]
    server = observation.server or Server()
    ready_count = sum(instance.ready for instance in observation.instances)
    lag = {standby.name: standby.lag_bytes for standby in server.standbys}
    old = resource.get("status", {})
    return {
        "ready": False,
        "writable": serving,
        "encrypted": server.encrypted,
        "endpoint": f"{name}.{namespace}.svc.cluster.local:5432",
        "readOnlyEndpoint": f"{name}-ro.{namespace}.svc.cluster.local:5432",
        "secretName": f"{name}-credentials",
        "restoredFrom": observation.restored_from or old.get("restoredFrom"),
        "replicas": len(observation.instances),
        "readyReplicas": ready_count,
        "instancesReady": f"{ready_count}/{observation.replicas}",
        "primary": observation.primary or None,
        "timeline": server.timeline or old.get("timeline"),
        "version": server.version or old.get("version"),
        "instances": [
            {
                "name": instance.name,
                "role": instance.role,
                "state": instance.state,
                **({"lagBytes": lag[instance.name]} if instance.name in lag else {}),
            }
            for instance in observation.instances
        ],
    }


def _worst_problem(observation: Observation) -> Instance | None:
    """Return the instance whose problem is reported: first one that needs a user's action."""
    with_problem = [instance for instance in observation.instances if instance.problem]
    if observation.not_created:
        with_problem.append(Instance("", ready=False, problem=observation.not_created))
    return min(with_problem, key=lambda instance: not instance.needs_user, default=None)


def _conditions(
    ready: bool, reason: str, message: str, progressing: bool, progress_reason: str = ""
) -> tuple[Condition, ...]:
    return (
        Condition("Ready", "True" if ready else "False", reason, message),
        Condition(
            "Progressing",
            "True" if progressing else "False",
            progress_reason or reason,
            message,
        ),
    )


def _refused(refused: tuple[str, str], fields: dict[str, Any], serving: bool) -> Decision:
    """Say why nothing is changed; a Database that serves goes on serving."""
    fields["ready"] = serving
    return Decision(
        phase="Failed",
        conditions=_conditions(serving, *refused, progressing=False),
        fields=fields,
        requeue_after=WAITING,
    )


def _failed(fields: dict[str, Any], reason: str, message: str) -> Decision:
    """Say what a user has to correct."""
    return Decision(
        phase="Failed",
        conditions=_conditions(False, reason, message, progressing=False),
        fields=fields,
        requeue_after=WAITING,
    )


def _waiting(
    phase: str,
    fields: dict[str, Any],
    reason: str,
    message: str,
    log: tuple[str, ...] = (),
) -> Decision:
    return Decision(
        phase=phase,
        conditions=_conditions(False, reason, message, progressing=True),
        fields=fields,
        requeue_after=SOON,
        log=log,
    )


def _before_primary(
    observation: Observation, fields: dict[str, Any], problem: Instance | None
) -> Decision:
    """No instance takes writes: the pods are being made, or the first one is being initialised."""
    if problem and problem.problem:
        reason, message = problem.problem
        return Decision(
            phase="Failed" if problem.needs_user else "Provisioning",
            conditions=_conditions(False, reason, message, progressing=not problem.needs_user),
            fields=fields,
            requeue_after=VERIFYING,
        )
    if fields["version"]:
        return _waiting(
            "Deploying", fields, "NoPrimary", "waiting for an instance to become primary"
        )
    if any(instance.state for instance in observation.instances):
        return _waiting(
            "Configuring", fields, "InitialisingPrimary", "the first instance is being initialised"
        )
    return _waiting("Provisioning", fields, "CreatingInstances", "the instances are being created")


def _rolling(
    observation: Observation, fields: dict[str, Any], problem: Instance | None, serving: bool
) -> Decision:
    """A rolling update is under way; the primary takes writes meanwhile."""
    stopped = problem.problem if problem and problem.needs_user else observation.not_created
    message = observation.rollout
    if stopped:
        message = f"the update has stopped and the other instances are not changed: {stopped[1]}"
    reason = stopped[0] if stopped else "RollingUpdate"
    fields["ready"] = serving
    return Decision(
        phase="Updating",
        conditions=_conditions(serving, reason, message, progressing=not stopped),
        fields=fields,
        requeue_after=VERIFYING if stopped else SOON,
        log=(f"Rolling update: {message}",),
    )


def _verify(observation: Observation, fields: dict[str, Any]) -> Decision:
    """Compare what the primary says with what was asked for."""
    assert observation.server is not None
    log = [f"All replicas ready, checking consistency: {observation.replicas}"]
    failures = find_inconsistencies(observation)
    if failures:
        message = "; ".join(failures)
        log.append(f"Consistency check failed, retrying: {message}")
        return Decision(
            phase="Verifying",
            conditions=_conditions(False, "ConsistencyCheckFailed", message, progressing=True),
            fields=fields,
            requeue_after=SOON,
            log=log,
        )
    log.append(f"Database accessibility check passed: {fields['endpoint']}")
    if observation.unrestorable:
        return _failed(fields, *observation.unrestorable)
    if observation.restoring:
        return _waiting("Verifying", fields, *observation.restoring)
    fields["ready"] = True
    return Decision(
        phase="Ready",
        conditions=(
            Condition("Ready", "True", "AllChecksPassed", "Database is ready"),
            Condition("Progressing", "False", "ReconciliationComplete", "Reconciliation complete"),
        ),
        fields=fields,
        log=log,
    )


def find_inconsistencies(observation: Observation) -> list[str]:
    """Return what keeps a complete cluster from being Ready, in words; empty where all is well."""
    server = observation.server
    assert server is not None
    failures = []
    if not server.writable:
        failures.append(f"primary {observation.primary} accepts no writes")
    if not server.role_exists:
        failures.append("the user does not exist")
    if not server.database_exists:
        failures.append("the database does not exist")
    standbys = {standby.name: standby for standby in server.standbys}
    for instance in observation.instances:
        if instance.name == observation.primary:
            continue
        standby = standbys.get(instance.name)
        if standby is None or standby.state != "streaming":
            failures.append(
                f"replica {instance.name} is not streaming from {observation.primary}; if its log"
                " says that WAL has been removed, delete the claim"
                f" data-{instance.name} and the pod: it is then copied again"
            )
        elif standby.lag_bytes > MAX_LAG_BYTES:
            failures.append(f"replica {instance.name} is {standby.lag_bytes} bytes behind")
        if instance.timeline and server.timeline and instance.timeline != server.timeline:
            failures.append(
                f"replica {instance.name} is on timeline {instance.timeline},"
                f" the primary on {server.timeline}"
            )
    return failures
