"""The role of a Backup with `retry`, from a failure to the Job of the next attempt."""

from __future__ import annotations

import json
from typing import Any

from role_runs import SPACE, resource, run
from stub_cluster import StubCluster
from warm_box import WarmBox

JOBS = "/apis/batch/v1/namespaces/shop/jobs"
FIRST, SECOND = "one-backup-12345678", "one-backup-12345678-try2"
AWAY = {"ok": False, "reason": "StoreUnreachable", "message": "no answer {{ 6 * 7 }}"}


def add(cluster: StubCluster, path: str, kind: str, **content: Any) -> None:
    name = path.rpartition("/")[2]
    metadata = {"name": name, **SPACE, "uid": name, "creationTimestamp": "2026-01-01T00:00:00Z"}
    cluster.objects[path] = {"kind": kind, **content, "metadata": metadata}


def test_a_failed_attempt_is_followed_by_another(box: WarmBox, server: StubCluster) -> None:
    server.objects.clear()
    ready = {"phase": "Ready", "writable": True, "encrypted": True}
    database = {"image": "postgres:17", "databaseName": "app", "storage": {"size": "1Gi"}}
    server.add(resource("Database", "app", database, **ready))
    spec = {
        "databaseRef": {"name": "app"},
        "verify": "checksum",
        "parallelism": 2,
        "deletionPolicy": "Retain",
        "timeout": "72h",
        "retry": {"times": 1, "delay": "5m"},
    }
    looked_at = resource("Backup", "one", spec, phase="InProgress")
    looked_at["metadata"]["uid"] = "12345678-uid"
    server.add(looked_at)
    template = {"spec": {"containers": [{"name": "backup"}]}}
    ended = {"conditions": [{"type": "Failed", "status": "True"}]}
    add(server, f"{JOBS}/{FIRST}", "Job", spec={"template": template}, status=ended)
    terminated = {"exitCode": 2, "message": json.dumps(AWAY)}
    statuses = [{"name": "backup", "state": {"terminated": terminated}}]
    pod = "/api/v1/namespaces/shop/pods/p"
    add(server, pod, "Pod", status={"phase": "Failed", "containerStatuses": statuses})
    server.objects[pod]["metadata"]["labels"] = {"batch.kubernetes.io/job-name": FIRST}

    def reconcile() -> Any:
        outcome = run(box, "backup", looked_at)
        assert outcome.code == 0, outcome.read("stdout")
        (found,) = server.of_kind("Backup")
        return found["status"]

    status = reconcile()
    assert (status["phase"], status["failedAttempts"], status["job"]) == ("Pending", 1, FIRST)
    (condition,) = status["conditions"]
    assert condition["reason"] == "WaitingForRetry"
    assert condition["message"].endswith("StoreUnreachable: no answer {{ 6 * 7 }}")
    assert reconcile() == status
    assert f"{JOBS}/{SECOND}" not in server.objects

    status["nextAttemptTime"] = "2026-01-01T00:00:00Z"
    after = reconcile()
    assert (after["phase"], after["failedAttempts"], after["job"]) == ("InProgress", 1, SECOND)
    assert f"{JOBS}/{SECOND}" in server.objects
