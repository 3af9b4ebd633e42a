"""The status of a Database: a pure function of what was observed.

While a Database is made, its phases are Pending, Provisioning, Configuring, Deploying, Verifying
and Ready. Once Ready, a change is Updating; what a user has to correct is Failed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ...errors import DatabaseGone
from ...postgres.releases import missing_fixes
from ...units import first_of, parse_quantity, plural
from ..backup.archive_window import Window
from ..cluster_domain import cluster_domain
from ..conditions import (
    ARCHIVE_CHECKED,
    SOON,
    UNCORRECTED,
    VERIFYING,
    WAITING,
    Condition,
    Decision,
)
from ..prerequisites import is_paused, is_to_be_restored
from .archive_status import (
    ARCHIVING,
    Archive,
    archive_field,
    archiving_condition,
    blocked,
    gap_condition,
    window_field,
)
from .planned_switchover import IN_PROGRESS, WAITING_FOR_INSTANCE, known_switchover
from .storage import CLAIMS_KEPT
from .synchronous import CONDITION as SYNCHRONOUS_REPLICATION
from .synchronous import OFF, describe_condition, mode_of, wanted_count

DATABASE_GONE = DatabaseGone.__name__
SERVER_OUTDATED = "ServerOutdated"
STORAGE_DIFFERS = "StorageDiffers"
AGENT_OUTDATED = "AgentOutdated"
USERS_OR_DATABASES_DIFFER = "UsersOrDatabasesDiffer"
PAUSED = "Paused"
SWITCHOVER = "Switchover"
MAINTENANCE_PENDING = "MaintenancePending"
DEGRADED = "Degraded"
STORAGE_LOW = "StorageLow"
LOW_PERCENT = 80
PENDING_RESTART = "PendingRestart"
# How many entries that could not be made a condition names.
_NAMED_DIFFERENCES = 8
CONFIGURATION_REFUSED = "ConfigurationRefused"
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
    pending_restart: tuple[str, ...] = ()
    volume_used: int | None = None


@dataclass(frozen=True)
class Standby:
    """One row of pg_stat_replication on the primary."""

    name: str
    state: str
    lag_bytes: int
    synchronous: bool = False


@dataclass(frozen=True)
class Server:
    """What the primary said over SQL, or `problem`: the (reason, message) why it said nothing.

    `differences`: what of the spec's users and databases could not be made, one for each entry;
    `compared`: whether they were compared with the spec, as they are not while that is paused;
    `awaited`: how many synchronous standbys a commit waits for.
    """

    problem: tuple[str, str] | None = None
    writable: bool = False
    database_exists: bool = False
    role_exists: bool = False
    encrypted: bool = False
    version: str = ""
    timeline: int = 0
    standbys: tuple[Standby, ...] = ()
    awaited: int = 0
    compared: bool = True
    differences: tuple[str, ...] = ()
    archive: Archive | None = None

    @property
    def synchronous(self) -> int:
        """How many standbys are synchronous."""
        return sum(standby.synchronous for standby in self.standbys)

    @property
    def commits_wait(self) -> bool:
        """Whether a commit waits for standbys that are not there."""
        return self.awaited > self.synchronous


@dataclass(frozen=True)
class Configuration:
    """The parameters of the servers.

    Attributes:
        parameters: those that the operator has set: name, value and source of each.
        refused: (reason, message) where those of the spec are not followed.
        held: those that wait for a maintenance window, since only a restart brings them.
        message: what is being done to bring them to the instances; empty where nothing is.
    """

    parameters: tuple[dict[str, str], ...] = ()
    refused: tuple[str, str] | None = None
    held: tuple[str, ...] = ()
    message: str = ""


@dataclass(frozen=True)
class Observation:
    """All that the status of a Database depends on.

    Attributes:
        refused: (reason, message) where the spec or a Secret does not allow to go on.
        instances: the pods.
        not_created: (reason, message) where the API server refuses the pod of an instance.
        hibernating: whether the Database is to have no instances.
        agent: which agent the instances have where it is not the operator's; else empty.
        held: what of the instances waits for a maintenance window; empty for nothing.
        window: what that waits for, in words.
        opens_in: in how many seconds a window opens, where that is soon; 0 otherwise.
        storage: (reason, message) where volumes do not become what the spec asks for.
        growing: what is being done to have the volumes grow; empty where nothing is.
        capacities: the size of the volume of each instance that has one; empty where they were not
            read.
        unbound: of each instance whose claim has no volume, what there is to do if none comes.
        primary: the leader's name; empty where there is none.
        rollout: the message of the rolling update's step; empty where nothing is to be rolled.
        switchover: what came of `switchoverTo`; None where the status has it already.
        configuration: the parameters; None where they were not read.
        archive_block: (reason, message) where a Secret is missing that the archiver needs.
        archive_window: the moments that can be restored, as far as Backups say; None where none
            can.
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
    hibernating: bool = False
    agent: str = ""
    held: str = ""
    window: str = ""
    opens_in: float = 0.0
    storage: tuple[str, ...] | None = None
    growing: str = ""
    capacities: Mapping[str, str] = field(default_factory=dict)
    unbound: Mapping[str, str] = field(default_factory=dict)
    primary: str = ""
    rollout: str = ""
    switchover: Mapping[str, str] | None = None
    configuration: Configuration | None = None
    archive_block: tuple[str, str] | None = None
    archive_window: Window | None = None
    server: Server | None = None
    restoring: tuple[str, str] | None = None
    unrestorable: tuple[str, str] | None = None
    restored_from: str = ""

    @property
    def change(self) -> tuple[str, str] | None:
        """(reason, message) of what is being done beside a rolling update; None where nothing."""
        if self.switchover and self.switchover["state"] in {IN_PROGRESS, WAITING_FOR_INSTANCE}:
            return SWITCHOVER, self.switchover["message"]
        if self.configuration and self.configuration.message:
            return "ConfigurationChange", self.configuration.message
        return ("VolumeExpansion", self.growing) if self.growing else None


