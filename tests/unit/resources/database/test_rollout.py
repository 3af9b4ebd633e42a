"""The order of a rolling update."""

from __future__ import annotations

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.members import (
    Member,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.rollout import (
    Action,
    next_step,
)

NEW, OLD = "app-new", "app-old"
BAD_IMAGE = ("ImagePullFailed", "pod cannot get image")


def member(ordinal: int, **changes: object) -> Member:
    """Return a healthy instance of the old revision; app-0 is the primary."""
    fields: dict[str, object] = {
        "name": f"app-{ordinal}",
        "uid": f"uid-{ordinal}",
        "ordinal": ordinal,
        "pod_ip": f"10.0.0.{ordinal}",
        "ready": True,
        "revision": OLD,
        "role": "primary" if ordinal == 0 else "replica",
        "state": "running" if ordinal == 0 else "streaming",
        "timeline": 1,
        "lsn": 1000,
        "problem": None,
    }
    return Member(**{**fields, **changes})


def test_nothing_to_do_where_all_have_the_revision() -> None:
    members = [member(0, revision=NEW), member(1, revision=NEW)]
    assert next_step(members, "app-0", NEW, 2).action is Action.NOTHING


def test_waits_until_the_statefulset_has_a_revision() -> None:
    assert next_step([member(0)], "app-0", "", 1).action is Action.WAIT


def test_replicas_come_first_highest_ordinal_first() -> None:
    step = next_step([member(0), member(1), member(2)], "app-0", NEW, 3)
    assert (step.action, step.member) == (Action.DELETE_POD, "app-2")


def test_a_replaced_replica_must_stream_before_the_next() -> None:
    starting = member(2, revision=NEW, ready=False, state="starting")
    step = next_step([member(0), member(1), starting], "app-0", NEW, 3)
    assert step.action is Action.WAIT
    assert "app-2" in step.message


def test_who_was_asked_to_take_over_is_not_replaced_by_another() -> None:
    members = [member(0), member(1, revision=NEW, lsn=999), member(2, revision=NEW)]
    step = next_step(members, "app-0", NEW, 3, asked="app-1")
    assert step.action is Action.WAIT
    assert "app-1 to take over from app-0" in step.message
    lost = member(1, revision=NEW, timeline=7)
    step = next_step([members[0], lost, members[2]], "app-0", NEW, 3, asked="app-1")
    assert (step.action, step.candidate) == (Action.SWITCHOVER, "app-2")


def test_the_old_primary_stays_until_the_new_one_is_promoted() -> None:
    old = member(0, role="replica", state="streaming")
    promoting = member(1, revision=NEW, state="running")
    step = next_step([old, promoting], "app-1", NEW, 2)
    assert step.action is Action.WAIT
    assert "app-1" in step.message
    promoted = member(1, revision=NEW, role="primary", state="running")
    step = next_step([old, promoted], "app-1", NEW, 2)
    assert (step.action, step.member) == (Action.DELETE_POD, "app-0")


def test_a_replica_that_runs_without_streaming_is_waited_for() -> None:
    step = next_step([member(0), member(1), member(2, state="running")], "app-0", NEW, 3)
    assert step.action is Action.WAIT


def test_a_pod_that_is_gone_is_waited_for() -> None:
    assert next_step([member(0), member(1)], "app-0", NEW, 3).action is Action.WAIT


def test_an_only_primary_is_not_replaced_while_replicas_are_to_be_added() -> None:
    assert next_step([member(0)], "app-0", NEW, 3).action is Action.WAIT


def test_then_the_leader_hands_over_to_the_replica_furthest_ahead() -> None:
    members = [member(0), member(1, revision=NEW, lsn=900), member(2, revision=NEW, lsn=990)]
    step = next_step(members, "app-0", NEW, 3)
    assert (step.action, step.member, step.candidate) == (Action.SWITCHOVER, "app-0", "app-2")


@pytest.mark.parametrize(
    "standby",
    [
        member(1, revision=NEW, timeline=2),
        member(1, revision=NEW, lsn=0),
    ],
)
def test_no_switchover_to_a_replica_that_would_lose_data(standby: Member) -> None:
    primary = member(0, lsn=100 * 1024 * 1024)
    assert next_step([primary, standby], "app-0", NEW, 2).action is Action.WAIT


def test_the_old_primary_is_last() -> None:
    members = [
        member(0, role="replica", state="streaming"),
        member(1, revision=NEW, role="primary", state="running"),
    ]
    step = next_step(members, "app-1", NEW, 2)
    assert (step.action, step.member) == (Action.DELETE_POD, "app-0")


def test_an_only_instance_is_replaced_at_once() -> None:
    step = next_step([member(0)], "app-0", NEW, 1)
    assert (step.action, step.member) == (Action.DELETE_POD, "app-0")


def test_a_bad_image_stops_the_update_at_the_first_pod() -> None:
    bad = member(2, revision=NEW, ready=False, state="", problem=BAD_IMAGE)
    assert next_step([member(0), member(1), bad], "app-0", NEW, 3).action is Action.WAIT


def test_reverting_a_spec_replaces_the_instance_whose_server_does_not_start() -> None:
    down = ("PostgreSQLNotStarted", "it does not start")
    only = member(0, role="replica", ready=False, state="start failed", problem=down)
    step = next_step([only], "", NEW, 1)
    assert (step.action, step.member) == (Action.DELETE_POD, "app-0")


def test_reverting_a_bad_image_replaces_the_pod_that_cannot_start() -> None:
    bad = member(2, revision="app-bad", ready=False, state="", problem=BAD_IMAGE)
    members = [member(0, revision=NEW), member(1, revision=NEW), bad]
    step = next_step(members, "app-0", NEW, 3)
    assert (step.action, step.member) == (Action.DELETE_POD, "app-2")


def test_an_only_instance_with_a_bad_image_is_replaced_although_it_held_the_lock() -> None:
    bad = member(0, ready=False, state="", problem=BAD_IMAGE)
    step = next_step([bad], "app-0", NEW, 1)
    assert (step.action, step.member) == (Action.DELETE_POD, "app-0")


def test_a_leader_that_scaling_down_would_remove_hands_over_first() -> None:
    members = [
        member(0, revision=NEW, role="replica", state="streaming"),
        member(1, revision=NEW),
        member(2, revision=NEW, role="primary", state="running"),
    ]
    step = next_step(members, "app-2", NEW, 1)
    assert (step.action, step.candidate) == (Action.SWITCHOVER, "app-0")
