"""Makes the roles that a restore needs and the server lacks, as ``role_plan`` has decided."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psycopg

from ..errors import OperatorError
from ..postgres import roles
from ..postgres.connection import Connection, ConnectionParameters, connect
from ..postgres.databases import Setting, apply_settings_as
from ..postgres.roles import Membership, Role, create_role, grant_statement
from .role_plan import RolePlan, comment_of, explain_roles


@dataclass(frozen=True)
class MadeRoles:
    """Roles that were made.

    Attributes:
        plan: what was made of it: a role that another session made meanwhile is left alone.
        refused_memberships, refused_settings: what of it PostgreSQL has refused.
    """

    plan: RolePlan
    refused_memberships: tuple[Membership, ...] = ()
    refused_settings: tuple[Setting, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Of the roles."""
        return self.plan.names

    @property
    def warning(self) -> str:
        """What people have to know of them; empty where none were made."""
        return explain_roles(self.plan, self.refused_memberships, self.refused_settings)


@contextmanager
def missing_roles_made(
    connection: Connection, maintenance: ConnectionParameters, plan: RolePlan
) -> Iterator[MadeRoles]:
    """Make roles; if the block fails, they are dropped again.

    Args:
        connection: an autocommit session of a superuser in the database that ``maintenance`` leads
            to.
    """
    made: list[str] = []
    try:
        yield make_roles(connection, plan, made)
    except BaseException:
        if made:
            with suppress(OperatorError, psycopg.Error), connect(maintenance) as another:
                drop_roles(another, made)
        raise


def make_roles(connection: Connection, plan: RolePlan, made: list[str]) -> MadeRoles:
    """Make the roles of a plan, members of each other, with what each may set for itself.

    Args:
        made: where the name of each is added once it is there.
    """
    for role in plan.roles:
        if _make(connection, role, plan.can_log_in(role)):
            made.append(role.name)
    done = plan.only(made)
    return MadeRoles(done, _grant(connection, done), _set(connection, done))


def _make(connection: Connection, role: Role, with_login: bool) -> bool:
    """Make one; False where there is one by now, which is another's."""
    try:
        create_role(connection, role, comment_of(role), with_login)
    except psycopg.errors.DuplicateObject:
        return False
    return True


def _grant(connection: Connection, plan: RolePlan) -> tuple[Membership, ...]:
    """Make them members; what would make a circle is refused."""
    refused = []
    for membership in plan.memberships:
        try:
            connection.execute(grant_statement(membership))
        except psycopg.Error:
            if connection.broken:
                raise
            refused.append(membership)
    return tuple(refused)


def _set(connection: Connection, plan: RolePlan) -> tuple[Setting, ...]:
    """Apply settings with the rights of the role that has them."""
    refused: list[Setting] = []
    for name in plan.names:
        settings = [setting for setting in plan.settings if setting.role == name]
        if settings:
            with connection.transaction():
                refused += apply_settings_as(connection, None, name, settings)
    return tuple(refused)


def drop_roles(connection: Connection, names: Sequence[str]) -> None:
    """Drop roles, each unless something belongs to it."""
    for name in names:
        with suppress(psycopg.Error):
            roles.drop_role(connection, name)
