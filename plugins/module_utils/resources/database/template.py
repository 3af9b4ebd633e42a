"""When the template of a Database's pods changes: every change of it replaces all instances.

It follows from the spec, and from the operator, which brings the agent's image and its own way to
write pods. A change of the spec is followed at once. An upgrade of the operator is not: the
template stays as it was applied until the spec changes it, or `agentUpdate` asks for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

IMMEDIATE = "Immediate"
WINDOW = "Window"
# All of the spec that is in a pod. What has a field for the pods' template belongs here.
_OF_PODS = ("image", "resources", "pod", "restartedAt")
_AGENT = "agent"
ARCHIVER = "archiver"
"""The container that puts WAL into the archive."""


def template_inputs(
    database: Mapping[str, Any], migrating: bool, archived: bool = True
) -> dict[str, Any]:
    """Return what the template follows from, beside the operator.

    Args:
        migrating: whether instances with certificates have to understand others that have none.
        archived: whether the instances are to have the archiver that the spec asks for.
    """
    spec = database["spec"]
    inputs = {"migrating": migrating, **{key: spec.get(key) for key in _OF_PODS}}
    if archived and spec.get("archive"):
        # Of its settings, which are in the ConfigMap, the archiver takes note by itself.
        s3 = spec["archive"]["destination"]["s3"]
        inputs["archive"] = [s3.get(name) for name in ("credentialsSecretRef", "caSecretRef")]
    return inputs


def image_of(stateful_set: Mapping[str, Any] | None) -> str:
    """Return the image of PostgreSQL that the template has; empty where it has none."""
    pod = _pod_of(stateful_set)
    return next((str(one["image"]) for one in pod.get("containers", []) if "image" in one), "")


def has_archiver(stateful_set: Mapping[str, Any] | None) -> bool:
    """Return whether the instances have an archiver already."""
    pod = _pod_of(stateful_set)
    return any(one["name"] == ARCHIVER for one in pod.get("initContainers", []))


def _pod_of(stateful_set: Mapping[str, Any] | None) -> Mapping[str, Any]:
    found: Mapping[str, Any] = stateful_set or {}
    pod: Mapping[str, Any] = found.get("spec", {}).get("template", {}).get("spec", {})
    return pod


def is_kept(
    database: Mapping[str, Any],
    known: Mapping[str, Any],
    now: Mapping[str, Any],
    is_open: bool = True,
) -> bool:
    """Return whether the template is to stay as it is.

    Args:
        known: digests of the template that was applied and of what it followed from; empty where
            they are not known.
        now: the same of the template that is there, and of what it is to follow from.
        is_open: whether a maintenance window is open, or none is asked for.
    """
    update = database["spec"].get("agentUpdate")
    if update == IMMEDIATE or (update == WINDOW and is_open):
        return False
    return bool(known) and dict(known) == dict(now)


def is_held(
    database: Mapping[str, Any], known: Mapping[str, Any], now: Mapping[str, Any], restarted_at: str
) -> bool:
    """Return whether a change of the spec waits for a maintenance window, where none is open.

    Args:
        known, now: as for `is_kept`.
        restarted_at: `restartedAt` as the template has it: another one is asked for at this moment.
    """
    if not database.get("status", {}).get("version"):
        return False
    changed = known.get("inputs") != now["inputs"] and known.get("content") == now["content"]
    return changed and str(database["spec"].get("restartedAt", "")) == restarted_at


def describe_outdated(stateful_set: Mapping[str, Any] | None, image: str) -> str:
    """Return in words which agent the instances have; empty where it is the operator's.

    Args:
        image: that of the operator's agent.
    """
    pod = _pod_of(stateful_set)
    for container in pod.get("initContainers", []):
        if container["name"] == _AGENT and container["image"] != image:
            return (
                f"the instances have the agent of {container['image']}, the operator has that of"
                f" {image}: they get it when they are replaced for another reason; to have them"
                " replaced now, set spec.agentUpdate: Immediate, or in a maintenance window: Window"
            )
    return ""
