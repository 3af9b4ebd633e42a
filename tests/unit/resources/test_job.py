"""A Job's result."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.kube.client import ApiError
from ansible_collections.postgres.operator.plugins.module_utils.kube.objects import job_name
from ansible_collections.postgres.operator.plugins.module_utils.resources.job import (
    job_state,
    read_job,
    read_latest_job,
)

OK = {"ok": True, "location": "a/b/c"}


def job(*conditions: str, containers: tuple[str, ...] = ("backup",)) -> dict[str, Any]:
    return {
        "kind": "Job",
        "metadata": {
            "name": "b-backup-1",
            "namespace": "n",
            "uid": "u",
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {"template": {"spec": {"containers": [{"name": name} for name in containers]}}},
        "status": {
            "conditions": [{"type": c, "status": "True", "message": "gave up"} for c in conditions]
        },
    }


def pod(message: str, created: str = "2026-01-01T00:00:00Z") -> dict[str, Any]:
    return {
        "metadata": {"name": "p", "creationTimestamp": created},
        "spec": {"containers": [{"name": "backup"}]},
        "status": {
            "containerStatuses": [
                {"name": "backup", "image": "i", "state": {"terminated": {"message": message}}}
            ]
        },
    }


def test_a_job_that_runs_has_no_result_even_if_a_pod_ended() -> None:
    assert job_state(job(), [pod(json.dumps(OK))], "BackupFailed").result is None


def test_a_pod_that_has_succeeded_is_believed_before_its_job_is() -> None:
    succeeded = pod(json.dumps(OK))
    succeeded["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] = 0
    assert job_state(job(), [pod(""), succeeded], "BackupFailed").result == OK
    failed = job_state(job("Failed"), [succeeded], "BackupFailed").result
    assert failed is not None
    assert failed["ok"] is False
    # Another container of the Job is still to come, or running.
    two = job(containers=("backup", "agent"))
    assert job_state(two, [succeeded], "BackupFailed").result is None
    succeeded["status"]["containerStatuses"].append({"name": "agent", "state": {"running": {}}})
    assert job_state(two, [succeeded], "BackupFailed").result is None


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


def test_a_pod_that_cannot_start_is_reported() -> None:
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


VERIFIED = {"ok": True, "sha256": "ab"}
UNVERIFIED = {"ok": False, "reason": "VerificationFailed", "message": "table t is missing"}


def verifying_job(*conditions: str) -> dict[str, Any]:
    made = job(*conditions, containers=("verify",))
    first = [{"name": name} for name in ("agent", "backup", "copy")]
    made["spec"]["template"]["spec"]["initContainers"] = first
    return made


def verifying_pod(
    backup: dict[str, Any],
    verification: dict[str, Any] | None,
    created: str = "2026-01-01T00:00:00Z",
) -> dict[str, Any]:
    """A pod that backs up first; without a verification its second container was killed."""
    terminated: dict[str, Any] = {"exitCode": 137, "reason": "OOMKilled"}
    if verification:
        terminated = {
            "exitCode": 0 if verification["ok"] else 2,
            "message": json.dumps(verification),
        }
    return {
        "metadata": {"name": "p", "creationTimestamp": created},
        "spec": {"containers": [{"name": "verify"}]},
        "status": {
            "initContainerStatuses": [
                {"name": "agent", "state": {"terminated": {"exitCode": 0}}},
                {"name": "backup", "state": {"terminated": {"message": json.dumps(backup)}}},
            ],
            "containerStatuses": [{"name": "verify", "state": {"terminated": terminated}}],
        },
    }


def test_a_verified_backup_has_both_results() -> None:
    state = job_state(verifying_job("Complete"), [verifying_pod(OK, VERIFIED)], "BackupFailed")
    assert (state.result, state.verification) == (OK, VERIFIED)


def test_a_pod_that_has_succeeded_has_verified() -> None:
    state = job_state(verifying_job(), [verifying_pod(OK, VERIFIED)], "BackupFailed")
    assert (state.result, state.verification) == (OK, VERIFIED)


def test_a_backup_counts_when_its_verification_fails() -> None:
    state = job_state(verifying_job("Failed"), [verifying_pod(OK, UNVERIFIED)], "BackupFailed")
    assert (state.result, state.verification) == (OK, UNVERIFIED)


def test_a_failed_job_never_verifies() -> None:
    state = job_state(verifying_job("Failed"), [verifying_pod(OK, VERIFIED)], "BackupFailed")
    assert state.result == OK
    assert state.verification is not None
    assert state.verification["ok"] is False


def test_a_backup_that_failed_has_no_verification() -> None:
    failure = {"ok": False, "reason": "NoSpace", "message": "full"}
    newest = verifying_pod(failure, None, "2026-01-01T00:00:01Z")
    pods = [verifying_pod(OK, VERIFIED), newest]
    state = job_state(verifying_job("Failed"), pods, "BackupFailed")
    assert (state.result, state.verification) == (failure, None)


def test_a_backup_that_could_not_be_fetched_is_not_verified() -> None:
    pod = verifying_pod(OK, None)
    unfetched = {"ok": False, "reason": "StoreUnreachable", "message": "no answer"}
    terminated = {"message": json.dumps(unfetched)}
    pod["status"]["initContainerStatuses"].append(
        {"name": "copy", "state": {"terminated": terminated}}
    )
    state = job_state(verifying_job("Failed"), [pod], "BackupFailed")
    assert (state.result, state.verification) == (OK, unfetched)


def test_a_verification_that_was_killed_is_reported_and_leaves_the_backup() -> None:
    state = job_state(verifying_job("Failed"), [verifying_pod(OK, None)], "BackupFailed")
    assert state.result == OK
    assert state.verification is not None
    assert state.verification["reason"] == "OutOfMemory"
    assert "container verify of pod p was killed" in state.verification["message"]
    ended = verifying_pod(OK, None)
    ended["status"]["containerStatuses"][0]["state"]["terminated"]["reason"] = "Error"
    state = job_state(verifying_job("Failed"), [ended], "BackupFailed")
    assert state.verification is not None
    assert state.verification["reason"] == "VerificationFailed"
    assert "Error, exit code 137" in state.verification["message"]


@pytest.mark.parametrize("place", ["containers", "initContainers"])
def test_a_container_that_outgrew_its_memory_is_reported_with_its_limit(place: str) -> None:
    failed = job("Failed")
    spec = failed["spec"]["template"]["spec"]
    spec.setdefault(place, []).append(
        {"name": "worker", "resources": {"limits": {"memory": "256Mi"}}}
    )
    killed = pod("")
    statuses = "containerStatuses" if place == "containers" else "initContainerStatuses"
    ended = {"reason": "OOMKilled", "exitCode": 137}
    killed["status"].setdefault(statuses, []).append(
        {"name": "worker", "state": {"terminated": ended}}
    )
    result = job_state(failed, [killed], "BackupFailed").result
    assert result is not None
    assert (result["ok"], result["reason"]) == (False, "OutOfMemory")
    assert "its limit of 256Mi; raise jobs.resources.limits.memory" in result["message"]


def test_a_verification_that_outgrows_its_volume_is_reported() -> None:
    evicted = verifying_pod(OK, None)
    limit = 'Usage of EmptyDir volume "scratch" exceeds the limit "64Mi". '
    evicted["status"] |= {"reason": "Evicted", "message": limit}
    state = job_state(verifying_job("Failed"), [evicted], "BackupFailed")
    assert state.result == OK
    assert state.verification is not None
    assert state.verification["reason"] == "NoSpace"
    assert 'exceeds the limit "64Mi"; verifying' in state.verification["message"]


@pytest.mark.parametrize(
    "words",
    [
        "Pod ephemeral local storage usage exceeds the total limit of containers 1Gi. ",
        'Container verify exceeded its local ephemeral storage limit "1Gi". ',
        "The node was low on resource: ephemeral-storage. ",
    ],
)
def test_a_pod_that_outgrows_its_ephemeral_storage_is_reported(words: str) -> None:
    evicted = verifying_pod(OK, None)
    evicted["status"] |= {"reason": "Evicted", "message": words}
    state = job_state(verifying_job("Failed"), [evicted], "BackupFailed")
    assert state.verification is not None
    assert state.verification["reason"] == "NoSpace"
    assert "jobs.resources.limits.ephemeral-storage" in state.verification["message"]


def test_a_backup_that_outgrows_the_spool_is_reported() -> None:
    evicted = verifying_pod(OK, None)
    limit = 'Usage of EmptyDir volume "spool" exceeds the limit "64Mi". '
    evicted["status"] = {"reason": "Evicted", "message": limit}
    for failed in (verifying_job("Failed"), job("Failed")):
        state = job_state(failed, [evicted], "BackupFailed")
        assert state.result is not None
        assert state.result["reason"] == "NoSpace"
        assert 'volume "spool" exceeds the limit "64Mi"; the files' in state.result["message"]


def test_a_verifying_job_whose_pods_are_gone_is_a_failure() -> None:
    for condition in ("Complete", "Failed"):
        state = job_state(verifying_job(condition), [], "BackupFailed")
        assert state.result is not None
        assert (state.result["ok"], state.verification) == (False, None)


class LoggingCluster:
    """A cluster with one Job, its pod and that one's log."""

    def __init__(self, state: str, log: str) -> None:
        self.log = log
        statuses = [{"name": "backup", "state": {state: {}}}]
        metadata = {"name": "p", "namespace": "n", "creationTimestamp": "2026-01-01T00:00:00Z"}
        self.pod = {
            "metadata": metadata,
            "spec": {"containers": [{"name": "backup"}]},
            "status": {"containerStatuses": statuses},
        }

    def get(self, *_: str) -> dict[str, Any]:
        return job()

    def list(self, *_: str) -> list[dict[str, Any]]:
        return [self.pod]

    def read_log(self, namespace: str, pod: str, container: str, lines: int) -> str:
        assert (namespace, pod, container) == ("n", "p", "backup")
        if not self.log:
            raise ApiError("container is waiting", 400)
        return self.log


