"""What comes of `switchoverTo`: one switchover for each value, or why there is none."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.members import (
    Member,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.planned_switchover import (
    Outcome,
    Request,
    is_switchover_due,
    known_switchover,
    next_switchover,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.transitions import (
    find_transitions,
)
from sample_members import PRIMARY, REPLICA

NOW = datetime(2026, 3, 1, tzinfo=UTC)
DEMOTED = replace(REPLICA, name="app-0", ordinal=0)
PROMOTED = replace(PRIMARY, name="app-1", ordinal=1, timeline=2)
FAR = PRIMARY.lsn + (17 << 20)


def asking(to: str = "app-1", **known: str) -> dict[str, Any]:
    """A Database that asks for a switchover, and what its status says of it."""
    switchover = {"to": to, "time": "2026-03-01T00:00:00Z", **known} if known else None
    status = {"switchover": switchover} if switchover else {}
    return {"spec": {"switchoverTo": to, "replicas": 2}, "status": status}


def under_way() -> dict[str, Any]:
    return asking(**{"state": "InProgress", "from": "app-0", "message": "m"})


def decide(
    database: dict[str, Any],
    *members: Member,
    leader: str = "app-0",
    requested: str = "",
    now: datetime = NOW,
    hindered: str = "",
) -> Outcome:
    found = members or (PRIMARY, REPLICA)
    return next_switchover(database, found, leader, requested, now, hindered)


def test_patroni_is_asked_once() -> None:
    outcome = decide(asking())
    assert outcome.request == Request("app-0", "app-1")
    assert (outcome.report["state"], outcome.report["from"]) == ("InProgress", "app-0")
    again = decide(asking(**outcome.report), requested="app-1")
    assert again == Outcome(outcome.report)
    # Also where the status could not be written after the request.
    assert decide(asking(), requested="app-1") == Outcome(outcome.report)


def test_while_nobody_leads_it_goes_on() -> None:
    report = decide(under_way(), DEMOTED, REPLICA, leader="").report
    assert (report["state"], report["from"]) == ("InProgress", "app-0")
    starting = replace(PROMOTED, role="replica")
    assert decide(under_way(), DEMOTED, starting, leader="app-1").report["state"] == "InProgress"


def test_it_is_completed_once_the_instance_runs_as_the_primary() -> None:
    report = decide(under_way(), DEMOTED, PROMOTED, leader="app-1").report
    assert (report["state"], report["from"], report["to"]) == ("Completed", "app-0", "app-1")
    done = asking(**report)
    assert not is_switchover_due(done)
    # A failover afterwards is not undone.
    assert decide(done) == Outcome({})
    assert known_switchover(done) == report


def test_another_value_is_another_request_and_none_ends_the_report() -> None:
    done = asking(state="Completed", message="m")
    done["spec"]["switchoverTo"] = "app-0"
    assert is_switchover_due(done)
    assert known_switchover(done) is None
    del done["spec"]["switchoverTo"]
    assert not is_switchover_due(done)
    assert known_switchover(done) is None


def test_the_primary_of_now_need_not_become_it() -> None:
    outcome = decide(asking("app-0"))
    assert (outcome.report["state"], outcome.request) == ("Completed", None)
    assert "already" in outcome.report["message"]


@pytest.mark.parametrize(("to", "members"), [("app-7", ()), ("app-2", ("app-2",))])
def test_an_instance_that_is_not_there_or_goes_is_refused(to: str, members: Any) -> None:
    going = [replace(REPLICA, name=name, ordinal=2) for name in members]
    outcome = decide(asking(to), PRIMARY, REPLICA, *going)
    assert (outcome.report["state"], outcome.request) == ("Refused", None)
    assert f"there is no instance {to}" in outcome.report["message"]


@pytest.mark.parametrize(
    ("candidate", "why"),
    [
        (replace(REPLICA, ready=False), "it is not ready"),
        (replace(REPLICA, state="running"), "it does not stream"),
        (replace(REPLICA, timeline=7), "it is on timeline 7, the primary on 1"),
        (replace(REPLICA, lsn=PRIMARY.lsn - (17 << 20)), "it is 17.0Mi behind"),
    ],
)
def test_one_that_cannot_take_over_is_waited_for_and_then_refused(
    candidate: Member, why: str
) -> None:
    first = decide(asking(), PRIMARY, candidate)
    assert (first.report["state"], first.request) == ("WaitingForInstance", None)
    assert why in first.report["message"]
    later = decide(asking(**first.report), PRIMARY, candidate, now=NOW + timedelta(seconds=29))
    assert later.report == first.report
    last = decide(asking(**later.report), PRIMARY, candidate, now=NOW + timedelta(seconds=31))
    assert (last.report["state"], last.request) == ("Refused", None)
    assert why in last.report["message"]
    assert not is_switchover_due(asking(**last.report))
    # It has caught up in time.
    assert decide(asking(**first.report)).request == Request("app-0", "app-1")


@pytest.mark.parametrize(
    ("leader", "hindered", "why"),
    [("", "", "waiting for a primary"), ("app-0", "after the rolling update", "after the rolling")],
)
def test_what_is_under_way_goes_first(leader: str, hindered: str, why: str) -> None:
    outcome = decide(asking(), leader=leader, hindered=hindered)
    assert (outcome.report["state"], outcome.request) == ("Waiting", None)
    assert why in outcome.report["message"]


def test_what_patroni_does_not_do_is_failed() -> None:
    report = decide(under_way()).report
    assert report["state"] == "Failed"
    assert "kubectl logs app-0 -c postgres" in report["message"]
    other = replace(PROMOTED, name="app-2", ordinal=2)
    report = decide(under_way(), DEMOTED, REPLICA, other, leader="app-2").report
    assert report["state"] == "Failed"
    assert report["message"].startswith("app-2 has become primary, and not app-1")


def test_how_it_ended_is_an_event() -> None:
    before = under_way()["status"] | {"phase": "Updating"}
    for state, warning in (("Completed", False), ("Refused", True), ("Failed", True)):
        after = {"phase": "Updating", "switchover": {"to": "app-1", "state": state, "message": "m"}}
        both = ({**status, "conditions": [READY]} for status in (before, after))
        [event] = find_transitions("Database", *both)
        assert (event.reason, event.warning) == (f"Switchover{state}", warning)
        same = {**after, "conditions": [READY]}
        assert find_transitions("Database", same, same) == []


READY = {"type": "Ready", "status": "True", "reason": "Switchover", "message": "m"}
