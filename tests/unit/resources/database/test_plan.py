"""Which steps of a Database's reconcile are to be taken, by what was read of it."""

from __future__ import annotations

import copy
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.resources.conditions import (
    build_status,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.members import (
    describe,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.plan import (
    Plan,
    State,
    Step,
    make_plan,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.storage import (
    Growth,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.decide import decide
from primary_answer import SERVER
from sample_members import PRIMARY, REPLICA

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ALL_BUT_CONTENTS = tuple(step for step in Step if step is not Step.CONTENTS)


def resource() -> dict[str, Any]:
    """A Database whose status says what is."""
    found: dict[str, Any] = {
        "kind": "Database",
        "metadata": {"name": "app", "namespace": "shop", "uid": "u", "generation": 3},
        "spec": {"replicas": 2, "image": "postgres:17"},
    }
    seen = {"replicas": 2, "instances": [describe(PRIMARY), describe(REPLICA)], "primary": "app-0"}
    decision = decide(found, seen | {"server": SERVER})
    return found | {"status": build_status(found, decision, NOW)}


STEADY = State(
    resource=resource(),
    claims=("data-app-0", "data-app-1"),
    members=(PRIMARY, REPLICA),
    leader="app-0",
    last_primary="app-0",
    made_with="this role",
    revision="r1",
    server=SERVER,
)


def due(state: State) -> list[Step]:
    return list(make_plan(state, NOW).due)


def server(**changes: Any) -> State:
    return replace(STEADY, server=SERVER | changes)


def changed(**spec: Any) -> State:
    found = copy.deepcopy(STEADY.resource)
    found["spec"].update(spec)
    return replace(STEADY, resource=found)


def test_the_plan_of_the_steady_state_is_empty() -> None:
    assert make_plan(STEADY, NOW) == Plan()


def test_what_was_not_read_is_no_reason_to_act() -> None:
    """Each read that costs more is made only where those before it show nothing."""
    assert make_plan(replace(STEADY, revision=None, server=None), NOW) == Plan()


@pytest.mark.parametrize(
    ("step", "state"),
    [
        (Step.VOLUMES, replace(STEADY, growth=Growth(claim="data-app-1"))),
        (Step.STATUS, replace(STEADY, growth=Growth(message="waiting for a volume"))),
        (Step.STATUS, replace(STEADY, growth=Growth(differs=("ClaimsKept", "it has 1Gi")))),
        (Step.STATUS, replace(STEADY, growth=Growth(capacities={"app-0": "1Gi"}))),
        (Step.OBJECTS, replace(STEADY, objects_changed=True)),
        (Step.OBJECTS, replace(STEADY, watched=False)),
        (Step.OBJECTS, replace(STEADY, made_with="")),
        (Step.SECRETS, replace(STEADY, secrets_changed=True)),
        (Step.INSTANCES, replace(STEADY, revision="r2")),
        (Step.INSTANCES, replace(STEADY, revision="")),
        (Step.INSTANCES, replace(STEADY, members=(PRIMARY, replace(REPLICA, revision="r0")))),
        (Step.INSTANCES, replace(STEADY, leader="")),
        (Step.INSTANCES, replace(STEADY, leader="app-1")),
        (Step.INSTANCES, replace(STEADY, members=(replace(PRIMARY, state="starting"), REPLICA))),
        (Step.SERVER, replace(STEADY, server_changed=True)),
        (Step.STATUS, server(role_exists=False)),
        (Step.STATUS, server(database_exists=False)),
        (Step.STATUS, server(version="17.7")),
        (Step.STATUS, server(problem=["DatabaseNotReady", "it does not answer"])),
        (Step.STATUS, changed(image="postgres:18")),
    ],
)
def test_what_differs_makes_its_step_due_and_with_it_the_others(step: Step, state: State) -> None:
    plan = make_plan(state, NOW)
    assert step in plan.due
    assert plan.steps[-1] is Step.STATUS
    assert set(ALL_BUT_CONTENTS) - set(plan.steps) <= {Step.OBJECTS}


def test_a_database_that_hibernates_has_no_instances_and_wakes_by_its_last_primary() -> None:
    asleep = changed(hibernate=True, storage={"size": "1Gi"})
    assert asleep.wanted()["ordinals"] == {"start": 0, "replicas": 0}
    state = changed(storage={"size": "1Gi"})
    waking = replace(state, members=(), leader="", last_primary="app-1")
    first = {"start": 1, "replicas": 1}
    assert waking.wanted()["ordinals"] == first
    started = replace(PRIMARY, name="app-1", ordinal=1, state="starting")
    assert replace(waking, members=(started,)).wanted()["ordinals"] == first
    leads = replace(waking, members=(started,), leader="app-1")
    assert leads.wanted()["ordinals"] == {"start": 0, "replicas": 2}
    # Without a primary for a moment, as in a failover.
    assert replace(state, leader="").wanted()["ordinals"] == {"start": 0, "replicas": 2}


def test_the_servers_passwords_can_be_made_again_while_a_primary_runs() -> None:
    assert not STEADY.internal_is_needed
    assert replace(STEADY, leader="").internal_is_needed
    assert replace(STEADY, members=()).internal_is_needed
    without = replace(REPLICA, encrypted=False)
    assert replace(STEADY, members=(PRIMARY, without)).internal_is_needed
    assert not replace(STEADY, members=(), claims=()).internal_is_needed


def test_steps_are_taken_in_one_order() -> None:
    """Volumes also where the rest fails, certificates before what mounts them, and so on."""
    found = changed(backupRef={"name": "nightly"})
    plan = make_plan(replace(found, secrets_changed=True, objects_changed=True), NOW)
    assert plan.due[:2] == (Step.SECRETS, Step.OBJECTS)
    assert [step.value for step in plan.steps] == [
        "volumes",
        "secrets",
        "objects",
        "instances",
        "configuration",
        "server",
        "contents",
        "status",
    ]


def test_contents_that_are_there_are_not_restored_again() -> None:
    found = changed(backupRef={"name": "nightly"})
    found.resource["status"]["restoredFrom"] = "nightly"
    plan = make_plan(replace(found, server_changed=True, revision=None), NOW)
    assert plan.steps == ALL_BUT_CONTENTS


def test_objects_that_are_what_was_applied_are_not_applied_again() -> None:
    plan = make_plan(replace(STEADY, server_changed=True), NOW)
    assert plan.steps == tuple(step for step in ALL_BUT_CONTENTS if step is not Step.OBJECTS)
    plan = make_plan(replace(STEADY, server_changed=True, objects_changed=True), NOW)
    assert plan.steps == ALL_BUT_CONTENTS


def test_a_refused_spec_leaves_the_objects_as_they_are() -> None:
    state = changed(image="postgres:18")
    assert state.refused is not None
    plan = make_plan(replace(state, objects_changed=True), NOW)
    assert Step.OBJECTS not in plan.steps
    assert set(plan.steps) >= {Step.VOLUMES, Step.SECRETS, Step.SERVER, Step.STATUS}


def test_a_database_that_is_not_ready_is_reconciled_as_a_whole() -> None:
    found = copy.deepcopy(STEADY.resource)
    for status in ({**found["status"], "phase": "Updating"}, {}):
        state = replace(STEADY, resource=found | {"status": status}, revision=None)
        assert make_plan(state, NOW).steps == ALL_BUT_CONTENTS
        assert due(replace(state, server=None)) == [Step.STATUS]
    assert make_plan(State(resource=found | {"status": {}}), NOW).steps == ALL_BUT_CONTENTS


def test_a_few_bytes_of_lag_are_no_news_and_many_are() -> None:
    def lag(count: int) -> State:
        return server(standbys=[{"name": "app-1", "state": "streaming", "lag_bytes": count}])

    assert due(lag(2048)) == []
    assert due(lag(9 << 20)) == [Step.STATUS]


def test_the_role_has_a_file_of_tasks_for_each_step() -> None:
    """It includes them by their names; the status is the role `report`'s."""
    tasks = Path(__file__).resolve().parents[4] / "roles" / "database" / "tasks"
    for step in set(Step) - {Step.STATUS}:
        assert (tasks / f"{step.value}.yml").is_file()


@pytest.mark.parametrize(
    "state",
    [
        changed(paused=True, image="postgres:18"),
        replace(changed(paused=True), leader=""),
        replace(changed(paused=True), server=SERVER | {"writable": False}),
    ],
)
def test_of_a_paused_database_only_what_reads_and_the_status_are_taken(state: State) -> None:
    away = {"objects_changed": True, "secrets_changed": True, "revision": "r2", "watched": False}
    plan = make_plan(replace(state, **away), NOW)
    assert plan.due == (Step.STATUS,)
    assert [step.value for step in plan.steps] == [
        "volumes",
        "secrets",
        "instances",
        "server",
        "status",
    ]


def test_the_plan_of_a_paused_database_that_says_so_is_empty() -> None:
    found = changed(paused=True).resource
    seen = {"replicas": 2, "instances": [describe(PRIMARY), describe(REPLICA)], "primary": "app-0"}
    decision = decide(found, seen | {"server": SERVER})
    found["status"] = build_status(found, decision, NOW)
    state = replace(STEADY, resource=found, objects_changed=True, revision="r2")
    assert make_plan(state, NOW) == Plan()
    # And not paused any longer: all of it.
    del found["spec"]["paused"]
    assert due(replace(state, resource=found))[:2] == [Step.OBJECTS, Step.INSTANCES]


def rebuilt(**status: str) -> State:
    """A Database that is made from a whole server, with one volume and nothing that runs."""
    state = changed(
        replicas=3, storage={"size": "1Gi"}, backupRef={"name": "lost", "wholeServer": True}
    )
    return replace(
        state,
        resource=state.resource | {"status": dict(status)},
        claims=("data-app-0",),
        members=(),
        leader="",
        # Of a former Database of this name.
        last_primary="app-2",
    )


def test_no_instance_starts_while_its_server_is_made() -> None:
    assert rebuilt().wanted()["ordinals"] == {"start": 0, "replicas": 0}


def test_no_instance_is_stopped_where_the_status_was_lost() -> None:
    running = replace(rebuilt(), members=(PRIMARY,), leader="app-0", last_primary="app-0")
    assert running.wanted()["ordinals"]["replicas"] > 0


def test_the_instance_whose_server_was_made_starts_alone() -> None:
    made = rebuilt(restoredFrom="lost")
    assert made.wanted()["ordinals"] == {"start": 0, "replicas": 1}
    serving = replace(
        rebuilt(restoredFrom="lost", version="17.1"), members=(PRIMARY,), leader="app-0"
    )
    assert serving.wanted()["ordinals"] == {"start": 0, "replicas": 3}


def test_a_percent_of_a_volume_is_no_news() -> None:
    member = replace(PRIMARY, volume_used=41)
    found = copy.deepcopy(STEADY.resource)
    found["status"]["instances"][0]["storageUsedPercent"] = 40
    assert due(replace(STEADY, resource=found, members=(member, REPLICA))) == []
    fuller = replace(PRIMARY, volume_used=45)
    assert due(replace(STEADY, resource=found, members=(fuller, REPLICA))) == [Step.STATUS]
