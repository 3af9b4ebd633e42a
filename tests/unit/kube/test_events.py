"""Events: each time, or once for what lasts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.kube.client import ApiError
from ansible_collections.postgres.operator.plugins.module_utils.kube.events import record

DATABASE = {"kind": "Database", "metadata": {"name": "app", "namespace": "shop", "uid": "u1"}}
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class FakeCluster:
    """It refuses a name that is taken, and everything when set to."""

    def __init__(self, status: int = 0) -> None:
        self.notes: dict[str, str] = {}
        self.status = status

    def create(self, manifest: dict[str, Any]) -> None:
        name = manifest["metadata"]["name"]
        if self.status or name in self.notes:
            raise ApiError("refused", self.status or 409)
        self.notes[name] = manifest["note"]


def tell(cluster: Any, message: str, once: bool) -> None:
    record(cluster, DATABASE, True, "LeftoverNotDropped", message, NOW, once)


def test_what_lasts_is_reported_once_and_what_happens_each_time() -> None:
    cluster = FakeCluster()
    for message in ("a", "a", "b"):
        tell(cluster, message, once=True)
    assert list(cluster.notes.values()) == ["a", "b"]
    for _ in range(2):
        tell(cluster, "a", once=False)
    assert list(cluster.notes.values()) == ["a", "b", "a", "a"]


@pytest.mark.parametrize(("status", "once"), [(403, True), (409, False)])
def test_a_refusal_is_not_hidden(status: int, once: bool) -> None:
    with pytest.raises(ApiError):
        tell(FakeCluster(status), "a", once)
