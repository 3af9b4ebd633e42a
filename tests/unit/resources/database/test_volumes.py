"""Claims that are not what the spec asks for are named, with the way out."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.volumes import (
    describe_other_claims,
)


def database(**storage: str) -> dict[str, Any]:
    return {"metadata": {"name": "app"}, "spec": {"storage": storage}}


def claim(size: str, of: str = "fast", phase: str = "Bound", name: str = "data-app-0") -> Any:
    return {
        "metadata": {"name": name},
        "spec": {"resources": {"requests": {"storage": size}}, "storageClassName": of},
        "status": {"phase": phase},
    }


@pytest.mark.parametrize(
    ("storage", "found"),
    [
        ({"size": "2Gi"}, claim("2Gi")),
        ({"size": "2Gi"}, claim("2048Mi")),
        ({"size": "2Gi", "storageClass": "fast"}, claim("2Gi")),
        ({"size": "2Gi"}, claim("1Gi", name="app-backups")),
    ],
)
def test_what_is_as_asked_for(storage: dict[str, str], found: Any) -> None:
    assert describe_other_claims(database(**storage), [found]) == ""


def test_kept_volumes_are_named_with_both_sizes() -> None:
    said = describe_other_claims(database(size="2Gi"), [claim("1Gi"), claim("2Gi")])
    assert said.startswith("claim data-app-0 was kept and has 1Gi and not 2Gi: ")
    assert "restore a Backup" in said


def test_a_claim_without_a_volume_can_be_deleted() -> None:
    """As one with an error in the StorageClass, which stays after that is corrected."""
    asked = database(size="1Gi", storageClass="fast")
    said = describe_other_claims(asked, [claim("1Gi", of="fats", phase="Pending")])
    assert "has the StorageClass fats and not fast" in said
    assert "kubectl delete pvc/data-app-0 pod/app-0" in said
