"""Where a Backup goes, and the Secrets that this takes."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.resources.backup.destination import (
    claim_of,
    find_secret_block,
    place_of,
    s3_port_of,
)

S3 = {"bucket": "b", "credentialsSecretRef": {"name": "login"}, "caSecretRef": {"name": "ca"}}


class Secrets:
    """A cluster that has Secrets and nothing else."""

    def __init__(self, **keys: list[str]) -> None:
        self.keys = keys

    def get(self, version: str, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        assert (version, kind, namespace) == ("v1", "Secret", "shop")
        if name not in self.keys:
            return None
        return {"data": dict.fromkeys(self.keys[name], "eA==")}


def backup(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": "shop"}, "spec": {"databaseRef": {"name": "app"}, **spec}}


IN_S3 = backup(destination={"s3": S3}, encryption={"secretRef": {"name": "key"}})
ALL = {"login": ["accessKeyId", "secretAccessKey"], "ca": ["ca.crt"], "key": ["identity"]}


def test_places() -> None:
    assert place_of(backup()) == "pvc://app-backups"
    assert place_of(backup(destination={"pvc": {"size": "1Gi"}})) == "pvc://app-backups"
    assert place_of(IN_S3) == "s3://b"
    assert place_of(backup(destination={"s3": {**S3, "prefix": "a/b"}})) == "s3://b/a/b"
    assert (claim_of(backup()), claim_of(IN_S3)) == ("app-backups", "")


def test_nothing_is_wanted_for_a_volume() -> None:
    assert find_secret_block(Secrets(), backup()) is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"login": None}, "destination.s3.credentialsSecretRef names Secret login, which is not"),
        ({"login": ["accessKeyId"]}, "lacks the keys: secretAccessKey"),
        ({"ca": ["tls.crt"]}, "lacks the keys: ca.crt"),
        ({"key": None}, "encryption.secretRef names Secret key"),
        ({"key": ["AGE"]}, "lacks the keys: identity"),
    ],
)
def test_what_lacks_is_named(changes: dict[str, list[str] | None], expected: str) -> None:
    secrets = {name: keys for name, keys in {**ALL, **changes}.items() if keys is not None}
    block = find_secret_block(Secrets(**secrets), IN_S3, "key")
    assert block is not None
    assert block[0] == "SecretMissing"
    assert expected in block[1]


def test_what_opens_nothing_needs_no_identity() -> None:
    secrets = Secrets(login=ALL["login"], ca=ALL["ca"])
    assert find_secret_block(secrets, IN_S3) is None
    assert find_secret_block(Secrets(**ALL), IN_S3, "key") is None


@pytest.mark.parametrize(
    ("endpoint", "port"),
    [
        (None, 443),
        ("https://s3.example.com", 443),
        ("http://s3.example.com/", 80),
        ("https://s3.example.com:9000", 9000),
        ("https://[fd00::1]:9000/", 9000),
        ("https://[fd00::1]", 443),
        ("https://s3.example.com:99999", 443),
    ],
)
def test_the_port_of_a_bucket(endpoint: str | None, port: int) -> None:
    s3 = S3 | ({"endpoint": endpoint} if endpoint else {})
    assert s3_port_of(backup(destination={"s3": s3})) == port
    assert s3_port_of(backup()) == 0
