"""Makes the roles of a Database's users what the spec says, on the primary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...postgres import managed_roles, scram
from ...postgres.connection import Connection
from ...postgres.role_state import RoleState
from .differences import Differences
from .user_secrets import UserSecrets
from .users import User, find_change, find_grants, names_of, read_user, refuse_excess

_ADVICE = (
    "give what belongs to it to another role by REASSIGN OWNED, and take its privileges by DROP"
    " OWNED, in each database"
)


def read_users(spec: Mapping[str, Any], differences: Differences) -> list[User]:
    """Return the users of a spec, but for those that cannot be read."""
    users = []
    for entry in spec.get("users", ()):
        with differences.of(_entry(entry["name"])):
            users.append(read_user(entry))
    return users


def ensure_users(
    connection: Connection, secrets: UserSecrets, users: Sequence[User], differences: Differences
) -> None:
    """Create and change the roles that are to exist; write only what differs.

    Args:
        connection: an autocommit session of a superuser in the maintenance database.

    Raises:
        psycopg.Error: the session has ended.
        ApiError: the API server refused or was not reached.
    """
    if not users:
        return
    names = names_of(users)
    states = managed_roles.read_role_states(connection, names)
    before = set(states)
    wanted = [user for user in users if user.present]
    for user in wanted:
        with differences.of(_entry(user.name)):
            _ensure_role(connection, secrets, user, states.get(user.name), differences)
    # Only now are all there that others may be members of.
    if {user.name for user in wanted} - before:
        states = managed_roles.read_role_states(connection, names)
    for user in wanted:
        _ensure_memberships(connection, user, states, differences)


def _ensure_role(
    connection: Connection,
    secrets: UserSecrets,
    user: User,
    found: RoleState | None,
    differences: Differences,
) -> None:
    if found is not None:
        # Before there is a Secret for it.
        refuse_excess(found)
    password, verifier = "", None
    if user.has_password:
        password, written = secrets.ensure(user)
        differences.changed |= written
    known = found.verifier if found else None
    differs = user.has_password and not scram.matches(password, known)
    change = find_change(user, found, differs)
    if not change:
        return
    if change.set_password:
        verifier = scram.make_verifier(connection, user.name, password)
    write = managed_roles.create_managed_role if change.create else managed_roles.alter_managed_role
    write(connection, user.name, change.options, verifier)
    differences.changed = True


def _ensure_memberships(
    connection: Connection,
    user: User,
    states: Mapping[str, RoleState],
    differences: Differences,
) -> None:
    found = states.get(user.name)
    if found is None or found.excess:
        return
    grants, problems = find_grants(user, found, states)
    for problem in problems:
        differences.add(_entry(user.name), problem)
    for role in grants:
        with differences.of(_entry(user.name)):
            managed_roles.grant_role(connection, role, user.name)
            differences.changed = True


def drop_users(connection: Connection, users: Sequence[User], differences: Differences) -> None:
    """Drop the roles that are to be absent: once what belonged to them may be gone.

    Raises:
        psycopg.Error: the session has ended.
    """
    absent = [user.name for user in users if not user.present]
    if not absent:
        return
    for name, found in managed_roles.read_role_states(connection, absent).items():
        with differences.of(_entry(name), _ADVICE):
            refuse_excess(found)
            managed_roles.drop_managed_role(connection, name)
            differences.changed = True


def _entry(name: str) -> str:
    return f"user {name}"
