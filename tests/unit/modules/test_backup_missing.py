"""What is said of Backups whose files are gone."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.modules import backup_missing

DONE = {"type": "BackupReady", "status": "True", "reason": "BackupCompleted", "message": "done"}
VERIFIED = {
    "type": "Verified",
    "status": "True",
    "reason": "RestoreCompared",
    "message": "x",
    "lastTransitionTime": "2026-01-01T00:00:00Z",
}


class FakeCluster:
    """Backups of one namespace, without their kind, as they are in a list."""

    def __init__(self) -> None:
        self.written: dict[str, dict[str, Any]] = {}
        self.events: list[dict[str, Any]] = []
        self.backups = [
            {
                "metadata": {"name": name, "namespace": "shop", "uid": name, "generation": 1},
                "spec": {},
                "status": {"phase": phase, "verified": True, "conditions": [DONE, VERIFIED]},
            }
            for name, phase in (("a", "Completed"), ("b", "Completed"), ("c", "Failed"))
        ]

    def list(self, *_: str) -> list[dict[str, Any]]:
        return self.backups

    def replace_status(self, *address: Any) -> None:
        *_, uid, new = address
        self.written[uid] = new

    def create(self, manifest: dict[str, Any]) -> None:
        self.events.append(manifest)


def test_what_is_gone_is_not_verified_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = FakeCluster()
    monkeypatch.setattr(backup_missing, "connect", lambda: cluster)
    wanted = {"namespace": "shop", "uids": ["a", "c"], "why": "nothing was found"}
    assert backup_missing.run(wanted, True) == {"changed": True, "names": ["a"]}
    assert cluster.written == {}
    assert backup_missing.run(wanted, False)["names"] == ["a"]
    status = cluster.written["a"]
    assert (status["phase"], status["verified"]) == ("Completed", False)
    conditions = {c["type"]: (c["status"], c["reason"]) for c in status["conditions"]}
    assert conditions == {
        "BackupReady": ("True", "BackupCompleted"),
        "Verified": ("False", "ArtifactMissing"),
        "ArtifactMissing": ("True", "FilesGone"),
    }
    (event,) = cluster.events
    assert (event["type"], event["reason"]) == ("Warning", "ArtifactMissing")
    assert "are gone: nothing was found" in event["message"]
    cluster.backups[0]["status"] = status
    assert not backup_missing.run(wanted, False)["changed"]
