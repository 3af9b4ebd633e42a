"""When certificates are made and renewed: a cluster that is a dict, a clock that is moved."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.kube.client import ApiError
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.certificates import (
    KEYS,
    RENEWED_BEFORE,
    TRUSTED_BEFORE,
    all_names,
    ensure_certificates,
    read_certificates,
    server_name,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.secrets import (
    SecretInvalid,
    SecretMissing,
)
from ansible_collections.postgres.operator.plugins.module_utils.tls import issue
from ansible_collections.postgres.operator.plugins.module_utils.tls.handshake import try_out
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from fake_secrets import FakeCluster, database, encode, value

NOW = datetime.now(UTC) - timedelta(days=9)
DAY = timedelta(days=1)


def read(cluster: Any, key: str) -> str:
    return value(cluster, "app-certificates", key)


def accepted(cluster: Any, served: dict[str, str]) -> None:
    """A client with the present authorities accepts a server's certificate."""
    try_out(served["tls.crt"], served["tls.key"], read(cluster, "ca.crt"), "app.shop.svc")


@pytest.fixture
def cluster() -> Any:
    made = FakeCluster()
    assert ensure_certificates(made, database(), NOW)  # type: ignore[arg-type]
    return made


def test_they_are_made_once(cluster: Any) -> None:
    assert set(cluster.secrets) == {"app-ca", "app-certificates"}
    assert set(cluster.secrets["app-certificates"]["data"]) == set(KEYS)
    assert set(cluster.secrets["app-ca"]["data"]) == {"ca.crt", "ca.key"}
    before = read_certificates(cluster, database())
    assert not ensure_certificates(cluster, database(), NOW + DAY)
    assert read_certificates(cluster, database()) == before
    assert value(cluster, "app-ca", "ca.key") not in before.values()


def test_check_mode_writes_nothing() -> None:
    empty: Any = FakeCluster()
    assert ensure_certificates(empty, database(), NOW, dry_run=True)
    assert empty.secrets == {}


def test_every_name_is_in_the_servers() -> None:
    names = all_names(database())
    assert server_name(database()) in names
    for name in ("app", "app-ro.shop.svc.cluster.local", "app-9", "localhost", "app-ro"):
        assert name in names


def test_they_are_renewed_before_they_end(cluster: Any) -> None:
    before = read_certificates(cluster, database())
    due = NOW + issue.LIFE - RENEWED_BEFORE
    ensure_certificates(cluster, database(), NOW + 8 * DAY)
    assert read_certificates(cluster, database()) == before
    assert not ensure_certificates(cluster, database(), due - DAY)
    assert ensure_certificates(cluster, database(), due + timedelta(seconds=1))
    after = read_certificates(cluster, database())
    for key in ("tls.crt", "superuser.crt", "replication.crt"):
        assert before[key] != after[key]
        assert issue.expiry(after[key]) > issue.expiry(before[key]) + 50 * DAY
    assert (after["ca.crt"], after["clients-ca.crt"]) == (
        before["ca.crt"],
        before["clients-ca.crt"],
    )


def test_an_authority_made_anew_is_trusted_before_it_signs(cluster: Any) -> None:
    before = read_certificates(cluster, database())
    del cluster.secrets["app-ca"]
    cluster.secrets["app-certificates"]["metadata"]["annotations"].clear()
    assert ensure_certificates(cluster, database(), NOW)
    between = read_certificates(cluster, database())
    assert between["tls.crt"] == before["tls.crt"]
    assert between["superuser.crt"] == before["superuser.crt"]
    for key in ("ca.crt", "clients-ca.crt"):
        assert issue.split(between[key])[1:] == [before[key]]
    accepted(cluster, before)

    assert not ensure_certificates(cluster, database(), NOW + TRUSTED_BEFORE / 2)
    assert ensure_certificates(cluster, database(), NOW + TRUSTED_BEFORE)
    after = read_certificates(cluster, database())
    authority = value(cluster, "app-ca", "ca.crt")
    for key in ("tls.crt", "superuser.crt", "replication.crt"):
        assert issue.signed_by(after[key], authority)
    accepted(cluster, before)
    accepted(cluster, after)

    assert ensure_certificates(cluster, database(), NOW + issue.LIFE)
    assert read(cluster, "ca.crt") == authority
    assert read(cluster, "clients-ca.crt") == authority


def test_a_part_that_is_gone_is_made_again(cluster: Any) -> None:
    before = read_certificates(cluster, database())
    del cluster.secrets["app-certificates"]["data"]["superuser.key"]
    assert ensure_certificates(cluster, database(), NOW)
    after = read_certificates(cluster, database())
    assert before["superuser.crt"] != after["superuser.crt"]
    assert before["tls.crt"] == after["tls.crt"]


def test_a_foreign_secret_is_not_taken_over(cluster: Any) -> None:
    cluster.secrets["app-ca"]["metadata"]["labels"] = {}
    cluster.secrets["app-certificates"]["metadata"]["annotations"].clear()
    with pytest.raises(SecretInvalid, match="app-ca that belongs to another program"):
        ensure_certificates(cluster, database(), NOW)


