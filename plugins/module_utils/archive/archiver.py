"""The archiver of an instance: puts the WAL files that PostgreSQL hands over into the archive.

PostgreSQL names a file that is to be archived by ``archive_status/NAME.ready``, and runs
archive_command for one after the other. That command is a script which only waits for the marker
``durable/NAME``. The archiver sees all ``.ready`` files, stores several at the same time, and makes
the marker of each that is durable in the store. So nothing is started for a segment but a shell,
and PostgreSQL keeps each file until its marker is there.

All state is in archive_status and in the store: the archiver may be killed at any moment.
"""

from __future__ import annotations

import argparse
import heapq
import json
import os
import select
import signal
import struct
import time
import traceback
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from inotify_simple import INotify, flags

from ..errors import ArchiveConflict, ChecksumMismatch, InvalidInput, OperatorError
from ..printable import printable
from ..store.chosen import chosen_store
from ..store.encryption import EncryptionKey
from ..units import format_time
from .names import is_history, is_wal_file, uid_of_archive
from .plain_file import open_plain
from .segment_file import stored_name
from .wal_archive import Identity, StoredWrong, WalArchive, archive_location

WORKERS = 4
"""Files that are stored at the same time."""

_READY, _DONE = ".ready", ".done"
_SCAN_SECONDS = 1.0
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
_STOP_SECONDS = 100.0
"""Less than a pod's terminationGracePeriodSeconds."""

_PROGRESS_SECONDS, _PROGRESS_FILES = 30.0, 16
_STANDBY_SECONDS = 4.0
"""How long a replica leaves files to the primary, which has the same: less than its own
archive_command waits."""

_PATIENCE: dict[str, Any] = {"timeout_seconds": 10.0, "attempts": 2}


@dataclass
class SharedFolder:
    """What archiver and archive_command share: the container of PostgreSQL can only read it.

    It has ``durable/NAME`` for each file that is in the store and that PostgreSQL still waits for,
    and ``failing`` with since when and why nothing can be stored.
    """

    folder: Path

    def __post_init__(self) -> None:
        """Begin with no markers: what an earlier run knew is asked for again."""
        self._durable.mkdir(exist_ok=True)
        for name in self.marked():
            self.unmark(name)
        self.set_failing("")

    @property
    def _durable(self) -> Path:
        return self.folder / "durable"

    def marked(self) -> list[str]:
        """Return the files that have a marker."""
        return [path.name for path in self._durable.iterdir()]

    def mark(self, name: str) -> None:
        """Let archive_command succeed for a file."""
        (self._durable / name).touch()

    def unmark(self, name: str) -> None:
        """Remove a marker that is not needed any more."""
        (self._durable / name).unlink(missing_ok=True)

    def set_failing(self, text: str) -> None:
        """Write why nothing can be stored; empty where it can."""
        path, temporary = self.folder / "failing", self.folder / ".failing.new"
        if not text:
            path.unlink(missing_ok=True)
            return
        temporary.write_text(text + "\n", encoding="utf-8")
        temporary.replace(path)


@dataclass
class _Trouble:
    """Why something could not be stored, and when it is to be tried again.

    Attributes:
        since: when it began.
        pause: seconds between the last two attempts.
        again: when the next one is due, by time.monotonic.
    """

    text: str
    since: datetime
    pause: float
    again: float


