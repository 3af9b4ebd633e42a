"""What a Job takes on the node's disk."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.resources.job_disk import (
    restore_bytes,
    verification_bytes,
)

S3 = {"destination": {"s3": {"bucket": "b"}}}
KEY = {"encryption": {"recipients": ["age1a"]}}


@pytest.mark.parametrize(("spec", "size"), [({}, 0), (S3, 100), (KEY, 100), (S3 | KEY, 100)])
def test_a_restore_takes_what_passes_the_spool(spec: dict[str, Any], size: int) -> None:
    assert restore_bytes({"spec": spec, "status": {"sizeBytes": 100}}) == size
    assert restore_bytes({"spec": spec, "status": {}}) == 0


@pytest.mark.parametrize(("spec", "size"), [({}, 500), (S3, 600), (KEY, 600), (S3 | KEY, 700)])
def test_a_verification_takes_the_database_and_its_copies(spec: dict[str, Any], size: int) -> None:
    last = {"sizeBytes": 100, "restoreSizeBytes": 500}
    assert verification_bytes({"spec": spec | {"verify": "restore"}}, last) == size
    assert verification_bytes({"spec": spec | {"verify": "restore"}}, None) == 0
    assert verification_bytes({"spec": spec | {"verify": "checksum"}}, last) == 0
