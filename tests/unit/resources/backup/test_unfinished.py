"""Which namespaces the queue of Backups is read from."""

from __future__ import annotations

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.resources.backup.unfinished import (
    list_unfinished,
)


class Cluster:
    """Has one Backup in each namespace, and notes which was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def list(self, _version, _kind, namespace, **_selectors):
        self.asked.append(namespace)
        return [{"metadata": {"name": "b", "namespace": namespace}, "spec": {}, "status": {}}]


@pytest.mark.parametrize(
    ("watched", "asked"),
    [(None, [""]), ("", [""]), ("shop", ["shop"]), ("shop, music,", ["shop", "music"])],
)
def test_only_what_is_watched_is_listed(monkeypatch, watched, asked) -> None:
    monkeypatch.delenv("WATCH_NAMESPACE", raising=False)
    if watched is not None:
        monkeypatch.setenv("WATCH_NAMESPACE", watched)
    cluster = Cluster()
    assert len(list_unfinished(cluster)) == len(asked)
    assert cluster.asked == asked
