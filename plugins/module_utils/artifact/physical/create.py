"""Makes a physical artifact: a base backup in bundles, the WAL of its time, the manifest last."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ...archive.names import history_name, next_segment, parse_lsn, segment_at
from ...archive.wal_archive import Identity, StoredFile, WalArchive
from ...errors import (
    ArchiveConflict,
    ArchiveMissing,
    BackupFailed,
    EncryptionKeyWrong,
    OperatorError,
)
from ...postgres.base_backup import BaseBackup, Position, base_backup, timeline_history
from ...postgres.connection import Connection, ConnectionParameters, connect
from ...postgres.errors import database_errors
from ...postgres.programs import require_jobs
from ...store.filesystem import store_errors
from ...store.protocol import Location
from ...units import format_duration, format_size, format_time, plural
from ..leftovers import OtherBackups, remove_leftovers
from ..manifest import PHYSICAL, FileEntry
from ..progress import Progress, now_text
from ..stored_files import ArtifactStore, NewFiles, describe_file, new_files, spool_errors
from .artifact import PhysicalArtifact, load_physical
from .bundles import Bundles, compress
from .manifest import (
    BASE_FOLDER,
    FORMAT_VERSION,
    SERVER_MANIFEST,
    WAL_FOLDER,
    PhysicalManifest,
    Server,
    to_json,
)
from .wal import PATIENCE_SECONDS, archive_beside, await_segment

_SERVER = """
SELECT (SELECT system_identifier::text FROM pg_catalog.pg_control_system()),
       pg_catalog.current_setting('server_version'),
       (SELECT setting::bigint FROM pg_catalog.pg_settings WHERE name = 'wal_segment_size'),
       pg_catalog.current_setting('data_checksums') = 'on',
       (SELECT pg_catalog.sum(pg_catalog.pg_database_size(oid))::bigint
          FROM pg_catalog.pg_database)
