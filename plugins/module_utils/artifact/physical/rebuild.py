"""Makes the data directory of a new server from a physical artifact, with all of its databases."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...errors import DatabaseNotEmpty, RestoreFailed
from ...postgres.connection import connect
from ...postgres.errors import database_errors
from ...postgres.programs import run_program
from ...postgres.scratch import existing_server
from ...postgres.subscriptions import disable_subscriptions
from ...store.filesystem import sync_path
from ...units import first_of
from ..progress import Progress, now_text
from ..stored_files import spool_errors
from .recover import RecoverRequest, recover

RECORD = "postgres_operator_restore.json"
"""In the data directory: by which restore it was made, and the summary of that."""

_WORK = "restore-"
_TWO_PHASE = "pg_twophase"
# Cached by Patroni in the data directory, and the former server's: the new one has its own.
_DYNAMIC_CONFIGURATION = "patroni.dynamic.json"
# The control file has those that the server was last started with, and no standby, as which Patroni
# starts it, may have less.
_SMALL = {
    "wal_level": "replica",
    "max_connections": "20",
    "max_worker_processes": "4",
    "max_wal_senders": "4",
    "max_locks_per_transaction": "64",
    "wal_log_hints": "on",
    # No subscription connects to its publisher from here.
    "max_logical_replication_workers": "0",
}


@dataclass(frozen=True)
class RebuildRequest:
    """A server to be made.

    Attributes:
        recovery: what to recover; its ``folder`` is the volume, in which this works in a folder of
            its own.
        data: the data directory, on the same volume, which must not exist.
        restore_uid: by which the same restore is known when it is tried again.
        max_prepared_transactions: how many of them the new server can hold.
    """

    recovery: RecoverRequest
    data: Path
    restore_uid: str
    max_prepared_transactions: int = 0


def rebuild(request: RebuildRequest, progress: Progress | None = None) -> dict[str, Any]:
    """Recover a server and put it where the new one starts from, whole and durable.

    Until the data directory gets its name, nothing is there; so this can be killed at any moment
    and be done again. What an earlier attempt has left is removed.

    Returns:
        What a status shows: see ``Recovered``, and ``completionTime``.

    Raises:
        DatabaseNotEmpty: there is a data directory that another restore, or none, has made.
        RestoreFailed: it has tablespaces, or holds more prepared transactions than the new one can.
        Others: see ``recover``.
    """
    progress = progress or Progress()
    volume = request.recovery.folder
    done = _read_record(request)
    if done is not None:
        _remove_work(volume)
        return done
    _remove_work(volume)
    work = volume / f"{_WORK}{request.restore_uid}"
    with spool_errors(work):
        # As root runs it, the server is another user's.
        work.mkdir(mode=0o711)
    recovered = recover(replace(request.recovery, folder=work, tablespaces=False), progress)
    server = recovered.folder
    prepared = _count_prepared(server / "data")
    if prepared > request.max_prepared_transactions:
        raise RestoreFailed(
            f"the server holds {prepared} prepared transactions, and the Database allows"
            f" {request.max_prepared_transactions}: set"
            f" postgresql.parameters.max_prepared_transactions to {prepared} or more, or name an"
            " earlier moment"
        )
    summary = {**recovered.summary, "completionTime": now_text()}
    with progress.step("Preparing the data directory"):
        _prepare(server, request, prepared, summary)
    with progress.step("Writing it to the disk"):
        run_program(
            ["initdb", "--sync-only", "--pgdata", str(server / "data")],
            {"LC_ALL": "C"},
            RestoreFailed,
        )
        (server / "data").rename(request.data)
        sync_path(volume)
    _remove_work(volume)
    return summary


def _read_record(request: RebuildRequest) -> dict[str, Any] | None:
    """Return the summary of this restore, if it was done already; None if nothing is there.

    Raises:
        DatabaseNotEmpty
    """
    if not request.data.exists():
        return None
    try:
        record = json.loads((request.data / RECORD).read_bytes())
        if record["restoreUID"] == request.restore_uid:
            return dict(record["summary"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise DatabaseNotEmpty(
        "the volume holds the data of another server, which is never overwritten: delete its claim"
        " if you do not need it, or make a Database of another name"
    )


def _prepare(server: Path, request: RebuildRequest, prepared: int, summary: dict[str, Any]) -> None:
    """Start and stop the server once with small settings, and write the record.

    The summary gets a warning of subscriptions, which are disabled.
    """
    settings = {**_SMALL, "max_prepared_transactions": str(prepared)}
    with (
        database_errors("preparing the server", RestoreFailed),
        existing_server(server, settings, RestoreFailed) as found,
        connect(found.parameters) as connection,
    ):
        disabled = disable_subscriptions(connection, found.parameters)
    if disabled:
        summary["warning"] = (
            f"its subscriptions were disabled ({first_of(disabled)}): enable them (ALTER"
            " SUBSCRIPTION ... ENABLE) if no other server uses their replication slots"
        )
    data = server / "data"
    (data / _DYNAMIC_CONFIGURATION).unlink(missing_ok=True)
    record = {"restoreUID": request.restore_uid, "summary": summary}
    (data / RECORD).write_text(json.dumps(record), encoding="utf-8")


def _count_prepared(data: Path) -> int:
    """Return how many prepared transactions a server that was shut down holds: a file for each."""
    folder = data / _TWO_PHASE
    return len(list(folder.iterdir())) if folder.exists() else 0


def _remove_work(volume: Path) -> None:
    for left in volume.glob(f"{_WORK}*"):
        shutil.rmtree(left, ignore_errors=True)
