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


def test_a_database_whose_every_check_passed_is_ready() -> None:
    decision = decide(resource("Verifying"), observed())
    assert decision.phase == "Ready"
    assert condition(decision).reason == "AllChecksPassed"
    assert decision.fields["ready"] is True
    assert decision.fields["endpoint"] == "app.shop.svc.cluster.local:5432"
    assert decision.fields["instancesReady"] == "2/2"
    assert decision.requeue_after is None


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
