"""The safety Backup that a Restore waits for."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.resources.restore.safety_backup import (
    read_safety_backup,
    safety_manifest,
    safety_name,
)

RESTORE: dict[str, Any] = {"metadata": {"name": "back", "namespace": "shop", "uid": "12345678-9"}}


@pytest.mark.parametrize(("deleted", "done"), [(False, True), (True, False)])
def test_one_that_is_being_deleted_saves_nothing(deleted, done) -> None:
    class Cluster:
        def get(self, _version: str, _kind: str, _namespace: str, name: str) -> dict[str, Any]:
            assert name == safety_name(RESTORE)
            going = {"deletionTimestamp": "2026-03-29T01:00:00Z"} if deleted else {}
            return {"metadata": {"name": name, **going}, "status": {"phase": "Completed"}}

    safety = read_safety_backup(Cluster(), RESTORE)
    assert safety.is_done is done
    assert safety.phase


def test_it_makes_a_backup_also_where_the_restored_one_was_adopted() -> None:
    s3 = {"destination": {"s3": {"bucket": "b"}}}
    adopted = {"spec": {"databaseRef": {"name": "app"}, "artifact": {"latest": True}, **s3}}
    restore = RESTORE | {"spec": {"databaseRef": {"name": "app"}}}
    spec = safety_manifest(restore, adopted)["spec"]
    assert spec == {"databaseRef": {"name": "app"}, "deletionPolicy": "Delete", **s3}
