"""The state of a server over SQL, with a test write on a primary."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import class_row, dict_row

from ..errors import DatabaseNotReady
from .connection import Connection
from .errors import translate

_SERVER = """
SELECT in_recovery,
       current_setting('server_version_num')::int AS server_version_num,
       current_setting('server_version') AS server_version,
       CASE WHEN in_recovery
            THEN coalesce(pg_last_wal_replay_lsn(), pg_last_wal_receive_lsn())
            ELSE pg_current_wal_lsn() END::text AS lsn,
       CASE WHEN in_recovery
            THEN coalesce((SELECT received_tli FROM pg_stat_wal_receiver),
                          (SELECT timeline_id FROM pg_control_checkpoint()))
            -- The control file lags behind a promotion, the name of the current segment does not.
            ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int
            END AS timeline,
       current_setting('synchronous_standby_names') AS synchronous_standby_names,
       EXISTS (SELECT FROM pg_roles WHERE rolname = %(username)s) AS role_exists,
       (SELECT pg_database_size(oid) FROM pg_database WHERE datname = %(database)s)
            AS database_size_bytes
  FROM pg_is_in_recovery() AS in_recovery
"""

_STANDBYS = """
SELECT application_name, coalesce(state, '') AS state, coalesce(sync_state, '') AS sync_state,
       pg_wal_lsn_diff(here, write_lsn)::bigint AS write_lag_bytes,
       pg_wal_lsn_diff(here, flush_lsn)::bigint AS flush_lag_bytes,
       pg_wal_lsn_diff(here, replay_lsn)::bigint AS replay_lag_bytes
  FROM pg_stat_replication,
       (SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
                    ELSE pg_current_wal_lsn() END AS here) AS position
 ORDER BY application_name
"""

_NUMBER = re.compile(r"\s*(?:(?:FIRST|ANY)\s+)?(\d+)\s*\(", re.IGNORECASE)

_WRITTEN = "SELECT max(modification) > now() - interval '9 minutes' FROM pg_ls_waldir()"


@dataclass(frozen=True)
class Standby:
    """One row of pg_stat_replication; a lag is None until the standby reported a position."""

    application_name: str
    state: str
    sync_state: str
    write_lag_bytes: int | None
    flush_lag_bytes: int | None
    replay_lag_bytes: int | None

    @property
    def synchronous(self) -> bool:
        """Whether commits wait for it, or for others in its place."""
        return self.sync_state in {"sync", "quorum"}


@dataclass(frozen=True)
class Observation:
    """The state of one server.

    Attributes:
        writable: a transaction was committed and its WAL flushed just now.
        lsn: current position of WAL (of replay on a standby), such as '0/16B3748'.
        database_size_bytes: None if the database does not exist.
        awaited_standbys: how many synchronous standbys a commit waits for.
    """

    in_recovery: bool
    writable: bool
    timeline: int
    lsn: str
    server_version: str
    server_version_num: int
    standbys: tuple[Standby, ...]
    database_exists: bool
    role_exists: bool
    database_size_bytes: int | None
    awaited_standbys: int = 0


def inspect(
    connection: Connection, database: str, username: str, sparing: bool = False
) -> Observation:
    """Query a server in a superuser's session; test that a primary can write.

    Args:
        sparing: whether WAL that was written within the last minutes shows that it can. The test
            makes an idle server end a segment after each, where archive_timeout is set.

    Raises:
        OperatorError: DatabaseNotReady unless the cause has a name of its own.
    """
    names = {"database": database, "username": username}
    try:
        with connection.cursor(row_factory=dict_row) as cursor:
            server = cursor.execute(_SERVER, names).fetchone()
            assert server is not None
        with connection.cursor(row_factory=class_row(Standby)) as standbys:
            rows = tuple(standbys.execute(_STANDBYS).fetchall())
        writable = not server["in_recovery"] and (
            (sparing and _has_written(connection)) or _can_write(connection)
        )
    except psycopg.Error as error:
        raise translate(error, "querying the state of the server", DatabaseNotReady) from error
    return _observation(server, rows, writable)


def _observation(
    server: dict[str, Any], standbys: tuple[Standby, ...], writable: bool
) -> Observation:
    return Observation(
        in_recovery=server["in_recovery"],
        writable=writable,
        timeline=server["timeline"],
        lsn=server["lsn"],
        server_version=server["server_version"].split()[0],
        server_version_num=server["server_version_num"],
        standbys=standbys,
        database_exists=server["database_size_bytes"] is not None,
        role_exists=server["role_exists"],
        database_size_bytes=server["database_size_bytes"],
        awaited_standbys=count_awaited(server["synchronous_standby_names"]),
    )


def count_awaited(names: str) -> int:
    """Return how many standbys a commit waits for.

    Args:
        names: the parameter `synchronous_standby_names`, as PostgreSQL's documentation has it.

    >>> [count_awaited(text) for text in ("", "*", "a, b", "FIRST 2 (a, b)", "ANY 1 (*)")]
    [0, 1, 1, 2, 1]
    """
    if not names.strip():
        return 0
    number = _NUMBER.match(names)
    return int(number[1]) if number else 1


def _has_written(connection: Connection) -> bool:
    """Return whether WAL was written within the last minutes."""
    row = connection.execute(_WRITTEN).fetchone()
    return bool(row and row[0])


def _can_write(connection: Connection) -> bool:
    """Commit a message that reaches only WAL: it changes no table, but must be flushed to disk.

    A transactional message takes a transaction id, and its commit waits for the local flush; not
    for standbys (synchronous_commit = local), whose state is checked separately.
    """
    try:
        with connection.transaction():
            connection.execute("SET LOCAL synchronous_commit = local")
            connection.execute(
                "SELECT pg_catalog.pg_logical_emit_message(true, 'postgres-operator', 'write test')"
            )
    except psycopg.errors.ReadOnlySqlTransaction:
        return False
    except (psycopg.errors.InsufficientResources, psycopg.errors.SystemError):
        return False
    return True
