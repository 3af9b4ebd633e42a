"""How the roles that a backup describes differ from those of the server; without I/O.

A restore changes none of them, so what differs is named.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from ..postgres.databases import Setting
from ..postgres.labels import Label, label_statement
from ..postgres.roles import Membership, Role, grant_statement
from ..units import first_of
from .manifest import Globals
from .role_plan import ATTRIBUTES, describe_setting
from .selection import quote

_NAMED = 10
_DEFAULT_TABLESPACE = "pg_default"


def describe_difference(
    said: Globals | None,
    live: Globals,
    database: str,
    present: Collection[str],
    takes_properties: bool,
) -> str:
    """Say how roles, and the database's tablespace and labels, differ from what a backup says.

    Args:
        said: None of a backup of an older format: there is nothing to compare with.
        live: the same of the server: of the roles that it had before the restore, and of what is
            there by the name of the database, with an empty tablespace if nothing is.
        database: the name of the database that is restored.
        present: the roles that the server had before the restore.
        takes_properties: whether the database gets the backup's labels, so that its own do not
            matter.

    Returns:
        Empty where nothing differs.
    """
    if said is None:
        return ""
    here = said_of(said, present)
    texts = [
        *_roles(here.roles, live.roles),
        *_memberships(here.memberships, live.memberships),
        *_settings(here.settings, live.settings),
        *_labels(
            _of_roles(here.labels, takes_properties),
            _of_roles(live.labels, takes_properties),
            database,
        ),
        *_tablespace(said.tablespace, live.tablespace or _DEFAULT_TABLESPACE, database),
    ]
    if not texts:
        return ""
    return f"not as in the backup, and not changed: {first_of(texts, '; ', _NAMED)}"


def said_of(said: Globals, names: Collection[str]) -> Globals:
    """The part that concerns these roles, and the database itself."""
    return Globals(
        tablespace=said.tablespace,
        roles=tuple(one for one in said.roles if one.name in names),
        memberships=tuple(one for one in said.memberships if {one.role, one.member} <= set(names)),
        settings=tuple(one for one in said.settings if one.role in names),
        labels=tuple(one for one in said.labels if one.role is None or one.role in names),
    )


def _roles(said: Collection[Role], live: Collection[Role]) -> Iterator[str]:
    present = {role.name: role for role in live}
    for role in said:
        if role.name in present:
            yield from _attributes(role, present[role.name])


def _attributes(said: Role, live: Role) -> Iterator[str]:
    words = {**ATTRIBUTES, "inherit": "INHERIT"}
    pairs = [(getattr(said, field), getattr(live, field), word) for field, word in words.items()]
    for where, differs in (
        ("in the backup", [word for old, new, word in pairs if old and not new]),
        ("here", [word for old, new, word in pairs if new and not old]),
    ):
        if differs:
            yield f"role {quote(said.name)} has {' '.join(differs)} only {where}"
    for old, new, what in (
        (said.connection_limit, live.connection_limit, "CONNECTION LIMIT"),
        (said.valid_until, live.valid_until, "VALID UNTIL"),
    ):
        if old != new:
            yield f"role {quote(said.name)} has {what} {old} in the backup, {new} here"


def _memberships(said: Collection[Membership], live: Collection[Membership]) -> Iterator[str]:
    old = {(one.role, one.member): one for one in said}
    new = {(one.role, one.member): one for one in live}
    for pair, one in old.items():
        if pair not in new or _options(one) != _options(new[pair]):
            yield f"only in the backup: {grant_statement(one).as_string()}"
    for pair, one in new.items():
        if pair not in old:
            yield f"only here: {grant_statement(one).as_string()}"


def _options(one: Membership) -> tuple[bool, ...]:
    """The options, with those of PostgreSQL 16 as they are where there are none yet."""
    return one.admin, one.inherit is not False, one.set is not False


def _settings(said: Collection[Setting], live: Collection[Setting]) -> Iterator[str]:
    """Their values are not named, which may be secrets."""
    for text in sorted({describe_setting(one) for one in set(said) ^ set(live)}):
        yield f"setting {text} differs"


def _of_roles(labels: tuple[Label, ...], only: bool) -> tuple[Label, ...]:
    """The labels; ``only`` those of roles."""
    return tuple(one for one in labels if not only or one.role is not None)


def _labels(said: Collection[Label], live: Collection[Label], database: str) -> Iterator[str]:
    for label in said:
        if label not in live:
            yield f"only in the backup: {label_statement(label, database).as_string()}"
    for label in live:
        if label not in said:
            yield f"only here: {label_statement(label, database).as_string()}"


def _tablespace(said: str, live: str, database: str) -> Iterator[str]:
    if said != live:
        statement = f"ALTER DATABASE {quote(database)} SET TABLESPACE {quote(said)}"
        yield f"only in the backup: {statement}"
