"""SCRAM-SHA-256 verifiers: made here, so that no server sees a password, and checked without one.

The verifier's form and the steps are RFC 5802's and PostgreSQL's src/common/scram-common.c.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import stringprep
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .connection import Connection

_VERIFIER = re.compile(r"SCRAM-SHA-256\$(\d+):([^$]+)\$([^:]+):(.+)")

# What the server takes for a verifier; anything else, it takes for a password in clear.
_ANY_VERIFIER = re.compile(
    r"md5[0-9a-f]{32}|SCRAM-SHA-256\$\d{1,9}:[A-Za-z0-9+/=]+\$[A-Za-z0-9+/=]+:[A-Za-z0-9+/=]+"
)

_PROHIBITED = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
    stringprep.in_table_a1,
)


def make_verifier(connection: Connection, role: str, password: str) -> str:
    """The verifier of a new password, from libpq; the server's log sees only that."""
    verifier = connection.pgconn.encrypt_password(
        password.encode(), role.encode(), b"scram-sha-256"
    )
    return verifier.decode("ascii")


def is_verifier(text: str) -> bool:
    """Whether CREATE ROLE ... PASSWORD stores the text as it is."""
    return _ANY_VERIFIER.fullmatch(text) is not None


def matches(password: str, verifier: str | None) -> bool:
    """Return whether ``verifier`` (pg_authid.rolpassword) was made from ``password``.

    False for no verifier, for one of another kind (md5) and for a broken one.
    """
    match = _VERIFIER.fullmatch(verifier or "")
    if match is None:
        return False
    iterations, salt, stored_key = int(match[1]), match[2], match[3]
    try:
        salt_bytes = base64.b64decode(salt, validate=True)
        expected = base64.b64decode(stored_key, validate=True)
    except binascii.Error:
        return False
    if iterations < 1:
        return False
    salted = hashlib.pbkdf2_hmac("sha256", prepare(password), salt_bytes, iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    return hmac.compare_digest(hashlib.sha256(client_key).digest(), expected)


def prepare(password: str) -> bytes:
    """SASLprep (RFC 4013); the password as it is where that does not allow it, like PostgreSQL."""
    mapped = "".join(
        " " if stringprep.in_table_c12(character) else character
        for character in password
        if not stringprep.in_table_b1(character)
    )
    normalized = unicodedata.ucd_3_2_0.normalize("NFKC", mapped)
    return (normalized if _is_allowed(normalized) else password).encode()


def _is_allowed(text: str) -> bool:
    if not text or any(table(character) for character in text for table in _PROHIBITED):
        return False
    if not any(stringprep.in_table_d1(character) for character in text):
        return True
    # RFC 3454, section 6: right-to-left text is not mixed, and starts and ends as such.
    return (
        not any(stringprep.in_table_d2(character) for character in text)
        and stringprep.in_table_d1(text[0])
        and stringprep.in_table_d1(text[-1])
    )