@dataclass
class Archiver:
    """Stores what PostgreSQL hands over, until it is stopped.

    Attributes:
        settings: a file in JSON: ``namespace``, ``database`` and ``uid`` of the Database,
            ``recipients``, and ``root`` or ``s3``, see ``chosen_store``. It is read again when it
            changes.
        data: PostgreSQL's data directory, of which nothing is written.
        shared: what archive_command sees.
        spool: a folder for files on their way to the store.
        report: writes a line of the log.
    """

    settings: Path
    data: Path
    shared: SharedFolder
    spool: Path
    report: Callable[[str], None] = lambda line: print(line, flush=True)

    _ready: set[str] = field(default_factory=set)
    _queue: list[tuple[bool, str]] = field(default_factory=list)
    _queued: set[str] = field(default_factory=set)
    _running: dict[str, Future[bool]] = field(default_factory=dict)
    _durable: set[str] = field(default_factory=set)
    _wrong: set[str] = field(default_factory=set)
    _seen: dict[str, float] = field(default_factory=dict)
    _standby: bool = False
    _refused: dict[str, _Trouble] = field(default_factory=dict)
    _trouble: _Trouble | None = None
    _failing: str = ""
    _failing_since: datetime | None = None
    _text: str | None = None
    _archive: WalArchive | None = None
    _identified: str = ""
    _scanned: float = 0.0
    _stopped: float | None = None
    _stored: int = 0
    _progress: tuple[float, int] = (0.0, 0)

    def __post_init__(self) -> None:
        self._event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def stop(self) -> None:
        """Have ``run`` end, once it has stored what is there and can be stored."""
        self._stopped = time.monotonic()
        # PostgreSQL may have handed over its last file after the last scan.
        self._scanned = 0.0
        os.eventfd_write(self._event, 1)

    def run(self) -> None:
        """Store files until ``stop`` was called."""
        with ThreadPoolExecutor(WORKERS) as pool, INotify() as inotify:
            poll = select.poll()
            for descriptor in (inotify.fileno(), self._event):
                poll.register(descriptor, select.POLLIN)
            while True:
                self._collect()
                if time.monotonic() - self._scanned >= _SCAN_SECONDS:
                    self._watch(inotify)
                    self._scan()
                self._submit(pool)
                self._tell()
                if self._is_over():
                    return
                self._wait(poll, inotify)

    @property
    def _wal(self) -> Path:
        return self.data / "pg_wal"

    @property
    def _status(self) -> Path:
        return self._wal / "archive_status"

    def _is_over(self) -> bool:
        if self._stopped is None or self._running or self._scanned < self._stopped:
            return False
        left = self._ready - self._durable
        late = time.monotonic() - self._stopped > _STOP_SECONDS
        return not left or self._trouble is not None or left <= set(self._refused) or late

    def _wait(self, poll: select.poll, inotify: INotify) -> None:
        """Wait for a file of PostgreSQL, for one that was stored, or for the next scan."""
        left = max(0.0, self._scanned + _SCAN_SECONDS - time.monotonic())
        woken = {descriptor for descriptor, _ in poll.poll(left * 1000 + 1)}
        if self._event in woken:
            os.eventfd_read(self._event)
        if inotify.fileno() in woken:
            for event in inotify.read(timeout=0):
                self._notice(event.name)

    def _notice(self, name: str) -> None:
        """Take note of a file that has appeared in archive_status."""
        if name.endswith(_READY):
            self._add(name.removesuffix(_READY))
        elif name.endswith(_DONE):
            self._forget(name.removesuffix(_DONE))

    def _watch(self, inotify: INotify) -> None:
        # The folder may be another one than last time: a replica that is made anew.
        with suppress(OSError):
            inotify.add_watch(self._status, flags.CREATE | flags.MOVED_TO | flags.ONLYDIR)

    def _scan(self) -> None:
        """Read archive_status as it is: events may have been lost, or not have been watched for."""
        self._scanned = time.monotonic()
        self._read_settings()
        self._standby = (self.data / "standby.signal").exists()
        try:
            entries = [path.name for path in self._status.iterdir()]
        except OSError:
            # No data yet, or a replica is made anew.
            entries = []
        ready = {entry.removesuffix(_READY) for entry in entries if entry.endswith(_READY)}
        for name in (self._ready | self._durable | set(self.shared.marked())) - ready:
            self._forget(name)
        for name in ready:
            self._add(name)

    def _add(self, name: str) -> None:
        known = name in self._queued or name in self._running or name in self._durable
        if known or not is_wal_file(name):
            return
        self._ready.add(name)
        self._seen.setdefault(name, time.monotonic())
        trouble = self._refused.get(name)
        if trouble is None or time.monotonic() >= trouble.again:
            self._queued.add(name)
            # Histories first, as PostgreSQL does; then the oldest.
            heapq.heappush(self._queue, (not is_history(name), name))

    def _forget(self, name: str) -> None:
        """Take note that PostgreSQL does not wait for a file any more."""
        self._ready.discard(name)
        self._durable.discard(name)
        self._refused.pop(name, None)
        self._wrong.discard(name)
        self._seen.pop(name, None)
        if name not in self._running:
            self.shared.unmark(name)

    def _submit(self, pool: ThreadPoolExecutor) -> None:
        """Begin to store what is next; before the first file, find out whether that can be done."""
        if self._trouble and time.monotonic() < self._trouble.again:
            return
        if self._identified and not self._queue:
            return
        archive = self._identify()
        if archive and not self._ready:
            self._trouble = None
        # One attempt, and not four, shows whether a store is back.
        while archive and self._is_due() and len(self._running) < (1 if self._trouble else WORKERS):
            name = heapq.heappop(self._queue)[1]
            self._queued.discard(name)
            if name not in self._ready:
                continue
            future = pool.submit(self._store, archive, name)
            self._running[name] = future
            future.add_done_callback(lambda _: os.eventfd_write(self._event, 1))

    def _is_due(self) -> bool:
        """Return whether the next file is to be stored now: a replica lets the primary go first."""
        if not self._queue:
            return False
        name = self._queue[0][1]
        if not self._standby or is_history(name) or self._stopped is not None:
            return True
        seen = self._seen.get(name)
        return seen is None or time.monotonic() - seen >= _STANDBY_SECONDS

    def _store(self, archive: WalArchive, name: str) -> bool:
        """Store a file, in a thread of its own; return False if it is not there any more."""
        path = self._wal / name
        try:
            stored = stored_name(name, path, self._identified)
            if stored != name:
                self.report(f"{name} is where its timeline ended: it is stored as {stored}")
            archive.put(stored, path, anew=name in self._wrong)
        except FileNotFoundError:
            if path.exists():
                raise
            return False
        self.shared.mark(name)
        return True

    def _collect(self) -> None:
        """Take note of what became of the files that were to be stored."""
        for name in [name for name, future in self._running.items() if future.done()]:
            future = self._running.pop(name)
            error = future.exception()
            if error is None:
                self._succeed(name, future.result())
            elif isinstance(error, ArchiveConflict | ChecksumMismatch | InvalidInput):
                self._refused[name] = _next_trouble(self._refused.get(name), _describe(error))
            else:
                if isinstance(error, StoredWrong):
                    self._wrong.add(name)
                self._fail(error)

    def _succeed(self, name: str, stored: bool) -> None:
        self._refused.pop(name, None)
        self._wrong.discard(name)
        if not stored:
            return
        self._trouble = None
        self._stored += 1
        if name in self._ready:
            self._durable.add(name)
        else:
            self.shared.unmark(name)

    def _fail(self, error: BaseException) -> None:
        """Take note that the store takes nothing now."""
        if not isinstance(error, OperatorError | OSError):
            self.report("".join(traceback.format_exception(error)).rstrip())
        self._trouble = _next_trouble(self._trouble, _describe(error))
        # Credentials may have been replaced.
        self._text = None

    def _read_settings(self) -> None:
        """Read the settings, if they are others than before."""
        try:
            text = self.settings.read_text(encoding="utf-8")
            if text == self._text:
                return
            read = json.loads(text)
            self._archive = WalArchive(
                chosen_store(read, **_PATIENCE),
                archive_location(read["namespace"], read["database"], read["uid"]),
                EncryptionKey(recipients=tuple(read["recipients"])) if read["recipients"] else None,
                self.spool,
            )
            self._text, self._identified = text, ""
        except (OSError, ValueError, KeyError, TypeError, OperatorError) as error:
            self._archive = None
            self._fail(error)

    def _identify(self) -> WalArchive | None:
        """Return the archive, if it is the one of this server; None where nothing can be stored."""
        archive = self._archive
        if archive is None:
            return None
        try:
            identifier = read_system_identifier(self.data)
        except FileNotFoundError:
            return None
        except (ChecksumMismatch, OSError) as error:
            self._fail(error)
            return None
        try:
            if identifier != self._identified:
                at = archive.location
                archive.identify(
                    Identity(at.namespace, at.database, uid_of_archive(at.uid), identifier),
                    create=True,
                )
                self._identified = identifier
                self.report(f"archives to {archive.store.describe(at)}")
        except Exception as error:
            self._fail(error)
            return None
        return archive

    def _tell(self) -> None:
        """Write what is failing for archive_command, and a line to the log when that changes."""
        first = self._trouble or next(iter(self._refused.values()), None)
        text = first.text if first else ""
        waiting = len(self._ready - self._durable)
        if text != self._failing:
            if first:
                self._failing_since = self._failing_since or first.since
                self.shared.set_failing(f"{format_time(self._failing_since)} {text}")
                self.report(f"cannot archive, {waiting} files wait: {text}")
            elif self._failing_since:
                seconds = (datetime.now(UTC) - self._failing_since).total_seconds()
                self._failing_since = None
                self.shared.set_failing("")
                self.report(f"archives again after {seconds:.0f} s, {waiting} files wait")
            self._failing = text
        now, (then, before) = time.monotonic(), self._progress
        if now - then >= _PROGRESS_SECONDS:
            if waiting > _PROGRESS_FILES and not text:
                self.report(f"{waiting} files wait, {self._stored - before} were archived")
            self._progress = (now, self._stored)


