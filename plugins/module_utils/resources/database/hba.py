"""The lines of pg_hba.conf: the operator's own, and between them those of the spec.

The first line that fits a connection decides, so what keeps the operator, the instances and Jobs
able to work, and others out of their roles, stands before the lines of the spec, and what lets
applications in stands after them.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ...errors import InvalidInput
from ...postgres.own_names import SESSION_GROUP

HBA = "pg_hba lines"
"""The name under which the lines are written and put back together with the parameters: none of
PostgreSQL's parameters has a blank in its name."""

_OPENING = [
    "local all postgres peer",
    "local all all scram-sha-256",
    "hostssl replication standby all cert map=members",
    "hostssl postgres rewind all cert map=members",
    "hostssl all postgres all cert",
]
# One certificate of a member for both of its roles.
_MAP = ["members standby standby", "members standby rewind"]
_GUARD = [
    "host replication all all reject",
    "host all postgres,standby,rewind all reject",
    # The roles that Jobs log in as, which no line of the spec is to lock out.
    f"hostssl all +{SESSION_GROUP} all scram-sha-256",
]
_CLOSING = {
    "Require": "hostssl all all all scram-sha-256",
    "Prefer": "host all all all scram-sha-256",
}

_ITEM = r'(?:"(?:[^"]|"")*"|[^\s",#@][^\s",#]*)'
_LINE = re.compile(
    r"(?P<type>host|hostssl|hostnossl|hostgssenc|hostnogssenc)[ \t]+"
    rf"(?P<databases>{_ITEM}(?:,{_ITEM})*)[ \t]+"
    rf"(?P<users>{_ITEM}(?:,{_ITEM})*)[ \t]+"
    r"(?P<address>[A-Za-z0-9._:/-]+)(?:[ \t]+(?P<mask>[0-9a-fA-F.:]+))?[ \t]+"
    r"(?P<method>[a-z0-9-]+)"
    # Not with a backslash at the end, with which PostgreSQL takes the next line for the rest.
    r'(?P<options>(?:[ \t]+[a-z0-9_]+=(?:"(?:[^"]|"")*"|[^\s",#\\]+))*)',
    re.ASCII,
)
_METHODS = ("scram-sha-256", "cert", "gss", "ldap", "password", "reject")
_UNPROVEN = ("trust", "peer", "ident")
_IN_CLEAR = ("ldap", "password")
_WITHOUT_TLS = ("host", "hostnossl", "hostnogssenc")


class HbaLineRefused(InvalidInput):
    """A line of spec.postgresql.hba is not followed."""

    reason = "HbaLineRefused"


def own_lines(database: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return what the operator's own files have.

    `lines` is all of pg_hba.conf, `opening` what every instance with certificates has first of it,
    and `map` is pg_ident.conf.
    """
    return {"lines": all_lines(database), "opening": list(_OPENING), "map": list(_MAP)}


def all_lines(database: Mapping[str, Any], lines: Sequence[str] = ()) -> list[str]:
    """Return all lines of pg_hba.conf.

    Args:
        lines: those of the spec.
    """
    return [*_OPENING, *_GUARD, *lines, _CLOSING[_clients(database)]]


def further_lines(lines: Any) -> list[str] | None:
    """Return those of the spec among all lines; None where these are not the operator's."""
    own = [*_OPENING, *_GUARD]
    if not isinstance(lines, list) or len(lines) <= len(own) or lines[: len(own)] != own:
        return None
    return lines[len(own) : -1] if lines[-1] in _CLOSING.values() else None


def _clients(database: Mapping[str, Any]) -> str:
    return str(database["spec"].get("tls", {}).get("clients", "Require"))


def asked_lines(database: Mapping[str, Any]) -> list[str]:
    """Return the lines of the spec."""
    return [str(line) for line in database["spec"].get("postgresql", {}).get("hba", [])]


def check_lines(database: Mapping[str, Any], lines: Sequence[str]) -> None:
    """Refuse what is no line, or lets anybody in whom nothing has proven to be who they say.

    Whether PostgreSQL takes the rest, such as the options of a method, it says itself.

    Raises:
        HbaLineRefused: says which, and what to write.
    """
    for number, line in enumerate(lines):
        fault = _find_fault(line, _clients(database))
        if fault:
            raise HbaLineRefused(f"postgresql.hba[{number}] {fault}")


def _find_fault(line: str, clients: str) -> str:
    found = _LINE.fullmatch(line)
    if found is None or not line.replace("\t", " ").isprintable():
        return (
            "is no line for connections over the network; write it like: hostssl appdb appuser"
            " 10.0.0.0/8 scram-sha-256"
        )
    kind, method = found["type"], found["method"]
    if method in _UNPROVEN:
        return f"has the method {method}, which asks for no proof; write scram-sha-256 or cert"
    if method not in _METHODS:
        return f"has the method {method}; write one of {', '.join(_METHODS)}"
    if method in _IN_CLEAR and kind != "hostssl":
        return f"would have passwords sent in clear text; write hostssl in place of {kind}"
    if clients == "Require" and kind in _WITHOUT_TLS and method != "reject":
        return (
            f"lets in connections without TLS, which spec.tls.clients does not; write hostssl in"
            f" place of {kind}, or set spec.tls.clients: Prefer"
        )
    if re.search(r"[ \t](ldapbindpasswd|radiussecrets)=", found["options"]):
        return "has a password, which all see who may read the Database; leave it out"
    if "replication" in found["databases"].split(","):
        return "is for replication, which only the instances do; leave it out"
    return _find_address_fault(found["address"], found["mask"])


def _find_address_fault(address: str, mask: str | None) -> str:
    try:
        if "/" in address or mask:
            ipaddress.ip_network(f"{address}/{mask}" if mask else address, strict=False)
            return ""
        ipaddress.ip_address(address)
    except ValueError:
        if "/" in address or mask or ":" in address or address.replace(".", "").isdigit():
            return "has no address; write all, one such as 10.0.0.0/8, or the name of a host"
        return ""
    return "has an address without the length of its prefix; write it like 10.0.0.1/32"
