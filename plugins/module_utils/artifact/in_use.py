"""What keeps a database from being replaced, or stays in the replaced one.

Slots, prepared transactions and subscriptions belong to a database by its OID, so they follow it
when it is renamed, and none can be moved to another. An active slot and a prepared transaction keep
it from being renamed at all (``CountOtherDBBackends`` in src/backend/storage/ipc/procarray.c).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import DatabaseInUse
from ..postgres.connection import Connection, ConnectionParameters, connect
from ..postgres.subscriptions import list_subscriptions
from ..units import first_of, format_duration
from .selection import short_name

# A temporary one ends with its session, which a swap ends.
_SLOTS = """
SELECT slot_name, plugin, coalesce(active_pid, 0) FROM pg_catalog.pg_replication_slots
 WHERE database = %s AND NOT temporary ORDER BY 1
"""
_PREPARED = """
SELECT gid, owner, extract(epoch FROM pg_catalog.clock_timestamp() - prepared)::double precision
  FROM pg_catalog.pg_prepared_xacts WHERE database = %s ORDER BY prepared
"""
_PUBLICATIONS = "SELECT pubname FROM pg_catalog.pg_publication ORDER BY 1"


@dataclass(frozen=True)
class Slot:
    """A logical replication slot; ``pid`` is the process that reads from it, 0 where none does."""

    name: str
    plugin: str
    pid: int


@dataclass(frozen=True)
class Prepared:
    """A prepared transaction, as COMMIT PREPARED and ROLLBACK PREPARED name it."""

    gid: str
    owner: str
    age_seconds: float


@dataclass(frozen=True)
class Use:
    """What a database has beyond its contents.

    Attributes:
        subscriptions: their names.
    """

    slots: tuple[Slot, ...] = ()
    prepared: tuple[Prepared, ...] = ()
    subscriptions: tuple[str, ...] = ()


def read_use(connection: Connection, database: str) -> Use:
    """What a database has; nothing where it does not exist.

    Args:
        connection: a session in any database of the server.
    """
    slots: Any = connection.execute(_SLOTS, [database]).fetchall()
    prepared: Any = connection.execute(_PREPARED, [database]).fetchall()
    return Use(
        slots=tuple(Slot(*row) for row in slots),
        prepared=tuple(Prepared(*row) for row in prepared),
        subscriptions=tuple(list_subscriptions(connection, database)),
    )


def read_publications(connection: Connection, server: ConnectionParameters) -> list[str]:
    """The names of the publications in a database, none where it cannot be connected to.

    Args:
        connection: a session in another database of the server.
        server: how to connect to the database.
    """
    row = connection.execute(
        "SELECT datallowconn FROM pg_catalog.pg_database WHERE datname = %s", [server.dbname]
    ).fetchone()
    if row is None or not row[0]:
        return []
    with connect(server) as inside:
        return [str(name) for (name,) in inside.execute(_PUBLICATIONS)]


def require_not_in_use(use: Use, database: str, ends_replication: bool) -> None:
    """Refuse to replace a database that cannot be renamed, or would take replication with it.

    Args:
        ends_replication: whether subscriptions, and slots that are not read from, may stay in the
            replaced database.

    Raises:
        DatabaseInUse
    """
    reasons = describe_use(use, ends_replication)
    if reasons:
        raise DatabaseInUse(f'database "{database}" cannot be replaced: {reasons}')


def describe_use(use: Use, ends_replication: bool) -> str:
    """Say what keeps a database from being replaced, and what to do; empty for nothing."""
    texts = [
        f"transaction {_literal(one.gid)} of role {short_name(one.owner)} was prepared"
        f" {format_duration(one.age_seconds)} ago: end it (COMMIT PREPARED or ROLLBACK PREPARED)"
        for one in use.prepared
    ]
    texts += [
        f"process {slot.pid} reads from logical replication slot {short_name(slot.name)}"
        f" ({slot.plugin}): stop the subscriber, then drop the slot"
        for slot in use.slots
        if slot.pid
    ]
    if not ends_replication:
        texts += [
            f"logical replication slot {short_name(slot.name)} ({slot.plugin}) would stay in the"
            " replaced database, and its position cannot be kept: drop it (SELECT"
            f" pg_drop_replication_slot({_literal(slot.name)})), or set consent.endReplication"
            for slot in use.slots
            if not slot.pid
        ]
        texts += [
            f"subscription {short_name(name)} would stay in the replaced database: drop it, and"
            " make it again after the restore, or set consent.endReplication"
            for name in use.subscriptions
        ]
    return first_of(texts, "; ")


def describe_left(use: Use, publications: Sequence[str], previous: str) -> str:
    """Say what stays in a database that was replaced, and who has to act; empty for nothing.

    Args:
        publications: those that it has.
        previous: its name now.
    """
    texts = []
    if use.subscriptions:
        names = first_of([short_name(name) for name in use.subscriptions])
        texts.append(
            f"subscriptions stay in the replaced database {short_name(previous)}, which takes no"
            f" changes any more while their slots on the publisher keep them: {names}; drop them"
            " there, and enable those that the backup has in the restored database"
        )
    if use.slots:
        names = first_of([short_name(slot.name) for slot in use.slots])
        texts.append(
            f"logical replication slots stay in the replaced database {short_name(previous)}, keep"
            f" write-ahead log, and are dropped with it: {names}; make new ones in the restored"
            " database"
        )
    if publications:
        names = first_of([short_name(name) for name in publications])
        texts.append(
            f"subscribers of the replaced database's publications ({names}) do not follow the"
            " restored one: make their subscriptions again, with new slots and copy_data"
        )
    return "; ".join(texts)


def _literal(text: str) -> str:
    """Write a text as SQL does.

    >>> _literal("it's")
    "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"
