"""Issues the certificates of a Database, from an authority of its own.

Keys are of the curve P-256. A certificate is for a server or for a client, never for both, so that
a client's certificate cannot be used to pose as the server.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_LIFE = timedelta(days=3650)
LIFE = timedelta(days=90)
# Clocks differ a little between the operator and those who check.
_EARLIER = timedelta(hours=1)


@dataclass(frozen=True, repr=False)
class Pair:
    """A certificate and its private key, both as PEM text."""

    certificate: str
    key: str


def make_authority(name: str, now: datetime) -> Pair:
    """Make an authority that signs by itself, and signs no other authority.

    Args:
        name: the subject, for people who read the certificate.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    # A number of its own: authorities of one name, one after the other, must not be confused.
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, name[:64]),
            x509.NameAttribute(NameOID.SERIAL_NUMBER, f"{x509.random_serial_number():x}"[:16]),
        ]
    )
    builder = (
        _begin(subject, subject, key, now, AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(authority=True), critical=True)
    )
    return _sign(builder, key, key)


def issue_server(authority: Pair, name: str, names: Sequence[str], now: datetime) -> Pair:
    """Issue a server's certificate.

    Args:
        name: of the server, for people.
        names: what clients connect to.
    """
    extension = x509.SubjectAlternativeName([x509.DNSName(each) for each in names])
    return _issue(authority, name, ExtendedKeyUsageOID.SERVER_AUTH, now, extension)


def issue_client(authority: Pair, role: str, now: datetime) -> Pair:
    """Issue a client's certificate for a role of PostgreSQL."""
    return _issue(authority, role, ExtendedKeyUsageOID.CLIENT_AUTH, now)


def expiry(certificate: str) -> datetime:
    """Return when a certificate (of a chain, the first one) ends to be valid."""
    return x509.load_pem_x509_certificate(certificate.encode()).not_valid_after_utc


def beginning(certificate: str) -> datetime:
    """Return since when a certificate is valid."""
    return x509.load_pem_x509_certificate(certificate.encode()).not_valid_before_utc


def names(certificate: str) -> list[str]:
    """Return the names that a server's certificate is for."""
    found = x509.load_pem_x509_certificate(certificate.encode())
    extension = found.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return list(extension.value.get_values_for_type(x509.DNSName))


def split(bundle: str) -> list[str]:
    """Return the certificates of a PEM text, one by one.

    Raises:
        ValueError: there is none, or what is there is no certificate.
    """
    found = x509.load_pem_x509_certificates(bundle.encode())
    return [each.public_bytes(Encoding.PEM).decode() for each in found]


def signed_by(certificate: str, authority: str) -> bool:
    """Return whether an authority has signed a certificate."""
    parsed = x509.load_pem_x509_certificate(certificate.encode())
    try:
        parsed.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.encode()))
    except Exception:  # each kind of key has errors of its own
        return False
    return True


def _issue(
    authority: Pair,
    name: str,
    purpose: x509.ObjectIdentifier,
    now: datetime,
    names: x509.SubjectAlternativeName | None = None,
) -> Pair:
    signer = load_pem_private_key(authority.key.encode(), password=None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    issuer = x509.load_pem_x509_certificate(authority.certificate.encode())
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        _begin(subject, issuer.subject, key, now, LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()),
            critical=False,
        )
    )
    if names is not None:
        builder = builder.add_extension(names, critical=False)
    return _sign(builder, key, signer)


def _begin(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    now: datetime,
    life: timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _sign(
    builder: x509.CertificateBuilder,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
) -> Pair:
    certificate = builder.sign(signer, hashes.SHA256())
    return Pair(
        certificate.public_bytes(Encoding.PEM).decode(),
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
    )
