"""What a Backup does at one look, with an API server of a few lines."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.kubernetes.safety import (
    safety_manifest,
)
from ansible_collections.postgres.operator.plugins.modules import backup_info

LIMITS = {"max_active": 1, "max_active_per_namespace": 1, "max_active_per_destination": 1}
DATABASE = {"spec": {}, "status": {"phase": "Ready", "writable": True, "encrypted": True}}
TIMES = {"creationTimestamp": "2026-01-01T00:00:00Z"}


class FakeCluster:
    """Backups by name, and a Job whose container is in the state, or no Job."""

    def __init__(self, state: str) -> None:
        self.backups: dict[str, dict[str, Any]] = {}
        self.state = state
        self.lists: list[str] = []

    def add(self, manifest: dict[str, Any], phase: str, reason: str) -> None:
        name = manifest["metadata"]["name"]
        condition = {"type": "BackupReady", "reason": reason}
        manifest["metadata"] |= {"namespace": "shop", "uid": f"{name}-uid-0000", **TIMES}
        self.backups[name] = manifest | {"status": {"phase": phase, "conditions": [condition]}}

    def get(self, _version: str, kind: str, _namespace: str, name: str) -> Any:
        if kind == "Job" and self.state:
            return {
                "metadata": {"name": name, **TIMES},
                "spec": {"template": {"spec": {"containers": []}}},
            }
        return {"Database": DATABASE, "Backup": self.backups.get(name)}.get(kind)

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
    return {"metadata": {"name": name, **metadata}, "spec": {"databaseRef": {"name": "app"}}}


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


def test_the_end_is_told_to_whoever_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_nobody_is_told_and_nobody_else_looked_at_while_it_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found, cluster = look(monkeypatch, backup("alone"), "running")
    assert (found["waiting"], found["start"], found["variables"]) == ([], False, {})
    assert cluster.lists == ["Pod"]


def test_it_starts_with_what_is_known_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = look(monkeypatch, backup("alone"), "")
    assert (found["start"], found["waiting"]) == (True, [])
    assert found["variables"]["unfinished"] == ["alone-uid-0000", "zz-queued-uid-0000"]
