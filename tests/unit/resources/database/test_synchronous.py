"""Synchronous replication: what Patroni is given, who may take over, and what the status says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.postgres.observe import (
    count_awaited,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.conditions import (
    Condition,
    Decision,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.members import (
    Member,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.rollout import (
    Action,
    next_step,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.status import (
    Instance,
    Observation,
    Server,
    Standby,
    decide,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.synchronous import (
    asked_mode,
    read_mode,
    with_mode,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.synchronous_state import (
    last_synchronous_leader,
    mark_candidates,
)

NAMES = ("app-0", "app-1", "app-2")


def database(mode: str | None, count: int = 1, replicas: int = 3) -> dict[str, Any]:
    replication = {"replication": {"synchronous": mode, "synchronousCount": count}} if mode else {}
    return {
        "kind": "Database",
        "metadata": {"name": "app", "namespace": "shop", "generation": 1},
        "spec": {"replicas": replicas, **replication},
        "status": {"phase": "Ready"},
    }


@pytest.mark.parametrize(
    ("mode", "config"),
    [
        (None, {}),
        ("off", {"synchronous_mode": False, "synchronous_mode_strict": False}),
        (
            "preferred",
            {
                "synchronous_mode": True,
                "synchronous_mode_strict": False,
                "synchronous_node_count": 2,
            },
        ),
        (
            "required",
            {
                "synchronous_mode": True,
                "synchronous_mode_strict": True,
                "synchronous_node_count": 2,
            },
        ),
        (
            "quorum",
            {
                "synchronous_mode": "quorum",
                "synchronous_mode_strict": True,
                "synchronous_node_count": 2,
            },
        ),
    ],
)
def test_each_mode_is_patronis(mode: str | None, config: dict[str, Any]) -> None:
    others = {"ttl": 20, "postgresql": {"use_slots": True}}
    asked = asked_mode(database(mode, count=2))
    # Whatever was there before is gone.
    former = {**others, "synchronous_mode": "on", "synchronous_node_count": 7}
    assert with_mode(former, asked) == {**others, **config}
    assert read_mode(with_mode(others, asked)) == asked


@pytest.mark.parametrize(
    ("names", "awaited"),
    [
        ("", 0),
        (" ", 0),
        ("*", 1),
        ('"app-1"', 1),
        ("app-1, app-2", 1),
        ('2 ("app-1","app-2")', 2),
        ("FIRST 2 (a, b, c)", 2),
        ('ANY 1 ("app-1","app-2")', 1),
        ("any 3 (*)", 3),
    ],
)
def test_postgresql_says_how_many_standbys_a_commit_waits_for(names: str, awaited: int) -> None:
    assert count_awaited(names) == awaited


class Patroni:
    """A cluster with nothing but the Endpoints in which Patroni keeps who is synchronous."""

    def __init__(self, **annotations: str) -> None:
        self.annotations = annotations

    def get(self, _version: str, kind: str, _namespace: str, name: str) -> Any:
        assert (kind, name) == ("Endpoints", "app-sync")
        return {"metadata": {"annotations": self.annotations}}


def member(name: str, revision: str = "old") -> Member:
    number = int(name[-1])
    return Member(
        name=name,
        uid=name,
        ordinal=number,
        pod_ip="10.0.0.1",
        ready=True,
        revision=revision,
        role="replica" if number else "primary",
        state="streaming" if number else "running",
        timeline=1,
        lsn=100 + number,
        problem=None,
    )


@pytest.mark.parametrize(
    ("mode", "state", "promotable"),
    [
        (None, {}, {"app-0", "app-1", "app-2"}),
        ("required", {}, {"app-0", "app-1", "app-2"}),
        ("required", {"leader": "app-0", "sync_standby": "app-1"}, {"app-1"}),
        ("preferred", {"leader": "app-0", "sync_standby": "app-1,app-2"}, {"app-1", "app-2"}),
        ("required", {"leader": "app-0"}, set()),
        # Of the primary before.
        ("required", {"leader": "app-2", "sync_standby": "app-1"}, set()),
        ("quorum", {"leader": "app-0", "sync_standby": "app-0,app-1"}, set(NAMES)),
    ],
)
def test_only_who_has_all_commits_is_asked_to_take_over(
    mode: str | None, state: dict[str, str], promotable: set[str]
) -> None:
    cluster: Any = Patroni(**state)
    members = [member("app-0"), member("app-1", "new"), member("app-2", "new")]
    marked = mark_candidates(cluster, database(mode), members, "app-0")
    assert {one.name for one in marked if one.promotable} == promotable
    step = next_step(marked, "app-0", "new", 3)
    others = promotable - {"app-0"}
    assert (step.action, step.candidate) == (
        (Action.SWITCHOVER, max(others)) if others else (Action.WAIT, "")
    )


def test_patroni_knows_who_acknowledged_the_last_commit() -> None:
    cluster: Any = Patroni(leader="app-2", sync_standby="app-1")
    assert last_synchronous_leader(cluster, database("required")) == "app-2"
    nothing: Any = Patroni()
    assert last_synchronous_leader(nothing, database("required")) == ""


def seen(synchronous: int, awaited: int, streaming: int = 2) -> Observation:
    standbys = tuple(
        Standby(NAMES[n], "streaming", 0, synchronous=n <= synchronous)
        for n in range(1, streaming + 1)
    )
    server = Server(
        writable=True,
        database_exists=True,
        role_exists=True,
        version="17.12",
        timeline=1,
        standbys=standbys,
        awaited=awaited,
    )
    primary = Instance("app-0", ready=True, role="primary", state="running", timeline=1)
    replicas = [
        Instance(name, ready=n < streaming, role="replica", state="streaming", timeline=1)
        for n, name in enumerate(NAMES[1:])
    ]
    return Observation(replicas=3, instances=(primary, *replicas), primary="app-0", server=server)


def found(decision: Decision) -> Condition | None:
    kinds = {condition.type: condition for condition in decision.conditions}
    return kinds.get("SynchronousReplication")


@pytest.mark.parametrize(
    ("mode", "count", "synchronous", "awaited", "status", "reason", "phase"),
    [
        ("required", 1, 1, 1, "True", "ReplicasSynchronous", "Ready"),
        ("quorum", 1, 2, 1, "True", "ReplicasSynchronous", "Ready"),
        ("required", 2, 2, 2, "True", "ReplicasSynchronous", "Ready"),
        ("required", 2, 1, 1, "False", "FewerSynchronous", "Verifying"),
        ("required", 1, 0, 1, "False", "CommitsWait", "Verifying"),
        ("quorum", 2, 1, 2, "False", "CommitsWait", "Verifying"),
        ("preferred", 1, 0, 0, "False", "NoneSynchronous", "Verifying"),
        ("preferred", 1, 1, 1, "True", "ReplicasSynchronous", "Ready"),
        # Before Patroni has followed.
        ("required", 1, 0, 0, "False", "NoneSynchronous", "Verifying"),
    ],
)
def test_the_condition_says_whether_commits_are_safe(
    mode: str, count: int, synchronous: int, awaited: int, status: str, reason: str, phase: str
) -> None:
    decision = decide(database(mode, count), seen(synchronous, awaited))
    condition = found(decision)
    assert condition is not None
    assert (condition.status, condition.reason) == (status, reason)
    assert decision.phase == phase
    # Else nothing would look again when a replica has become synchronous.
    assert (decision.requeue_after is None) == (phase == "Ready")
    assert decision.fields["writable"] == (reason != "CommitsWait")
    marked = [bool(one.get("synchronous")) for one in decision.fields["instances"]]
    assert marked == [False, synchronous >= 1, synchronous >= 2]


def test_commits_that_wait_are_said_while_replicas_are_missing() -> None:
    decision = decide(database("required"), seen(0, 1, streaming=0))
    condition = found(decision)
    assert condition is not None
    assert condition.reason == "CommitsWait"
    assert "synchronous: preferred" in condition.message
    assert decision.fields["writable"] is False


def test_without_synchronous_replication_nothing_is_said() -> None:
    for mode in (None, "off"):
        decision = decide(database(mode), seen(0, 0))
        assert (decision.phase, found(decision)) == ("Ready", None)
        assert all("synchronous" not in one for one in decision.fields["instances"])


def test_a_single_instance_prefers_in_vain() -> None:
    alone = replace(seen(0, 0, streaming=0), replicas=1)
    alone = replace(alone, instances=alone.instances[:1])
    decision = decide(database("preferred", replicas=1), alone)
    condition = found(decision)
    assert decision.phase == "Ready"
    assert condition is not None
    assert condition.reason == "NoneSynchronous"
