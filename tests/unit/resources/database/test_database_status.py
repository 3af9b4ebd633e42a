"""Phase and conditions of a Database."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.resources.conditions import (
    Condition,
    Decision,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.status import (
    Configuration,
    Instance,
    Observation,
    Server,
    Standby,
    decide,
)

PRIMARY = Instance("app-0", ready=True, role="primary", state="running", timeline=1)
REPLICA = Instance("app-1", ready=True, role="replica", state="streaming", timeline=1)
SERVER = Server(
    writable=True,
    database_exists=True,
    role_exists=True,
    version="17.6",
    timeline=1,
    standbys=(Standby("app-1", "streaming", 0),),
)
BAD_IMAGE = ("ImagePullFailed", "pod app-1 cannot get image nope")


def resource(phase: str = "Pending", awaited: bool = False, **status: Any) -> dict[str, Any]:
    return {
        "kind": "Database",
        "metadata": {"name": "app", "namespace": "shop", "generation": 1},
        "spec": {"replicas": 2, **({"backupRef": {"name": "b"}} if awaited else {})},
        "status": {"phase": phase, **status},
    }


def observed(**changes: Any) -> Observation:
    fields: dict[str, Any] = {
        "replicas": 2,
        "instances": (PRIMARY, REPLICA),
        "primary": "app-0",
        "server": SERVER,
    }
    return Observation(**{**fields, **changes})


def condition(decision: Decision, kind: str = "Ready") -> Condition:
    return next(c for c in decision.conditions if c.type == kind)


def test_a_database_that_hibernates_says_how_to_wake_it() -> None:
    stopping = decide(resource("Ready"), observed(hibernating=True))
    assert (stopping.phase, condition(stopping).message) == ("Updating", "2 instances to stop")
    asleep = decide(resource("Updating"), observed(hibernating=True, instances=(), server=None))
    assert asleep.phase == "Hibernated"
    assert not asleep.fields["ready"]
    assert not asleep.fields["writable"]
    assert "spec.hibernate: false" in condition(asleep).message
    assert asleep.requeue_after is None


def test_a_database_whose_every_check_passed_is_ready() -> None:
    decision = decide(resource("Verifying"), observed())
    assert decision.phase == "Ready"
    assert condition(decision).reason == "AllChecksPassed"
    assert decision.fields["ready"] is True
    assert decision.fields["endpoint"] == "app.shop.svc.cluster.local:5432"
    assert decision.fields["instancesReady"] == "2/2"
    assert decision.requeue_after is None


def test_a_database_whose_volumes_grow_goes_on_serving() -> None:
    growing = "waiting for the volume of claim data-app-1 to grow to 2Gi"
    sizes = {"app-0": "1Gi", "app-1": "1024Mi"}
    found = observed(growing=growing, capacities=sizes)
    decision = decide(resource("Ready"), found)
    assert (decision.phase, condition(decision).status) == ("Updating", "True")
    assert condition(decision, "Progressing").reason == "VolumeExpansion"
    assert condition(decision, "Progressing").message == growing
    assert decision.fields["ready"] is decision.fields["writable"] is True
    assert decision.fields["storage"] == {"smallest": "1Gi", "largest": "1024Mi"}
    assert [one["storage"] for one in decision.fields["instances"]] == ["1Gi", "1024Mi"]
    # Parameters follow the volumes: they are checked again.
    before = resource("Updating", storage=decision.fields["storage"])
    grown = observed(capacities=dict.fromkeys(sizes, "2Gi"))
    assert decide(before, grown).requeue_after is not None
    after = resource("Ready", storage={"smallest": "2Gi", "largest": "2Gi"})
    assert decide(after, grown).requeue_after is None
    # Where they were not read, what is known stays.
    assert decide(after, observed()).fields["storage"] == after["status"]["storage"]


def kinds(decision: Decision) -> set[str]:
    return {condition.type for condition in decision.conditions}


def test_a_database_that_serves_with_fewer_instances_is_degraded() -> None:
    stuck = replace(REPLICA, ready=False, problem=("Unschedulable", "no node can run pod app-1"))
    decision = decide(resource("Ready"), observed(instances=(PRIMARY, stuck)))
    assert condition(decision, "Degraded").reason == "InstancesNotReady"
    said = condition(decision, "Degraded").message
    assert said.startswith("the primary takes writes, and 1 of 2 instances are ready: app-1 is not")
    assert said.endswith("no node can run pod app-1")
    gone = decide(resource("Ready"), observed(instances=(PRIMARY,)))
    assert "1 of 2" in condition(gone, "Degraded").message
    assert "Degraded" not in kinds(decide(resource("Ready"), observed()))
    # Ready says that nothing takes writes.
    away = observed(instances=(replace(PRIMARY, ready=False), stuck), server=None)
    assert "Degraded" not in kinds(decide(resource("Ready"), away))


def test_a_restart_that_only_a_person_can_ask_for_is_a_condition() -> None:
    waiting = replace(REPLICA, pending_restart=("max_connections", "wal_buffers"))
    decision = decide(resource("Ready"), observed(instances=(PRIMARY, waiting)))
    assert decision.phase == "Ready"
    said = condition(decision, "PendingRestart").message
    assert "app-1 for max_connections, wal_buffers; to replace" in said
    primary, replica = decision.fields["instances"]
    assert "pendingRestart" not in primary
    assert replica["pendingRestart"] == ["max_connections", "wal_buffers"]
    assert (primary["timeline"], primary["ready"]) == (1, True)
    # The operator restarts for what is in the spec.
    changing = Configuration(message="restarting replica app-1 for max_connections")
    found = observed(instances=(PRIMARY, waiting), configuration=changing)
    assert "PendingRestart" not in kinds(decide(resource("Ready"), found))


def test_a_volume_that_is_nearly_full_is_a_condition() -> None:
    def found(primary: int | None, replica: int | None) -> Decision:
        instances = (replace(PRIMARY, volume_used=primary), replace(REPLICA, volume_used=replica))
        return decide(resource("Ready"), observed(instances=instances))

    decision = found(80, 75)
    assert decision.phase == "Ready"
    assert condition(decision, "StorageLow").message.startswith(
        "the file systems of volumes are nearly full, of app-0 (80 %): "
    )
    assert [one["storageUsedPercent"] for one in decision.fields["instances"]] == [80, 75]
    assert "app-0 (95 %), app-1 (85 %)" in condition(found(95, 85), "StorageLow").message
    unknown = found(75, None)
    assert "StorageLow" not in kinds(unknown)
    assert "storageUsedPercent" not in unknown.fields["instances"][1]


def test_a_pod_that_waits_for_its_volume_says_for_which() -> None:
    words = "no node can run pod app-0: pod has unbound immediate PersistentVolumeClaims"
    waiting = Instance("app-0", ready=False, problem=("Unschedulable", words))
    unbound = {"app-0": "claim data-app-0 has no volume of StorageClass fats"}
    found = observed(instances=(waiting,), server=None, primary="", unbound=unbound)
    assert condition(decide(resource(), found)).message == f"{words}; {unbound['app-0']}"
    # Corrected, with the claim of before: delete that one.
    kept = replace(found, storage=("ClaimsKept", "claim data-app-0 was made before"))
    assert (
        condition(decide(resource(), kept)).message == f"{words}; claim data-app-0 was made before"
    )
    other = ("Unschedulable", "no node can run pod app-0: 0/1 nodes: Insufficient cpu")
    busy = replace(found, instances=(replace(waiting, problem=other),))
    assert condition(decide(resource(), busy)).message == other[1]


def test_volumes_that_do_not_become_what_is_asked_for_are_a_condition() -> None:
    refused = ("ExpansionRefused", "claim data-app-0 stays at 1Gi")
    decision = decide(resource("Ready"), observed(storage=refused))
    assert decision.phase == "Ready"
    assert condition(decision, "StorageDiffers").reason == "ExpansionRefused"


def test_the_phases_of_a_first_start() -> None:
    starting = Instance("app-0", ready=False, state="starting")
    pods = Instance("app-0", ready=False)
    unreachable = Server(problem=("DatabaseNotReady", "cannot connect"))
    late = Instance("app-1", ready=False)
    assert decide(resource(), observed(instances=(), server=None)).phase == "Provisioning"
    assert decide(resource(), observed(instances=(pods,), server=None)).phase == "Provisioning"
    assert decide(resource(), observed(instances=(starting,), server=None)).phase == "Configuring"
    assert decide(resource(), observed(server=unreachable)).phase == "Configuring"
    deploying = decide(resource(), observed(instances=(PRIMARY, late)))
    assert deploying.phase == "Deploying"
    assert condition(deploying).message == "not all replicas ready: 1/2"


def test_a_standby_that_does_not_stream_keeps_the_database_from_ready() -> None:
    for standbys in (
        (),
        (Standby("app-1", "catchup", 0),),
        (Standby("app-1", "streaming", 1 << 30),),
    ):
        server = Server(**{**SERVER.__dict__, "standbys": standbys})
        decision = decide(resource(), observed(server=server))
        assert decision.phase == "Verifying"
        assert "app-1" in condition(decision).message


def test_a_standby_on_another_timeline_keeps_the_database_from_ready() -> None:
    other = Instance("app-1", ready=True, role="replica", state="streaming", timeline=2)
    assert decide(resource(), observed(instances=(PRIMARY, other))).phase == "Verifying"


def test_a_missing_role_database_or_write_keeps_the_database_from_ready() -> None:
    for lacking in ("writable", "database_exists", "role_exists"):
        server = Server(**{**SERVER.__dict__, lacking: False})
        assert decide(resource(), observed(server=server)).phase == "Verifying"


def test_a_surplus_instance_keeps_the_database_from_ready() -> None:
    assert decide(resource(), observed(replicas=1)).phase != "Ready"


def test_an_image_that_cannot_be_pulled_fails_and_says_so() -> None:
    stuck = Instance("app-0", ready=False, problem=BAD_IMAGE, needs_user=True)
    decision = decide(resource(), observed(instances=(stuck,), server=None))
    assert decision.phase == "Failed"
    assert condition(decision).reason == "ImagePullFailed"
    assert condition(decision).message == BAD_IMAGE[1]


REFUSED = ("PodNotCreated", "Kubernetes cannot create a pod of StatefulSet app: exceeded quota")


def test_a_pod_that_is_refused_is_reported_in_every_phase() -> None:
    first = observed(instances=(), server=None, not_created=REFUSED)
    for awaited, phase in ((first, "Provisioning"), (observed(instances=(PRIMARY,)), "Deploying")):
        decision = decide(resource(), replace(awaited, not_created=REFUSED))
        assert decision.phase == phase
        assert condition(decision).reason == "PodNotCreated"
        assert REFUSED[1] in condition(decision).message
        assert condition(decision, "Progressing").status == "True"
        assert decision.requeue_after is not None and decision.requeue_after <= 5
    rolling = observed(instances=(PRIMARY,), rollout="waiting for 2 instances", not_created=REFUSED)
    decision = decide(resource("Updating", version="17.6"), rolling)
    assert condition(decision).reason == "PodNotCreated"
    assert REFUSED[1] in condition(decision).message
    assert decision.fields["ready"] is True
    # It goes with what was refused.
    assert condition(decide(resource(), observed())).reason == "AllChecksPassed"


def test_a_stopped_update_goes_on_serving() -> None:
    stuck = Instance("app-1", ready=False, problem=BAD_IMAGE, needs_user=True)
    decision = decide(
        resource("Ready", version="17.6"),
        observed(instances=(PRIMARY, stuck), rollout="waiting for instance app-1"),
    )
    assert decision.phase == "Updating"
    assert condition(decision).status == "True"
    assert condition(decision, "Progressing").status == "False"
    assert "nope" in condition(decision).message


def test_an_update_stays_an_update_while_its_only_instance_is_away() -> None:
    away = Instance("app-0", ready=False)
    decision = decide(
        resource("Updating", version="17.6"), observed(instances=(away,), server=None)
    )
    assert decision.phase == "Updating"


def test_a_refused_spec_is_reported_and_does_not_stop_a_serving_database() -> None:
    decision = decide(resource("Ready"), observed(refused=("MajorVersionChange", "set 17 again")))
    assert decision.phase == "Failed"
    assert condition(decision).reason == "MajorVersionChange"
    assert decision.fields["ready"] is True


@pytest.mark.parametrize(
    "meanwhile", [{"rollout": "replacing instance app-1"}, {"refused": ("ReconcileFailed", "x")}]
)
def test_a_database_is_not_writable_before_its_contents_are_restored(
    meanwhile: dict[str, Any],
) -> None:
    decision = decide(resource("Verifying", awaited=True), observed(**meanwhile))
    assert (decision.fields["ready"], decision.fields["writable"]) == (False, False)
    assert condition(decision).status == "False"
    there = decide(resource("Ready", awaited=True, restoredFrom="b"), observed(**meanwhile))
    assert (there.fields["ready"], there.fields["writable"]) == (True, True)


def test_a_database_that_lacks_a_replica_is_writable() -> None:
    late = Instance("app-1", ready=False)
    decision = decide(resource("Ready"), observed(instances=(PRIMARY, late)))
    assert (decision.fields["ready"], decision.fields["writable"]) == (False, True)


def test_a_dropped_database_is_not_ready_and_not_polled_every_two_seconds() -> None:
    gone = Server(problem=("DatabaseGone", 'database "app", which this server had, is gone'))
    decision = decide(resource("Ready"), observed(server=gone))
    assert decision.phase == "Failed"
    assert condition(decision).reason == "DatabaseGone"
    assert decision.fields["writable"] is False
    assert decision.requeue_after == 10.0


def test_a_server_that_lacks_security_fixes_is_ready_and_warned_of() -> None:
    server = Server(**{**SERVER.__dict__, "version": "17.11"})
    decision = decide(resource("Verifying"), observed(server=server))
    assert decision.phase == "Ready"
    warning = condition(decision, "ServerOutdated")
    assert (warning.status, warning.reason) == ("True", "SecurityFixesMissing")
    assert "use 17.12 or newer; set spec.image" in warning.message


def test_a_server_with_all_fixes_has_no_such_condition() -> None:
    for version in ("17.12", "19rc1", ""):
        server = Server(**{**SERVER.__dict__, "version": version})
        decision = decide(resource("Verifying"), observed(server=server))
        assert [c.type for c in decision.conditions] == ["Ready", "Progressing"]


def test_a_server_that_is_away_is_warned_of_by_what_it_was() -> None:
    decision = decide(resource("Ready", version="17.6"), observed(server=None))
    assert condition(decision, "ServerOutdated").status == "True"


def test_users_that_differ_stop_nothing_and_are_tried_again() -> None:
    server = Server(**{**SERVER.__dict__, "differences": tuple(f"user u{n}: x" for n in range(10))})
    decision = decide(resource("Ready"), observed(server=server))
    assert (decision.phase, decision.fields["ready"]) == ("Ready", True)
    found = condition(decision, "UsersOrDatabasesDiffer")
    assert (found.status, found.reason) == ("True", "NotApplied")
    assert found.message.startswith("user u0: x; user u1: x; ")
    assert found.message.endswith("; user u7: x; and 2 more")
    assert decision.requeue_after == 60.0
    assert decide(resource("Ready"), observed()).requeue_after is None


def test_what_differs_is_not_forgotten_while_the_primary_is_away() -> None:
    known = {"type": "UsersOrDatabasesDiffer", "status": "True", "reason": "NotApplied"}
    before = resource(
        "Ready", conditions=[known | {"message": "user a: x", "lastTransitionTime": ""}]
    )
    away = Server(problem=("DatabaseNotReady", "it does not answer"))
    for server in (None, away, Server(**{**SERVER.__dict__, "compared": False})):
        decision = decide(before, observed(server=server))
        assert condition(decision, "UsersOrDatabasesDiffer").message == "user a: x"
    later = decide(before, observed()).conditions
    assert "UsersOrDatabasesDiffer" not in [c.type for c in later]


def paused(**keywords: Any) -> dict[str, Any]:
    found = resource(**keywords)
    return found | {"spec": found["spec"] | {"paused": True}}


def test_a_paused_database_that_serves_is_ready_and_says_that_it_is_paused() -> None:
    decision = decide(paused(phase="Ready"), observed())
    assert (decision.phase, decision.requeue_after) == ("Ready", None)
    assert condition(decision).status == "True"
    assert condition(decision, "Progressing").status == "Unknown"
    assert condition(decision, "Paused").status == "True"
    assert decision.fields == decide(resource("Ready"), observed()).fields
    assert "Paused" not in {c.type for c in decide(resource("Ready"), observed()).conditions}


def test_what_is_wrong_with_a_paused_database_is_reported_and_not_asked_for_at_once() -> None:
    late = Instance("app-1", ready=False)
    seen = observed(instances=(PRIMARY, late))
    decision, unpaused = decide(paused(phase="Ready"), seen), decide(resource("Ready"), seen)
    assert (decision.phase, condition(decision)) == (unpaused.phase, condition(unpaused))
    assert decision.requeue_after == 10.0
    others = [c for c in unpaused.conditions if c.type not in {"Ready", "Progressing"}]
    assert list(decision.conditions[2:-1]) == others


@pytest.mark.parametrize(
    ("found", "seen", "words"),
    [
        (paused(), observed(instances=(), server=None), "it has no instances yet"),
        (paused(awaited=True), observed(), "its contents are not known to be restored"),
    ],
)
def test_a_database_that_was_paused_before_it_was_made_is_not_ready(
    found: dict[str, Any], seen: Observation, words: str
) -> None:
    decision = decide(found, seen)
    assert (decision.phase, decision.fields["ready"]) == ("Pending", False)
    assert (condition(decision).status, condition(decision).reason) == ("False", "Paused")
    assert words in condition(decision).message


def test_what_waits_for_a_window_is_a_condition_and_stops_nothing() -> None:
    until = "the maintenance window that opens at 2026-12-05T03:00:00Z"
    held = Configuration(held=("max_connections", "shared_buffers"))
    replaced = "the instances are to be replaced (image a in place of b)"
    found = observed(held=replaced, configuration=held, window=until, opens_in=42.0)
    decision = decide(resource("Ready"), found)
    assert (decision.phase, decision.look_again) == ("Ready", 42.0)
    said = condition(decision, "MaintenancePending")
    assert (said.status, said.reason) == ("True", "WaitingForWindow")
    assert said.message.startswith(replaced)
    assert "max_connections, shared_buffers" in said.message
    assert said.message.endswith(until)
    assert "MaintenancePending" not in kinds(decide(resource("Ready"), observed(window=until)))


def test_a_switchover_is_an_update_and_its_end_stays_in_the_status() -> None:
    report = {"to": "app-1", "from": "app-0", "state": "InProgress", "message": "from a to b"}
    decision = decide(resource("Ready"), observed(switchover=report))
    assert (decision.phase, condition(decision).reason) == ("Updating", "Switchover")
    assert decision.fields["switchover"] == report
    nobody = observed(switchover=report, server=None, primary="")
    between = decide(resource("Updating"), nobody)
    assert (between.phase, condition(between).status) == ("Updating", "False")
    done = report | {"state": "Completed"}
    ended = resource("Updating", switchover=done)
    ended["spec"]["switchoverTo"] = "app-1"
    decision = decide(ended, observed())
    assert (decision.phase, decision.fields["switchover"]) == ("Ready", done)
    del ended["spec"]["switchoverTo"]
    assert decide(ended, observed()).fields["switchover"] is None
