"""What a Backup does at one look, with an API server of a few lines."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.resources.restore.safety_backup import (
    safety_manifest,
)
from ansible_collections.postgres.operator.plugins.modules import backup_info
from job_variables import variables_of

LIMITS = {
    "max_active": 1,
    "max_active_per_namespace": 1,
    "max_active_per_destination": 1,
    "search_period": "24h",
    "agent_image": "operator:1",
}
DATABASE = {
    "kind": "Database",
    "metadata": {"name": "app", "namespace": "shop", "uid": "db-uid"},
    "spec": {"databaseName": "app", "image": "postgres:17", "storage": {"size": "1Gi"}},
    "status": {
        "phase": "Ready",
        "writable": True,
        "encrypted": True,
        "conditions": [{"type": "Ready", "status": "True", "reason": "Ready"}],
    },
}
TIMES = {"creationTimestamp": "2026-01-01T00:00:00Z"}


class FakeCluster:
    """Backups by name, and a Job whose container is in the state, or no Job."""

    claim: dict[str, Any] | None = None

    def __init__(self, state: str) -> None:
        self.backups: dict[str, dict[str, Any]] = {}
        self.state = state
        self.lists: list[str] = []

    def add(self, manifest: dict[str, Any], phase: str, reason: str) -> None:
        name = manifest["metadata"]["name"]
        condition = {"type": "BackupReady", "reason": reason}
        manifest["kind"] = "Backup"
        manifest["metadata"] |= {"namespace": "shop", "uid": f"{name}-uid-0000", **TIMES}
        self.backups[name] = manifest | {"status": {"phase": phase, "conditions": [condition]}}

    def get(self, _version: str, kind: str, _namespace: str, name: str) -> Any:
        if kind == "Job" and self.state:
            return {
                "metadata": {"name": name, **TIMES},
                "spec": {"template": {"spec": {"containers": [{"name": "b"}]}}},
            }
        others = {"Backup": self.backups.get(name), "PersistentVolumeClaim": self.claim}
        return {"Database": DATABASE, **others}.get(kind)

    def list(self, _version: str, kind: str, *_: Any, **__: Any) -> list[Any]:
        self.lists.append(kind)
        if kind == "Backup":
            return list(self.backups.values())
        state = {self.state: {"exitCode": 0, "message": json.dumps({"ok": True})}}
        return [
            {
                "metadata": {"name": "p", **TIMES, "namespace": "shop"},
                "spec": {"containers": [{"name": "b"}]},
                "status": {"containerStatuses": [{"name": "b", "state": state}]},
            }
        ]

    def read_log(self, *_: Any) -> str:
        return ""


def backup(name: str, **metadata: Any) -> dict[str, Any]:
    return {
        "kind": "Backup",
        "metadata": {"name": name, **metadata},
        "spec": {
            "databaseRef": {"name": "app"},
            "timeout": "2h",
            "parallelism": 2,
            "verify": "checksum",
        },
    }


def look(
    monkeypatch: pytest.MonkeyPatch, manifest: dict[str, Any], state: str
) -> tuple[dict[str, Any], FakeCluster]:
    """Look at a Backup beside which another one waits for its turn."""
    cluster = FakeCluster(state)
    cluster.add(manifest, "InProgress" if state else "Pending", "BackupInProgress")
    cluster.add(backup("zz-queued"), "Pending", "Queued")
    monkeypatch.setattr(backup_info, "connect", lambda: cluster)
    names = {"name": manifest["metadata"]["name"], "namespace": "shop"}
    return backup_info.run({**names, **LIMITS}, False), cluster


QUEUED = {"kind": "Backup", "name": "zz-queued", "namespace": "shop"}


def test_the_end_is_notified_to_what_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    owner = {"kind": "Backup", "name": "nightly", "uid": "1"}
    run = backup("nightly-20260101000000", ownerReferences=[owner])
    restore = {
        "metadata": {"name": "undo", "namespace": "shop", "uid": "12345678-uid"},
        "spec": {"databaseRef": {"name": "app"}},
    }
    safety = safety_manifest(restore, backup("nightly"))
    for manifest, waiting in (
        (backup("alone"), []),
        (run, [{"kind": "Backup", "name": "nightly", "namespace": "shop"}]),
        (safety, [{"kind": "Restore", "name": "undo", "namespace": "shop"}]),
    ):
        found, _ = look(monkeypatch, manifest, "terminated")
        assert found["waiting"] == [*waiting, QUEUED]


def test_nothing_is_notified_or_listed_while_it_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found, cluster = look(monkeypatch, backup("alone"), "running")
    assert (found["waiting"], found["definitions"]) == ([], [])
    assert cluster.lists == ["Pod"]


def test_it_starts_with_what_is_known_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = look(monkeypatch, backup("alone"), "")
    (job,) = found["definitions"]
    assert found["waiting"] == []
    assert found["job_made"] == {"name": job["metadata"]["name"], "after_timeout": False}
    variables = variables_of(job)
    assert variables["unfinished"] == ["alone-uid-0000", "zz-queued-uid-0000"]


class StoppedCluster(FakeCluster):
    """Its first Job was ended at its deadline; the second one is as it is said."""

    second: dict[str, Any] | None = None
    claim: dict[str, Any] | None = {"metadata": {"name": "app-backups", "uid": "c"}}  # noqa: RUF012

    def get(self, version: str, kind: str, namespace: str, name: str) -> Any:
        if kind == "PersistentVolumeClaim":
            return self.claim
        if kind == "Job" and name.endswith("-2"):
            return self.second
        found = super().get(version, kind, namespace, name)
        if kind == "Job":
            ended = {"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}
            found |= {"status": {"conditions": [ended]}}
            found["spec"]["activeDeadlineSeconds"] = 7200
        return found

    def list(self, version: str, kind: str, namespace: str, *names: Any, **rest: Any) -> list[Any]:
        found = super().list(version, kind, namespace, *names, **rest)
        return found if kind == "Backup" or names[0].endswith("-2") else []


def stopped(monkeypatch: pytest.MonkeyPatch, cluster: StoppedCluster) -> dict[str, Any]:
    cluster.add(backup("slow"), "InProgress", "BackupInProgress")
    monkeypatch.setattr(backup_info, "connect", lambda: cluster)
    return backup_info.run({"name": "slow", "namespace": "shop", **LIMITS}, False)


def test_what_a_stopped_backup_left_is_removed_before_it_is_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster = StoppedCluster("running")
    found = stopped(monkeypatch, cluster)
    policy, job = found["definitions"]
    assert {policy["metadata"]["name"], job["metadata"]["name"]} == {"slow-backup-slow-uid-2"}
    assert job["metadata"]["ownerReferences"][0]["name"] == "app-backups"
    assert found["job_made"] == {"name": "slow-backup-slow-uid-2", "after_timeout": True}
    assert found["claim_missing"] is False
    assert (found["observation"]["job"], found["observation"]["blocked"]) == (None, None)

    cluster.second = {
        "metadata": {"name": "slow-backup-slow-uid-2", **TIMES},
        "spec": {"template": {"spec": {"containers": [{"name": "b"}]}}},
    }
    found = stopped(monkeypatch, cluster)
    assert found["definitions"] == []
    assert found["observation"]["job"]["after_timeout"]
    assert found["observation"]["job"]["result"] is None

    cluster.state = "terminated"
    found = stopped(monkeypatch, cluster)
    result = found["observation"]["job"]["result"]
    assert (result["ok"], result["reason"]) == (False, "Timeout")
    assert result["message"].endswith("; what it had written was removed")
    assert "had not ended after 2h0m0s" in result["message"]


def test_a_stopped_backup_whose_files_cannot_be_removed_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster = StoppedCluster("running")
    cluster.claim = None
    found = stopped(monkeypatch, cluster)
    assert found["definitions"] == []
    message = found["observation"]["job"]["result"]["message"]
    assert "may be left (there is no claim app-backups)" in message


def adopting(**artifact: Any) -> dict[str, Any]:
    manifest = backup("lost")
    manifest["spec"] |= {
        "artifact": artifact,
        "destination": {"s3": {"bucket": "b", "credentialsSecretRef": {"name": "login"}}},
    }
    return manifest


def test_a_database_that_waits_for_its_backup_lets_that_adopt_an_artifact(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    restoring = [{"type": "Ready", "status": "False", "reason": "RestoringBackup"}]
    for status, blocked in (
        ({}, "DatabaseNotReady"),
        ({"phase": "Creating", "conditions": restoring}, None),
    ):
        monkeypatch.setitem(DATABASE, "status", status)
        monkeypatch.setattr(backup_info, "find_secret_block", lambda *_: None)
        found, _ = look(monkeypatch, adopting(latest=True), "")
        assert (found["observation"]["blocked"] or [None])[0] == blocked
        assert found["observation"]["adopts"]
        assert len(found["definitions"]) == (0 if blocked else 2)


def test_the_checksum_that_is_known_goes_along(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup_info, "find_secret_block", lambda *_: None)
    found, _ = look(monkeypatch, adopting(uid="0f8fad5b", sha256="ab"), "")
    variables = variables_of(found["definitions"][-1])
    assert (variables["uid"], variables["sha256"]) == ("0f8fad5b", "ab")
    assert "unfinished" not in variables


def test_no_claim_is_made_to_adopt_from(monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = adopting(latest=True)
    del manifest["spec"]["destination"]
    for claim in (None, {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}):
        monkeypatch.setattr(FakeCluster, "claim", claim)
        found, _ = look(monkeypatch, manifest, "")
        assert found["observation"]["blocked"][0] == "BackupLocationMissing"
        assert (found["claim_missing"], found["definitions"]) == (False, [])


def test_what_a_stopped_adoption_read_is_not_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = StoppedCluster("running")
    manifest = backup("slow")
    manifest["spec"]["artifact"] = {"latest": True}
    cluster.add(manifest, "InProgress", "BackupInProgress")
    monkeypatch.setattr(backup_info, "connect", lambda: cluster)
    found = backup_info.run({"name": "slow", "namespace": "shop", **LIMITS}, False)
    assert found["definitions"] == []
    result = found["observation"]["job"]["result"]
    assert (result["reason"], "removed" in result["message"]) == ("Timeout", False)


def test_the_job_looks_for_the_artifacts_beside_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = FakeCluster("")
    s3 = {"destination": {"s3": {"bucket": "b", "credentialsSecretRef": {"name": "login"}}}}
    for name, phase, spec, conditions in (
        ("alone", "Pending", {}, []),
        ("older", "Completed", {}, []),
        ("elsewhere", "Completed", s3, []),
        ("other", "Completed", {"databaseRef": {"name": "other"}}, []),
        ("adopted", "Completed", {"artifact": {"uid": "0f8fad5b"}}, []),
        ("gone", "Completed", {}, [{"type": "ArtifactMissing", "status": "True"}]),
        ("failed", "Failed", {}, []),
    ):
        manifest = backup(name)
        manifest["spec"] |= spec
        cluster.add(manifest, phase, "")
        cluster.backups[name]["status"]["conditions"] += conditions
    monkeypatch.setattr(backup_info, "connect", lambda: cluster)
    found = backup_info.run({"name": "alone", "namespace": "shop", **LIMITS}, False)
    (job,) = found["definitions"]
    assert variables_of(job)["completed"] == ["older-uid-0000"]
    assert "previous" not in variables_of(job)
    assert found["missing"] == {}


GZIP = {"compression": {"method": "gzip"}}
SOME = {"include": {"tables": ["public.song"]}}


@pytest.mark.parametrize(
    ("own", "older", "known"),
    [
        ({}, {}, True),
        (GZIP, GZIP, True),
        (GZIP, {}, False),
        (SOME, SOME, False),
        ({}, SOME, False),
        ({}, {"artifact": {"latest": True}}, False),
    ],
    ids=str,
)
def test_the_job_knows_what_the_last_backup_of_the_same_kind_took(
    monkeypatch: pytest.MonkeyPatch, own: dict[str, Any], older: dict[str, Any], known: bool
) -> None:
    cluster = FakeCluster("")
    for name, phase, spec in (("now", "Pending", own), ("older", "Completed", older)):
        manifest = backup(name)
        manifest["spec"] |= spec
        cluster.add(manifest, phase, "")
    cluster.backups["older"]["status"] |= {"sizeBytes": 1000, "rows": 20}
    monkeypatch.setattr(backup_info, "connect", lambda: cluster)
    (job,) = backup_info.run({"name": "now", "namespace": "shop", **LIMITS}, False)["definitions"]
    expected = {"size_bytes": 1000, "rows": 20} if known else None
    assert variables_of(job).get("previous") == expected


def test_a_deleted_claim_takes_its_backups_along(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = FakeCluster("")
    cluster.add(backup("old"), "Completed", "BackupCompleted")
    status = cluster.backups["old"]["status"]
    monkeypatch.setattr(backup_info, "connect", lambda: cluster)
    names = {"name": "old", "namespace": "shop", **LIMITS}
    for location, uids in (("s3://b/shop/app/u", None), ("pvc://app-backups/u", ["old-uid-0000"])):
        status["backupLocation"] = location
        found = backup_info.run(names, False)
        assert (found["resource"], found["missing"].get("uids")) == ({}, uids)
    status["conditions"] = [{"type": "ArtifactMissing", "status": "True"}]
    assert backup_info.run(names, False)["missing"] == {}
