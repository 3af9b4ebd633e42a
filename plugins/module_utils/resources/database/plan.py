"""The steps of a Database's reconcile, in their order, and which of them are to be taken now.

A pure function of what has been read. Nearly every reconcile is of a Database in its steady state,
where the plan is empty.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

from ..conditions import build_status, merge_patch
from ..decide import decide
from ..first_volume import first_instance, is_to_be_rebuilt, is_whole_server
from ..prerequisites import is_hibernating, is_paused, is_to_be_restored
from .hba import own_lines
from .image import refuse_major_change
from .maintenance import Maintenance, refuse_windows
from .members import Member, describe, find_primary, is_migrating
from .parameters import defaults_of
from .planned_switchover import is_switchover_due
from .rollout import Action, next_step
from .start import Ordinals, choose_ordinals
from .storage import Growth
from .template import describe_outdated, has_archiver, image_of, template_inputs

LAG_STEP_BYTES = 1 << 20
"""A replica's lag is news only where it is another number of these."""

USED_STEP_PERCENT = 5
"""The same of the used part of a volume; that it is nearly full is a condition, and news."""


class Step(Enum):
    """A step of a reconcile, in the order in which they are taken.

    The values are the names of the role's files of tasks; the status is written by the role
    `report`, and also after a step that failed.
    """

    VOLUMES = "volumes"
    """The reclaimPolicy of the volumes: first, and also while the spec is refused. If the Database
    is deleted then, its volumes must not be lost. Then their size, before anything that fails on a
    full volume."""

    SECRETS = "secrets"
    OBJECTS = "objects"
    INSTANCES = "instances"
    """The next step of a rolling update; without one, of a switchover that the spec asks for."""

    CONFIGURATION = "configuration"
    """The parameters of the servers, and the restarts that they need: before what needs a session,
    which a parameter may be in the way of."""

    SERVER = "server"
    """The user and the database on the primary, and what the primary says."""

    CONTENTS = "contents"
    """The Restore of a Database that is made from a Backup."""

    STATUS = "status"


PAUSED_STEPS = frozenset({Step.VOLUMES, Step.SECRETS, Step.INSTANCES, Step.SERVER, Step.STATUS})
"""Those of a paused Database, of which SECRETS and SERVER only read then.

The reclaimPolicy is applied, and INSTANCES notes which of them leads: if the Database is deleted
now and created again, its data must not be lost."""