def read_system_identifier(data: Path) -> str:
    """Return the system identifier of a data directory, as pg_controldata prints it.

    It is the first field of pg_control, in the byte order of the machine, in all of PostgreSQL's
    versions (pg_control.h).

    Raises:
        FileNotFoundError: there is no data yet.
        ChecksumMismatch: it is no plain file.
    """
    with open_plain(data / "global" / "pg_control") as file:
        content = file.read(8)
    if len(content) < 8:
        raise FileNotFoundError(f"{data}/global/pg_control is empty")
    return str(struct.unpack("=Q", content)[0])


def _next_trouble(last: _Trouble | None, text: str) -> _Trouble:
    if last and time.monotonic() < last.again:
        # Of several that were on their way, one counts.
        return replace(last, text=text)
    pause = min(2 * last.pause, _LONGEST_PAUSE) if last else _FIRST_PAUSE
    since = last.since if last else datetime.now(UTC)
    return _Trouble(text, since, pause, time.monotonic() + pause)


def _describe(error: BaseException) -> str:
    if isinstance(error, OperatorError):
        return f"{error.reason}: {error.message}"
    return printable(f"{type(error).__name__}: {error}")


def main(arguments: list[str]) -> None:
    """Run the archiver of an instance until SIGTERM."""
    parser = argparse.ArgumentParser(prog="archiver", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--settings", type=Path, required=True, help="JSON: whose WAL, and where to"
    )
    parser.add_argument("--data", type=Path, required=True, help="PostgreSQL's data directory")
    parser.add_argument("--shared", type=Path, required=True, help="folder that archive-wal reads")
    parser.add_argument("--spool", type=Path, required=True, help="folder for temporary files")
    options = parser.parse_args(arguments)
    archiver = Archiver(options.settings, options.data, SharedFolder(options.shared), options.spool)
    signal.signal(signal.SIGTERM, lambda *_: archiver.stop())
    signal.signal(signal.SIGINT, lambda *_: archiver.stop())
    archiver.run()
