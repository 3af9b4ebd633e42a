"""Ends the sessions on standbys that still see a database that was replaced.

A standby does not end them when it replays the renames, so they would go on reading the replaced
database, under the name that it had when they began.
"""

from __future__ import annotations

import time
from typing import Any

import psycopg

from ..errors import OperatorError
from ..postgres.connection import Connection, ConnectionParameters, connect

_REPLAY_SECONDS = 10.0
_POLL_SECONDS = 0.1
_ROUNDS = 3
"""A session that was about to begin shows up a moment later."""


def end_standby_sessions(
    connection: Connection, parameters: ConnectionParameters, previous: str
) -> list[str]:
    """End all sessions in a replaced database on every standby.

    Args:
        connection: a session on the primary, after the swap.
        parameters: of the primary; the standbys take the same port, user and password or
            certificate, and are checked by the same name.
        previous: the name that the replaced database has now.

    Returns:
        One text for each standby where it could not be done. The restore has succeeded all the
        same.
    """
    try:
        position, standbys = list_standbys(connection)
    except psycopg.Error as error:
        return [f"the replicas are not known: {' '.join(str(error).split())}"]
    problems = []
    for name, host in standbys:
        try:
            _end_sessions(parameters.at(host), previous, position)
        except (OperatorError, psycopg.Error) as error:
            problems.append(f"replica {name}: {' '.join(str(error).split())}")
    return problems


def list_standbys(connection: Connection) -> tuple[str, list[tuple[str, str]]]:
    """Where the write-ahead log is, and the name and address of each standby."""
    row: Any = connection.execute("SELECT pg_current_wal_lsn()::text").fetchone()
    # Not one that is being made. One that catches up is waited for, and reported if it is late.
    found: Any = connection.execute(
        "SELECT application_name, host(client_addr) FROM pg_catalog.pg_stat_replication"
        " WHERE client_addr IS NOT NULL AND state IN ('streaming', 'catchup')"
        " ORDER BY 1"
    ).fetchall()
    return row[0], [(str(name), str(host)) for name, host in found]


def _end_sessions(parameters: ConnectionParameters, previous: str, position: str) -> None:
    with connect(parameters) as connection:
        _await_replay(connection, position)
        for _ in range(_ROUNDS):
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity"
                " WHERE datname = %s",
                [previous],
            )
            time.sleep(_POLL_SECONDS)


def _await_replay(connection: Connection, position: str) -> None:
    """Wait until the standby knows the new names.

    Raises:
        OperatorError: it takes too long.
    """
    deadline = time.monotonic() + _REPLAY_SECONDS
    while True:
        row: Any = connection.execute(
            "SELECT NOT pg_is_in_recovery() OR pg_last_wal_replay_lsn() >= %s::pg_lsn", [position]
        ).fetchone()
        if row[0]:
            return
        if time.monotonic() > deadline:
            raise OperatorError(f"it is more than {_REPLAY_SECONDS:g} s behind")
        time.sleep(_POLL_SECONDS)
