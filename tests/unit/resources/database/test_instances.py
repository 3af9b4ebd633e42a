"""Members as the Kubernetes API shows them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from ansible_collections.postgres.operator.plugins.module_utils.resources.database.instances import (
    parse_leader,
    parse_member,
    read_instances,
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
    assert problem[0] == "PostgreSQLNotStarted"
    assert "kubectl logs my-app-2 -c postgres" in problem[1]
    assert parse_member(pod('{"state": "starting", "role": "replica"}')).problem is None


def running(minutes: int, report: str = "{}") -> dict[str, Any]:
    started = datetime.now(UTC) - timedelta(minutes=minutes)
    state = {"running": {"startedAt": started.strftime("%Y-%m-%dT%H:%M:%SZ")}}
    found = pod(report)
    found["status"] |= {
        "conditions": [],
        "containerStatuses": [{"name": "postgres", "state": state}],
    }
    return found


def test_a_patroni_that_never_reports_is_a_problem_after_a_while() -> None:
    problem = parse_member(running(5)).problem
    assert problem is not None
    assert problem[0] == "PatroniNotReporting"
    assert parse_member(running(1)).problem is None
    assert parse_member(running(600, json.dumps({"state": "creating replica"}))).problem is None


def test_an_instance_that_makes_no_data_is_a_problem_after_a_while() -> None:
    """As where the kernel has killed initdb, and Patroni does not remove what that has left."""
    report = json.dumps({"role": "uninitialized", "state": "stopped"})
    problem = parse_member(running(5, report)).problem
    assert problem is not None
    assert problem[0] == "InstanceNotInitialised"
    assert "kubectl delete pvc/data-my-app-2 pod/my-app-2" in problem[1]
    assert parse_member(running(1, report)).problem is None


class Pods:
    """A cluster with these pods."""

    def __init__(self, *names: str) -> None:
        self._names = names

    def list(self, *_: str) -> list[dict[str, Any]]:
        return [pod(name=name) for name in self._names]

    def get(self, *_: str) -> None:
        return None


def test_a_pod_that_only_has_the_labels_is_no_instance() -> None:
    cluster: Any = Pods("my-app-10", "my-app-2", "debug", "my-app-tool", "other-0")
    members, _ = read_instances(cluster, "shop", "my-app")
    assert [member.name for member in members] == ["my-app-2", "my-app-10"]


def test_a_restart_is_pending_for_what_it_would_change() -> None:
    """What was changed back PostgreSQL still names."""
    reasons = {
        "wal_buffers": {"old_value": "4MB", "new_value": "8MB"},
        "max_connections": {"old_value": "100", "new_value": "100"},
    }
    report = {"state": "running", "pending_restart": True, "pending_restart_reason": reasons}
    assert parse_member(pod(json.dumps(report))).pending_restart == ("wal_buffers",)
    for other in ([], "x", {"a": 1}):
        broken = json.dumps({"pending_restart_reason": other})
        assert parse_member(pod(broken)).pending_restart == ()


def test_how_full_a_volume_is_comes_with_the_report_of_newer_agents() -> None:
    report = {"state": "running", "tags": {"volumeUsedPercent": 85}}
    assert parse_member(pod(json.dumps(report))).volume_used == 85
    for other in ({}, {"tags": []}, {"tags": {"volumeUsedPercent": "85"}}):
        assert parse_member(pod(json.dumps(other))).volume_used is None
