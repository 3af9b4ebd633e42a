"""What a server that recovers gets its WAL from: a physical artifact, and the archive after it.

PostgreSQL starts ``restore_command`` for each file. That is a few lines of shell here, which put a
request into a folder and wait for the answer: no program is started that would have to load a
client of S3, and the files that come next are fetched while one is replayed.

The command's exit codes decide what happens (PostgreSQL's documentation of restore_command, and
xlogarchive.c): up to 125 "there is no such file", which ends the recovery; above, it fails. So only
what the archive says that it does not have is answered with 1.
"""

from __future__ import annotations

import shlex
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from inotify_simple import INotify, flags

from ...archive.names import is_segment, next_segment, segment_number
from ...archive.wal_archive import WalArchive
from ...errors import OperatorError
from ..manifest import FileEntry
from ..stored_files import StoredFiles
from .bundles import decompress
from .manifest import wal_name_of

_FOUND, _NOT_THERE, _FAILED = 0, 1, 200
_WAIT_MILLISECONDS = 500

_COMMAND = """
: > {folder}/wanted/"$1" || exit {failed}
until [ -e {folder}/answers/"$1" ]; do sleep 0.02 || sleep 1; done
read -r answer < {folder}/answers/"$1"
rm -f {folder}/answers/"$1"
[ "$answer" = 0 ] || exit "$answer"
mv {folder}/files/"$1" "$2" || exit {failed}
"""


@dataclass
class WalFeed:
    """Answers the requests of one server.

    Attributes:
        folder: of its own, which the server's user can enter and write to.
        files: of the artifact, which has the WAL of its time.
        archive: has the WAL after it; None where none is to be used.
        segment_bytes: the size of a segment.
        ahead: how many segments are fetched before they are asked for.
        last: the segment that was given last; empty before the first one.
        missing: the segments that were asked for after it, and are nowhere.
        failure: what kept a file from being fetched; None where nothing did.
    """

    folder: Path
    files: StoredFiles
    archive: WalArchive | None
    segment_bytes: int
    ahead: int = 4
    last: str = field(default="", init=False)
    missing: list[str] = field(default_factory=list, init=False)
    given: int = field(default=0, init=False)
    failure: OperatorError | OSError | None = field(default=None, init=False)
    _fetched: dict[str, Future[bool]] = field(default_factory=dict, init=False)

    @property
    def settings(self) -> Mapping[str, str]:
        """The server's."""
        return {"restore_command": f"sh {shlex.quote(str(self._script))} %f %p"}

    @property
    def _script(self) -> Path:
        return self.folder / "restore"

    @property
    def text(self) -> str:
        """The progress, for people."""
        return f"{self.given} segments of WAL, the last one {self.last}" if self.last else ""

    @contextmanager
    def running(self) -> Iterator[None]:
        """Answer while the block lasts."""
        for name in ("wanted", "answers", "files", "spool"):
            (self.folder / name).mkdir(parents=True)
        command = _COMMAND.format(folder=shlex.quote(str(self.folder)), failed=_FAILED)
        self._script.write_text(command, encoding="utf-8")
        over = threading.Event()
        with ThreadPoolExecutor(self.ahead) as pool:
            thread = threading.Thread(target=self._serve, args=(pool, over), daemon=True)
            thread.start()
            try:
                yield
            finally:
                over.set()
                thread.join()
                pool.shutdown(wait=True, cancel_futures=True)

    def _serve(self, pool: ThreadPoolExecutor, over: threading.Event) -> None:
        wanted = self.folder / "wanted"
        with INotify() as inotify:
            inotify.add_watch(wanted, flags.CLOSE_WRITE)
            while not over.is_set():
                for path in sorted(wanted.iterdir()):
                    # First: the answer is read at once, and the next request may have that name.
                    path.unlink()
                    self._answer(pool, path.name)
                inotify.read(timeout=_WAIT_MILLISECONDS)

    def _answer(self, pool: ThreadPoolExecutor, name: str) -> None:
        try:
            found = self._get(pool, name)
        except (OperatorError, OSError) as error:
            self.failure = error
            self._write_answer(name, _FAILED)
            return
        if is_segment(name):
            if found:
                self.last, self.missing = name, []
                self.given += 1
                self._fetch_ahead(pool, name)
            else:
                self.missing.append(name)
        self._write_answer(name, _FOUND if found else _NOT_THERE)

    def _write_answer(self, name: str, code: int) -> None:
        new = self.folder / f"answer-{name}"
        new.write_text(f"{code}\n", encoding="utf-8")
        # The reader removes it, as what runs as another user.
        new.chmod(0o644)
        new.replace(self.folder / "answers" / name)

    def _get(self, pool: ThreadPoolExecutor, name: str) -> bool:
        """Whether a file is in ``files`` now.

        Raises:
            OperatorError, OSError: it cannot be known, or not be fetched.
        """
        future = self._fetched.pop(name, None) or pool.submit(self._fetch, name)
        found = future.result()
        if not found and is_segment(name):
            # It may have come since it was fetched ahead.
            found = self._fetch(name)
        return found

    def _fetch_ahead(self, pool: ThreadPoolExecutor, name: str) -> None:
        for _ in range(self.ahead):
            name = next_segment(name, self.segment_bytes)
            if name not in self._fetched:
                self._fetched[name] = pool.submit(self._fetch, name)
        number = segment_number(name, self.segment_bytes)
        for old in [one for one in self._fetched if self._is_behind(one, number)]:
            self._fetched.pop(old)
            with suppress(OSError):
                (self.folder / "files" / old).unlink()

    def _is_behind(self, name: str, number: int) -> bool:
        """Whether a file that was fetched ahead is not asked for any more: of another timeline."""
        done = self._fetched[name].done()
        return done and segment_number(name, self.segment_bytes) < number - self.ahead

    def _fetch(self, name: str) -> bool:
        target = self.folder / "files" / name
        entry = self._entries.get(name)
        if entry:
            fetched = self.files.fetch_one(entry, self.folder / "spool")
            decompress(fetched, target)
            fetched.unlink()
            found = True
        else:
            found = self.archive is not None and self.archive.fetch(name, target)
        if found:
            # The server's user replays and changes it.
            target.chmod(0o666)
        return found

    @cached_property
    def _entries(self) -> Mapping[str, FileEntry]:
        return {wal_name_of(one.name): one for one in self.files.entries if wal_name_of(one.name)}
