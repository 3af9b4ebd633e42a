"""A Job's result."""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.postgres.operator.plugins.module_utils.kubernetes.jobs import job_state
from ansible_collections.postgres.operator.plugins.module_utils.kubernetes.objects import job_name

OK = {"ok": True, "location": "a/b/c"}


def job(*conditions: str) -> dict[str, Any]:
    return {
        "metadata": {"name": "b-backup-1"},
        "status": {
            "conditions": [{"type": c, "status": "True", "message": "gave up"} for c in conditions]
        },
    }


def pod(message: str, created: str = "2026-01-01T00:00:00Z") -> dict[str, Any]:
    return {
        "metadata": {"name": "p", "creationTimestamp": created},
        "status": {
            "containerStatuses": [
                {"name": "backup", "image": "i", "state": {"terminated": {"message": message}}}
            ]
        },
    }


def test_a_job_that_runs_has_no_result_even_if_a_pod_ended() -> None:
    assert job_state(job(), [pod(json.dumps(OK))], "BackupFailed").result is None


def test_a_complete_job_has_the_result_of_the_pod_that_succeeded() -> None:
    pods = [pod('{"ok": false}', "2026-01-01T00:00:01Z"), pod(json.dumps(OK))]
    assert job_state(job("Complete"), pods, "BackupFailed").result == OK


def test_a_complete_job_without_a_result_is_a_failure() -> None:
    for message in ("", "done!", "[]", '{"ok": "yes"}', '{"ok": false}'):
        result = job_state(job("Complete"), [pod(message)], "BackupFailed").result
        assert result is not None
        assert result["ok"] is False


def test_a_failed_job_is_never_a_success_whatever_its_pods_say() -> None:
    result = job_state(job("Failed"), [pod(json.dumps(OK))], "BackupFailed").result
    assert result is not None
    assert (result["ok"], result["reason"]) == (False, "BackupFailed")
    assert "kubectl logs job/b-backup-1" in result["message"]


def test_a_pod_that_cannot_start_is_told() -> None:
    waiting = pod("")
    waiting["status"]["containerStatuses"][0]["state"] = {
        "waiting": {"reason": "ImagePullBackOff", "message": "not found"}
    }
    state = job_state(job(), [waiting], "BackupFailed")
    assert state.problem is not None
    assert state.problem[0] == "ImagePullFailed"


def test_job_names_are_short_and_differ_by_uid() -> None:
    def resource(uid: str) -> dict[str, Any]:
        return {"metadata": {"name": "n" * 200, "uid": uid}}

    first, second = (job_name("backup", resource(u * 8)) for u in "ab")
    assert first != second
    assert len(first) <= 50
