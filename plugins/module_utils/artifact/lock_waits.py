"""Waits for locks while a backup is made: how long it waits, and when it does not.

A backup holds weak locks on everything that it reads. To wait for another session costs nobody
anything, as long as none waits behind the backup; and where that other session is itself waiting
for the backup, none of the two would ever go on: PostgreSQL does not see that, since a backup has
many sessions.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import LockCycle, Timeout
from ..postgres.cancellation import Cancellation, run_together
from ..postgres.connection import Connection, ConnectionParameters, connect

PATIENCE_SECONDS = 1800.0
"""How long a backup waits for what nobody else waits for: pg_dump itself would do so for ever."""

BEHIND_SECONDS = 60.0
"""How long another session waits for a backup that is itself waiting."""

ENDLESS_SECONDS = 2.0
"""After what time a wait counts: locks are had in a moment, as a rule."""

_WATCH_SECONDS = 1

# The run's sessions are those with this one's name and address. Of a prepared transaction, which
# has no process, the number is 0.
_WAITS = """
WITH mine AS (
    SELECT a.pid FROM pg_catalog.pg_stat_activity a, pg_catalog.pg_stat_activity me
     WHERE me.pid = pg_catalog.pg_backend_pid() AND a.datid = me.datid
       AND a.application_name = me.application_name
       AND a.client_addr IS NOT DISTINCT FROM me.client_addr),
waiting AS MATERIALIZED (
    SELECT l.relation, l.waitstart, pg_catalog.pg_blocking_pids(l.pid) AS blockers
      FROM pg_catalog.pg_locks l JOIN mine USING (pid)
     WHERE NOT l.granted AND l.relation IS NOT NULL
       AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
       AND l.waitstart < pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => %s)),
behind AS MATERIALIZED (
    SELECT l.pid, l.waitstart FROM pg_catalog.pg_locks l
     WHERE NOT l.granted AND l.pid NOT IN (SELECT pid FROM mine)
       AND pg_catalog.pg_blocking_pids(l.pid) && ARRAY(SELECT pid FROM mine))
SELECT w.relation::regclass::text,
       EXTRACT(epoch FROM pg_catalog.clock_timestamp() - w.waitstart)::float8,
       EXISTS (SELECT FROM behind WHERE pid = ANY (w.blockers)),
       coalesce((SELECT EXTRACT(epoch FROM pg_catalog.clock_timestamp() - min(waitstart))
                   FROM behind), 0)::float8,
       a.pid, a.usename, a.application_name,
       pg_catalog.to_char(a.xact_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
  FROM waiting w LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = w.blockers[1]
 ORDER BY 3 DESC, w.waitstart
 LIMIT 1
"""

# Who may have kept a lock from being had: the strongest first, and who has it before who waits.
_HOLDER = """
SELECT pg_catalog.format('%%I.%%I', n.nspname, c.relname),
       a.pid, a.usename, a.application_name,
       pg_catalog.to_char(a.xact_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
  FROM pg_catalog.pg_locks l
       LEFT JOIN pg_catalog.pg_stat_activity a USING (pid)
       JOIN pg_catalog.pg_class c ON c.oid = l.relation
       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
   AND l.mode IN ('AccessExclusiveLock', 'ExclusiveLock', 'ShareRowExclusiveLock', 'ShareLock',
                  'ShareUpdateExclusiveLock')
   AND c.relkind IN ('r', 'p', 'm', 'S') AND n.nspname !~ '^pg_'
   AND coalesce(l.pid, 0) <> ALL (%s)
 ORDER BY l.mode <> 'AccessExclusiveLock', NOT l.granted, a.xact_start
 LIMIT 1
"""


@dataclass
class LockWaits:
    """Watches what the sessions of a run wait for.

    Attributes:
        connection: one of them that is not in use otherwise.
        current: what is waited for now, in words; empty for nothing.
    """

    connection: Connection
    current: str = ""

    def run(self, tasks: Sequence[Callable[[], None]], cancellation: Cancellation) -> None:
        """Run the tasks together, and watch their waits meanwhile.

        Raises:
            LockCycle: what is waited for waits for this run.
            Timeout: others have waited behind it for BEHIND_SECONDS, or it has waited for
                PATIENCE_SECONDS.
            Exception: what the first failed task raised.
        """
        ended = threading.Event()

        def work() -> None:
            try:
                run_together(cancellation, tasks)
            finally:
                ended.set()

        def watch() -> None:
            while not (cancellation.requested or ended.wait(_WATCH_SECONDS)):
                self.current = self._check()

        run_together(cancellation, [work, watch])

    def _check(self) -> str:
        # A transaction sees the sessions that were there when it first asked.
        self.connection.execute("SELECT pg_catalog.pg_stat_clear_snapshot()")
        row: Any = self.connection.execute(_WAITS, [ENDLESS_SECONDS]).fetchone()
        if row is None:
            return ""
        relation, seconds, endless, behind, *holder = row
        if endless:
            raise lock_cycle(relation)
        text = _describe(relation, *holder)
        if behind > BEHIND_SECONDS:
            raise Timeout(
                f"{text}; other sessions have waited {behind:.0f} s for the backup, which waits for"
                " it: take the backup when that has ended"
            )
        if seconds > PATIENCE_SECONDS:
            raise given_up(text, seconds)
        return f"waiting, {text}"


def lock_cycle(relation: str) -> LockCycle:
    """The error where another session has asked for a lock on what this run has locked."""
    return LockCycle(
        f"a lock on {relation} was waited for, for which another session waits that wants to"
        " change it: take the backup when no migration runs"
    )


def given_up(text: str, seconds: float) -> Timeout:
    """The error where ``text``, which says what is locked by whom, went on for too long."""
    return Timeout(f"{text}: waited {seconds:.0f} s, take the backup when that has ended")


def find_holder(parameters: ConnectionParameters, own: Sequence[int]) -> str | None:
    """Say, in words, which table is locked by whom; None where nothing is.

    Args:
        parameters: the database, and a superuser.
        own: process numbers of sessions that do not count.
    """
    with connect(parameters) as observer:
        row: Any = observer.execute(_HOLDER, [list(own)]).fetchone()
    return None if row is None else _describe(*row)


def _describe(
    relation: str, pid: int | None, user: str | None, application: str | None, since: str | None
) -> str:
    if pid is None:
        return f"{relation} is locked by a prepared transaction (see pg_prepared_xacts)"
    return (
        f"{relation} is locked by process {pid} of role {user} ({application or 'unnamed'}), whose"
        f" transaction began at {since}"
    )
