"""Verifiers, compared with one that PostgreSQL itself made."""

from __future__ import annotations

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.postgres import scram

# PostgreSQL 15: ALTER ROLE x PASSWORD 'pencil'
VERIFIER = (
    "SCRAM-SHA-256$4096:BOAKCNS9AZFzxeRxpULJ1Q=="
    "$3/NjAaDEIRP7eRtGn8/43E+NUFq9bkuwMth+PRIcOkw=:4efDEPxAiQgZo8yVYj1Rx1cql7nu3qUSCb/UGc5sp04="
)


def test_the_right_password_and_others() -> None:
    assert scram.matches("pencil", VERIFIER)
    for other in ("Pencil", "pencil ", "", "pen\0cil"):
        assert not scram.matches(other, VERIFIER)


@pytest.mark.parametrize(
    "verifier",
    [
        None,
        "",
        "md5d41d8cd98f00b204e9800998ecf8427e",
        VERIFIER[:-60],
        VERIFIER.replace("4096", "0"),
        VERIFIER.replace("4096:", "4096:!"),
        "SCRAM-SHA-256$4096:$:",
    ],
)
def test_what_is_no_verifier(verifier: str | None) -> None:
    assert not scram.matches("pencil", verifier)


@pytest.mark.parametrize(
    ("password", "prepared"),
    [
        # The examples of RFC 4013, section 3.
        ("I\u00adX", "IX"),
        ("user", "user"),
        ("\u00aa", "a"),
        ("\u2168", "IX"),
        # Forbidden there, so taken as they are.
        ("\u0007", "\u0007"),
        ("\u0627\u0031", "\u0627\u0031"),
    ],
)
def test_preparation(password: str, prepared: str) -> None:
    assert scram.prepare(password) == prepared.encode()
