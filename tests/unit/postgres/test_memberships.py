"""The statements that make roles members of each other."""

from __future__ import annotations

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.postgres.roles import (
    Membership,
    grant_statement,
)


@pytest.mark.parametrize(
    ("membership", "statement"),
    [
        (Membership("a", "b", False), 'GRANT "a" TO "b"'),
        (Membership("a", "b", True), 'GRANT "a" TO "b" WITH ADMIN OPTION'),
        (
            Membership('a"; DROP ROLE c', "b", True, False, False),
            'GRANT "a""; DROP ROLE c" TO "b" WITH ADMIN TRUE, INHERIT FALSE, SET FALSE',
        ),
        (
            Membership("a", "{{ b }}", False, True, True),
            'GRANT "a" TO "{{ b }}" WITH ADMIN FALSE, INHERIT TRUE, SET TRUE',
        ),
    ],
)
def test_a_grant_says_all_options_that_the_server_has(
    membership: Membership, statement: str
) -> None:
    assert grant_statement(membership).as_string() == statement
