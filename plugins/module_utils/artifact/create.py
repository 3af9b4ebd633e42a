"""Makes an artifact: dump and fingerprints from one snapshot, checksums, the manifest last."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

from inotify_simple import INotify, flags

from ..errors import BackupFailed, InvalidInput, LockCycle
from ..postgres.cancellation import Cancellation
from ..postgres.connection import Connection, ConnectionParameters
from ..postgres.databases import database_size, read_locale
from ..postgres.errors import database_errors
from ..postgres.programs import require_jobs
from ..postgres.releases import Version
from ..postgres.session_roles import session_roles
from ..store.protocol import Location
from ..units import format_size
from .artifact import (
    TABLE_OF_CONTENTS,
    Artifact,
    NewArtifact,
    check_table_of_contents,
    load_artifact,
    new_artifact,
)
from .backup_room import PreviousBackup, check_backup_room
from .dump import Compression, check_versions, dump_bytes, run_pg_dump
from .extension_tables import describe_not_dumped, recorded, split_entries
from .fingerprint import OpenSession, fingerprint_tables, read_large_objects, read_sequences
from .globals import read_database_properties, read_globals
from .leftovers import OtherBackups, remove_leftovers
from .lock_waits import PATIENCE_SECONDS, LockWaits
from .manifest import (
    FORMAT_VERSION,
    NO_ROWS,
    Extension,
    ExtensionTable,
    FileEntry,
    LargeObjects,
    Manifest,
    SequenceEntry,
    Source,
    TableEntry,
)
from .progress import Progress, Tally, now_text
from .role_plan import roles_named
from .selection import DumpedContent, Selection, choose_content
from .sizes import read_table_sizes, with_sizes
from .snapshot import Snapshot, locked_snapshot
from .stored_files import ArtifactStore

FINGERPRINT_WORKERS = 1
"""Sessions that fingerprint beside pg_dump's: it must not become much slower."""

_ATTEMPTS = 5
_PAUSE_SECONDS = 1

_LOOK_MILLISECONDS = 20
"""Also what a backup waits on average, and twice that at most, once pg_dump has ended."""

# Roles that own something in the database or were granted something. Since the bootstrap
# superuser is pinned, pg_shdepend does not mention it.
_ROLES = """
SELECT rolname FROM pg_catalog.pg_roles r
 WHERE rolname !~ '^pg_'
   AND (EXISTS (SELECT FROM pg_catalog.pg_shdepend s
                 WHERE s.refclassid = 'pg_catalog.pg_authid'::regclass AND s.refobjid = r.oid
                   AND s.dbid = (SELECT oid FROM pg_catalog.pg_database
                                  WHERE datname = current_database()))
     OR r.oid = 10 AND (
           EXISTS (SELECT FROM pg_catalog.pg_class WHERE relowner = 10 AND oid >= 16384)
        OR EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspowner = 10 AND oid >= 16384)
        OR EXISTS (SELECT FROM pg_catalog.pg_proc WHERE proowner = 10 AND oid >= 16384)
        OR EXISTS (SELECT FROM pg_catalog.pg_type WHERE typowner = 10 AND oid >= 16384)))
 ORDER BY rolname
"""

_SOURCE = """
SELECT pg_catalog.pg_get_userbyid(datdba), system_identifier::text,
       ARRAY(SELECT ARRAY[extname::text, extversion] FROM pg_catalog.pg_extension ORDER BY extname)
  FROM pg_catalog.pg_database, pg_catalog.pg_control_system()
 WHERE datname = current_database()
"""