LOG = """PLAY [Back up a database]
2026-01-01T00:00:01Z Dumping and fingerprinting 2 tables ...
2026-01-01T00:00:09Z Dumping and fingerprinting 2 tables: done in 8.0 s
2026-01-01T00:00:09Z Computing checksums ...
"""


@pytest.mark.parametrize(
    ("state", "log", "progress"),
    [
        ("running", LOG, "Computing checksums"),
        ("running", "PLAY [Back up a database]\n", ""),
        ("running", "", ""),
        ("waiting", LOG, ""),
    ],
)
def test_a_job_that_runs_reports_its_step(state: str, log: str, progress: str) -> None:
    cluster: Any = LoggingCluster(state, log)
    found = read_job(cluster, "n", "j", "BackupFailed")
    assert found is not None
    assert found.progress == progress
    assert found.age > 0


def test_a_pod_of_a_lost_node_is_reported_and_not_asked_for_its_log() -> None:
    cluster: Any = LoggingCluster("running", LOG)
    cluster.pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    cluster.pod["spec"]["nodeName"] = "node-2"
    found = read_job(cluster, "n", "j", "BackupFailed")
    assert found is not None
    assert found.problem is not None
    assert found.problem[0] == "PodNotTerminated"
    assert found.progress == ""


def test_a_job_without_a_pod_is_reported() -> None:
    cluster: Any = LoggingCluster("waiting", "")
    cluster.list = lambda *_: []
    found = read_job(cluster, "n", "j", "BackupFailed")
    assert found is not None
    assert found.problem is not None
    assert found.problem[0] == "PodNotCreated"
    assert "kubectl describe job b-backup-1 --namespace=n" in found.problem[1]


