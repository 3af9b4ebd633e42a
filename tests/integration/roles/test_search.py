"""The role of a Completed Backup that no other one follows, from the Job to the condition."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from role_runs import SPACE, add_secret, resource, run
from stub_cluster import StubCluster
from warm_box import WarmBox

NAME = "lone-search-12345678"
JOB = f"/apis/batch/v1/namespaces/shop/jobs/{NAME}"
POD = "/api/v1/namespaces/shop/pods/p"
TIMES = {"creationTimestamp": "2026-01-01T00:00:00Z"}
LOCATION = "s3://safe/shop/app/12345678-uid"
DENIED = {"ok": False, "reason": "StoreDenied", "message": "refused: {{ 6 * 7 }}"}


def completed() -> dict[str, Any]:
    """Return a Backup in a bucket, of a Database that is gone."""
    s3 = {"bucket": "safe", "credentialsSecretRef": {"name": "login"}}
    spec = {"databaseRef": {"name": "app"}, "destination": {"s3": s3}, "deletionPolicy": "Retain"}
    ready = {"type": "BackupReady", "status": "True", "reason": "BackupCompleted", "message": "x"}
    found = resource(
        "Backup",
        "lone",
        spec,
        phase="Completed",
        backupLocation=LOCATION,
        # Long enough ago for the first search, and not so long that it has to wait for its turn.
        completionTime=f"{datetime.now(UTC) - timedelta(hours=25):%Y-%m-%dT%H:%M:%SZ}",
        conditions=[{**ready, "lastTransitionTime": "2026-01-01T00:00:00Z"}],
    )
    found["metadata"]["uid"] = "12345678-uid"
    return found


def end(cluster: StubCluster, result: dict[str, Any]) -> None:
    """Let the Job end with a result, as kubelet and Job controller would."""
    failed = {"conditions": [{"type": "Failed", "status": "True"}]}
    cluster.objects[JOB]["status"] = {} if result["ok"] else failed
    ended = {"exitCode": 0 if result["ok"] else 2, "message": json.dumps(result)}
    statuses = [{"name": "search", "state": {"terminated": ended}}]
    labels = {"batch.kubernetes.io/job-name": NAME}
    cluster.objects[POD] = {
        "kind": "Pod",
        "metadata": {"name": "p", **SPACE, "uid": "p", **TIMES, "labels": labels},
        "status": {"containerStatuses": statuses},
    }


def test_files_that_are_gone_are_found_by_a_job(box: WarmBox, server: StubCluster) -> None:
    server.objects.clear()
    add_secret(server, "login")
    looked_at = completed()
    server.add(looked_at)

    def reconcile() -> dict[str, Any]:
        outcome = run(box, "backup", looked_at)
        assert outcome.code == 0, outcome.read("stdout")
        (found,) = server.of_kind("Backup")
        (event, *_) = [*server.of_kind("Event"), {}]
        conditions = {c["type"]: c for c in found["status"]["conditions"]}
        return {"condition": conditions.get("ArtifactMissing"), "event": event.get("reason")}

    def forget() -> None:
        for path in [path for path, found in server.objects.items() if found["kind"] == "Event"]:
            del server.objects[path]

    assert reconcile() == {"condition": None, "event": None}
    (policy,) = server.of_kind("NetworkPolicy")
    assert policy["metadata"]["name"] == server.objects[JOB]["metadata"]["name"] == NAME

    end(server, DENIED)
    found = reconcile()
    assert (found["condition"]["status"], found["condition"]["reason"]) == (
        "Unknown",
        "StoreDenied",
    )
    assert found["event"] == "StoreDenied"
    assert f"Job {NAME}: refused: {{{{ 6 * 7 }}}}; the next" in found["condition"]["message"]
    forget()
    before = server.of_kind("Backup")[0]["status"]
    assert reconcile() == {"condition": found["condition"], "event": None}
    assert server.of_kind("Backup")[0]["status"] is before

    del server.objects[JOB], server.objects[POD]
    reconcile()
    end(server, {"ok": True, "missing": []})
    assert reconcile() == {"condition": None, "event": None}

    end(server, {"ok": True, "missing": ["12345678-uid"]})
    found = reconcile()
    assert (found["condition"]["status"], found["condition"]["reason"]) == ("True", "FilesGone")
    assert f"{LOCATION} are gone: Job {NAME} did not find them" in found["condition"]["message"]
    assert found["event"] == "ArtifactMissing"


def test_a_job_that_is_refused_is_reported_and_not_asked_for_at_once(
    box: WarmBox, server: StubCluster, monkeypatch: Any
) -> None:
    server.objects.clear()
    add_secret(server, "login")
    looked_at = completed()
    server.add(looked_at)
    answer = server.answer

    def refuse(method: str, url: str, content_type: str, body: Any) -> tuple[int, Any]:
        if "/jobs/" in url and method == "PATCH":
            message = "exceeded quota: {{ 6 * 7 }}"
            return 403, {"kind": "Status", "reason": "Forbidden", "message": message}
        return answer(method, url, content_type, body)

    monkeypatch.setattr(server, "answer", refuse)
    outcome = run(box, "backup", looked_at)
    assert outcome.code == 0, outcome.read("stdout")
    (found,) = server.of_kind("Backup")
    (condition,) = [c for c in found["status"]["conditions"] if c["type"] == "ArtifactMissing"]
    assert (condition["status"], condition["reason"]) == ("Unknown", "ReconcileFailed")
    assert "exceeded quota: {{ 6 * 7 }}; it is tried again" in condition["message"]
    assert "requeue_after" not in outcome.read("stdout")
