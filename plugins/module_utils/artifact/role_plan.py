"""Which roles a restore makes, and what it gives them; without I/O.

A backup is input. Who may have it restored must not get a role that has more than the owner of the
database could give away: rights to what is in the backup, and nothing else of the server. So a
role that exists is not changed, and becomes a role of nobody: only roles that this restore makes
become members of each other. What else the backup says of roles is left to people, as statements.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from ..postgres.databases import Setting
from ..postgres.labels import Label, label_statement
from ..postgres.roles import PREDEFINED, Membership, Role, grant_statement, is_own
from ..units import first_of, join_warnings
from .manifest import DatabaseProperties, Globals, Source
from .selection import quote, short_name

_NO_GLOBALS = Globals(tablespace="", roles=(), memberships=(), settings=(), labels=())
_STATEMENTS = 10
_ROLES = 20
"""How many of each a message names."""

ATTRIBUTES = {
    "superuser": "SUPERUSER",
    "create_database": "CREATEDB",
    "create_role": "CREATEROLE",
    "replication": "REPLICATION",
    "bypass_row_security": "BYPASSRLS",
    "login": "LOGIN",
}
"""What a restore gives no role, by the field of ``Role``, as ALTER ROLE writes it."""


@dataclass(frozen=True)
class RolePlan:
    """Roles that a restore makes.

    Attributes:
        said: what the backup says; of a backup of an older format nothing.
        names: of the roles that are made, in order.
        present: of those that the server had before.
        logins: whether those that have a verifier can log in.
    """

    said: Globals
    names: tuple[str, ...]
    present: frozenset[str]
    logins: bool

    @property
    def roles(self) -> tuple[Role, ...]:
        """What is made, as the backup describes it."""
        described = {role.name: role for role in self.said.roles}
        return tuple(described.get(name, Role(name)) for name in self.names)

    @property
    def memberships(self) -> tuple[Membership, ...]:
        """Those among the roles that are made."""
        return tuple(
            one for one in self.said.memberships if {one.role, one.member} <= set(self.names)
        )

    @property
    def settings(self) -> tuple[Setting, ...]:
        """Those of the roles that are made, in all databases."""
        return tuple(one for one in self.said.settings if one.role in self.names)

    @property
    def labels(self) -> tuple[Label, ...]:
        """The security labels that the roles had; they are not given."""
        return tuple(one for one in self.said.labels if one.role in self.names)

    def can_log_in(self, role: Role) -> bool:
        """Whether a role is made with a login."""
        return self.logins and role.login and role.verifier is not None

    def only(self, names: Collection[str]) -> RolePlan:
        """The same for some of the roles; the others are there without it."""
        kept = tuple(name for name in self.names if name in names)
        return replace(self, names=kept, present=self.present | (set(self.names) - set(kept)))


def roles_named(properties: DatabaseProperties) -> set[str]:
    """The roles that have a privilege on the database or settings in it.

    Predefined ones excepted, and those that this operator makes for the time of one run.
    """
    named = {grant.grantee for grant in properties.grants}
    named |= {setting.role for setting in properties.settings}
    return {name for name in named if name and not (name.startswith(PREDEFINED) or is_own(name))}


def plan_roles(
    source: Source, present: Collection[str], takes_properties: bool, logins: bool = False
) -> RolePlan:
    """Decide which roles are made: those that are needed and missing.

    Args:
        present: the names of the server's roles.
        takes_properties: whether the database gets the backup's privileges and settings, so that
            the roles which these name are needed too.
        logins: whether the roles may log in with the passwords that they had.
    """
    needed = set(source.roles)
    if takes_properties and source.globals and source.properties:
        needed |= roles_named(source.properties)
    names = tuple(sorted(needed - set(present)))
    return RolePlan(source.globals or _NO_GLOBALS, names, frozenset(present), logins)


def describe_setting(setting: Setting) -> str:
    """The name, and the role that has it; not the value, which may be a secret."""
    return setting.name + (f" of role {short_name(setting.role)}" if setting.role else "")


def comment_of(role: Role) -> str:
    """The comment of a role that is made: its own, but for one that would be a mark of ours."""
    made = "made for a restore, which needed it"
    return made if role.comment is None or is_own(role.name) else role.comment


def explain_roles(
    plan: RolePlan,
    refused_memberships: Collection[Membership] = (),
    refused_settings: Collection[Setting] = (),
) -> str:
    """Say which roles were made, and what the backup says of them that they were not given.

    Args:
        refused_memberships, refused_settings: what of the plan PostgreSQL has refused.

    Returns:
        Empty where none were made.
    """
    with_login = [role.name for role in plan.roles if plan.can_log_in(role)]
    without = [name for name in plan.names if name not in with_login]
    members = [
        f"{quote(one.member)} of {quote(one.role)}"
        for one in plan.memberships
        if one not in refused_memberships
    ]
    refused = [
        *(grant_statement(one).as_string() for one in refused_memberships),
        *map(describe_setting, refused_settings),
    ]
    return join_warnings(
        _made(without, "made without login and without rights of its own: give what is needed"),
        _made(with_login, "made with the password that it had, and without rights of its own"),
        _unless_empty("members are again ", first_of(members)),
        _unless_empty("PostgreSQL refused ", first_of(refused)),
        _unless_empty(
            "not given, since a backup is input; run what you want (the Job's log has all): ",
            first_of(left_statements(plan), "; ", _STATEMENTS),
        ),
    )


def _made(names: Collection[str], how: str) -> str:
    if not names:
        return ""
    listed = first_of(list(map(quote, names)), limit=_ROLES)
    were = f"role {listed} was" if len(names) == 1 else f"roles {listed} were"
    return f"{were} missing, and {how} (ALTER ROLE, GRANT)"


def _unless_empty(beginning: str, text: str) -> str:
    return beginning + text if text else ""


def left_statements(plan: RolePlan) -> list[str]:
    """The statements that give roles which were made what a restore does not give."""
    attributes = [
        statement for role in plan.roles if (statement := _attributes(role, plan.can_log_in(role)))
    ]
    given, names = set(plan.memberships), set(plan.names)
    grants = [
        grant_statement(one).as_string()
        for one in plan.said.memberships
        if one not in given
        and {one.role, one.member} & names
        and {one.role, one.member} <= names | plan.present
    ]
    labels = [label_statement(label, "").as_string() for label in plan.labels]
    return [*attributes, *grants, *labels]


def _attributes(role: Role, logs_in: bool) -> str:
    """What ALTER ROLE gives a role that had it; empty where there is nothing to give."""
    words = [
        word
        for field, word in ATTRIBUTES.items()
        if getattr(role, field) and not (logs_in and field == "login")
    ]
    return f"ALTER ROLE {quote(role.name)} {' '.join(words)}" if words else ""