"""


STANDBY_PATIENCE_SECONDS = 120.0
"""How long a standby may take to replay a checkpoint of the primary, and to make it its own."""

_STANDBY_POLL_SECONDS = 1.0


@dataclass(frozen=True)
class PhysicalRequest:
    """What to back up and where to.

    Attributes:
        primary: the primary, and a superuser.
        replication: the primary, and a role with REPLICATION.
        standby: a standby that the files come from if it can be reached and does not lag, and the
            same role; None takes them from the primary. Each connection may reach another one.
        archive: the name of the folder with the archive, beside that of the artifact.
        jobs: bundles that are sent at the same time, and threads that compress.
        max_rate_kilobytes: what the server sends at most in a second; None for all it can.
        others: what is known of other backups of the Database; None removes no leftovers of theirs.
        wal_patience_seconds: how long the WAL of the backup may take to be archived.
        standby_patience_seconds: how long a standby may lag.
    """

    primary: ConnectionParameters
    replication: ConnectionParameters
    store: ArtifactStore
    location: Location
    archive: str
    standby: ConnectionParameters | None = None
    jobs: int = 1
    max_rate_kilobytes: int | None = None
    others: OtherBackups | None = None
    wal_patience_seconds: float = PATIENCE_SECONDS
    standby_patience_seconds: float = STANDBY_PATIENCE_SECONDS

    @property
    def wal(self) -> WalArchive:
        """The archive."""
        return archive_beside(self.store, self.location, self.archive)


def create_physical(
    request: PhysicalRequest, progress: Progress | None = None
) -> tuple[PhysicalArtifact, bool]:
    """Back up a server's files into a new artifact, or adopt the finished one of the same UID.

    Returns:
        The artifact, and whether it was there already.

    Raises:
        ArchiveMissing, ArchiveConflict: there is no archive of this server beside the artifact.
        BackupFailed: the server ended the backup, or its WAL was not archived in time.
        AuthFailed, DatabaseNotReady, NoSpace, StoreDenied, StoreUnreachable,
        ServerVersionUnsupported, EncryptionKeyWrong
    """
    progress = progress or Progress()
    require_jobs(request.jobs)
    request.store.check()
    if not request.store.write_only and request.store.files.is_finished(request.location):
        return load_physical(request.store, request.location), True
    started = now_text()
    with (
        database_errors("backing up the server", BackupFailed),
        connect(request.primary) as connection,
    ):
        server = _read_server(connection)
        _require_archive(request, server)
        if request.others:
            remove_leftovers(request.store.files, request.location, request.others, progress)
        with new_files(request.store, request.location, BASE_FOLDER) as new:
            oldest = _checkpoint(connection, progress) if request.standby else ""
            received = _receive(request, new, server.size_bytes, oldest, progress)
            consistent = _end(connection)
            wal = _copy_wal(request, new, received, server, progress)
            with progress.step("Writing the manifest"):
                manifest = PhysicalManifest(
                    format_version=FORMAT_VERSION,
                    method=PHYSICAL,
                    namespace=request.location.namespace,
                    database=request.location.database,
                    uid=request.location.uid,
                    start_time=started,
                    completion_time=now_text(),
                    consistent_time=consistent,
                    server=replace(server, standby=received.standby),
                    archive=request.archive,
                    timeline=received.start.timeline,
                    start_lsn=received.start.lsn,
                    end_lsn=received.end.lsn,
                    tablespaces=tuple(sorted(received.tablespaces)),
                    files=tuple(sorted(received.files + wal, key=lambda file: file.name)),
                )
                digest = new.write_manifest(to_json(manifest))
    made = PhysicalArtifact(
        request.store, request.location, manifest, digest, why_primary=received.why_primary
    )
    return made, False


def _read_server(connection: Connection) -> Server:
    row: Any = connection.execute(_SERVER).fetchone()
    identifier, version, segment, checksums, size = row
    return Server(
        system_identifier=identifier,
        server_version=version,
        server_version_num=connection.info.server_version,
        wal_segment_bytes=segment,
        checksums=checksums,
        standby=False,
        size_bytes=size,
    )


def _require_archive(request: PhysicalRequest, server: Server) -> None:
    """Refuse to begin where the WAL of this server is not archived beside the artifact.

    Raises:
        ArchiveMissing, ArchiveConflict
    """
    where = request.store.files.describe(request.wal.location)
    found: Identity | None = request.wal.read_identity()
    if found is None:
        raise ArchiveMissing(
            f"there is no archive of WAL at {where}: a physical backup is stored beside it; write"
            " the destination of the Database's archive, and wait for its condition Archiving"
        )
    if found.system_identifier != server.system_identifier:
        raise ArchiveConflict(
            f"the archive at {where} is of the server with system identifier"
            f" {found.system_identifier}, this one has {server.system_identifier}"
        )


@dataclass(frozen=True)
class _Received:
    """The files of the server, as they were sent to the store.

    Attributes:
        standby: whether they are a standby's.
        why_primary: why they are not, where they should be.
    """

    start: Position
    end: Position
    tablespaces: list[str]
    files: list[FileEntry]
    standby: bool
    why_primary: str


def _checkpoint(connection: Connection, progress: Progress) -> str:
    """Make a checkpoint on the primary, and return from where on a recovery from it needs WAL.

    A standby begins a backup at its last restartpoint, for which it needs a checkpoint of the
    primary: without a new one the backup may need WAL that is hours old, and that the archive may
    lack.
    """
    with progress.step("Making a checkpoint on the primary, for the standby to begin with"):
        connection.execute("CHECKPOINT")
        row: Any = connection.execute(
            "SELECT redo_lsn::text FROM pg_catalog.pg_control_checkpoint()"
        ).fetchone()
    return str(row[0])


def _receive(
    request: PhysicalRequest, new: NewFiles, size: int, oldest: str, progress: Progress
) -> _Received:
    """Have the server send its files, and send them on in bundles.

    Args:
        size: about how many bytes come.
        oldest: the LSN at which a backup of a standby begins at the earliest.
    """
    new.folder.mkdir(exist_ok=True)
    tablespaces: list[str] = []
    stream: BaseBackup | None = None
    with _Sender(new, request.jobs) as sender:

        def figures() -> str:
            received = format_size(stream.received) if stream else "waiting for a checkpoint"
            return f"{received} of about {format_size(size)}, {sender.text}"

        label = f"postgres-operator {request.location.uid}"
        with (
            progress.step("Copying the server's files", figures),
            _begin(request, label, oldest, progress) as (stream, why_primary),
        ):
            bundles = Bundles(new.folder, request.jobs, sender.send)
            for archive in stream.archives():
                if archive.tablespace:
                    tablespaces.append(archive.tablespace)
                with spool_errors(new.folder):
                    bundles.write(archive)
            path = new.folder / f"{SERVER_MANIFEST}.zst"
            with spool_errors(path):
                compress(bytes(stream.manifest), path)
            sender.send(path)
            if stream.start.timeline > 1:
                sender.send(_store_history(request, new, stream.start.timeline))
            files = sender.wait()
    assert stream.end is not None
    if stream.end.timeline != stream.start.timeline:
        raise BackupFailed(
            f"the server went from timeline {stream.start.timeline} to {stream.end.timeline} while"
            " it was backed up: make another Backup"
        )
    from_standby = request.standby is not None and not why_primary
    return _Received(stream.start, stream.end, tablespaces, files, from_standby, why_primary)


def _store_history(request: PhysicalRequest, new: NewFiles, timeline: int) -> Path:
    path = new.folder / f"{history_name(timeline)}.zst"
    content = timeline_history(request.replication, timeline)
    with spool_errors(path):
        compress(content, path)
    return path


@contextmanager
def _begin(
    request: PhysicalRequest, label: str, oldest: str, progress: Progress
) -> Iterator[tuple[BaseBackup, str]]:
    """Begin with the standby, or with the primary where that cannot be; and why it is that."""
    with ExitStack() as stack:
        why_primary = ""
        if request.standby:
            try:
                begun = _begin_with_standby(request, label, oldest, stack, progress)
            except OperatorError as error:
                why_primary = error.message
                progress.say(f"No standby is copied, so it is the primary: {why_primary}")
            else:
                yield begun, ""
                return
        yield (
            stack.enter_context(
                base_backup(request.replication, label, request.max_rate_kilobytes)
            ),
            why_primary,
        )


def _begin_with_standby(
    request: PhysicalRequest, label: str, oldest: str, stack: ExitStack, progress: Progress
) -> BaseBackup:
    """Begin with a standby that has replayed a checkpoint of the primary.

    BASE_BACKUP itself makes a restartpoint of it, and says where the backup begins before it sends
    a file. So that is asked for again until it is late enough.

    Raises:
        BackupFailed: it lags for too long. Others: as ``base_backup``.
    """
    assert request.standby is not None
    deadline = time.monotonic() + request.standby_patience_seconds
    said = False
    while True:
        with ExitStack() as attempt:
            begun = attempt.enter_context(
                base_backup(request.standby, label, request.max_rate_kilobytes)
            )
            if parse_lsn(begun.start.lsn) >= parse_lsn(oldest):
                stack.push(attempt.pop_all())
                return begun
        lag = (
            f"the standby would begin at {begun.start.lsn}, before the primary's checkpoint at"
            f" {oldest}"
        )
        if time.monotonic() > deadline:
            waited = format_duration(request.standby_patience_seconds)
            raise BackupFailed(f"{lag}, which it has not replayed within {waited}")
        if not said:
            progress.say(f"Waiting for a standby: {lag}")
            said = True
        time.sleep(_STANDBY_POLL_SECONDS)


@dataclass
class _Sender:
    """Sends bundles while the next ones are made; as many wait as are sent at a time."""

    new: NewFiles
    workers: int
    _futures: list[Future[FileEntry]] = field(default_factory=list)

    def __enter__(self) -> _Sender:
        self._pool = ThreadPoolExecutor(self.workers)
        self._room = threading.Semaphore(2 * self.workers)
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    @property
    def text(self) -> str:
        sent = [one.result() for one in self._futures if one.done() and not one.exception()]
        return f"{format_size(sum(one.size_bytes for one in sent))} stored"

    def send(self, path: Path) -> None:
        """Send a bundle that is closed, once there is room for it.

        Raises:
            OperatorError: one before could not be sent.
        """
        self._room.acquire()
        for future in self._futures:
            if future.done():
                future.result()
        self._futures.append(self._pool.submit(self._send, path))

    def _send(self, path: Path) -> FileEntry:
        try:
            return self.new.send(path)
        finally:
            self._room.release()

    def wait(self) -> list[FileEntry]:
        return [future.result() for future in self._futures]


def _end(connection: Connection) -> str:
    """Have the segment archived that the backup ends in; return the earliest moment to restore.

    A standby cannot begin a new segment, and its primary may write none for a long time. The time
    is rounded up: a target before the end of the backup keeps a server from starting.
    """
    row: Any = connection.execute(
        "SELECT pg_catalog.pg_switch_wal(),"
        " pg_catalog.date_part('epoch', pg_catalog.clock_timestamp())"
    ).fetchone()
    return format_time(datetime.fromtimestamp(math.ceil(row[1]), UTC))


def _copy_wal(
    request: PhysicalRequest,
    new: NewFiles,
    received: _Received,
    server: Server,
    progress: Progress,
) -> list[FileEntry]:
    """Copy the WAL of the time of the backup from the archive, as it is stored there.

    So the artifact can be restored by itself, and is Completed only once that WAL was archived.
    """
    names = list(_segments(received, server.wal_segment_bytes))
    done: list[str] = []
    with progress.step(
        f"Copying {plural(len(names), 'segment')} of WAL from the archive",
        lambda: f"{len(done)} of {len(names)}, waiting for {names[min(len(done), len(names) - 1)]}",
    ):
        deadline = time.monotonic() + request.wal_patience_seconds
        entries = []
        for name in names:
            entries.append(_copy_file(request, new, _await(request, name, deadline)))
            done.append(name)
        return entries


def _segments(received: _Received, size: int) -> Iterator[str]:
    """The names of the segments from the start of a backup to its end."""
    timeline = received.start.timeline
    name = segment_at(parse_lsn(received.start.lsn), timeline, size)
    # At the first byte of a segment the end is that of the one before.
    last = segment_at(parse_lsn(received.end.lsn) - 1, timeline, size)
    yield name
    while name != last:
        name = next_segment(name, size)
        yield name


def _await(request: PhysicalRequest, name: str, deadline: float) -> StoredFile:
    late = BackupFailed(
        f"WAL segment {name}, without which the backup cannot be restored, was not archived"
        f" within {format_duration(request.wal_patience_seconds)}: see status.archive and"
        " the condition Archiving of the Database, and make another Backup"
    )
    found = await_segment(request.wal, name, deadline, late)
    if found.encrypted != bool(request.store.key):
        states = {True: "encrypted", False: "not encrypted"}
        raise EncryptionKeyWrong(
            f"WAL segment {name} in the archive is {states[found.encrypted]}, and this backup is"
            f" to be {states[bool(request.store.key)]}: give the Backup the encryption.recipients"
            " of the Database's archive"
        )
    return found


def _copy_file(request: PhysicalRequest, new: NewFiles, stored: StoredFile) -> FileEntry:
    name = f"{WAL_FOLDER}/{stored.path.rpartition('/')[2]}"
    with _local_copy(new, name) as path:
        with path.open("xb") as sink:
            request.store.files.read(request.wal.location, stored.path, sink)
        entry = describe_file(path, name)
        if not request.store.direct:
            request.store.files.put(request.location, name, path)
    return entry


@contextmanager
def _local_copy(new: NewFiles, name: str) -> Iterator[Path]:
    """Where a file is copied to: its own place, or one in the spool that goes in the end."""
    path = new.folder.parent / name
    if new.store.direct:
        with store_errors(f"writing {path}"):
            path.parent.mkdir(exist_ok=True)
            yield path
        return
    with spool_errors(path):
        path.parent.mkdir(exist_ok=True)
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)
