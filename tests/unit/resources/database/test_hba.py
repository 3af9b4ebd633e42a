"""Which lines of pg_hba.conf of a spec are followed, and where they stand."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.hba import (
    HbaLineRefused,
    all_lines,
    check_lines,
    further_lines,
)


def database(clients: str = "Require") -> dict[str, Any]:
    return {"spec": {"tls": {"clients": clients}}}


GOOD = [
    "hostssl all all all scram-sha-256",
    "hostssl app,shop reporting,+editors 10.0.0.0/8 scram-sha-256",
    'hostssl "my db" "Olga ""O""" 2001:db8::/32 scram-sha-256',
    "hostssl\tapp  all\t10.0.0.1   255.255.255.255 scram-sha-256",
    "hostssl sameuser all samenet reject",
    "host all all 0.0.0.0/0 reject",
    "hostgssenc all all .example.com gss include_realm=0 krb_realm=EXAMPLE.COM",
    'hostssl all all all ldap ldapserver=ldap.example.com ldapprefix="cn=" ldapsuffix=",dc=org"',
    "hostssl all legacy 10.1.2.3/32 password",
    "hostssl all all all scram-sha-256 clientcert=verify-full",
    'hostssl "trust" "ident" all scram-sha-256',
]


@pytest.mark.parametrize("line", GOOD)
def test_a_line_is_followed(line: str) -> None:
    check_lines(database(), [line])


BAD = [
    ("", "is no line"),
    ("# a comment", "is no line"),
    ("local all all trust", "is no line"),
    ("include other.conf", "is no line"),
    ("hostssl all all", "is no line"),
    ("hostssl all all all", "is no line"),
    ("hostssl @users all all scram-sha-256", "is no line"),
    ("hostssl app,@users all all scram-sha-256", "is no line"),
    ("hostssl all all all scram-sha-256 # hello", "is no line"),
    ("hostssl all all all scram-sha-256\nhost all all all trust", "is no line"),
    ("hostssl all all all scram-sha-256\rhost all all all trust", "is no line"),
    # PostgreSQL takes the next line for the rest of one that ends so.
    ("hostssl all all all reject \\", "is no line"),
    ("hostssl all all all scram-sha-256 map=x\\", "is no line"),
    ("hostssl all all all reject\\", "is no line"),
    ("hostssl all all all trust", "asks for no proof"),
    ("hostssl all all 10.0.0.0/8 peer", "asks for no proof"),
    ("hostssl all all 10.0.0.0 255.0.0.0 ident map=x", "asks for no proof"),
    ("hostssl all all all md5", "has the method md5"),
    ("hostssl all all all radius radiussecrets=x", "has the method radius"),
    ("hostssl all all all pam", "has the method pam"),
    ("host all all all password", "in clear text"),
    ("hostgssenc all all all password", "in clear text"),
    ("hostnossl all all all ldap ldapserver=x", "in clear text"),
    ("hostssl all all all ldap ldapserver=x ldapbindpasswd=y", "has a password"),
    ("host all all all scram-sha-256", "without TLS"),
    ("hostnossl all all all gss", "without TLS"),
    ("hostssl replication all all scram-sha-256", "is for replication"),
    ("hostssl all all 10.0.0.300/8 scram-sha-256", "has no address"),
    ("hostssl all all 10.0.0.1/33 scram-sha-256", "has no address"),
    ("hostssl all all 10.0.0.1 255.0.255.0 scram-sha-256", "has no address"),
    ("hostssl all all 10.0.0.300 scram-sha-256", "has no address"),
    ("hostssl all all 10.0.0.1 scram-sha-256", "without the length of its prefix"),
]


@pytest.mark.parametrize(("line", "why"), BAD)
def test_a_line_is_refused(line: str, why: str) -> None:
    with pytest.raises(HbaLineRefused) as caught:
        check_lines(database(), ["hostssl all all all scram-sha-256", line])
    assert caught.value.message.startswith("postgresql.hba[1] ")
    assert why in caught.value.message


def test_where_clients_need_no_tls_a_line_need_not_ask_for_it() -> None:
    check_lines(database("Prefer"), ["host all all all scram-sha-256"])
    with pytest.raises(HbaLineRefused, match="clear text"):
        check_lines(database("Prefer"), ["host all all all password"])


def test_the_operators_own_lines_come_first_and_last() -> None:
    lines = all_lines(database(), GOOD)
    assert lines.index("host replication all all reject") < lines.index(GOOD[0])
    assert lines.index("host all postgres,standby,rewind all reject") < lines.index(GOOD[0])
    assert further_lines(lines) == GOOD
    assert further_lines(all_lines(database())) == []
    for other in (None, "text", [], GOOD, lines[1:], [*lines, GOOD[1]]):
        assert further_lines(other) is None
