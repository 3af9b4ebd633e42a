"""Members as the Kubernetes API shows them."""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.postgres.operator.plugins.module_utils.patroni.members import (
    parse_leader,
    parse_member,
)


def pod(report: str = "{}", **metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": "my-app-2",
            "uid": "u",
            "labels": {"controller-revision-hash": "my-app-7d4"},
            "annotations": {"status": report},
            **metadata,
        },
        "status": {"podIP": "10.0.0.9", "conditions": [{"type": "Ready", "status": "True"}]},
    }


def test_a_reporting_replica() -> None:
    report = {
        "state": "running",
        "replication_state": "streaming",
        "role": "replica",
        "timeline": 3,
        "xlog_location": 77,
    }
    member = parse_member(pod(json.dumps(report)))
    assert (member.ordinal, member.role, member.timeline, member.lsn) == (2, "replica", 3, 77)
    assert member.serving


def test_a_replica_that_runs_and_receives_nothing_takes_no_part() -> None:
    report = {"state": "running", "role": "replica", "timeline": 3, "xlog_location": 77}
    assert not parse_member(pod(json.dumps(report))).serving


def test_a_pod_without_a_report_takes_no_part() -> None:
    fresh = pod()
    del fresh["metadata"]["annotations"]
    assert not parse_member(fresh).serving


def test_a_report_that_is_no_json_is_no_report() -> None:
    assert parse_member(pod("nonsense")).state == ""
    assert parse_member(pod("[1]")).state == ""


def test_a_pod_that_is_being_deleted_is_not_ready() -> None:
    assert not parse_member(pod(deletionTimestamp="2026-01-01T00:00:00Z")).ready


def test_the_leader_is_an_annotation_of_the_endpoints() -> None:
    assert parse_leader({"metadata": {"annotations": {"leader": "app-1"}}}) == "app-1"
    assert parse_leader({"metadata": {}}) == ""
    assert parse_leader(None) == ""


def test_a_server_that_patroni_cannot_start_is_a_problem() -> None:
    problem = parse_member(pod('{"state": "start failed", "role": "replica"}')).problem
    assert problem is not None
    assert problem.reason == "PostgreSQLNotStarted"
    assert "kubectl logs my-app-2 -c postgres" in problem.message
    assert parse_member(pod('{"state": "starting", "role": "replica"}')).problem is None