QUOTA = 'Error creating: pods "b-" is forbidden: exceeded quota: small'


class RefusingCluster(LoggingCluster):
    """A cluster with a young Job, whose pods are these, and its Events."""

    def __init__(self, pods: list[dict[str, Any]], *reasons: str) -> None:
        super().__init__("running", "")
        self.pods, self.reasons = pods, reasons

    def get(self, *_: str) -> dict[str, Any]:
        made = job()
        made["metadata"]["creationTimestamp"] = datetime.now(UTC).isoformat()
        return made

    def list(self, _version: str, kind: str, *_: str) -> list[dict[str, Any]]:
        if kind == "Pod":
            return self.pods
        return [
            {
                "metadata": {"creationTimestamp": f"2026-01-01T00:00:0{second}Z"},
                "reason": reason,
                "note": QUOTA,
            }
            for second, reason in enumerate(self.reasons)
        ]


def test_a_job_whose_pod_is_refused_says_at_once_what_the_api_server_said() -> None:
    ended = pod("")
    ended["status"]["phase"] = "Failed"
    # Before its first pod, and before the one that replaces one that was killed.
    for pods in ([], [ended]):
        cluster: Any = RefusingCluster(pods, "SuccessfulCreate", "FailedCreate")
        found = read_job(cluster, "n", "j", "BackupFailed")
        assert found is not None and found.problem is not None
        assert found.problem[0] == "PodNotCreated"
        assert QUOTA in found.problem[1]
        assert not found.needs_user