def decide(resource: Mapping[str, Any], observation: Observation) -> Decision:
    """Decide phase, conditions and the other fields of the status."""
    serving = _serves(observation.server) and not _is_awaited(resource, observation)
    decision = _decide(resource, observation, _fields(resource, observation, serving), serving)
    differing = _differing(resource, observation)
    further = (
        *_outdated(decision),
        *_other_storage(observation),
        *_low_storage(observation),
        *_outdated_agent(observation),
        *_pending_maintenance(observation),
        *_degraded(observation, serving),
        *_pending_restart(observation),
        *differing,
        *_refused_configuration(resource, observation),
        *_archiving(resource, observation),
        *_gaps(resource, observation),
        *_synchronous(resource, observation),
    )
    decision = replace(decision, conditions=(*decision.conditions, *further))
    if differing and decision.requeue_after is None:
        decision = replace(decision, requeue_after=UNCORRECTED)
    known = resource.get("status", {}).get("storage")
    if known and decision.requeue_after is None and decision.fields["storage"] != known:
        # Parameters follow the size of the volumes that the status has.
        decision = replace(decision, requeue_after=SOON)
    again = [ARCHIVE_CHECKED] if resource["spec"].get("archive") else []
    again += [observation.opens_in] if observation.opens_in else []
    decision = replace(decision, look_again=min(again, default=None))
    if is_paused(resource):
        decision = _paused(decision, _unmade(resource, observation))
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


def _outdated_agent(observation: Observation) -> tuple[Condition, ...]:
    """Return a condition where the agent is of another operator; it stops nothing."""
    if not observation.agent:
        return ()
    return (Condition(AGENT_OUTDATED, "True", "OperatorUpgraded", observation.agent),)


def _other_storage(observation: Observation) -> tuple[Condition, ...]:
    """Return a condition where volumes are not what the spec asks for; it stops nothing."""
    if not observation.storage:
        return ()
    reason, message = observation.storage
    return (Condition(STORAGE_DIFFERS, "True", reason, message),)


def _low_storage(observation: Observation) -> tuple[Condition, ...]:
    """Return a condition where volumes are nearly full; it stops nothing."""
    low = [
        f"{instance.name} ({instance.volume_used} %)"
        for instance in observation.instances
        if (instance.volume_used or 0) >= LOW_PERCENT
    ]
    if not low:
        return ()
    message = (
        f"the file systems of volumes are nearly full, of {first_of(low)}: drop what is not needed,"
        " or raise spec.storage.size, if the StorageClass lets volumes grow"
    )
    return (Condition(STORAGE_LOW, "True", "VolumeNearlyFull", message),)


def _pending_maintenance(observation: Observation) -> tuple[Condition, ...]:
    """Return a condition where a change waits for a maintenance window; it stops nothing."""
    waiting = [observation.held] if observation.held else []
    if observation.configuration and observation.configuration.held:
        names = first_of(observation.configuration.held)
        waiting.append(f"servers are to be restarted for parameters ({names})")
    if not waiting:
        return ()
    message = f"{'; '.join(waiting)}: this waits for {observation.window}"
    return (Condition(MAINTENANCE_PENDING, "True", "WaitingForWindow", message),)


