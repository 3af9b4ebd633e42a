"""A deletion is held up by nothing, a namespace that is going least of all, but is always tried."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.kube.client import ApiError
from ansible_collections.postgres.operator.plugins.module_utils.kube.objects import job_name
from ansible_collections.postgres.operator.plugins.module_utils.units import format_time
from ansible_collections.postgres.operator.plugins.modules import backup_removal

NAMES = {"name": "nightly", "namespace": "shop"}
# Long ago by the tests' clock: no operator has looked since.
GOING = {"deletionTimestamp": "2026-01-01T00:00:00Z"}


class FakeCluster:
    """A Backup in S3 that is being deleted; its Secret, and the Jobs that there are."""

    def __init__(self, terminating: bool = False, secret: bool = True) -> None:
        self.terminating = terminating
        self.secret = secret
        self.events: list[str] = []
        self.annotations: dict[str, str] = {}
        self.jobs: dict[str, Any] = {}
        self.deleted: list[str] = []
        self.spec: dict[str, Any] = {}
        self.location = ""
        self.pods: list[Any] = []

    def get(self, _version: str, kind: str, _namespace: str, name: str) -> Any:
        if kind == "Backup":
            return self.backup()
        if kind == "Secret" and self.secret:
            return {"data": {"accessKeyId": "aQ==", "secretAccessKey": "aQ=="}}
        return self.jobs.get(name) if kind == "Job" else None

    def apply(self, manifest: Any, dry_run: bool) -> None:
        assert dry_run and manifest["metadata"]["namespace"] == NAMES["namespace"]
        if self.terminating:
            raise ApiError("forbidden", 403, frozenset({"NamespaceTerminating"}))

    def backup(self) -> dict[str, Any]:
        s3 = {"bucket": "safe", "credentialsSecretRef": {"name": "login"}}
        identity = {**NAMES, "uid": "0000-uid"}
        return {
            "kind": "Backup",
            "metadata": {**identity, **GOING, "annotations": self.annotations},
            "spec": {
                "databaseRef": {"name": "app"},
                "deletionPolicy": "Delete",
                "destination": {"s3": s3},
                **self.spec,
            },
            "status": {
                "phase": "Completed",
                "job": "nightly-backup-0000-uid",
                "backupLocation": self.location,
            },
        }

    def add_job(self, kind: str, age: timedelta, cancelled: timedelta | None = None) -> None:
        """Add a Job that runs, made and perhaps asked to end so long ago."""
        name, now = job_name(kind, self.backup()), datetime.now(UTC)
        metadata = {"name": name, "namespace": "shop", "uid": "0001-uid"}
        metadata["creationTimestamp"] = format_time(now - age)
        if cancelled is not None:
            metadata["deletionTimestamp"] = format_time(now - cancelled)
        self.jobs[name] = {"kind": "Job", "metadata": metadata, "spec": {}, "status": {}}

    def list(self, _version: str, kind: str, _space: str, selector: str, *_: str) -> list[Any]:
        name = selector.partition("=")[2]
        return [pod for pod in self.pods if kind == "Pod" and pod["metadata"]["job"] == name]

    def merge(self, _version: str, kind: str, _namespace: str, name: str, patch: Any) -> None:
        if kind == "Job":
            self.jobs[name]["spec"] |= patch["spec"]
            return
        self.annotations.update(patch["metadata"]["annotations"])

    def delete(self, _version: str, _kind: str, _namespace: str, name: str, **_: str) -> None:
        self.deleted.append(name)

    def create(self, manifest: dict[str, Any]) -> None:
        assert manifest["kind"] == "Event"
        if self.terminating:
            raise ApiError("forbidden because it is being terminated", 403)
        self.events.append(manifest["message"])


def remove(
    monkeypatch: pytest.MonkeyPatch, cluster: FakeCluster, check_mode: bool = False
) -> dict[str, Any]:
    monkeypatch.setattr(backup_removal, "connect", lambda: cluster)
    return backup_removal.run(NAMES, check_mode)


def test_a_namespace_that_is_going_takes_the_backup_along(monkeypatch) -> None:
    found = remove(monkeypatch, FakeCluster(terminating=True))
    assert found["action"] == "done"
    assert "s3://safe/shop/app/0000-uid may still exist" in found["unreported"]
    assert "namespace that is being deleted" in found["unreported"]


def test_a_secret_that_is_gone_is_reported(monkeypatch) -> None:
    cluster = FakeCluster(secret=False)
    found = remove(monkeypatch, cluster)
    assert (found["action"], found["unreported"]) == ("done", "")
    assert "SecretMissing" in cluster.events[0]


def test_a_deletion_that_no_operator_saw_for_long_is_tried_for_as_long_as_any(monkeypatch) -> None:
    cluster = FakeCluster()
    assert remove(monkeypatch, cluster, check_mode=True)["action"] == "start"
    assert cluster.annotations == {}
    assert remove(monkeypatch, cluster)["action"] == "start"
    first = dict(cluster.annotations)
    # The Job was refused: what was written down stays, until it is given up.
    assert remove(monkeypatch, cluster)["action"] == "start"
    assert cluster.annotations == first
    (key,) = first
    cluster.annotations[key] = f"0000-uid {format_time(datetime.now(UTC) - timedelta(minutes=6))}"
    assert remove(monkeypatch, cluster)["action"] == "done"
    assert "could not be made" in cluster.events[0]


def test_a_copy_of_a_backup_is_tried_anew(monkeypatch) -> None:
    cluster = FakeCluster()
    remove(monkeypatch, cluster)
    (key,) = cluster.annotations
    cluster.annotations[key] = "0001-uid 2026-01-01T00:00:00Z"
    assert remove(monkeypatch, cluster)["action"] == "start"
    assert cluster.annotations[key].startswith("0000-uid ")


@pytest.mark.parametrize(("minutes", "action"), [(4, "wait"), (6, "done")])
def test_a_job_has_its_own_five_minutes(monkeypatch, minutes: int, action: str) -> None:
    cluster = FakeCluster()
    cluster.add_job("remove", timedelta(minutes=minutes))
    assert remove(monkeypatch, cluster)["action"] == action
    assert len(cluster.events) == (action == "done")


def test_a_job_that_makes_the_backup_is_asked_to_end_and_has_time_for_it(monkeypatch) -> None:
    cluster = FakeCluster()
    cluster.add_job("backup", age=timedelta(days=1))
    assert remove(monkeypatch, cluster)["action"] == "wait"
    assert cluster.deleted == list(cluster.jobs)
    cluster.add_job("backup", age=timedelta(days=1), cancelled=timedelta(minutes=6))
    assert remove(monkeypatch, cluster)["action"] == "done"
    assert "does not end" in cluster.events[0]


def test_what_was_not_adopted_is_left_alone(monkeypatch) -> None:
    cluster = FakeCluster()
    cluster.spec = {"artifact": {"namespace": "old", "uid": "0f8fad5b"}}
    found = remove(monkeypatch, cluster)
    assert (found["action"], found["definitions"], cluster.events) == ("done", [], [])
    cluster.location = "s3://safe/old/app/0f8fad5b"
    found = remove(monkeypatch, cluster)
    assert found["action"] == "start"
    cluster = FakeCluster(secret=False)
    cluster.spec, cluster.location = {"artifact": {}}, "s3://safe/old/app/0f8fad5b"
    remove(monkeypatch, cluster)
    assert "s3://safe/old/app/0f8fad5b may still exist" in cluster.events[0]


def test_the_pod_of_a_removal_does_not_outlive_it(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = FakeCluster()
    cluster.add_job("remove", timedelta(seconds=5))
    ((name, job),) = cluster.jobs.items()
    job["spec"] = {"template": {"spec": {"containers": [{"name": "remove"}]}}}
    ended = {"exitCode": 0, "message": json.dumps({"ok": True, "location": "a"})}
    statuses = [
        {"name": "remove", "state": {"terminated": ended}},
        {"name": "proxy", "state": {"running": {}}},
    ]
    times = {"creationTimestamp": "2026-01-01T00:00:00Z"}
    metadata = {"name": "p", "uid": "p-uid", "job": name, **times}
    cluster.pods = [{"metadata": metadata, "status": {"containerStatuses": statuses}}]
    assert remove(monkeypatch, cluster)["action"] == "done"
    assert job["spec"]["suspend"] is True
