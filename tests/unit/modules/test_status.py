"""Whose status is written, with an API server of a few lines."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.kube.client import ApiError
from ansible_collections.postgres.operator.plugins.modules import status, status_failure

LOOKED_AT = {"name": "undo", "namespace": "shop", "uid": "u1", "generation": 1}
RESTORE = {"kind": "Restore", "metadata": LOOKED_AT, "spec": {}}
DONE = {"job": {"name": "j", "result": {"ok": True, "completionTime": "2026-01-01T00:00:00Z"}}}


class FakeCluster:
    """One Restore with a UID, or none; `invalid` is whether the CRD refuses what is written."""

    def __init__(self, uid: str, invalid: bool = False) -> None:
        self.uid = uid
        self.invalid = invalid
        self.refusal = ""
        self.status: dict[str, Any] = {}
        self.events = 0

    def get(self, *_: str) -> dict[str, Any] | None:
        return {"metadata": {**LOOKED_AT, "uid": self.uid}} if self.uid else None

    def replace_status(self, *address: Any) -> None:
        *_, uid, new = address
        if not self.uid:
            raise ApiError("not found", 404)
        if self.invalid or uid != self.uid:
            raise ApiError("the server rejected our request", 422)
        self.status = new

    def create(self, manifest: dict[str, Any]) -> None:
        assert manifest["kind"] == "Event"
        if self.refusal:
            raise ApiError(f"cannot create Event: {self.refusal}", 403)
        self.events += 1


def write(monkeypatch: pytest.MonkeyPatch, cluster: FakeCluster) -> None:
    monkeypatch.setattr(status, "connect", lambda: cluster)
    status.run({"resource": RESTORE, "observation": DONE}, False)


def test_the_status_is_written_and_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = FakeCluster("u1")
    write(monkeypatch, cluster)
    assert (cluster.status["phase"], cluster.events) == ("Completed", 1)


@pytest.mark.parametrize("uid", ["u2", ""])
def test_a_restore_that_was_made_again_does_not_get_its_predecessors_end(
    monkeypatch: pytest.MonkeyPatch, uid: str
) -> None:
    cluster = FakeCluster(uid)
    write(monkeypatch, cluster)
    assert (cluster.status, cluster.events) == ({}, 0)


def test_a_status_that_the_api_server_refuses_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ApiError, match="rejected"):
        write(monkeypatch, FakeCluster("u1", invalid=True))


def test_a_namespace_that_is_going_takes_no_event(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = FakeCluster("u1")
    cluster.refusal = (
        "unable to create new content in namespace shop because it is being terminated"
    )
    write(monkeypatch, cluster)
    assert (cluster.status["phase"], cluster.events) == ("Completed", 0)
    cluster.refusal = "User cannot create resource events"
    with pytest.raises(ApiError):
        write(monkeypatch, cluster)


@pytest.mark.parametrize("phase", ["Completed", "Failed"])
def test_what_has_ended_stays_as_it_was(monkeypatch: pytest.MonkeyPatch, phase: str) -> None:
    ended = RESTORE | {"status": {"phase": phase, "conditions": []}}
    for found in (ended, None):
        cluster = FakeCluster("u1")
        monkeypatch.setattr(cluster, "get", lambda *_, found=found: found)
        monkeypatch.setattr(status_failure, "connect", lambda cluster=cluster: cluster)
        names = {"kind": "Restore", "name": "undo", "namespace": "shop", "message": "x"}
        assert not status_failure.run(names, False)["changed"]
        assert (cluster.status, cluster.events) == ({}, 0)
