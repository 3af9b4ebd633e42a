"""What is to be done for the databases of a Database's spec; decided from what the server has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...errors import DatabaseGone, InvalidInput
from ...postgres.database_state import DatabaseState


@dataclass(frozen=True)
class NamedDatabase:
    """One of the databases in the spec.

    Attributes:
        present: whether it is to exist; else it is dropped.
        owner: the role that is to own it; None where the spec names none.
        connection_limit: None where the spec names none.
    """

    name: str
    present: bool = True
    owner: str | None = None
    connection_limit: int | None = None


@dataclass(frozen=True)
class DatabaseChange:
    """What is to be written for one database.

    Attributes:
        create, drop: the database itself.
        remember, forget: whether the server is noted to have had it.
        owner, connection_limit: what it is to have instead of what it has; None to leave it.
    """

    create: bool = False
    drop: bool = False
    remember: bool = False
    forget: bool = False
    owner: str | None = None
    connection_limit: int | None = None

    def __bool__(self) -> bool:
        return self != DatabaseChange()


def read_database(entry: Mapping[str, Any], its_own: str) -> NamedDatabase:
    """Return a database as the spec describes it.

    Args:
        its_own: the Database's own one, which is never dropped or given away, whatever an entry
            says of it.
    """
    if entry["name"] == its_own:
        return NamedDatabase(its_own, connection_limit=entry.get("connectionLimit"))
    return NamedDatabase(
        name=entry["name"],
        present=entry.get("ensure", "present") == "present",
        owner=entry.get("owner"),
        connection_limit=entry.get("connectionLimit"),
    )


def find_database_change(wanted: NamedDatabase, found: DatabaseState) -> DatabaseChange:
    """Return what of a database is not as the spec says.

    Raises:
        InvalidInput: it belongs to a superuser, so it is left alone.
        DatabaseGone: it was dropped or renamed by hand, and is not made again.
    """
    if found.exists:
        refuse_superusers(found)
    if not wanted.present:
        return DatabaseChange(drop=found.exists, forget=found.known)
    if not found.exists and found.known:
        raise DatabaseGone(
            f'database "{wanted.name}", which this server had, is gone: give it back its name by'
            " ALTER DATABASE ... RENAME TO, or create an empty one by CREATE DATABASE; or write"
            " ensure: absent, and after a minute ensure: present"
        )
    owner, limit = wanted.owner, wanted.connection_limit
    return DatabaseChange(
        create=not found.exists,
        remember=found.exists and not found.known,
        owner=owner if found.exists and owner != found.owner else None,
        connection_limit=limit if limit != found.connection_limit else None,
    )


def refuse_superusers(found: DatabaseState) -> None:
    """Refuse to change a database that belongs to a superuser, as what a Restore is loading does.

    Raises:
        InvalidInput: it does.
    """
    if found.of_superuser:
        raise InvalidInput(
            f'database "{found.name}" belongs to "{found.owner}", a superuser: such a database is'
            " not changed; give it to another role by ALTER DATABASE ... OWNER TO, or write another"
            " name"
        )
