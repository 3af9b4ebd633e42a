"""The steps of a Database's reconcile, in their order, and which of them are to be taken now.

A pure function of what has been read. Nearly every reconcile is of a Database in its steady state,
where the plan is empty.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from ..conditions import build_status, merge_patch
from ..decide import decide
from ..prerequisites import is_to_be_restored
from .image import refuse_major_change
from .members import Member, describe, find_primary, is_migrating
from .rollout import Action, next_step
from .start import choose_ordinals

LAG_STEP_BYTES = 1 << 20
"""A replica's lag is news only where it is another number of these."""


class Step(Enum):
    """A step of a reconcile, in the order in which they are taken.

    The values are the names of the role's files of tasks; the status is written by the role
    `report`, and also after a step that failed.
    """

    VOLUMES = "volumes"
    """The reclaimPolicy of the volumes: first, and also while the spec is refused. If the Database
    is deleted then, its volumes must not be lost."""

    SECRETS = "secrets"
    OBJECTS = "objects"
    INSTANCES = "instances"
    """The next step of a rolling update."""

    SERVER = "server"
    """The user and the database on the primary, and what the primary says."""

    CONTENTS = "contents"
    """The Restore of a Database that is made from a Backup."""

    STATUS = "status"


@dataclass(frozen=True)
class State:
    """What has been read of a Database; what costs more only where nothing else is to be done.

    Attributes:
        resource: the Database.
        claims: the names of its volumes' claims.
        storage: which of them are not what the spec asks for; empty where all are.
        members: its instances.
        leader: the leader's name; empty where there is none.
        last_primary: the last leader of a Database of this name; empty where none is known.
        watched: whether a change of its objects has the Database reconciled.
        made_with: a digest of what the objects are made with beside the Database; empty where that
            is not known.
        revision: the StatefulSet's newest revision, empty where it has none; None before it is
            read.
        objects_changed: whether the objects are not those that were applied, or from other inputs.
        secrets_changed: whether a Secret is missing or has to be changed, or cannot be used.
        server_changed: whether something on the primary was changed, or might have to be.
        server: what the primary said; None before it was queried.
    """

    resource: dict[str, Any]
    claims: tuple[str, ...] = ()
    storage: str = ""
    members: tuple[Member, ...] = ()
    leader: str = ""
    last_primary: str = ""
    watched: bool = True
    made_with: str = ""
    revision: str | None = None
    objects_changed: bool = False
    secrets_changed: bool = False
    server_changed: bool = False
    server: Mapping[str, Any] | None = None

    @property
    def refused(self) -> tuple[str, str] | None:
        """Reason and message where the spec cannot be followed."""
        version = self.resource.get("status", {}).get("version", "")
        return refuse_major_change(self.resource["spec"]["image"], version)

    @property
    def primary(self) -> Member | None:
        """The instance that runs as the primary."""
        return find_primary(self.members, self.leader)

    def wanted(self) -> dict[str, Any]:
        """Return what the objects are made from beside the Database and what is the same for all.

        `ordinals`: the pods that the StatefulSet is to have now; `migrating`: whether instances
        with certificates have to understand others that have none.
        """
        replicas = self.resource["spec"]["replicas"]
        ordinals = choose_ordinals(
            wanted=replicas,
            leader=self.leader,
            last_primary=self.last_primary,
            claims=self.claims,
            has_served=bool(self.resource.get("status", {}).get("version")),
        )
        return {"ordinals": asdict(ordinals), "migrating": is_migrating(self.members, replicas)}


@dataclass(frozen=True)
class Plan:
    """What a reconcile is to do.

    Attributes:
        due: the steps that were found to have something to do.
        steps: those to take, in their order; none in the steady state. Where any is due, so are
            all that do not go against the spec: what one changes, the later ones may have to
            follow, and the status depends on all.
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
    if not is_to_be_restored(state.resource):
        left_out.add(Step.CONTENTS)
    return Plan(due, tuple(step for step in Step if step not in left_out))


def _find_due(state: State, now: datetime) -> Iterator[Step]:
    """Yield the steps that have something to do, in their order."""
    if state.secrets_changed:
        yield Step.SECRETS
    if state.objects_changed or not state.watched or not state.made_with:
        yield Step.OBJECTS
    if state.primary is None or _has_to_roll(state):
        yield Step.INSTANCES
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
        "storage": state.storage,
        "server": state.server,
    }
    decision = decide(state.resource, observation)
    if decision.requeue_after is not None:
        return True
    status = build_status(state.resource, decision, now)
    return bool(merge_patch(_rounded(state.resource["status"]), _rounded(status)))


def _rounded(status: Mapping[str, Any]) -> dict[str, Any]:
    """Return the status with lags in steps: a few bytes more or less are no news."""
    instances = [
        {**instance, "lagBytes": instance["lagBytes"] // LAG_STEP_BYTES}
        if "lagBytes" in instance
        else instance
        for instance in status.get("instances", [])
    ]
    return {**status, "instances": instances}