@dataclass(frozen=True)
class BackupRequest:
    """What to dump and where to.

    Attributes:
        parameters: the server, a superuser, and the database as ``dbname``.
        jobs: processes that pg_dump works with, and files that are sent at the same time.
        selection: whose rows are dumped; None for all.
        others: what is known of other backups of the Database; None removes no leftovers of theirs.
        passwords: whether the manifest has the verifiers of the roles' passwords; it must be
            encrypted then.
        locks_first: whether each session locks all that it reads before it reads: where tables are
            emptied all the time, a lock that is asked for later is never had.
        previous: the one before it, by which the room that it takes is known; None for none.
    """

    parameters: ConnectionParameters
    store: ArtifactStore
    location: Location
    jobs: int = 1
    compression: Compression = field(default_factory=Compression)
    selection: Selection | None = None
    others: OtherBackups | None = None
    passwords: bool = False
    locks_first: bool = False
    previous: PreviousBackup | None = None


@dataclass(frozen=True)
class BackupOutcome:
    """How a backup ended.

    Attributes:
        adopted: a finished artifact was there already.
    """

    artifact: Artifact
    adopted: bool

    def summary(self) -> dict[str, Any]:
        """``Artifact.summary()``, with ``warning`` where there are rows that the dump has not."""
        return self.artifact.summary(describe_not_dumped(self.artifact.manifest))


@dataclass(frozen=True)
class _Content:
    """What was found in the snapshot; ``files`` are those that were sent already."""

    source: Source
    tables: list[TableEntry]
    extension_tables: list[ExtensionTable]
    sequences: list[SequenceEntry]
    large_objects: LargeObjects
    files: list[FileEntry]


def create_artifact(request: BackupRequest, progress: Progress | None = None) -> BackupOutcome:
    """Dump a database into a new artifact, or adopt the finished one of the same UID.

    A failed run's leftover of the same UID is replaced; a failure removes what was written.
    Nothing is read back here: see ``check_artifact``. What cannot be decrypted is not adopted but
    made again: anyone who has the recipients, which are public, could have put it there.

    Raises:
        OperatorError: AuthFailed, DatabaseNotFound, DatabaseNotReady, NotEnoughRoom, NoSpace,
            ServerVersionUnsupported, StoreDenied, StoreUnreachable, Timeout; InvalidInput: the
            selection names what is not there, or passwords would not be encrypted; BackupFailed
            otherwise. ChecksumMismatch: there is
            an artifact, but its manifest is damaged.
    """
    progress = progress or Progress()
    require_jobs(request.jobs)
    if request.passwords and request.store.key is None:
        raise InvalidInput(
            "passwords are backed up encrypted only: name recipients or an identity_file, or leave"
            " passwords out"
        )
    request.store.check()
    if can_adopt(request):
        return BackupOutcome(load_artifact(request.store, request.location), adopted=True)
    started = now_text()
    versions = check_versions(request.parameters)
    request.compression.option(versions[1])
    if request.others:
        remove_leftovers(request.store.files, request.location, request.others, progress)
    for attempt in itertools.count(1):
        try:
            return _create(request, versions, started, progress)
        except LockCycle as error:
            if attempt == _ATTEMPTS:
                raise
            progress.say(f"Beginning again, with one process: {error.message}")
        request = replace(request, jobs=1, locks_first=True)
        # The other session has its turn.
        time.sleep(_PAUSE_SECONDS)
    raise AssertionError


def _create(
    request: BackupRequest, versions: tuple[Version, Version], started: str, progress: Progress
) -> BackupOutcome:
    with new_artifact(request.store, request.location) as new:
        content = _dump(request, new, versions, progress)
        with progress.step("Computing checksums"):
            files = content.files or new.describe_files(request.jobs)
        with progress.step("Writing the manifest"):
            artifact = new.finish(_build_manifest(request.location, started, content, files))
        if not request.store.write_only:
            artifact = load_artifact(request.store, request.location)
        return BackupOutcome(artifact, adopted=False)


def can_adopt(request: BackupRequest) -> bool:
    """Whether an earlier run has finished the artifact, and it can be read here."""
    return not request.store.write_only and request.store.files.is_finished(request.location)