def test_without_the_secret_nothing_is_read() -> None:
    with pytest.raises(ApiError, match="app-certificates is gone"):
        read_certificates(FakeCluster(), database())  # type: ignore[arg-type]


def own_secret(names: list[str], key: str | None = None) -> tuple[dict[str, Any], issue.Pair]:
    authority = issue.make_authority("a company", NOW)
    server = issue.issue_server(authority, "mine", names, NOW)
    parts = {"tls.crt": server.certificate, "tls.key": key or server.key}
    data = {k: encode(v) for k, v in (parts | {"ca.crt": authority.certificate}).items()}
    return {"metadata": {"name": "mine"}, "data": data}, server


GIVEN = database(secretRef={"name": "mine"})
NEEDED = ["app.shop.svc", "app.shop.svc.cluster.local"]


def test_ones_own_certificate_is_served_and_followed(cluster: Any) -> None:
    made = read_certificates(cluster, database())
    cluster.secrets["mine"], first = own_secret(NEEDED)
    assert ensure_certificates(cluster, GIVEN, NOW)
    assert read(cluster, "tls.crt") == first.certificate
    accepted(cluster, made)
    assert read(cluster, "superuser.crt") == made["superuser.crt"]
    assert read(cluster, "clients-ca.crt") == made["clients-ca.crt"]
    assert not ensure_certificates(cluster, GIVEN, NOW)
    cluster.secrets["mine"], second = own_secret(NEEDED)
    assert ensure_certificates(cluster, GIVEN, NOW)
    assert read(cluster, "tls.crt") == second.certificate
    assert ensure_certificates(cluster, database(), NOW)
    assert issue.signed_by(read(cluster, "tls.crt"), value(cluster, "app-ca", "ca.crt"))


@pytest.mark.parametrize(
    ("names", "key", "words"),
    [
        (["other.shop.svc"], None, "cannot be used for app.shop.svc: Hostname mismatch"),
        (NEEDED[:1], None, "cannot be used for app.shop.svc.cluster.local: Hostname"),
        (NEEDED, issue.make_authority("x", NOW).key, "key values mismatch"),
    ],
)
def test_one_that_clients_would_refuse_never_reaches_a_server(
    cluster: Any, names: list[str], key: str | None, words: str
) -> None:
    before = read_certificates(cluster, database())
    cluster.secrets["mine"], _ = own_secret(names, key)
    with pytest.raises(SecretInvalid, match=words):
        ensure_certificates(cluster, GIVEN, NOW)
    assert read_certificates(cluster, database()) == before


def test_one_of_an_authority_between_is_served_with_it(cluster: Any) -> None:
    """As cert-manager writes it: the chain in tls.crt, its root in ca.crt."""
    root, between, server = chained(NEEDED)
    parts = {"tls.crt": server.certificate, "tls.key": server.key, "ca.crt": root}
    secret = {"metadata": {"name": "mine"}, "type": "kubernetes.io/tls"}
    cluster.secrets["mine"] = secret | {
        "data": {
            k: encode(v) for k, v in (parts | {"tls.crt": server.certificate + between}).items()
        }
    }
    assert ensure_certificates(cluster, GIVEN, NOW)
    assert read(cluster, "tls.crt") == server.certificate + between
    accepted(cluster, read_certificates(cluster, GIVEN))
    for lacking, words in (
        ({"tls.crt": server.certificate}, "unable to get local issuer certificate"),
        ({"ca.crt": between, "tls.crt": server.certificate + between}, "unable to get issuer"),
        ({"ca.crt": ""}, "has no key 'ca.crt'; spec.tls.secretRef needs tls.crt, tls.key and"),
    ):
        data = {k: encode(v) for k, v in (parts | lacking).items()}
        cluster.secrets["mine"] = secret | {"data": data}
        with pytest.raises(SecretInvalid, match=words):
            ensure_certificates(cluster, GIVEN, NOW)


def chained(names: list[str]) -> tuple[str, str, issue.Pair]:
    """Certificates of a root and of an authority that it has signed, and a server of that one."""
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    titles = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, n)]) for n in ("root", "between")]
    root, between = (
        x509.CertificateBuilder()
        .subject_name(title)
        .issuer_name(titles[0])
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + 90 * DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(keys[0], hashes.SHA256())
        .public_bytes(Encoding.PEM)
        .decode()
        for title, key in zip(titles, keys, strict=True)
    )
    private = keys[1].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return root, between, issue.issue_server(issue.Pair(between, private), "app", names, NOW)


def test_one_that_is_not_there_is_reported(cluster: Any) -> None:
    with pytest.raises(SecretMissing, match="Secret mine, which spec"):
        ensure_certificates(cluster, GIVEN, NOW)


def test_the_operators_own_secrets_cannot_be_named(cluster: Any) -> None:
    with pytest.raises(SecretInvalid, match="the operator makes"):
        ensure_certificates(cluster, database(secretRef={"name": "app-certificates"}), NOW)
