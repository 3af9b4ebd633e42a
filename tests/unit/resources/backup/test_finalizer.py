"""The finalizer is there exactly where files are to be removed."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.kube.client import ApiError
from ansible_collections.postgres.operator.plugins.module_utils.resources.backup.finalizer import (
    FINALIZER,
    release,
    set_deletion_policy,
)


class FakeCluster:
    """Remembers the patches; `status` is the error that it answers with."""

    def __init__(self, status: int = 0) -> None:
        self.status = status
        self.patches: list[dict[str, Any]] = []

    def merge(self, *arguments: Any) -> None:
        if self.status:
            raise ApiError("refused", self.status)
        self.patches.append(arguments[-1])


def backup(policy: str, *finalizers: str) -> dict[str, Any]:
    return {
        "metadata": {
            "name": "b",
            "namespace": "shop",
            "resourceVersion": "7",
            "finalizers": list(finalizers),
        },
        "spec": {"deletionPolicy": policy},
    }


def test_release_takes_off_the_operators_finalizer_only() -> None:
    cluster: Any = FakeCluster()
    assert release(cluster, backup("Retain", "example.com/other", FINALIZER))
    assert cluster.patches == [
        {"metadata": {"finalizers": ["example.com/other"], "resourceVersion": "7"}}
    ]
    assert not release(cluster, backup("Retain"))


def test_delete_comes_with_its_finalizer_in_the_same_write() -> None:
    cluster: Any = FakeCluster()
    assert set_deletion_policy(cluster, backup("Retain"), "Delete")
    [patch] = cluster.patches
    assert patch["metadata"]["finalizers"] == [FINALIZER]
    assert patch["spec"] == {"deletionPolicy": "Delete"}


def test_what_is_set_already_is_not_written() -> None:
    cluster: Any = FakeCluster()
    assert set_deletion_policy(cluster, backup("Delete", FINALIZER), "Delete")
    assert set_deletion_policy(cluster, backup("Retain", FINALIZER), "Retain")
    assert cluster.patches == []


@pytest.mark.parametrize("status", [404, 409])
def test_a_backup_that_was_changed_meanwhile_is_left_to_the_next_poll(status: int) -> None:
    cluster: Any = FakeCluster(status)
    assert not set_deletion_policy(cluster, backup("Retain"), "Delete")


def test_any_other_refusal_is_an_error() -> None:
    cluster: Any = FakeCluster(403)
    with pytest.raises(ApiError):
        set_deletion_policy(cluster, backup("Retain"), "Delete")
