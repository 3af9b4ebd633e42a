"""A Database is in its steady state only if a whole reconcile would find nothing to do."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.errors import DatabaseNotReady
from ansible_collections.postgres.operator.plugins.module_utils.resources.conditions import (
    build_status,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database import (
    steady_state,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.applied import (
    ANNOTATION,
    record,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.decide import decide

SERVER = {
    "problem": [],
    "writable": True,
    "database_exists": True,
    "role_exists": True,
    "encrypted": True,
    "version": "17.6",
    "timeline": 1,
    "standbys": [{"name": "app-1", "state": "streaming", "lag_bytes": 16}],
}


def pod(number: int) -> dict[str, Any]:
    report = {"role": "replica" if number else "primary", "state": "running", "timeline": 1}
    if number:
        report["replication_state"] = "streaming"
    return {
        "metadata": {
            "name": f"app-{number}",
            "uid": str(number),
            "labels": {"controller-revision-hash": "r1"},
            "annotations": {"status": json.dumps(report)},
        },
        "status": {"podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]},
    }


class World:
    """A Database in its steady state and all that is read of it; tests change one thing."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pods = [pod(0), pod(1)]
        self.looked: Any = {"changed": False, "dropped": [], "server": copy.deepcopy(SERVER)}
        self.secrets_change = False
        self.endpoints: Any = {"metadata": {"annotations": {"leader": "app-0"}}}
        self.stateful_set: Any = {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": {"name": "app", "namespace": "shop", "generation": 1},
            "status": {"observedGeneration": 1, "updateRevision": "r1"},
        }
        text = record("inputs", [self.stateful_set])
        self.stateful_set["metadata"]["annotations"] = {ANNOTATION: text}
        self.resource: Any = {
            "kind": "Database",
            "metadata": {"name": "app", "namespace": "shop", "uid": "u", "generation": 3},
            "spec": {"replicas": 2, "image": "postgres:17"},
        }
        for name in ("ensure_internal", "ensure_certificates", "ensure_credentials"):
            monkeypatch.setattr(steady_state, name, lambda *_, **__: self.secrets_change)
        monkeypatch.setattr(steady_state, "provision_and_observe", self._provision_and_observe)
        members = [steady_state.describe(m) for m in self._members()]
        observation = {"replicas": 2, "instances": members, "primary": "app-0", "server": SERVER}
        decision = decide(self.resource, observation)
        self.resource["status"] = build_status(self.resource, decision, datetime.now(UTC))

    def _members(self) -> list[Any]:
        return steady_state.read_instances(self, "shop", "app")[0]  # type: ignore[arg-type]

    def _provision_and_observe(self, *_: Any, **__: Any) -> Any:
        if isinstance(self.looked, Exception):
            raise self.looked
        return self.looked

    def list(self, *_: Any) -> Any:
        return self.pods

    def get(self, _version: str, kind: str, *_: str) -> Any:
        return {"StatefulSet": self.stateful_set, "Endpoints": self.endpoints}[kind]

    def steady(self, inputs: str = "inputs") -> bool:
        return steady_state.is_steady(self, self.resource, inputs, has_data=True)  # type: ignore[arg-type]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def test_a_database_as_its_spec_says_is_steady(world: World) -> None:
    assert world.resource["status"]["phase"] == "Ready"
    assert world.steady()


def test_a_few_bytes_of_lag_are_no_news_and_many_are(world: World) -> None:
    world.looked["server"]["standbys"][0]["lag_bytes"] = 2048
    assert world.steady()
    world.looked["server"]["standbys"][0]["lag_bytes"] = 9 << 20
    assert not world.steady()


@pytest.mark.parametrize(
    "change",
    [
        lambda w: w.resource["status"].update(phase="Updating"),
        lambda w: w.resource["metadata"].update(generation=4),
        lambda w: w.resource["spec"].update(replicas=3),
        lambda w: w.pods.pop(),
        lambda w: w.pods[1]["status"].update(conditions=[]),
        lambda w: w.pods[1]["metadata"]["labels"].update({"controller-revision-hash": "r0"}),
        lambda w: w.pods[0]["metadata"]["annotations"].clear(),
        lambda w: w.endpoints["metadata"]["annotations"].update(leader="app-1"),
        lambda w: w.endpoints["metadata"]["annotations"].clear(),
        lambda w: w.stateful_set["status"].update(updateRevision="r2"),
        lambda w: w.stateful_set["metadata"].update(labels={"a": "b"}),
        lambda w: setattr(w, "stateful_set", None),
        lambda w: setattr(w, "secrets_change", True),
        lambda w: w.looked.update(changed=True),
        lambda w: w.looked.update(server={"problem": ["AuthFailed", "no"]}),
        lambda w: w.looked["server"].update(writable=False),
        lambda w: w.looked["server"].update(standbys=[]),
        lambda w: setattr(w, "looked", DatabaseNotReady("away")),
    ],
)
def test_anything_else_is_for_the_whole_reconcile(world: World, change: Any) -> None:
    change(world)
    assert not world.steady()


def test_other_inputs_are_for_the_whole_reconcile(world: World) -> None:
    assert not world.steady("others")


def test_what_was_read_once_is_not_read_again(world: World) -> None:
    calls = []
    world.get = lambda *key: calls.append(key) or {}  # type: ignore[method-assign,assignment]
    world.list = lambda *key: calls.append(key) or []  # type: ignore[method-assign,assignment]
    once = steady_state.ReadOnce(world)  # type: ignore[arg-type]
    assert once.list("v1", "Pod", "shop", "a") == once.list("v1", "Pod", "shop", "a") == []
    assert once.get("v1", "Secret", "shop", "a") == once.get("v1", "Secret", "shop", "a") == {}
    assert len(calls) == 2
