"""What is true of every moment, by PostgreSQL's own pg_waldump alone."""

from __future__ import annotations

import os
import re
import subprocess
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ansible_collections.postgres.operator.plugins.module_utils.archive.names import (
    format_lsn,
    parse_lsn,
)
from instances import Instance

# tx is 0 where a prepared transaction ends: its number is in the description then.
_LINE = re.compile(
    r"rmgr: Transaction .* tx: +(?P<tx>\d+), lsn: (?P<lsn>[0-9A-F/]+), .*"
    r"desc: (?P<kind>COMMIT|ABORT)(?:_PREPARED)? (?:(?P<prepared>\d+): )?"
    r"(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+) UTC"
)


@dataclass(frozen=True)
class Entry:
    """The end of a transaction.

    Attributes:
        lsn: where its record begins.
        time: in microseconds since 1970.
    """

    lsn: int
    xid: int
    committed: bool
    time: int


@dataclass
class Ledger:
    """The ends of all transactions, in the order of the WAL."""

    entries: list[Entry] = field(default_factory=list)
    _position: int = 0

    def read(self, primary: Instance) -> None:
        """Read on in the WAL on the disk of the primary, up to what it has flushed."""
        with primary.connect() as connection:
            flushed, timeline = connection.execute(
                "SELECT pg_current_wal_flush_lsn()::text,"
                " ('x' || left(pg_walfile_name(pg_current_wal_flush_lsn()), 8))::bit(32)::int"
            ).fetchone()
        self._read(primary, timeline, parse_lsn(flushed))

    def _read(self, instance: Instance, timeline: int, end: int) -> None:
        if end <= self._position:
            return
        command = ["pg_waldump", "--path", instance.data / "pg_wal", "--timeline", str(timeline)]
        command += ["--start", format_lsn(self._position), "--end", format_lsn(end)]
        command += ["--rmgr", "Transaction"]
        done = subprocess.run(
            command, env=os.environ | {"TZ": "UTC"}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        last = self.entries[-1].lsn if self.entries else -1
        self.entries += [entry for entry in map(_parse, _lines(done.stdout)) if entry.lsn > last]
        # A record may begin before the end of what was read, and end after it.
        self._position = max(self._position, self.entries[-1].lsn if self.entries else 0)

    def begin(self, lsn: int) -> None:
        """Begin to read at the start of a record."""
        self._position = lsn

    def fork(self, lost: Instance, timeline: int, lsn: int) -> None:
        """Read a lost server's WAL up to where its timeline was left, and forget what comes then.

        What is read next is of the next timeline.
        """
        self._read(lost, timeline, lsn)
        del self.entries[self.before(lsn) :]
        self._position = lsn

    def before(self, lsn: int) -> int:
        """Return how many transactions end by a record that begins before an LSN."""
        return bisect_left(self.entries, lsn, key=lambda entry: entry.lsn)

    def until(self, time: int, lsn: int) -> int:
        """Return how many transactions end before the first one that has a later time.

        Args:
            lsn: where a backup begins: its recovery sees nothing of what is before.
        """
        first = self.before(lsn)
        later = (n for n in range(first, len(self.entries)) if self.entries[n].time > time)
        return next(later, len(self.entries))

    def overtaken(self, time: int, count: int) -> list[Entry]:
        """Return the commits of a time at most, which are not among the first ones."""
        return [entry for entry in self.entries[count:] if entry.committed and entry.time <= time]

    def inversions(self) -> list[int]:
        """Return the times of transactions that come in the WAL after one with a later time."""
        pairs = zip(self.entries, self.entries[1:], strict=False)
        return [after.time for before, after in pairs if after.time < before.time]


def _lines(output: str) -> Iterator[re.Match[str]]:
    for line in output.splitlines():
        found = _LINE.match(line)
        if found:
            yield found
        else:
            assert "desc: COMMIT" not in line, line
            assert "desc: ABORT" not in line, line


def _parse(found: re.Match[str]) -> Entry:
    moment = datetime.fromisoformat(found["time"]).replace(tzinfo=UTC)
    return Entry(
        parse_lsn(found["lsn"]),
        int(found["prepared"] or found["tx"]),
        found["kind"] == "COMMIT",
        microseconds(moment),
    )


def microseconds(moment: datetime) -> int:
    """Return the microseconds since 1970, without the rounding of floating point."""
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds
