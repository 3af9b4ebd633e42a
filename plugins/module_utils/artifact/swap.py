"""Swaps the scratch database and the live one, in one transaction, and records that.

While RENAME waits for the live database's sessions to end, its lock keeps new ones waiting: so
there is no moment in which a crash could leave the database without a name or refusing
connections, and a session sees either the old or the new content.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import psycopg
from psycopg import sql

from ..errors import RestoreFailed, Timeout
from ..postgres.connection import Connection, ConnectionParameters, connect
from ..postgres.databases import (
    Properties,
    Setting,
    apply_settings_as,
    bring_up_to_date,
    list_roles,
    read_properties,
)
from ..postgres.labels import Label, apply_labels, label_statement, read_labels
from ..units import first_of, join_warnings
from .history import ensure_history, forget_scratch, remember_outcome
from .in_use import describe_left, read_use, require_not_in_use
from .manifest import DatabaseProperties, Source
from .replaced_database import Mark, kept_since, previous_name, put_aside
from .role_plan import describe_setting
from .selection import short_name

_ATTEMPTS = 6
"""Each waits up to 5 s (PostgreSQL's CountOtherDBBackends) for sessions that will not end."""

_LOCK_TIMEOUT_SECONDS = 10
_TERMINATE_EVERY_SECONDS = 0.02


@dataclass(frozen=True)
class Swap:
    """One replacement.

    Attributes:
        uid: of the restore.
        live: name of the database to replace; it need not exist.
        scratch: name of the database to put there.
        scratch_properties: what ``scratch`` was created with.
        properties: what it gets where there is no live database, whose properties it gets else.
        backed_up: what the backup says of its database; its properties are taken where there is no
            live database.
        takes_backed_up: whether that is taken also where there is a live one, but for its owner.
        publications: those of the live database, whose subscribers have to act.
        ends_replication: see ``RestoreRequest``.
        made_roles: roles that the restore has made: each gets the settings that it had in the
            database, where those of the backup are taken.
        keep_previous: how long the old one is kept.
        outcome: remembered, and given back to a run that comes again.
    """

    uid: str
    live: str
    scratch: str
    scratch_properties: Properties
    properties: Properties
    keep_previous: timedelta
    outcome: dict[str, Any]
    backed_up: Source | None = None
    takes_backed_up: bool = False
    made_roles: tuple[str, ...] = ()
    publications: tuple[str, ...] = ()
    ends_replication: bool = False

    @property
    def previous(self) -> str:
        """The name that the old database gets."""
        return previous_name(self.live, self.uid)


def swap(connection: Connection, parameters: ConnectionParameters, plan: Swap) -> dict[str, Any]:
    """Replace the live database; with ``keep_previous`` zero the old one has expired at once.

    Args:
        connection: an autocommit session of a superuser in the maintenance database.
        parameters: for a second session that ends the sessions of the live database.

    Returns:
        What is remembered: ``plan.outcome`` with previousDatabase, the name of the old database
        if it is kept.

    Raises:
        Timeout: sessions, prepared transactions or locks stayed in the way.
        DatabaseInUse: see ``require_not_in_use``.
        RestoreFailed: there is a database with the name meant for the old one.
    """
    require_not_in_use(read_use(connection, plan.live), plan.live, plan.ends_replication)
    ensure_history(connection)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with _sessions_terminated(parameters, (plan.live, plan.scratch)):
                return _swap_once(connection, plan)
        except (psycopg.errors.ObjectInUse, psycopg.errors.LockNotAvailable) as error:
            if attempt == _ATTEMPTS:
                detail = " ".join(str(error).split())
                raise Timeout(f'database "{plan.live}" cannot be replaced: {detail}') from error
    raise AssertionError("unreachable: the last attempt returns or raises")


def _swap_once(connection: Connection, plan: Swap) -> dict[str, Any]:
    """The transaction."""
    previous = None
    stayed = ""
    labels: tuple[Label, ...] = ()
    with connection.transaction():
        connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT_SECONDS}s'")
        live = read_properties(connection, plan.live)
        if live is not None:
            previous = plan.previous
            _rename(connection, plan.live, previous)
            # Read again, now that it is locked: another session may have changed it meanwhile.
            live = read_properties(connection, previous)
            assert live is not None
            # The same: now that none can be made any more.
            use = read_use(connection, previous)
            require_not_in_use(use, plan.live, plan.ends_replication)
            stayed = describe_left(use, plan.publications, previous)
            labels = read_labels(connection, previous)
        wanted, taken = live or plan.properties, None
        if plan.backed_up and (live is None or plan.takes_backed_up):
            taken = plan.backed_up.properties
        if plan.backed_up and taken:
            wanted = _with_backed_up(connection, wanted, plan.backed_up.owner, taken)
        bring_up_to_date(connection, plan.scratch, plan.scratch_properties, wanted)
        refused = _take_settings(connection, plan, wanted.owner, taken) if taken else ""
        if taken:
            labels = _backed_up_labels(plan)
        unlabelled = _label(connection, plan, labels, wanted.owner if taken else None)
        _rename(connection, plan.scratch, plan.live)
        if previous is not None:
            until = kept_since(connection) + plan.keep_previous
            put_aside(connection, Mark(previous, plan.live, plan.uid, until))
        outcome = plan.outcome | {"previousDatabase": previous if plan.keep_previous else None}
        warning = join_warnings(stayed, outcome.get("warning"), refused, unlabelled)
        if warning:
            outcome["warning"] = warning
        remember_outcome(connection, plan.uid, plan.live, outcome)
        forget_scratch(connection, plan.scratch)
    return outcome


def _with_backed_up(
    connection: Connection, properties: Properties, former_owner: str, taken: DatabaseProperties
) -> Properties:
    """Properties with limit, comment and privileges of the backup, as far as roles are there.

    Settings are not among them: who may set them is PostgreSQL's to say.

    Args:
        former_owner: whose privileges become those of the owner.
    """
    present = list_roles(connection)
    grants = (
        replace(grant, grantee=properties.owner) if grant.grantee == former_owner else grant
        for grant in taken.grants
    )
    return replace(
        properties,
        connection_limit=taken.connection_limit,
        comment=taken.comment,
        grants=tuple(g for g in grants if g.grantee is None or g.grantee in present),
        settings=(),
    )


def _take_settings(
    connection: Connection, plan: Swap, owner: str, taken: DatabaseProperties
) -> str:
    """Apply the backup's settings with the rights of the owner, and say which were refused.

    Those of a role that the restore has made are applied with that role's.
    """
    refused: list[Setting] = []
    for role in (None, *sorted({setting.role for setting in taken.settings if setting.role})):
        settings = [setting for setting in taken.settings if setting.role == role]
        by = role if role in plan.made_roles else owner
        refused += _settings_refused(connection, plan.scratch, by, settings)
    if not refused:
        return ""
    return (
        f"settings of the database that its owner {short_name(owner)} may not set were not taken"
        f" over: {first_of([describe_setting(setting) for setting in refused])}; set them as a"
        " superuser if they are wanted"
    )


def _settings_refused(
    connection: Connection, database: str, role: str | None, settings: list[Setting]
) -> list[Setting]:
    """Apply settings with the rights of a role, and return those that were refused."""
    # With a superuser's rights a backup could have set anything.
    if role is None or _is_superuser(connection, role):
        return settings
    return apply_settings_as(connection, database, role, settings)


def _backed_up_labels(plan: Swap) -> tuple[Label, ...]:
    """The security labels of the database in the backup."""
    said = plan.backed_up.globals if plan.backed_up else None
    return tuple(label for label in said.labels if label.role is None) if said else ()


def _label(connection: Connection, plan: Swap, labels: tuple[Label, ...], owner: str | None) -> str:
    """Give the scratch database security labels, and say which it did not get.

    Args:
        owner: with whose rights; None for the live database's own labels.
    """
    refused = list(labels)
    if owner is None or not _is_superuser(connection, owner):
        refused = apply_labels(connection, plan.scratch, labels, owner)
    statements = [label_statement(label, plan.live).as_string() for label in refused]
    return f"labels that were not set: {first_of(statements, '; ')}" if statements else ""


def _is_superuser(connection: Connection, role: str) -> bool:
    """Whether a role is one, or is not there."""
    row = connection.execute(
        "SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = %s", [role]
    ).fetchone()
    return row is None or bool(row[0])


def _rename(connection: Connection, old: str, new: str) -> None:
    try:
        connection.execute(
            sql.SQL("ALTER DATABASE {} RENAME TO {}").format(
                sql.Identifier(old), sql.Identifier(new)
            )
        )
    except psycopg.errors.DuplicateDatabase as error:
        raise RestoreFailed(
            f'database "{old}" cannot be renamed: there is a database "{new}"; drop or rename it'
        ) from error


@contextmanager
def _sessions_terminated(
    parameters: ConnectionParameters, databases: tuple[str, ...]
) -> Iterator[None]:
    """End all sessions of databases, again and again, while the block runs."""
    over = threading.Event()
    with connect(parameters) as connection:
        # By OID: the names change meanwhile.
        row: Any = connection.execute(
            "SELECT array_agg(oid) FROM pg_catalog.pg_database WHERE datname = ANY(%s)",
            [list(databases)],
        ).fetchone()

        def terminate() -> None:
            # If this session breaks, RENAME says which sessions were in its way.
            with suppress(psycopg.Error):
                while not over.is_set():
                    connection.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity"
                        " WHERE datid = ANY(%s)",
                        [row[0]],
                    )
                    over.wait(_TERMINATE_EVERY_SECONDS)

        thread = threading.Thread(target=terminate, name="terminate-sessions")
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