def test_a_job_whose_pod_was_created_after_all_has_no_problem() -> None:
    cluster: Any = RefusingCluster([], "FailedCreate", "SuccessfulCreate")
    found = read_job(cluster, "n", "j", "BackupFailed")
    assert found is not None and found.problem is None
    # The pod is there: nothing is asked about Events.
    cluster = RefusingCluster([pod("") | {"status": {"phase": "Pending"}}], "FailedCreate")
    found = read_job(cluster, "n", "j", "BackupFailed")
    assert found is not None and found.problem is None


class JobsByName:
    """Jobs and their pods by the Job's name."""

    def __init__(self, **jobs: tuple[dict[str, Any], list[dict[str, Any]]]) -> None:
        self.jobs = jobs

    def get(self, _version: str, _kind: str, _namespace: str, name: str) -> Any:
        return self.jobs.get(name, (None,))[0]

    def list(self, _version: str, _kind: str, _namespace: str, selector: str) -> Any:
        return self.jobs[selector.partition("=")[2]][1]


RESOURCE = {"metadata": {"name": "b", "namespace": "shop", "uid": "12345678-uid"}}
FIRST, SECOND = "b-backup-12345678", "b-backup-12345678-2"


def latest(**jobs: tuple[dict[str, Any], list[dict[str, Any]]]) -> tuple[str, Any]:
    cluster: Any = JobsByName(**jobs)
    name, state, timed_out = read_latest_job(cluster, "backup", RESOURCE, "BackupFailed")
    assert timed_out is None
    return name, state


def stopped_job() -> dict[str, Any]:
    made = job("Failed")
    made["metadata"]["annotations"] = {"a": "1"}
    made["spec"]["activeDeadlineSeconds"] = 5400
    made["status"]["conditions"][0]["reason"] = "DeadlineExceeded"
    return made


def test_a_job_that_was_ended_at_its_deadline_is_followed_by_another() -> None:
    cluster: Any = JobsByName(**{FIRST: (stopped_job(), [])})
    name, state, timed_out = read_latest_job(cluster, "backup", RESOURCE, "BackupFailed")
    assert (name, state) == (SECOND, None)
    assert timed_out is not None and timed_out.result is not None
    assert timed_out.result["reason"] == "Timeout"
    assert "had not ended after 1h30m0s and was stopped" in timed_out.result["message"]
    cluster.jobs[SECOND] = (job("Complete"), [pod(json.dumps(OK))])
    name, state, timed_out = read_latest_job(cluster, "backup", RESOURCE, "BackupFailed")
    assert state is not None
    assert (name, state.result, state.after_timeout) == (SECOND, OK, True)
    assert state.annotations == {"a": "1"}, "what the first one was made with is not lost"


def test_the_removal_of_files_is_followed_by_nothing() -> None:
    removal = "b-remove-12345678"
    cluster: Any = JobsByName(**{removal: (stopped_job(), [])})
    name, state, timed_out = read_latest_job(cluster, "remove", RESOURCE, "RemovalFailed")
    assert state is not None and state.result is not None
    assert (name, state.result["reason"], timed_out) == (removal, "Timeout", None)


