"""Writes unique values, from several threads, and prints what became of each as a line of JSON.

It runs in a pod of its own, with nothing of the project but psycopg. Half of the threads hold their
connections, the others make one for each write. A write that is not answered within some seconds is
given up, and its outcome is unknown: nothing is sent to cancel it, for that would change it.

Arguments: a file to write to, one whose coming ends it, the number of threads, and the pause between two writes in seconds.
"""

from __future__ import annotations

import json
import select
import sys
import threading
import time
from pathlib import Path
from typing import IO, Any

import psycopg
from psycopg import pq

ANSWER_SECONDS = 4.0
INSERT = (
    "INSERT INTO history VALUES (%d,"
    " ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int) RETURNING timeline"
)
VALUES_PER_THREAD = 100_000_000


class Unanswered(Exception):
    """The server has not said whether it took a write."""


class Writer(threading.Thread):
    """One client."""

    def __init__(
        self, number: int, holds: bool, pause: float, stop: str, log: IO[str], lock: Any
    ) -> None:
        super().__init__(daemon=True)
        self.value = number * VALUES_PER_THREAD
        self.holds, self.pause, self.stop = holds, pause, stop
        self.log, self.lock = log, lock
        self.connection: psycopg.Connection[Any] | None = None
        self.warned = False

    def run(self) -> None:
        """Write until the end."""
        while not Path(self.stop).exists():
            try:
                connection = self.connection or self._connect()
            except psycopg.Error:
                time.sleep(0.1)
                continue
            self.connection = connection
            self._write(connection)
            if not self.holds and self.connection:
                self.connection.close()
                self.connection = None
            time.sleep(self.pause)

    def _connect(self) -> psycopg.Connection[Any]:
        connection = psycopg.connect("", autocommit=True, connect_timeout=2)
        connection.add_notice_handler(self._notice)
        return connection

    def _notice(self, _: Any) -> None:
        # As that a commit was not waited for after all.
        self.warned = True

    def _write(self, connection: psycopg.Connection[Any]) -> None:
        self.value += 1
        self.warned = False
        outcome, timeline, why, sent = "unknown", 0, "", time.time()
        try:
            timeline, refused = send(connection.pgconn, INSERT % self.value)
            outcome = "refused" if refused else "unknown" if self.warned else "acknowledged"
            why = refused
        except (Unanswered, psycopg.Error) as error:
            why = str(error)
        ended = time.time()
        if outcome != "acknowledged":
            # Closes the socket; the server is not asked to do anything.
            connection.pgconn.finish()
            self.connection = None
        line = {"value": self.value, "outcome": outcome, "sent": sent, "ended": ended}
        line |= {"timeline": timeline if outcome == "acknowledged" else 0}
        line |= {"why": why.strip()[:120]} if why else {}
        with self.lock:
            self.log.write(json.dumps(line) + "\n")
            self.log.flush()


def send(connection: Any, statement: str) -> tuple[int, str]:
    """Send a statement and return the number that it answers, or why the server refused it.

    Raises:
        Unanswered: there was no answer in time, or the session was ended.
        psycopg.Error: the connection is lost.
    """
    connection.send_query(statement.encode())
    deadline = time.monotonic() + ANSWER_SECONDS
    answers = []
    while True:
        while connection.is_busy():
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([connection.socket], [], [], left)[0]:
                raise Unanswered(f"no answer within {ANSWER_SECONDS:g} s")
            connection.consume_input()
        answer = connection.get_result()
        if answer is None:
            break
        answers.append(answer)
    if not answers:
        raise Unanswered("the connection was closed")
    last = answers[-1]
    if last.status == pq.ExecStatus.TUPLES_OK:
        return int(last.get_value(0, 0)), ""
    severity = (last.error_field(pq.DiagnosticField.SEVERITY_NONLOCALIZED) or b"").decode()
    message = last.error_message.decode(errors="replace")
    if severity == "ERROR":
        return 0, message
    raise Unanswered(message)


def main() -> None:
    """Write until the process is ended."""
    path, stop, threads, pause = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    lock = threading.Lock()
    with Path(path).open("a", encoding="utf-8") as log:
        for number in range(1, threads + 1):
            Writer(number, number % 2 == 0, pause, stop, log, lock).start()
        threading.Event().wait()


if __name__ == "__main__":
    main()
