"""What the deciding functions return, and the parts that all three kinds of resource share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ..printable import printable
from ..units import format_time

Status = dict[str, Any]

# Seconds until the next reconcile. Starting pods are polled often; what waits for a person or for
# another resource is not.
SOON = 2.0
VERIFYING = 5.0
WAITING = 10.0
# What is to be corrected stops nothing.
UNCORRECTED = 60.0
# How far archiving is, which nothing but a query shows.
ARCHIVE_CHECKED = 60.0


@dataclass(frozen=True)
class Condition:
    """A condition without its times.

    Attributes:
        type: such as `Ready`.
        status: `True`, `False` or `Unknown`.
        reason: a CamelCase word.
        message: a sentence that names the object and the next step.
    """

    type: str
    status: str
    reason: str
    message: str


@dataclass(frozen=True)
class Decision:
    """What a resource's status is to say.

    Attributes:
        phase: the new phase.
        fields: further status fields; None removes one.
        conditions: the conditions that the operator sets, one of each type.
        requeue_after: seconds until the next reconcile; None leaves it to the reconcile period.
        log: lines for the operator's log.
        look_again: seconds until the next reconcile where nothing is to be done until then.
    """

    phase: str
    conditions: Sequence[Condition]
    fields: Mapping[str, Any] = field(default_factory=dict)
    requeue_after: float | None = None
    log: Sequence[str] = ()
    look_again: float | None = None


def merge_conditions(
    old: Sequence[Mapping[str, Any]], new: Sequence[Condition], generation: int, now: datetime
) -> list[dict[str, Any]]:
    """Return the conditions to write; a time changes only when the condition's status does."""
    before = {condition["type"]: condition for condition in old}
    merged = []
    for condition in new:
        previous = before.get(condition.type, {})
        same = previous.get("status") == condition.status
        merged.append(
            {
                "type": condition.type,
                "status": condition.status,
                "observedGeneration": generation,
                "lastTransitionTime": previous["lastTransitionTime"] if same else format_time(now),
                "reason": condition.reason,
                "message": printable(condition.message),
            }
        )
    return merged


def replace_conditions(
    resource: Mapping[str, Any], new: Sequence[Condition], now: datetime
) -> list[dict[str, Any]]:
    """Return a resource's conditions with new ones in the place of those of the same types."""
    old = resource.get("status", {}).get("conditions", [])
    generation = resource["metadata"].get("generation", 0)
    merged = {c["type"]: c for c in merge_conditions(old, new, generation, now)}
    return list({**{c["type"]: c for c in old}, **merged}.values())


def build_status(resource: Mapping[str, Any], decision: Decision, now: datetime) -> Status:
    """Return the whole status that a decision asks for."""
    generation = resource["metadata"].get("generation", 0)
    old = resource.get("status", {}).get("conditions", [])
    status: Status = {
        "phase": decision.phase,
        "observedGeneration": generation,
        "conditions": merge_conditions(old, decision.conditions, generation, now),
    }
    status.update({key: value for key, value in decision.fields.items() if value is not None})
    return status


def merge_patch(old: Mapping[str, Any], new: Mapping[str, Any]) -> Status:
    """Return what must be merged into the old status to make it the new one; empty if nothing.

    Compares the top level only: a list or an object that differs is written whole.
    """
    patch: Status = {key: None for key in old if key not in new}
    for key, value in new.items():
        if old.get(key) != value:
            patch[key] = value
            if isinstance(value, dict) and isinstance(old.get(key), dict):
                patch[key] = merge_patch(old[key], value)
    return patch