def _dump(
    request: BackupRequest,
    new: NewArtifact,
    versions: tuple[Version, Version],
    progress: Progress,
) -> _Content:
    """Run pg_dump and, beside it, the fingerprints of the same snapshot."""
    action = f'backing up database "{request.parameters.dbname}"'
    database = request.parameters.dbname
    with (
        database_errors(action, BackupFailed),
        session_roles(request.parameters.maintenance, request.location.uid) as roles,
        locked_snapshot(request.parameters, roles, progress.say) as snapshot,
    ):
        source = _read_source(snapshot.connection, database, versions, request.passwords)
        before = read_sequences(snapshot.session, snapshot.sequences)
        sizes = read_table_sizes(snapshot.connection)
        if request.previous:
            check_backup_room(request.store, request.previous, snapshot.connection, sizes, progress)
        content = _selected_content(request, snapshot, source.locale.encoding)
        entries, large_objects, files = _dump_and_fingerprint(
            request, new, snapshot, content, versions[1], progress
        )
        after = read_sequences(snapshot.session, snapshot.sequences)
    entries = with_sizes(entries, sizes)
    tables, extension_tables = split_entries(entries, content.extension_tables)
    sequences = [SequenceEntry(*name, before[name], after[name]) for name in sorted(before)]
    return _Content(source, tables, extension_tables, sequences, large_objects, files)


def _selected_content(request: BackupRequest, snapshot: Snapshot, encoding: str) -> DumpedContent:
    if request.selection is None:
        return DumpedContent(snapshot.tables, snapshot.extension_tables)
    return choose_content(
        snapshot.connection,
        snapshot.tables,
        snapshot.extension_tables,
        request.selection,
        encoding,
    )


def _dump_and_fingerprint(
    request: BackupRequest,
    new: NewArtifact,
    snapshot: Snapshot,
    content: DumpedContent,
    client: Version,
    progress: Progress,
) -> tuple[list[TableEntry], LargeObjects, list[FileEntry]]:
    """Do both, and send the dump's files meanwhile where they cannot be written in their place.

    Returns:
        Entries of all tables, those of extensions too; large objects; the files that were sent.
    """
    relations = [*content.tables, *content.extension_tables]
    cancellation = Cancellation()
    tables: list[TableEntry] = []
    large_objects: list[LargeObjects] = []
    tally = Tally("tables", str)

    def read_tables(open_session: OpenSession) -> None:
        workers = 1 if request.locks_first else FINGERPRINT_WORKERS
        tables.extend(
            fingerprint_tables(open_session, relations, workers, cancellation, tally=tally)
        )

    def read_large() -> None:
        if not content.large_objects:
            large_objects.append(LargeObjects(count=0, size_bytes=0, fingerprint=NO_ROWS))
            return
        with cancellation.calls(snapshot.connection.cancel_safe):
            large_objects.append(read_large_objects(snapshot.connection))

    waits = LockWaits(snapshot.keeper)

    def dump() -> None:
        run_pg_dump(
            # The snapshot is of this server, whatever the name stands for by now.
            request.parameters.at(snapshot.connection.info.hostaddr),
            new.folder,
            request.jobs,
            request.compression.option(client),
            f"--snapshot={snapshot.name}",
            # What is durable, and when, is the store's business.
            "--no-sync",
            *content.options,
            cancellation=cancellation,
            lock_wait_seconds=PATIENCE_SECONDS,
        )
        # It is sent last, and afterwards cannot be read here.
        if request.store.write_only:
            check_table_of_contents(request.location, new.folder)

    sender = _Sender(new, request.jobs)
    writing: list[Callable[[], None]] = [dump]
    if not request.store.direct:
        writing = [lambda: sender.dump(dump), lambda: sender.send(cancellation)]

    def figures() -> str:
        sent = sum(entry.size_bytes for entry in sender.entries)
        return (
            f"{tally.count} of {len(relations)} tables fingerprinted,"
            f" {format_size(sent + dump_bytes(new.folder))} dumped"
            f"{waits.current and f'; {waits.current}'}"
        )

    sessions: AbstractContextManager[OpenSession] = (
        snapshot.locking_sessions(relations)
        if request.locks_first
        else nullcontext(snapshot.patient_session)
    )
    with (
        sessions as open_session,
        progress.step(f"Dumping and fingerprinting {len(relations)} tables", figures),
    ):
        waits.run([*writing, lambda: read_tables(open_session), read_large], cancellation)
    return tables, large_objects[0], sender.entries


