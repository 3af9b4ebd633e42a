"""How a restore ended whose Job was stopped before it could write its result."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import psycopg

from ..errors import AuthFailed, DatabaseNotReady, Locked, OperatorError, RestoreFailed, Timeout
from ..postgres.connection import MAINTENANCE_DATABASE, ConnectionParameters, connect
from ..postgres.errors import database_errors
from .history import database_lock, drop_scratch, ensure_history, find_outcome, scratch_name
from .replaced_database import previous_name
from .restore import LOCK_WAIT_SECONDS, SETTLE_SECONDS, end_swap


@dataclass(frozen=True)
class StoppedRestore:
    """A restore that was stopped.

    Attributes:
        parameters: the server, and the database that it was to replace as ``dbname``.
        uid: of the restore.
        timeout: what it was given, for people.
        keep_previous: how long the replaced database is kept.
        dry_run: whether it was to replace nothing.
    """

    parameters: ConnectionParameters
    uid: str
    timeout: str
    keep_previous: timedelta
    dry_run: bool = False

    @property
    def maintenance(self) -> ConnectionParameters:
        """The server, through the maintenance database."""
        return replace(self.parameters, dbname=MAINTENANCE_DATABASE)


def find_end(restore: StoppedRestore, patience_seconds: float = SETTLE_SECONDS) -> dict[str, Any]:
    """Return what a restore that had swapped has left behind; undo one that had not.

    The lock of the restore is free when its last session has ended.

    Args:
        patience_seconds: how long a server that does not answer, or a session that does not end, is
            waited for.

    Raises:
        Timeout: the database was not replaced; the scratch database is gone.
        RestoreFailed: it is not known, since the server did not answer.
    """
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            with database_errors("finding out how the restore ended", RestoreFailed):
                return _find_outcome(restore)
        except (AuthFailed, DatabaseNotReady, Locked) as error:
            if time.monotonic() > deadline:
                raise _unknown(restore, error) from error
        time.sleep(1)


def _find_outcome(restore: StoppedRestore) -> dict[str, Any]:
    database, scratch = restore.parameters.dbname, scratch_name(restore.uid)
    locked = scratch if restore.dry_run else database
    with (
        connect(restore.maintenance) as connection,
        database_lock(connection, locked, LOCK_WAIT_SECONDS),
    ):
        done = find_outcome(connection, restore.uid)
        if done is not None:
            return end_swap(connection, restore.maintenance, restore.keep_previous, done)
        ensure_history(connection)
        drop_scratch(connection, restore.maintenance, scratch)
    raise Timeout(
        f"the restore had not ended after {restore.timeout} and was stopped; database"
        f' "{database}" was not replaced; make another Restore with a longer timeout'
    )


def _unknown(restore: StoppedRestore, error: OperatorError | psycopg.Error) -> RestoreFailed:
    database = restore.parameters.dbname
    previous = previous_name(database, restore.uid)
    return RestoreFailed(
        f"the restore had not ended after {restore.timeout} and was stopped, and whether database"
        f' "{database}" was replaced is not known ({error}). It was if there is a database'
        f' "{previous}"'
    )