@dataclass(frozen=True)
class State:
    """What has been read of a Database; what costs more only where nothing else is to be done.

    Attributes:
        resource: the Database.
        claims: the names of its volumes' claims.
        growth: how far the volumes are from what the spec asks for.
        members: its instances.
        leader: the leader's name; empty where there is none.
        last_primary: the last leader of a Database of this name; empty where none is known.
        watched: whether a change of its objects has the Database reconciled.
        made_with: a digest of what the objects are made with beside the Database; empty where that
            is not known.
        stateful_set: the StatefulSet; None where there is none yet.
        archive_block: reason and message where a Secret is missing that the archiver needs.
        archive_window: which moments can be restored, as far as Backups say; None where none can.
        maintenance: whether a maintenance window is open.
        held: whether the pods' template waits for one.
        dynamic_hba: whether Patroni's dynamic configuration has the lines of pg_hba.conf, and not
            the files of the instances.
        agent_image: the image of the operator's agent; empty where that is not known.
        revision: the StatefulSet's newest revision, empty where it has none; None before it and
            the other objects were read, and where they are not what was applied.
        objects_changed: whether the objects are not those that were applied, or from other inputs.
        secrets_changed: whether a Secret is missing or has to be changed, or cannot be used.
        configuration_changed: whether an instance may lack a parameter.
        configuration: what the status says of the parameters; None before that is read.
        server_changed: whether something on the primary was changed, or might have to be.
        server: what the primary said; None before it was queried.
    """

    resource: dict[str, Any]
    claims: tuple[str, ...] = ()
    growth: Growth = field(default_factory=Growth)
    members: tuple[Member, ...] = ()
    leader: str = ""
    last_primary: str = ""
    watched: bool = True
    made_with: str = ""
    stateful_set: dict[str, Any] | None = None
    archive_block: tuple[str, str] | None = None
    archive_window: Mapping[str, Any] | None = None
    maintenance: Maintenance = field(default_factory=Maintenance)
    held: bool = False
    dynamic_hba: bool = False
    agent_image: str = ""
    revision: str | None = None
    objects_changed: bool = False
    secrets_changed: bool = False
    configuration_changed: bool = False
    configuration: Mapping[str, Any] | None = None
    server_changed: bool = False
    server: Mapping[str, Any] | None = None

    @property
    def paused(self) -> bool:
        """Whether nothing of the Database is to be changed."""
        return is_paused(self.resource)

    @property
    def refused(self) -> tuple[str, str] | None:
        """Reason and message where the spec cannot be followed."""
        version = self.resource.get("status", {}).get("version", "")
        refused = refuse_major_change(self.resource["spec"]["image"], version)
        return refused or refuse_windows(self.resource)

    @property
    def primary(self) -> Member | None:
        """The instance that runs as the primary."""
        return find_primary(self.members, self.leader)

    @property
    def archived(self) -> bool:
        """Whether the instances are to have an archiver: what has one keeps it."""
        asked = bool(self.resource["spec"].get("archive"))
        return asked and (self.archive_block is None or has_archiver(self.stateful_set))

    def wanted(self) -> dict[str, Any]:
        """Return what the objects are made from beside the Database and what is the same for all.

        `ordinals`: the pods that the StatefulSet is to have now; `migrating`: whether instances
        with certificates have to understand others that have none; `defaults`: the parameters that
        follow from the size of an instance; `hba`: the operator's own lines of pg_hba.conf, and
        whether the instances' files have none; `archived`: whether instances have an archiver;
        `template_inputs`: what the template of the pods follows from.
        """
        replicas = self.resource["spec"]["replicas"]
        migrating = is_migrating(self.members, replicas)
        return {
            "ordinals": asdict(self._ordinals(replicas)),
            "migrating": migrating,
            "defaults": defaults_of(self.resource),
            "hba": {**own_lines(self.resource), "dynamic": self.dynamic_hba},
            "archived": self.archived,
            "template_inputs": template_inputs(self.resource, migrating, self.archived),
        }

    def _ordinals(self, replicas: int) -> Ordinals:
        # An instance that is there has its files, also where the status does not say so any more.
        awaits_files = is_to_be_rebuilt(self.resource) and not self.members
        if is_hibernating(self.resource) or awaits_files:
            return Ordinals(start=0, replicas=0)
        served = bool(self.resource.get("status", {}).get("version"))
        # Where the whole server was made from a backup, it is on the first volume alone.
        is_rebuilt = is_whole_server(self.resource) and not served
        last_primary = first_instance(self.resource) if is_rebuilt else self.last_primary
        # With no other instance there, the last primary starts alone again, as after hibernation.
        others = any(member.name != last_primary for member in self.members)
        return choose_ordinals(
            wanted=replicas,
            leader=self.leader,
            last_primary=last_primary,
            claims=self.claims,
            has_served=served and bool(self.leader or others),
        )

    @property
    def internal_is_needed(self) -> bool:
        """Whether what is in the Secret NAME-internal cannot be made again.

        It names the instance whose volume is to start first, which only a running primary shows
        too, and it has passwords, which instances without certificates need.
        """
        unencrypted = any(not member.encrypted for member in self.members)
        return bool(self.claims) and (self.primary is None or unencrypted)

    @property
    def held_until(self) -> str:
        """In words, what of the pods waits for a maintenance window; empty for nothing."""
        if not self.held:
            return ""
        image = image_of(self.stateful_set)
        wanted = self.resource["spec"]["image"]
        other = f"image {wanted} in place of {image}" if image and image != wanted else ""
        return f"the instances are to be replaced ({other or 'other resources, pod or archive'})"

    @property
    def agent_outdated(self) -> str:
        """In words, which agent the instances have where it is not the operator's."""
        if not self.agent_image:
            return ""
        return describe_outdated(self.stateful_set, self.agent_image)