@dataclass
class _Sender:
    """Sends the files of a dump while pg_dump writes it; ``entries`` is what was sent.

    Attributes:
        workers: how many files are sent at the same time.
    """

    artifact: NewArtifact
    workers: int
    entries: list[FileEntry] = field(default_factory=list)
    _finished: threading.Event = field(default_factory=threading.Event)

    def dump(self, write: Callable[[], None]) -> None:
        """Call what writes the dump; after it has succeeded everything is on its way."""
        write()
        self._finished.set()

    def send(self, cancellation: Cancellation) -> None:
        """Send each file once it is closed, the table of contents last; end when all are sent."""
        with ThreadPoolExecutor(self.workers) as pool, INotify() as inotify:
            inotify.add_watch(self.artifact.folder, flags.CLOSE_WRITE)
            sent: dict[str, Future[FileEntry]] = {}
            try:
                while not self._finished.is_set():
                    if cancellation.requested:
                        return
                    closed = {event.name for event in inotify.read(timeout=_LOOK_MILLISECONDS)}
                    self._submit(pool, sent, closed - {TABLE_OF_CONTENTS, ""})
                    _raise_failure(sent.values())
                # Files without an event: the kernel drops events when there are too many.
                rest = {path.name for path in self.artifact.folder.iterdir()} - {TABLE_OF_CONTENTS}
                self._submit(pool, sent, rest)
                self.entries += [future.result() for future in list(sent.values())]
                self.entries.append(self.artifact.send(self.artifact.folder / TABLE_OF_CONTENTS))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _submit(
        self, pool: ThreadPoolExecutor, sent: dict[str, Future[FileEntry]], names: set[str]
    ) -> None:
        for name in sorted(names - sent.keys()):
            sent[name] = pool.submit(self.artifact.send, self.artifact.folder / name)


def _raise_failure(futures: Iterable[Future[FileEntry]]) -> None:
    for future in futures:
        if future.done():
            future.result()


def _read_source(
    connection: Connection, database: str, versions: tuple[Version, Version], with_verifiers: bool
) -> Source:
    server, client = versions
    row: Any = connection.execute(_SOURCE).fetchone()
    owner, system_identifier, extensions = row
    rows: Any = connection.execute(_ROLES).fetchall()
    roles = tuple(role for (role,) in rows)
    properties = read_database_properties(connection, database)
    return Source(
        database=database,
        owner=owner,
        system_identifier=system_identifier,
        server_version=str(server),
        server_version_num=connection.info.server_version,
        dump_program_version=str(client),
        locale=read_locale(connection),
        roles=roles,
        extensions=tuple(Extension(*extension) for extension in extensions),
        properties=properties,
        globals=read_globals(
            connection, database, {owner, *roles, *roles_named(properties)}, with_verifiers
        ),
        size_bytes=database_size(connection, database),
    )


def _build_manifest(
    location: Location, started: str, content: _Content, files: list[FileEntry]
) -> Manifest:
    return Manifest(
        format_version=FORMAT_VERSION,
        namespace=location.namespace,
        database=location.database,
        uid=location.uid,
        start_time=started,
        completion_time=now_text(),
        source=content.source,
        files=tuple(files),
        tables=tuple(content.tables),
        extension_tables=recorded(content.extension_tables),
        sequences=tuple(content.sequences),
        large_objects=content.large_objects,
    )