def _degraded(observation: Observation, serving: bool) -> tuple[Condition, ...]:
    """Return a condition where the primary takes writes, and fewer instances are ready than asked.

    Whether others could take over from it, and hold its data, depends on them.
    """
    ready = sum(instance.ready for instance in observation.instances)
    if not serving or observation.hibernating or ready >= observation.replicas:
        return ()
    problem = _worst_problem(observation)
    late = [instance.name for instance in observation.instances if not instance.ready]
    which = f": {first_of(late)} {'is' if len(late) == 1 else 'are'} not" if late else ""
    why = f"; {problem.problem[1]}" if problem and problem.problem else ""
    message = f"the primary takes writes, and {ready} of {observation.replicas} instances are ready"
    return (Condition(DEGRADED, "True", "InstancesNotReady", f"{message}{which}{why}"),)


def _pending_restart(observation: Observation) -> tuple[Condition, ...]:
    """Return a condition where a server has to restart for a parameter, and nothing restarts it.

    For those of the spec the operator does; others come from ALTER SYSTEM, or by Patroni.
    """
    waiting = [instance for instance in observation.instances if instance.pending_restart]
    if not waiting or observation.change or observation.rollout or observation.hibernating:
        return ()
    named = first_of(
        [f"{instance.name} for {first_of(instance.pending_restart)}" for instance in waiting],
        "; ",
    )
    message = (
        f"parameters that were changed by other means than the spec need a restart: {named}; to"
        " replace the instances one at a time, set spec.restartedAt to another value"
    )
    return (Condition(PENDING_RESTART, "True", "ParametersChanged", message),)


def _differing(resource: Mapping[str, Any], observation: Observation) -> tuple[Condition, ...]:
    """Return a condition where users or databases are not as the spec says; it stops nothing.

    The one that there is stays while the primary is not asked.
    """
    server = observation.server
    if server is None or server.problem or not server.compared:
        return _known(resource, USERS_OR_DATABASES_DIFFER)
    if not server.differences:
        return ()
    named = server.differences[:_NAMED_DIFFERENCES]
    more = len(server.differences) - len(named)
    message = "; ".join(named) + (f"; and {more} more" if more else "")
    return (Condition(USERS_OR_DATABASES_DIFFER, "True", "NotApplied", message),)


def _known(resource: Mapping[str, Any], kind: str) -> tuple[Condition, ...]:
    """Return the condition as it was, where what it says could not be read now."""
    return tuple(
        Condition(**{key: one[key] for key in ("type", "status", "reason", "message")})
        for one in resource.get("status", {}).get("conditions", [])
        if one["type"] == kind
    )


def _unmade(resource: Mapping[str, Any], observation: Observation) -> str:
    """Return what was not made before the Database was paused; empty where all was."""
    if not observation.instances:
        return "it has no instances yet"
    return "its contents are not known to be restored" if _is_awaited(resource, observation) else ""


def _paused(decision: Decision, unmade: str) -> Decision:
    """Return the decision for a Database of which nothing is changed.

    How far the spec is followed is not known then.
    """
    message = "spec.paused is true: the operator changes nothing, also not what the spec says"
    ready = next(c for c in decision.conditions if c.type == "Ready")
    fields = dict(decision.fields)
    if unmade:
        ready = Condition("Ready", "False", PAUSED, f"{message}; {unmade}")
        fields["ready"] = False
    others = [c for c in decision.conditions if c.type not in {"Ready", "Progressing"}]
    wait = None if decision.requeue_after is None else max(decision.requeue_after, WAITING)
    return replace(
        decision,
        phase="Pending" if unmade else decision.phase,
        conditions=(
            ready,
            Condition("Progressing", "Unknown", PAUSED, message),
            *others,
            Condition(PAUSED, "True", "PausedBySpec", message),
        ),
        fields=fields,
        requeue_after=wait,
    )


def _refused_configuration(
    resource: Mapping[str, Any], observation: Observation
) -> tuple[Condition, ...]:
    """Return a condition where parameters of the spec are not followed; it stops nothing."""
    if observation.configuration is None:
        return _known(resource, CONFIGURATION_REFUSED)
    if observation.configuration.refused is None:
        return ()
    return (Condition(CONFIGURATION_REFUSED, "True", *observation.configuration.refused),)


