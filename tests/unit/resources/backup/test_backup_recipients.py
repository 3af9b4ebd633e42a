"""Who gets an identity, and whom a Backup is encrypted for."""

from __future__ import annotations

import base64
from typing import Any

import pyrage
import pytest
from ansible_collections.postgres.operator.plugins.module_utils.resources.backup.recipients import (
    find_identity_block,
    read_recipients,
    restoring_secret,
    verifying_secret,
)

IDENTITY = pyrage.x25519.Identity.generate()
PUBLIC = str(IDENTITY.to_public())
OWN = {"secretRef": {"name": "key"}}


class Secrets:
    """One Secret, or none, and how often it was asked for."""

    def __init__(self, identity: str | None) -> None:
        self.identity = identity
        self.asked = 0

    def get(self, _version: str, kind: str, namespace: str, name: str) -> Any:
        assert (kind, namespace, name) == ("Secret", "shop", "key")
        self.asked += 1
        if self.identity is None:
            return None
        data = {"identity": base64.b64encode(self.identity.encode()).decode()}
        return {"metadata": {"name": name}, "data": data if self.identity else {}}


def backup(encryption: Any = None, **spec: Any) -> dict[str, Any]:
    spec |= {"encryption": encryption} if encryption else {}
    return {"metadata": {"name": "b", "namespace": "shop"}, "spec": spec}


def test_recipients_are_those_of_the_spec_and_no_secret_is_read() -> None:
    secrets: Any = Secrets(None)
    given = ["age1abc", "age1def"]
    for encryption in ({"recipients": given}, {"recipients": given, **OWN}):
        assert read_recipients(secrets, backup(encryption)) == (given, None)
    assert read_recipients(secrets, backup()) == ([], None)
    assert secrets.asked == 0


def test_else_it_is_the_one_of_the_first_identity() -> None:
    other = pyrage.x25519.Identity.generate()
    secrets: Any = Secrets(f"# a comment\n{IDENTITY}\n{other}\n")
    assert read_recipients(secrets, backup(OWN)) == ([PUBLIC], None)


@pytest.mark.parametrize(
    "content",
    [None, "", "nonsense", PUBLIC, f"{IDENTITY}x"],
    ids=["none", "empty", "nonsense", "public", "mistyped"],
)
def test_a_secret_without_an_identity_is_reported_and_not_quoted(content: str | None) -> None:
    secrets: Any = Secrets(content)
    recipients, blocked = read_recipients(secrets, backup(OWN))
    assert (recipients, blocked and blocked[0]) == ([], "SecretMissing")
    assert blocked is not None
    assert "Secret key" in blocked[1]
    assert not content or content not in blocked[1]


def test_only_what_verifies_or_restores_gets_an_identity() -> None:
    recipients = {"recipients": [PUBLIC]}
    both = recipients | OWN
    assert verifying_secret(backup(both, verify="checksum")) == ""
    assert verifying_secret(backup(OWN, verify="checksum")) == ""
    assert verifying_secret(backup(both, verify="restore")) == "key"
    assert verifying_secret(backup(None, verify="restore")) == ""
    restore = backup({"secretRef": {"name": "mine"}})
    assert restoring_secret(restore, backup(recipients)) == "mine"
    assert restoring_secret(restore, backup(both)) == "mine"
    assert restoring_secret(restore, backup()) == ""
    assert restoring_secret(backup(), backup(both)) == "key"
    assert restoring_secret(backup(), backup(recipients)) == ""


def test_a_restore_without_an_identity_is_reported() -> None:
    recipients = backup({"recipients": [PUBLIC]})
    block = find_identity_block(backup(), recipients)
    assert block is not None
    assert block[0] == "SecretMissing"
    assert "another Restore with encryption.secretRef" in block[1]
    assert find_identity_block(backup(OWN), recipients) is None
    assert find_identity_block(backup(), backup()) is None
    assert find_identity_block(backup(), backup(OWN)) is None
