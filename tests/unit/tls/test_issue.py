"""What the issued certificates are good for, by OpenSSL's own word."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.errors import InvalidInput
from ansible_collections.postgres.operator.plugins.module_utils.tls import issue
from ansible_collections.postgres.operator.plugins.module_utils.tls.handshake import try_out

NOW = datetime.now(UTC)
NAMES = ["app.shop.svc", "*.app-pods.shop.svc"]


@pytest.fixture(scope="module")
def authority() -> issue.Pair:
    return issue.make_authority("shop/app", NOW)


@pytest.fixture(scope="module")
def server(authority: issue.Pair) -> issue.Pair:
    return issue.issue_server(authority, "app", NAMES, NOW)


@pytest.mark.parametrize("name", ["app.shop.svc", "app-0.app-pods.shop.svc"])
def test_a_server_is_known_by_its_names(authority, server, name: str) -> None:
    try_out(server.certificate, server.key, authority.certificate, name)


def test_not_by_another_name(authority, server) -> None:
    with pytest.raises(InvalidInput, match="Hostname mismatch"):
        try_out(server.certificate, server.key, authority.certificate, "app.other.svc")


def test_not_by_another_authority(server) -> None:
    other = issue.make_authority("shop/app", NOW)
    with pytest.raises(InvalidInput, match="unable to get local issuer certificate"):
        try_out(server.certificate, server.key, other.certificate, "app.shop.svc")


def test_not_with_another_key(authority, server) -> None:
    with pytest.raises(InvalidInput, match="key values mismatch"):
        try_out(server.certificate, authority.key, authority.certificate, "app.shop.svc")


def test_not_after_its_end(authority) -> None:
    old = issue.issue_server(authority, "app", NAMES, NOW - issue.LIFE - timedelta(days=1))
    with pytest.raises(InvalidInput, match="expired"):
        try_out(old.certificate, old.key, authority.certificate, "app.shop.svc")


def test_a_client_cannot_pose_as_the_server(authority) -> None:
    client = issue.issue_client(authority, "app.shop.svc", NOW)
    with pytest.raises(InvalidInput, match="unsuitable certificate purpose"):
        try_out(client.certificate, client.key, authority.certificate, "app.shop.svc")


@pytest.mark.parametrize("broken", ["", "no certificate"])
def test_what_is_no_certificate_is_refused(authority, server, broken: str) -> None:
    with pytest.raises(InvalidInput):
        try_out(broken, server.key, authority.certificate, "app.shop.svc")
    with pytest.raises(InvalidInput):
        try_out(server.certificate, server.key, broken, "app.shop.svc")


def test_what_a_certificate_tells(authority, server) -> None:
    assert issue.names(server.certificate) == NAMES
    assert issue.signed_by(server.certificate, authority.certificate)
    assert not issue.signed_by(server.certificate, issue.make_authority("a", NOW).certificate)
    assert issue.expiry(server.certificate) == (NOW + issue.LIFE).replace(microsecond=0)
    both = authority.certificate + server.certificate
    assert issue.split(both) == [authority.certificate, server.certificate]