def _archiving(resource: Mapping[str, Any], observation: Observation) -> tuple[Condition, ...]:
    """Return the condition of a Database whose WAL is archived; it stops nothing."""
    if not resource["spec"].get("archive"):
        return ()
    if observation.server and observation.server.archive:
        return (archiving_condition(observation.server.archive, observation.archive_block),)
    if observation.archive_block:
        return (blocked(observation.archive_block),)
    return _known(resource, ARCHIVING)


def _gaps(resource: Mapping[str, Any], observation: Observation) -> tuple[Condition, ...]:
    """Return a condition where the archive lacks WAL; it stops nothing."""
    if not resource["spec"].get("archive"):
        return ()
    found = gap_condition(observation.archive_window)
    return (found,) if found else ()


def _synchronous(resource: Mapping[str, Any], observation: Observation) -> tuple[Condition, ...]:
    """Return the condition of a Database with synchronous replication; it stops nothing."""
    if mode_of(resource) == OFF or observation.hibernating:
        return ()
    server = observation.server
    if server is None or server.problem:
        return _known(resource, SYNCHRONOUS_REPLICATION)
    return (describe_condition(resource, server.synchronous, server.awaited),)


def _archive_field(
    resource: Mapping[str, Any], observation: Observation
) -> Mapping[str, Any] | None:
    if not resource["spec"].get("archive"):
        return None
    known: Mapping[str, Any] = resource.get("status", {}).get("archive", {})
    archive = observation.server.archive if observation.server else None
    fields = dict(archive_field(archive) if archive else known)
    fields.pop("window", None)
    window = observation.archive_window
    if window:
        latest = (known.get("window", {}).get("latest", ""), archive.written if archive else "")
        fields["window"] = window_field(window, *latest)
    return fields or None


def _is_awaited(resource: Mapping[str, Any], observation: Observation) -> bool:
    """Return whether the contents that the Database is made from are not known to be there.

    Applications must not write into a database that is about to be replaced.
    """
    return is_to_be_restored(resource) and not observation.restored_from


def _serves(server: Server | None) -> bool:
    return bool(server and server.writable and server.database_exists and not server.commits_wait)


def _decide(
    resource: Mapping[str, Any], observation: Observation, fields: dict[str, Any], serving: bool
) -> Decision:
    if observation.refused:
        return _refused(observation.refused, fields, serving)
    if observation.hibernating:
        return _hibernating(observation, fields)
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
    if observation.change:
        return _changing(*observation.change, fields, serving)
    return _verify(observation, fields, wanted_count(resource))


def _fields(resource: Mapping[str, Any], observation: Observation, serving: bool) -> dict[str, Any]:
    name = resource["metadata"]["name"]
    namespace = resource["metadata"]["namespace"]
    server = observation.server or Server()
    ready_count = sum(instance.ready for instance in observation.instances)
    lag = {standby.name: standby.lag_bytes for standby in server.standbys}
    synchronous = {standby.name for standby in server.standbys if standby.synchronous}
    old = resource.get("status", {})
    sizes = observation.capacities
    return {
        "ready": False,
        "writable": serving,
        "encrypted": server.encrypted,
        "endpoint": f"{name}.{namespace}.svc.{cluster_domain()}:5432",
        "readOnlyEndpoint": f"{name}-ro.{namespace}.svc.{cluster_domain()}:5432",
        "secretName": f"{name}-credentials",
        "restoredFrom": observation.restored_from or old.get("restoredFrom"),
        "replicas": len(observation.instances),
        "readyReplicas": ready_count,
        "instancesReady": f"{ready_count}/{observation.replicas}",
        "primary": observation.primary or None,
        "switchover": observation.switchover or known_switchover(resource),
        "parameters": list(observation.configuration.parameters)
        if observation.configuration
        else old.get("parameters"),
        "storage": _sizes(sizes) or old.get("storage"),
        "archive": _archive_field(resource, observation),
        "timeline": server.timeline or old.get("timeline"),
        "version": server.version or old.get("version"),
        "instances": [
            {
                "name": instance.name,
                "role": instance.role,
                "state": instance.state,
                "ready": instance.ready,
                **({"timeline": instance.timeline} if instance.timeline else {}),
                **({"lagBytes": lag[instance.name]} if instance.name in lag else {}),
                **({"synchronous": True} if instance.name in synchronous else {}),
                **({"storage": sizes[instance.name]} if instance.name in sizes else {}),
                **(
                    {"storageUsedPercent": instance.volume_used}
                    if instance.volume_used is not None
                    else {}
                ),
                **(
                    {"pendingRestart": list(instance.pending_restart)}
                    if instance.pending_restart
                    else {}
                ),
            }
            for instance in observation.instances
        ],
    }


