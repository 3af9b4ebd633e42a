"""Fingerprints of all tables of a snapshot, by sessions that wait for locks as a backup does."""

from __future__ import annotations

from ..postgres.cancellation import Cancellation
from .fingerprint import RowHash, fingerprint_tables
from .lock_waits import LockWaits
from .manifest import TableEntry
from .snapshot import Snapshot


def read_tables(
    snapshot: Snapshot, workers: int, older_hash: RowHash | None = None
) -> list[TableEntry]:
    """Read every row of every table.

    Args:
        workers: tables that are read at a time.
        older_hash: see ``fingerprint_tables``.
    """
    found: list[TableEntry] = []
    cancellation = Cancellation()

    def read() -> None:
        found.extend(
            fingerprint_tables(
                snapshot.patient_session,
                snapshot.tables,
                workers,
                cancellation,
                older_hash=older_hash,
            )
        )

    LockWaits(snapshot.keeper).run([read], cancellation)
    return found
