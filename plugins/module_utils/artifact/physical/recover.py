"""Recovers a physical artifact up to a target, in a server that nothing but this reaches."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...archive.history import parse_history, switch_of
from ...archive.names import history_name, is_segment, parse_lsn, segment_name, segment_number
from ...archive.wal_archive import Identity, WalArchive
from ...errors import (
    ArchiveConflict,
    ArchiveMissing,
    ChecksumMismatch,
    IncompatibleVersion,
    OperatorError,
    RestoreFailed,
    WalMissing,
)
from ...postgres.connection import ConnectionParameters, connect
from ...postgres.errors import database_errors
from ...postgres.programs import program_version, run_program
from ...postgres.releases import Version
from ...postgres.scratch import account_of_server, existing_server, hand_over
from ...store.protocol import Location
from ...units import format_duration, format_time
from ..progress import Progress, now_text
from ..stored_files import ArtifactStore, files_tally, spool_errors
from . import manifest as manifests
from .artifact import PhysicalArtifact, load_physical
from .manifest import SERVER_MANIFEST, PhysicalManifest
from .target import END_OF_BACKUP, Target
from .wal import PATIENCE_SECONDS, await_segment
from .wal_feed import WalFeed

_A_YEAR = 365 * 24 * 3600.0
_BEFORE_TARGET = "recovery ended before configured recovery target was reached"
_BEFORE_END = "requested recovery stop point is before consistent recovery point"

HELD_SETTINGS = {
    # What is prepared at the moment has to be held; how many may be, the source's setting says, and
    # a recovery with less of it fails.
    "max_prepared_transactions": "1000",
    "max_locks_per_transaction": "1024",
}
"""What a recovered server is started with whenever it is."""

_RECOVERY = {**HELD_SETTINGS, "hot_standby": "off", "recovery_target_action": "promote"}

_END = """
SELECT pg_catalog.pg_last_xact_replay_timestamp(), pg_catalog.pg_current_wal_lsn()::text
"""


@dataclass(frozen=True)
class RecoverRequest:
    """What to recover, and to where.

    Attributes:
        folder: an empty one on a disk that has room for the whole server. Its subfolder ``server``
            has the data directory in the end.
        target: where the recovery ends.
        jobs: files that are fetched at the same time.
        expected_sha256: of the manifest, as the Backup recorded it; None if not known.
        live: the primary of the Database that the archive is of, and a superuser; None where there
            is none.
        tablespaces: whether the server may have some, which are laid out beside its data directory.
    """

    store: ArtifactStore
    location: Location
    folder: Path
    target: Target = END_OF_BACKUP
    jobs: int = 1
    expected_sha256: str | None = None
    live: ConnectionParameters | None = None
    tablespaces: bool = True


@dataclass(frozen=True)
class Recovered:
    """A server that was recovered and shut down.

    Attributes:
        folder: has the data directory ``data``.
        summary: what a status shows: ``recoveredTime`` is that of the last transaction, not there
            where none was replayed; ``recoveredLSN``; ``timeline``, the one that was followed.
    """

    folder: Path
    artifact: PhysicalArtifact
    summary: dict[str, Any]


def recover(request: RecoverRequest, progress: Progress | None = None) -> Recovered:
    """Lay out a physical artifact, check it by PostgreSQL's manifest, and replay WAL to a target.

    No statement of a user's is run: WAL has pages, and those who connected to the server are gone.

    Raises:
        PointInTimeOutOfRange: the target is before the end of the backup, in the future, or after
            the last transaction that was archived.
        WalMissing: a segment is missing before that.
        BackupLocationMissing, ChecksumMismatch, EncryptionKeyWrong, InvalidInput: see
            ``load_physical``.
        IncompatibleVersion: PostgreSQL on PATH is of another major version.
        ArchiveConflict, ArchiveMissing, NoSpace, RestoreFailed, StoreDenied, StoreUnreachable
    """
    progress = progress or Progress()
    started = now_text()
    request.store.check()
    artifact = load_physical(request.store, request.location, request.expected_sha256)
    _require_version(artifact.manifest)
    if artifact.manifest.tablespaces and not request.tablespaces:
        raise RestoreFailed(
            "the backup has tablespaces, which are outside of the data directory: restore its"
            " databases one by one, without wholeServer"
        )
    request.target.check(artifact.manifest)
    archive = artifact.archive if request.target.needs_archive else None
    until = ""
    if archive:
        identity = _require_archive(archive, artifact.manifest)
        if request.live:
            until = _archive_until_now(request.live, archive, identity, artifact.manifest, progress)
    server = request.folder / "server"
    with spool_errors(server):
        server.mkdir(mode=0o700)
    _lay_out(artifact, server, request.jobs, progress)
    with tempfile.TemporaryDirectory(dir=request.folder, prefix="wal-") as place:
        feed = WalFeed(
            Path(place), artifact.files, archive, artifact.manifest.server.wal_segment_bytes
        )
        Path(place).chmod(0o711)
        summary = _replay(request, artifact, server, feed, until, progress)
    return Recovered(server, artifact, {"startTime": started, **summary})


def _require_version(manifest: PhysicalManifest) -> None:
    """Refuse another major version than the server's, whose files it cannot read.

    Raises:
        IncompatibleVersion
    """
    program = program_version("postgres")
    source = Version.from_number(manifest.server.server_version_num)
    if program.major != source.major:
        raise IncompatibleVersion(
            f"the physical backup is of PostgreSQL {source}, the image has {program}: its files are"
            f" read by version {source.major} only; restore a logical backup, or use an image of"
            f" version {source.major}"
        )


def _require_archive(archive: WalArchive, manifest: PhysicalManifest) -> Identity:
    """Return whose the archive is, which has the WAL after a backup.

    Raises:
        ArchiveMissing: there is none.
        ArchiveConflict: it is of another server than the backup.
    """
    identity = archive.read_identity()
    source = manifest.server.system_identifier
    if identity is not None and identity.system_identifier != source:
        raise ArchiveConflict(
            f"the archive at {archive.store.describe(archive.location)} is of the server with"
            f" system identifier {identity.system_identifier}, and backup {manifest.uid} of that"
            f" with {source}: bring back the archive of the backup, or restore its end, without"
            " pointInTime and the like"
        )
    if identity is None:
        raise ArchiveMissing(
            f"there is no archive of WAL at {archive.store.describe(archive.location)}, which this"
            " backup needs for anything after its end: bring it back, or restore the end of the"
            " backup, without pointInTime and the like"
        )
    return identity


def _archive_until_now(
    live: ConnectionParameters,
    archive: WalArchive,
    identity: Identity,
    manifest: PhysicalManifest,
    progress: Progress,
) -> str:
    """Have all that was committed until now archived, and a transaction after that.

    Without one that was committed after the moment, a recovery cannot know that it has reached it,
    and a server that nobody writes to may have none for days.

    Returns:
        The segment up to which all was archived; empty where the archive is not of that server.

    Raises:
        RestoreFailed: it was not archived in time.
    """
    with (
        database_errors("having the WAL archived", RestoreFailed),
        connect(live) as connection,
    ):
        row: Any = connection.execute(
            "SELECT system_identifier::text FROM pg_catalog.pg_control_system()"
        ).fetchone()
        if not row[0] == identity.system_identifier == manifest.server.system_identifier:
            return ""
        # Its number alone makes a transaction one that is written at its commit.
        connection.execute("SELECT pg_catalog.pg_current_xact_id()")
        row = connection.execute(
            "SELECT pg_catalog.pg_walfile_name(pg_catalog.pg_switch_wal())"
        ).fetchone()
    name = str(row[0])
    late = RestoreFailed(
        f"WAL segment {name} was not archived within {format_duration(PATIENCE_SECONDS)}: see"
        " status.archive and the condition Archiving of the Database, and make another Restore"
    )
    with progress.step(f"Waiting for WAL segment {name} to be archived"):
        await_segment(archive, name, time.monotonic() + PATIENCE_SECONDS, late)
    return name


def _lay_out(artifact: PhysicalArtifact, server: Path, jobs: int, progress: Progress) -> None:
    tally = files_tally()
    with (
        progress.step(f"Fetching and checking backup {artifact.location}", tally.text),
        spool_errors(server),
        tempfile.TemporaryDirectory(dir=server.parent, prefix="bundles-") as spool,
    ):
        artifact.lay_out(server / "data", Path(spool), jobs, tally)
    with progress.step("Checking every file by PostgreSQL's manifest"):
        run_program(
            ["pg_verifybackup", "--no-parse-wal", "--quiet", str(server / "data")],
            {"LC_ALL": "C"},
            RestoreFailed,
        )
    # With the signal of the standby that was copied a server would replay for ever.
    for name in (SERVER_MANIFEST, "standby.signal"):
        (server / "data" / name).unlink(missing_ok=True)


def _replay(
    request: RecoverRequest,
    artifact: PhysicalArtifact,
    server: Path,
    feed: WalFeed,
    until: str,
    progress: Progress,
) -> dict[str, Any]:
    data = server / "data"
    data.joinpath("recovery.signal").touch()
    timeline = _choose_timeline(feed.archive, artifact.manifest)
    # Never `latest`, which is chosen while recovering.
    followed = "current" if timeline == artifact.manifest.timeline else str(timeline)
    target = {"recovery_target_timeline": followed, **request.target.settings()}
    with (
        progress.step(f"Replaying WAL up to {request.target}", lambda: feed.text),
        feed.running(),
    ):
        hand_over(feed.folder, account_of_server())
        settings = {**_RECOVERY, **feed.settings, **target}
        try:
            with (
                database_errors("recovering the server", RestoreFailed),
                existing_server(server, settings, RestoreFailed, _A_YEAR) as scratch,
                connect(scratch.parameters) as connection,
            ):
                row: Any = connection.execute(_END).fetchone()
        except OperatorError as error:
            raise _explain(error, request, artifact.manifest, feed, timeline) from error
    last, lsn = row
    if not request.target.needs_archive:
        _require_all_of_it(artifact, feed)
    elif not request.target.required:
        _require_no_gap(request, artifact.manifest, feed, timeline, until)
    found: dict[str, Any] = {"recoveredLSN": lsn, "timeline": timeline}
    return found | ({"recoveredTime": format_time(last)} if last else {})


def _require_all_of_it(artifact: PhysicalArtifact, feed: WalFeed) -> None:
    """Refuse a recovery that ended before the WAL that the artifact has.

    Raises:
        ChecksumMismatch: a segment is not what it should be, though its checksum is.
    """
    names = [manifests.wal_name_of(one.name) for one in artifact.manifest.files]
    last = max(filter(is_segment, names))
    if feed.last != last:
        raise ChecksumMismatch(
            f"the recovery of backup {artifact.location} ended with WAL segment {feed.last}, and it"
            f" has WAL up to {last}: use another backup"
        )


def _require_no_gap(
    request: RecoverRequest, manifest: PhysicalManifest, feed: WalFeed, timeline: int, until: str
) -> None:
    """Refuse a recovery that ended where a segment is missing, and not where the archive ends.

    The archive goes on meanwhile: what was stored after it was asked for is not missing.

    Args:
        until: the segment up to which there was all when the recovery began; empty if not known.

    Raises:
        WalMissing
        RestoreFailed: a segment that was to be there before came later.
    """
    missing = _first_missing(feed, manifest, timeline)
    size = manifest.server.wal_segment_bytes
    if until and segment_number(missing, size) > segment_number(until, size):
        return
    if _has_come(feed, missing):
        if until:
            raise _late(missing)
        return
    later = _later_segment(feed, missing, manifest, timeline)
    if later:
        raise _wal_missing(request, missing, later)


def _choose_timeline(archive: WalArchive | None, manifest: PhysicalManifest) -> int:
    """The newest timeline that comes from the backup's.

    Not ``latest``: that is chosen while recovering, and is one that is not known then.
    """
    if archive is None:
        return manifest.timeline
    end = parse_lsn(manifest.end_lsn)
    for timeline in reversed(archive.histories()):
        if timeline <= manifest.timeline:
            break
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "history"
            if not archive.fetch(history_name(timeline), path):
                continue
            text = path.read_text(encoding="utf-8", errors="replace")
        switch = switch_of(parse_history(text, timeline), manifest.timeline)
        if switch and switch.lsn >= end:
            return timeline
    return manifest.timeline


def _explain(
    error: OperatorError,
    request: RecoverRequest,
    manifest: PhysicalManifest,
    feed: WalFeed,
    timeline: int,
) -> OperatorError:
    """Say of a recovery that failed what that means, and what to do."""
    if isinstance(feed.failure, OperatorError):
        return feed.failure
    if feed.failure is not None:
        return RestoreFailed(f"WAL could not be fetched: {feed.failure}")
    if _BEFORE_END in error.message:
        return request.target.too_early(manifest, manifest.consistent_time)
    if not request.target.required or _BEFORE_TARGET not in error.message:
        return error
    missing = _first_missing(feed, manifest, timeline)
    if _has_come(feed, missing):
        return _late(missing)
    later = _later_segment(feed, missing, manifest, timeline)
    if later:
        return _wal_missing(request, missing, later)
    return request.target.unreached(f"the archive, which ends before segment {missing}")


def _wal_missing(request: RecoverRequest, missing: str, later: str) -> WalMissing:
    return WalMissing(
        f"WAL segment {missing} is missing in the archive, which has later ones ({later}): nothing"
        f" after it can be restored from backup {request.location.uid}; bring the segment back, or"
        f" name a backup that was begun after it; {request.target} was asked for"
    )


def _has_come(feed: WalFeed, missing: str) -> bool:
    """Whether a segment was archived after the recovery had asked for it."""
    assert feed.archive is not None
    return any(map(feed.archive.find, feed.missing or [missing]))


def _late(missing: str) -> RestoreFailed:
    return RestoreFailed(
        f"WAL segment {missing} was archived while the server was recovered, after it was asked"
        " for: make another Restore"
    )


def _first_missing(feed: WalFeed, manifest: PhysicalManifest, timeline: int) -> str:
    """The segment that would have come next; of the oldest timeline that it was looked for in."""
    if feed.missing:
        return min(feed.missing)
    size = manifest.server.wal_segment_bytes
    number = segment_number(feed.last, size) + 1 if feed.last else 0
    return segment_name(timeline, number, size)


def _later_segment(feed: WalFeed, missing: str, manifest: PhysicalManifest, timeline: int) -> str:
    """A segment that the archive has after the one that is missing; empty where it ends there."""
    assert feed.archive is not None
    size = manifest.server.wal_segment_bytes
    number = segment_number(missing, size)
    for one in range(timeline, manifest.timeline - 1, -1):
        first = segment_name(one, number, size)
        found = next(iter(feed.archive.segments(one, first)), "")
        if found:
            return found
    return ""