def _sizes(capacities: Mapping[str, str]) -> dict[str, str] | None:
    """Return the sizes of the smallest and the largest volume; None where they were not read."""
    if not capacities:
        return None
    sizes = sorted(capacities.values(), key=parse_quantity)
    return {"smallest": sizes[0], "largest": sizes[-1]}


def _worst_problem(observation: Observation) -> Instance | None:
    """Return the instance whose problem is reported: first one that needs a user's action."""
    with_problem = [
        _explained(observation, instance) for instance in observation.instances if instance.problem
    ]
    if observation.not_created:
        with_problem.append(Instance("", ready=False, problem=observation.not_created))
    return min(with_problem, key=lambda instance: not instance.needs_user, default=None)


def _explained(observation: Observation, instance: Instance) -> Instance:
    """Return the instance with what keeps its pod from a node, where that is its volume.

    The scheduler says only that a claim is unbound.
    """
    reason, message = instance.problem or ("", "")
    if reason != "Unschedulable" or "persistentvolumeclaim" not in message.lower():
        return instance
    why = observation.unbound.get(instance.name, "")
    if observation.storage and observation.storage[0] == CLAIMS_KEPT:
        why = observation.storage[1]
    return replace(instance, problem=(reason, f"{message}; {why}")) if why else instance


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


def _hibernating(observation: Observation, fields: dict[str, Any]) -> Decision:
    """Instances are being stopped, or there are none: volumes, Secrets and Services stay."""
    fields |= {"ready": False, "writable": False}
    left = len(observation.instances)
    if left:
        return _waiting("Updating", fields, "Hibernating", f"{plural(left, 'instance')} to stop")
    message = "there are no instances; to wake the Database, set spec.hibernate: false"
    return Decision(
        phase="Hibernated",
        conditions=_conditions(False, "Hibernated", message, progressing=False),
        fields=fields,
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
    """No instance takes writes: the pods are being made, or the first one is being initialised.

    While the whole server is made from a backup there is none.
    """
    if observation.unrestorable:
        return _failed(fields, *observation.unrestorable)
    if observation.restoring:
        return _waiting("Provisioning", fields, *observation.restoring)
    if problem and problem.problem:
        reason, message = problem.problem
        return Decision(
            phase="Failed" if problem.needs_user else "Provisioning",
            conditions=_conditions(False, reason, message, progressing=not problem.needs_user),
            fields=fields,
            requeue_after=VERIFYING,
        )
    if observation.change:
        return _waiting("Deploying", fields, *observation.change)
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


def _changing(reason: str, message: str, fields: dict[str, Any], serving: bool) -> Decision:
    """Parameters or volumes are being changed, or another instance becomes primary.

    Whether the primary takes writes meanwhile is what was seen last.
    """
    fields["ready"] = serving
    return Decision(
        phase="Updating",
        conditions=_conditions(serving, reason, message, progressing=True),
        fields=fields,
        requeue_after=SOON,
        log=(f"{reason}: {message}",),
    )


def _verify(observation: Observation, fields: dict[str, Any], synchronous: int) -> Decision:
    """Compare what the primary says with what was asked for.

    Args:
        synchronous: how many replicas are to be synchronous.
    """
    assert observation.server is not None
    log = [f"All replicas ready, checking consistency: {observation.replicas}"]
    failures = find_inconsistencies(observation, synchronous)
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


def find_inconsistencies(observation: Observation, synchronous: int = 0) -> list[str]:
    """Return what keeps a complete cluster from being Ready, in words; empty where all is well.

    Args:
        synchronous: how many replicas are to be synchronous.
    """
    server = observation.server
    assert server is not None
    failures = []
    if not server.writable:
        failures.append(f"primary {observation.primary} accepts no writes")
    if not server.role_exists:
        failures.append("the user does not exist")
    if not server.database_exists:
        failures.append("the database does not exist")
    failures += _find_unsafe_commits(observation.primary, server, synchronous)
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


def _find_unsafe_commits(primary: str, server: Server, synchronous: int) -> list[str]:
    if server.synchronous < synchronous:
        return [f"{server.synchronous} of {plural(synchronous, 'replica')} synchronous"]
    waits = f"commits on {primary} wait for a synchronous standby"
    return [waits] if server.commits_wait else []
