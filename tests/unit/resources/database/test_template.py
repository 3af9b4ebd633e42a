"""The template of the pods changes with the spec, and not with an upgrade of the operator."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.applied import (
    ANNOTATION,
    known_template,
    record,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.maintenance import (
    Maintenance,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.plan import State
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.reconcile import (
    _is_held,
    followed_inputs,
    kept_template,
    objects_inputs,
)

SPEC: dict[str, Any] = {
    "image": "postgres:17",
    "replicas": 1,
    "storage": {"size": "1Gi"},
    "agentUpdate": "WithRestart",
}


def stateful_set(agent: str = "operator:1") -> dict[str, Any]:
    """As the API server returns it."""
    pod = {
        "initContainers": [{"name": "agent", "image": agent}],
        "containers": [{"name": "postgres", "image": "postgres:17"}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "app", "namespace": "shop"},
        "spec": {
            "template": {"metadata": {"labels": {"a": "b"}, "creationTimestamp": None}, "spec": pod}
        },
    }


def state(spec: dict[str, Any] | None = None, image: str = "operator:2") -> State:
    """After an upgrade of the operator from operator:1, which has applied the StatefulSet."""
    database = {"metadata": {"name": "app"}, "spec": {**SPEC, **(spec or {})}}
    before = State(resource={"metadata": {"name": "app"}, "spec": SPEC})
    found = stateful_set()
    text = record("inputs", [found], before.wanted()["template_inputs"])
    found["metadata"]["annotations"] = {ANNOTATION: text}
    return State(resource=database, stateful_set=found, agent_image=image)


def test_an_upgrade_of_the_operator_keeps_the_template() -> None:
    template = kept_template(state())
    assert template["spec"] == stateful_set()["spec"]["template"]["spec"]
    assert template["metadata"] == {"labels": {"a": "b"}}


@pytest.mark.parametrize(
    "change",
    [
        {"image": "postgres:17.1"},
        {"resources": {"limits": {"memory": "1Gi"}}},
        {"pod": {"labels": {"team": "shop"}}},
        {"restartedAt": "2026-11-30T12:00:00Z"},
        {"agentUpdate": "Immediate"},
    ],
)
def test_what_is_of_the_pods_is_followed_at_once(change: dict[str, Any]) -> None:
    assert kept_template(state(change)) == {}


@pytest.mark.parametrize("change", [{"replicas": 3}, {"reclaimPolicy": "Delete"}, {"users": []}])
def test_what_is_not_of_the_pods_keeps_the_template(change: dict[str, Any]) -> None:
    assert kept_template(state(change)) != {}


def test_a_change_by_hand_is_not_kept() -> None:
    changed = state()
    assert changed.stateful_set is not None
    changed.stateful_set["spec"]["template"]["spec"]["hostNetwork"] = True
    assert kept_template(changed) == {}


def test_what_is_not_known_is_not_kept() -> None:
    assert kept_template(replace(state(), stateful_set=None)) == {}
    for text in ("", "no JSON", json.dumps({"inputs": "i"}), json.dumps({"template": "x"})):
        found = stateful_set()
        found["metadata"]["annotations"] = {ANNOTATION: text}
        assert kept_template(replace(state(), stateful_set=found)) == {}


def test_another_agent_is_named() -> None:
    assert "operator:1, the operator has that of operator:2" in state().agent_outdated
    assert state(image="operator:1").agent_outdated == ""
    assert state(image="").agent_outdated == ""
    assert replace(state(), stateful_set=None).agent_outdated == ""


CLOSED = Maintenance(open=False, opens=None)


def closed(spec: dict[str, Any], **status: Any) -> State:
    """Outside of the maintenance windows of a Database that has served."""
    found = state(spec)
    resource = found.resource | {"status": {"version": "17.6", **status}}
    found = replace(found, resource=resource, maintenance=CLOSED, made_with="m")
    return replace(found, held=_is_held(found))


@pytest.mark.parametrize(
    "change",
    [
        {"image": "postgres:17.1"},
        {"image": "postgres:17.1", "agentUpdate": "Immediate"},
        {"resources": {"limits": {"memory": "1Gi"}}},
        {"pod": {"labels": {"team": "shop"}}},
    ],
)
def test_a_change_of_the_pods_waits_for_a_window_and_is_then_followed(
    change: dict[str, Any],
) -> None:
    waiting = closed(change)
    assert waiting.held
    assert kept_template(waiting) != {}
    assert ("postgres:17.1" in waiting.held_until) == ("image" in change)
    # It is applied as it is, and what is remembered of it is not what the spec says.
    assert waiting.stateful_set is not None
    text = record("inputs", [waiting.stateful_set], followed_inputs(waiting))
    waiting.stateful_set["metadata"]["annotations"] = {ANNOTATION: text}
    again = replace(waiting, held=_is_held(waiting))
    assert again.held
    opened = replace(again, maintenance=Maintenance(), held=False)
    assert kept_template(opened) == {}
    assert objects_inputs(opened) != objects_inputs(again)
    assert followed_inputs(opened) == opened.wanted()["template_inputs"]


def test_a_restart_that_is_asked_for_does_not_wait() -> None:
    asked = closed({"image": "postgres:17.1", "restartedAt": "2026-11-30T12:00:00Z"})
    assert not asked.held
    assert kept_template(asked) == {}


def test_without_a_change_nothing_waits() -> None:
    same = closed({"replicas": 3})
    assert not same.held
    assert same.held_until == ""
    assert followed_inputs(same) == same.wanted()["template_inputs"]
    found = same.stateful_set
    assert found is not None
    assert known_template(found) != {}


def test_a_database_that_is_being_made_waits_for_no_window() -> None:
    assert not closed({"image": "postgres:17.1"}, version="").held


def test_the_agent_is_replaced_in_a_window() -> None:
    waiting = closed({"agentUpdate": "Window"})
    assert not waiting.held
    assert kept_template(waiting) != {}
    opened = replace(waiting, maintenance=Maintenance())
    assert kept_template(opened) == {}
    assert objects_inputs(opened) != objects_inputs(waiting)
