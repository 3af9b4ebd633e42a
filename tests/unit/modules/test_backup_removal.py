"""A deletion is held up by nothing, a namespace that is going least of all."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.kubernetes.client import ApiError
from ansible_collections.postgres.operator.plugins.modules import backup_removal

NAMES = {"name": "nightly", "namespace": "shop"}


class FakeCluster:
    """A Backup in S3 that is being deleted, and its Secret."""

    def __init__(self, terminating: bool) -> None:
        self.terminating = terminating
        self.events: list[str] = []

    def get(self, _version: str, kind: str, _namespace: str, name: str) -> Any:
        going = {"deletionTimestamp": "2026-01-01T00:00:00Z"}
        if kind == "Backup":
            s3 = {"bucket": "safe", "credentialsSecretRef": {"name": "login"}}
            return {
                "kind": "Backup",
                "metadata": {"name": name, "namespace": "shop", "uid": "0000-uid", **going},
                "spec": {
                    "databaseRef": {"name": "app"},
                    "deletionPolicy": "Delete",
                    "destination": {"s3": s3},
                },
                "status": {"phase": "Completed", "job": "nightly-backup-0000-uid"},
            }
        if kind == "Namespace":
            return {"metadata": going if self.terminating else {}}
        return None

    def create(self, manifest: dict[str, Any]) -> None:
        assert manifest["kind"] == "Event"
        if self.terminating:
            raise ApiError("forbidden because it is being terminated", 403)
        self.events.append(manifest["note"])


def remove(monkeypatch: pytest.MonkeyPatch, cluster: FakeCluster) -> dict[str, Any]:
    monkeypatch.setattr(backup_removal, "connect", lambda: cluster)
    return backup_removal.run(NAMES, False)


def test_a_namespace_that_is_going_takes_the_backup_along(monkeypatch) -> None:
    found = remove(monkeypatch, FakeCluster(terminating=True))
    assert found["action"] == "done"
    assert "s3://safe/shop/app/0000-uid may not be" in found["untold"]
    assert "namespace that is being deleted" in found["untold"]


def test_a_secret_that_is_gone_is_told(monkeypatch) -> None:
    cluster = FakeCluster(terminating=False)
    found = remove(monkeypatch, cluster)
    assert (found["action"], found["untold"]) == ("done", "")
    assert "SecretMissing" in cluster.events[0]
