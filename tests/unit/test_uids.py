"""What stands for a UID in a name."""

from __future__ import annotations

import hashlib

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.uids import is_uuid, short_uid

UID = "0f8fad5b-d9cb-469f-a165-70867728950e"


def test_of_a_uuid_it_is_the_beginning() -> None:
    assert is_uuid(UID)
    assert short_uid(UID) == "0f8fad5b"


@pytest.mark.parametrize(
    "uid",
    ["restore-app1", UID.upper(), UID.replace("-", ""), f"{UID}0", f"{UID}\n", f"{UID[:-1]}g"],
)
def test_of_anything_else_all_of_it_counts(uid: str) -> None:
    assert not is_uuid(uid)
    assert short_uid(uid) == hashlib.sha256(uid.encode()).hexdigest()[:8]


def test_the_ends_are_distinguished() -> None:
    assert short_uid("restore-app1") != short_uid("restore-app2")