@dataclass(frozen=True)
class Plan:
    """What a reconcile is to do.

    Attributes:
        due: the steps that were found to have something to do.
        steps: those to take, in their order; none in the steady state. Where any is due, so are
            all that do not go against the spec, but for objects that are what was applied: what one
            changes, the later ones may have to follow, and the status depends on all.
    """

    due: tuple[Step, ...] = ()
    steps: tuple[Step, ...] = ()


def make_plan(state: State, now: datetime) -> Plan:
    """Return what is to be done, as far as the state shows it.

    What was not read yet is taken for what it should be.
    """
    due = tuple(_find_due(state, now))
    if not due:
        return Plan()
    left_out = set()
    if state.refused:
        left_out.add(Step.OBJECTS)
    if state.revision is not None and Step.OBJECTS not in due:
        # To render them costs more than all the rest, and no step before them changes them.
        left_out.add(Step.OBJECTS)
    if not is_to_be_restored(state.resource):
        left_out.add(Step.CONTENTS)
    if state.paused:
        left_out |= set(Step) - PAUSED_STEPS
    return Plan(due, tuple(step for step in Step if step not in left_out))


def _find_due(state: State, now: datetime) -> Iterator[Step]:
    """Yield the steps that have something to do, in their order."""
    if state.paused:
        if state.primary is None or _is_status_due(state, now):
            yield Step.STATUS
        return
    if state.growth.claim and not state.refused:
        yield Step.VOLUMES
    if state.secrets_changed:
        yield Step.SECRETS
    if state.objects_changed or not state.watched or not state.made_with:
        yield Step.OBJECTS
    if state.primary is None or _has_to_roll(state) or is_switchover_due(state.resource):
        yield Step.INSTANCES
    if state.configuration_changed:
        yield Step.CONFIGURATION
    if state.server_changed:
        yield Step.SERVER
    if _is_status_due(state, now):
        yield Step.STATUS


def _has_to_roll(state: State) -> bool:
    if state.revision is None:
        return False
    replicas = state.resource["spec"]["replicas"]
    step = next_step(state.members, state.leader, state.revision, replicas)
    return step.action is not Action.NOTHING


def _is_status_due(state: State, now: datetime) -> bool:
    """Return whether the status has to be written, or another reconcile has to follow soon."""
    if state.resource.get("status", {}).get("phase") != "Ready" or state.refused:
        return True
    if state.server is None:
        return False
    observation = {
        "replicas": state.resource["spec"]["replicas"],
        "instances": [describe(member) for member in state.members],
        "primary": state.leader,
        "storage": state.growth.differs,
        "growing": state.growth.message,
        "capacities": state.growth.capacities,
        "unbound": state.growth.unbound,
        "configuration": state.configuration,
        "agent": state.agent_outdated,
        "held": state.held_until,
        "window": state.maintenance.until,
        "archive_block": state.archive_block,
        "archive_window": state.archive_window,
        "server": state.server,
    }
    decision = decide(state.resource, observation)
    if decision.requeue_after is not None:
        return True
    status = build_status(state.resource, decision, now)
    return bool(merge_patch(_rounded(state.resource["status"]), _rounded(status)))


def _rounded(status: Mapping[str, Any]) -> dict[str, Any]:
    """Return the status with lags and used storage in steps: a little more or less is no news.

    Nor is it that another WAL file was archived, for ten minutes.
    """
    steps = {"lagBytes": LAG_STEP_BYTES, "storageUsedPercent": USED_STEP_PERCENT}
    instances = [
        {key: value // steps[key] if key in steps else value for key, value in instance.items()}
        for instance in status.get("instances", [])
    ]
    rounded = {**status, "instances": instances}
    if "archive" in status:
        archive = status["archive"]
        window = {key: value for key, value in archive.get("window", {}).items() if key != "latest"}
        rounded["archive"] = [
            archive.get("lastArchivedTime", "")[:15],
            archive.get("failedSince"),
            window,
        ]
    return rounded
