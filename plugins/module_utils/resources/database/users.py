"""What is to be done for the users of a Database's spec; decided from what the server has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ...errors import InvalidInput
from ...postgres.role_state import Option, Options, RoleState

_OPTIONS: dict[str, Option] = {
    "login": "LOGIN",
    "inherit": "INHERIT",
    "createDatabase": "CREATEDB",
    "connectionLimit": "CONNECTION LIMIT",
    "validUntil": "VALID UNTIL",
}


@dataclass(frozen=True)
class User:
    """One of a Database's users.

    Attributes:
        present: whether it is to exist; else it is dropped.
        options: those that the spec names.
        member_of: the roles that it is to be a member of.
        secret: the name and the key of the Secret with its password; None for that of the operator.
    """

    name: str
    present: bool = True
    options: Options = field(default_factory=lambda: Options({"LOGIN": True}))
    member_of: tuple[str, ...] = ()
    secret: tuple[str, str] | None = None

    @property
    def has_password(self) -> bool:
        """Whether it can log in, by a password."""
        return self.present and bool(self.options.get("LOGIN"))


@dataclass(frozen=True)
class RoleChange:
    """What is to be written for one user: a role that is made, or options that differ."""

    create: bool
    options: Options
    set_password: bool

    def __bool__(self) -> bool:
        return self.create or bool(self.options) or self.set_password


def read_user(entry: Mapping[str, Any]) -> User:
    """Return a user as the spec describes it.

    Raises:
        InvalidInput: there is no such moment as `validUntil`.
    """
    options: Options = {"LOGIN": True}
    for name, option in _OPTIONS.items():
        if name in entry:
            options[option] = _moment(entry[name]) if name == "validUntil" else entry[name]
    reference = entry.get("passwordSecretRef")
    return User(
        name=entry["name"],
        present=entry.get("ensure", "present") == "present",
        options=options,
        member_of=tuple(entry.get("memberOf", ())),
        secret=(reference["name"], reference.get("key", "password")) if reference else None,
    )


def _moment(text: str) -> str:
    """Return a moment in UTC, to the second.

    >>> _moment("2027-01-31T01:00:00.5+01:00")
    '2027-01-31T00:00:00Z'
    """
    try:
        moment = datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidInput(
            f"validUntil {text!r} is no moment; write one such as 2027-01-31T00:00:00Z"
        ) from None
    return moment.replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def find_change(user: User, found: RoleState | None, password_differs: bool) -> RoleChange:
    """Return what of a role is not as the spec says.

    Args:
        found: None where the server has no such role.
        password_differs: whether the password is not the role's; False for a user without one.
    """
    if found is None:
        return RoleChange(True, user.options, password_differs)
    options = Options(
        {
            option: value
            for option, value in user.options.items()
            if found.options.get(option) != value
        }
    )
    return RoleChange(False, options, password_differs)


def refuse_excess(found: RoleState) -> None:
    """Refuse to change a role, or to make another one its member, that is no user's.

    Who may write a Database would have what such a role may do, by a password of their choice.

    Raises:
        InvalidInput: it has rights that no user is given.
    """
    if found.excess:
        raise InvalidInput(
            f'role "{found.name}" exists, and {found.excess}: such a role is not changed; take that'
            " from it by ALTER ROLE or REVOKE, or write another name"
        )


def find_grants(
    user: User, found: RoleState, others: Mapping[str, RoleState]
) -> tuple[list[str], list[str]]:
    """Return the roles that a user is to be made a member of, and what keeps it from others.

    Args:
        found: its role.
        others: all roles that there are of those that the users name.
    """
    grants, problems = [], []
    for role in user.member_of:
        if role in found.member_of:
            continue
        if role not in others:
            problems.append(f'role "{role}", which it is to be a member of, does not exist')
        elif others[role].excess:
            problems.append(
                f'it is not made a member of role "{role}": that is not a user\'s, since'
                f" {others[role].excess}"
            )
        else:
            grants.append(role)
    return grants, problems


def names_of(users: Sequence[User]) -> list[str]:
    """Return the names of all roles that the users are, or are members of."""
    return sorted({name for user in users for name in (user.name, *user.member_of)})
