"""What a server has of a role, as far as a Database's users are compared with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Option = Literal["LOGIN", "INHERIT", "CREATEDB", "CONNECTION LIMIT", "VALID UNTIL"]
"""An option of CREATE ROLE and ALTER ROLE that a Database's spec may name, and no other."""

Options = dict[Option, bool | int | str]
"""Options with their values; a moment is in RFC 3339 and UTC, to the second."""

SERVERS_RESOURCES = (
    "pg_execute_server_program",
    "pg_read_server_files",
    "pg_write_server_files",
    "pg_create_subscription",
)
"""Roles of PostgreSQL whose members reach programs, files or other servers."""


@dataclass(frozen=True)
class RoleState:
    """One role.

    Attributes:
        options: those that a spec may name; VALID UNTIL is missing or `infinity` without an end.
        member_of: the roles that it is a direct member of.
        excess: which right it has that the operator gives no user, in words; empty where it has
            none.
        verifier: what the server compares its password with; None where it has none.
    """

    name: str
    options: Options
    member_of: frozenset[str] = frozenset()
    excess: str = ""
    verifier: str | None = field(default=None, repr=False)
