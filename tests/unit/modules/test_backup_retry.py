"""A Backup with `retry`, reconciled again and again by the modules of its role."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.module_utils import errors
from ansible_collections.postgres.operator.plugins.module_utils.kube.client import ApiError
from ansible_collections.postgres.operator.plugins.module_utils.units import (
    format_time,
    parse_time,
)
from ansible_collections.postgres.operator.plugins.modules import (
    backup_info,
    backup_removal,
    status,
)

PARAMS = {
    "name": "b",
    "namespace": "shop",
    "agent_image": "operator:1",
    "max_active": 0,
    "max_active_per_namespace": 0,
    "max_active_per_destination": 0,
    "search_period": "24h",
}
DATABASE = {
    "metadata": {"name": "app", "namespace": "shop", "uid": "db-uid"},
    "spec": {"databaseName": "app", "image": "postgres:17", "storage": {"size": "1Gi"}},
    "status": {"phase": "Ready", "writable": True, "encrypted": True},
}
FIRST, SECOND, THIRD = "b-backup-12345678", "b-backup-12345678-try2", "b-backup-12345678-try3"
AWAY = {"ok": False, "reason": "StoreUnreachable", "message": "no answer from https://s3"}
DONE = {
    "ok": True,
    "location": "shop/app/u",
    "sha256": "ab",
    "startTime": "2026-01-01T00:00:00Z",
    "completionTime": "2026-01-01T00:00:02Z",
}


class FakeCluster:
    """A Database, a Backup, and the Jobs that were made, each with a result or running."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, retry: dict[str, Any] | None) -> None:
        metadata = {"name": "b", "namespace": "shop", "uid": "12345678-uid", "generation": 1}
        metadata["creationTimestamp"] = "2026-01-01T00:00:00Z"
        spec = {"databaseRef": {"name": "app"}, "timeout": "2h", "parallelism": 2}
        spec |= {"verify": "checksum", "deletionPolicy": "Delete"}
        self.backup: Any = {
            "kind": "Backup",
            "metadata": metadata,
            "spec": spec | ({"retry": retry} if retry else {}),
        }
        self.database: Any = DATABASE
        self.jobs: dict[str, dict[str, Any] | None] = {}
        self.deadline: set[str] = set()
        self.refuses_status = False
        for module in (backup_info, status, backup_removal):
            monkeypatch.setattr(module, "connect", lambda: self)

    def get(self, _version: str, kind: str, _namespace: str, name: str) -> Any:
        if kind == "Job" and name in self.jobs:
            return self._job(name)
        return {"Database": self.database, "Backup": self.backup}.get(kind)

    def _job(self, name: str) -> Any:
        result = self.jobs[name]
        made = {"name": name, "namespace": "shop", "uid": name}
        made["creationTimestamp"] = format_time(datetime.now(UTC))
        conditions = []
        if name in self.deadline:
            ended = {"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}
            conditions.append(ended)
        elif result:
            ended = {"type": "Complete" if result["ok"] else "Failed", "status": "True"}
            conditions.append(ended)
        spec = {"template": {"spec": {"containers": [{"name": "backup"}]}}}
        return {
            "kind": "Job",
            "metadata": made,
            "spec": spec,
            "status": {"conditions": conditions},
        }

    def list(self, _version: str, kind: str, _namespace: str, selector: str = "", **_: Any) -> Any:
        if kind != "Pod":
            return [self.backup] if kind == "Backup" else []
        name = selector.partition("=")[2]
        result = self.jobs.get(name)
        if result is None or name in self.deadline:
            return []
        state = {
            "terminated": {"message": json.dumps(result), "exitCode": 0 if result["ok"] else 2}
        }
        return [
            {
                "metadata": {"name": "p", "creationTimestamp": "2026-01-01T00:00:00Z"},
                "spec": {"containers": [{"name": "backup"}]},
                "status": {"containerStatuses": [{"name": "backup", "state": state}]},
            }
        ]

    def replace_status(self, *key: Any) -> None:
        if self.refuses_status:
            raise ApiError("the operator has ended", 500)
        self.backup["status"] = key[-1]

    def create(self, manifest: Any) -> None:
        assert manifest["kind"] == "Event"

    def apply(self, *_: Any, **__: Any) -> None:
        """A namespace that stays."""

    def reconcile(self) -> dict[str, Any]:
        """What the role does: read, make the Job, write the status."""
        found = backup_info.run(PARAMS, False)
        if not found["resource"]:
            return {"requeue_after": ""}
        observation = found["observation"]
        for definition in found["definitions"]:
            if definition["kind"] == "Job":
                self.jobs.setdefault(definition["metadata"]["name"], None)
                observation = {**observation, "job": found["job_made"]}
        done = status.run({"resource": found["resource"], "observation": observation}, False)
        return {**done, "waiting": found["waiting"]}

    @property
    def said(self) -> Any:
        return self.backup["status"]

    @property
    def condition(self) -> Any:
        return self.said["conditions"][0]

    def end(self, name: str, result: dict[str, Any]) -> None:
        assert name in self.jobs
        self.jobs[name] = result

    def pass_the_time(self) -> None:
        self.said["nextAttemptTime"] = format_time(datetime.now(UTC) - timedelta(seconds=1))


RETRY = {"times": 2, "delay": "90s"}


def failed_once(monkeypatch: pytest.MonkeyPatch, **result: str) -> FakeCluster:
    cluster = FakeCluster(monkeypatch, RETRY)
    cluster.reconcile()
    cluster.end(FIRST, AWAY | result)
    return cluster


def test_what_may_pass_is_tried_again_after_the_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = failed_once(monkeypatch)
    before = datetime.now(UTC)
    done = cluster.reconcile()
    assert cluster.said["phase"] == "Pending"
    assert (cluster.said["failedAttempts"], cluster.said["job"]) == (1, FIRST)
    begins = parse_time(cluster.said["nextAttemptTime"])
    assert timedelta(seconds=88) < begins - before < timedelta(seconds=92)
    assert cluster.condition["reason"] == "WaitingForRetry"
    assert cluster.condition["message"] == (
        f"attempt 1 of 3 failed, the next one begins at {cluster.said['nextAttemptTime']}:"
        " StoreUnreachable: no answer from https://s3"
    )
    # It is not reconciled before there is something to do, and nothing changes if it is.
    assert 85 < float(done["requeue_after"][:-1]) <= 90
    said = dict(cluster.said)
    again = cluster.reconcile()
    assert cluster.said == said
    assert not again["changed"]
    assert 85 < float(again["requeue_after"][:-1]) <= 90
    assert set(cluster.jobs) == {FIRST}

    cluster.pass_the_time()
    cluster.reconcile()
    assert cluster.said["phase"] == "InProgress"
    assert "nextAttemptTime" not in cluster.said
    assert (cluster.said["failedAttempts"], cluster.said["job"]) == (1, SECOND)
    cluster.end(SECOND, DONE)
    cluster.reconcile()
    assert cluster.said["phase"] == "Completed"
    assert cluster.said["failedAttempts"] == 1
    assert set(cluster.jobs) == {FIRST, SECOND}
    assert cluster.reconcile() == {"requeue_after": ""}


def test_the_last_failure_is_final(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = failed_once(monkeypatch)
    for name in (SECOND, THIRD):
        cluster.reconcile()
        cluster.pass_the_time()
        cluster.reconcile()
        cluster.end(name, AWAY)
    cluster.reconcile()
    assert (cluster.said["phase"], cluster.said["failedAttempts"]) == ("Failed", 3)
    assert cluster.condition["reason"] == "StoreUnreachable"
    assert cluster.said["conditions"][-1]["type"] == "Finished"
    assert cluster.reconcile() == {"requeue_after": ""}
    assert set(cluster.jobs) == {FIRST, SECOND, THIRD}


def test_an_operator_that_ends_at_any_step_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = failed_once(monkeypatch)
    # Before the wait is written: it is the same failure of the same Job.
    cluster.refuses_status = True
    with pytest.raises(ApiError):
        cluster.reconcile()
    cluster.refuses_status = False
    cluster.reconcile()
    assert cluster.said["failedAttempts"] == 1
    # After the next Job was made, and before the status names it: it is not made twice.
    cluster.pass_the_time()
    cluster.refuses_status = True
    with pytest.raises(ApiError):
        cluster.reconcile()
    cluster.refuses_status = False
    cluster.end(SECOND, DONE)
    cluster.reconcile()
    assert (cluster.said["phase"], cluster.said["failedAttempts"]) == ("Completed", 1)
    assert set(cluster.jobs) == {FIRST, SECOND}


def test_the_next_attempt_waits_for_its_database(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = failed_once(monkeypatch)
    cluster.reconcile()
    cluster.pass_the_time()
    cluster.database = {**DATABASE, "status": {"phase": "Deploying", "writable": False}}
    cluster.reconcile()
    assert (cluster.said["phase"], cluster.condition["reason"]) == ("Pending", "DatabaseNotReady")
    assert cluster.said["failedAttempts"] == 1
    cluster.database = DATABASE
    cluster.reconcile()
    assert set(cluster.jobs) == {FIRST, SECOND}


@pytest.mark.parametrize(
    "reason", sorted({error.reason for error in errors.OperatorError.__subclasses__()})
)
def test_only_what_may_pass_is_tried_again(monkeypatch: pytest.MonkeyPatch, reason: str) -> None:
    cluster = failed_once(monkeypatch, reason=reason)
    cluster.reconcile()
    passes = reason in {"DatabaseNotReady", "StoreUnreachable", "Timeout", "TooManyConnections"}
    assert cluster.said["phase"] == ("Pending" if passes else "Failed")
    assert ("nextAttemptTime" in cluster.said) is passes


def test_without_retry_the_first_failure_is_final(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = FakeCluster(monkeypatch, None)
    cluster.reconcile()
    cluster.end(FIRST, AWAY)
    cluster.reconcile()
    assert cluster.said["phase"] == "Failed"
    assert "failedAttempts" not in cluster.said


def test_a_job_that_was_stopped_at_its_timeout_is_not_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster = failed_once(monkeypatch)
    cluster.deadline = {FIRST}
    cluster.jobs[f"{FIRST}-2"] = {"ok": True, "location": "shop/app/u"}
    cluster.reconcile()
    assert (cluster.said["phase"], cluster.condition["reason"]) == ("Failed", "Timeout")


def test_a_backup_that_is_deleted_while_it_waits_leaves_no_files(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster = failed_once(monkeypatch)
    cluster.reconcile()
    s3 = {"bucket": "safe", "credentialsSecretRef": {"name": "login"}}
    cluster.backup["spec"]["destination"] = {"s3": s3}
    monkeypatch.setattr(backup_removal, "_find_block", lambda *_: None)
    monkeypatch.setattr(backup_removal, "_note_begin", lambda *_: None)
    found = backup_removal.run({"name": "b", "namespace": "shop"}, False)
    assert found["action"] == "start"
    # While the next attempt has not begun, and the status names no Job.
    cluster.pass_the_time()
    cluster.database = None
    cluster.reconcile()
    assert "job" not in cluster.said
    assert backup_removal.run({"name": "b", "namespace": "shop"}, False)["action"] == "start"