def test_a_job_at_its_deadline_has_not_ended_before_its_pods_have() -> None:
    ending = pod("") | {"status": {"phase": "Running"}}
    assert job_state(stopped_job(), [ending], "BackupFailed").result is None
    ending["status"]["phase"] = "Failed"
    assert job_state(stopped_job(), [ending], "BackupFailed").timed_out


def test_work_whose_result_is_lost_is_checked_by_a_second_job() -> None:
    assert latest() == (FIRST, None)
    done = (job("Complete"), [])
    assert latest(**{FIRST: done}) == (SECOND, None)
    name, state = latest(**{FIRST: done, SECOND: (job("Complete"), [pod(json.dumps(OK))])})
    assert (name, state.result) == (SECOND, OK)
    # The attempt before the one that is gone had failed.
    failed_before = pod(json.dumps({"ok": False, "reason": "NoSpace", "message": "full"}))
    assert latest(**{FIRST: (job("Complete"), [failed_before])}) == (SECOND, None)
    name, state = latest(**{FIRST: done, SECOND: done})
    assert (name, state.result["ok"]) == (SECOND, False)


def test_a_verification_that_was_done_and_whose_result_is_gone_is_made_again() -> None:
    killed = verifying_pod(VERIFIED, None)
    assert latest(**{FIRST: (verifying_job("Complete"), [killed])}) == (SECOND, None)
    name, state = latest(**{FIRST: (verifying_job("Failed"), [killed])})
    assert (name, state.verification["ok"]) == (FIRST, False)


def test_work_that_has_failed_is_not_repeated() -> None:
    for pods in ([], [pod(json.dumps(UNVERIFIED))]):
        name, state = latest(**{FIRST: (job("Failed"), pods)})
        assert (name, state.result["ok"]) == (FIRST, False)


def test_what_another_programs_container_says_is_no_result() -> None:
    lying = pod(json.dumps({"ok": False, "reason": "NoSpace", "message": "full"}))
    lying["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] = 2
    forged = {"exitCode": 0, "message": json.dumps(OK)}
    lying["status"]["containerStatuses"].insert(
        0, {"name": "proxy", "state": {"terminated": forged}}
    )
    for conditions in (("Complete",), ("Failed",)):
        result = job_state(job(*conditions), [lying], "BackupFailed").result
        assert result is not None
        assert result["ok"] is False


def test_a_restore_of_a_moment_has_its_own_result_and_the_moment() -> None:
    """The containers before it leave results of their own, which are no result of the Restore."""
    documents = {
        "recover": {
            "ok": True,
            "startTime": "begun",
            "recoveredTime": "t",
            "recoveredLSN": "0/1",
            "timeline": 2,
        },
        "extract": {"ok": True, "rows": 7},
        "restore": {"ok": True, "startTime": "later", "rows": 9},
    }
    made = job("Complete", containers=("restore",))
    made["spec"]["template"]["spec"]["initContainers"] = [{"name": "recover"}, {"name": "extract"}]
    ended = pod("")
    statuses = [
        {"name": name, "state": {"terminated": {"exitCode": 0, "message": json.dumps(document)}}}
        for name, document in documents.items()
    ]
    ended["status"]["initContainerStatuses"] = statuses[:2]
    ended["status"]["containerStatuses"] = statuses[2:]
    result = job_state(made, [ended], "RestoreFailed").result
    assert result == {
        "ok": True,
        "rows": 9,
        "startTime": "begun",
        "recoveredTime": "t",
        "recoveredLSN": "0/1",
        "timeline": 2,
    }


def test_a_recovery_that_fails_is_the_result() -> None:
    failure = {"ok": False, "reason": "WalMissing", "message": "segment 5 is missing"}
    made = job("Failed", containers=("restore",))
    made["spec"]["template"]["spec"]["initContainers"] = [{"name": "recover"}]
    ended = pod("")
    ended["status"]["initContainerStatuses"] = [
        {
            "name": "recover",
            "state": {"terminated": {"exitCode": 2, "message": json.dumps(failure)}},
        }
    ]
    ended["status"]["containerStatuses"] = [{"name": "restore", "state": {"waiting": {}}}]
    assert job_state(made, [ended], "RestoreFailed").result == failure
