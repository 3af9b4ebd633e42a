"""Restores an artifact: into a scratch database, compared, then put in a database's place.

Each phase is a function of its own. Until the swap the live database is not touched; a failure
drops the scratch database, and so does a dry run, which ends before the swap.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import psycopg

from ..errors import (
    DatabaseNotReady,
    InvalidInput,
    OperatorError,
    RestoreFailed,
)
from ..postgres.connection import (
    Connection,
    ConnectionParameters,
    connect,
)
from ..postgres.databases import (
    Properties,
    create_database,
    database_exists,
    list_roles,
    plain_properties,
    read_properties,
)
from ..postgres.disk_space import read_file_systems
from ..postgres.errors import database_errors
from ..postgres.programs import require_jobs
from ..postgres.session_roles import SessionRoles, session_roles
from ..postgres.subscriptions import drop_with_subscriptions
from ..store.protocol import Location
from ..units import join_warnings
from .artifact import Artifact, OpenArtifact, open_artifact
from .compare import HashRoots, hash_roots
from .dry_run import summarize_difference
from .globals import read_globals
from .history import (
    announce_scratch,
    database_lock,
    drop_scratch,
    ensure_history,
    find_outcome,
    scratch_name,
)
from .in_use import (
    Use,
    describe_left,
    describe_use,
    read_publications,
    read_use,
    require_not_in_use,
)
from .load import check_extensions, check_owner, check_versions
from .load_and_compare import Restored, load_and_compare
from .load_contents import LoadRequest
from .made_roles import MadeRoles, drop_roles, missing_roles_made
from .manifest import Manifest, TableEntry
from .older_fingerprints import older_hash_of
from .progress import Progress, now_text
from .read_tables import read_tables
from .replaced_database import agreed_time, drop_expired_previous, previous_name
from .role_difference import describe_difference
from .role_plan import RolePlan, left_statements, plan_roles
from .room import MORE_ROOM, RoomRequest, check_room
from .room_watch import room_kept
from .selection import Selection, narrow_manifest, select_at_least
from .snapshot import locked_snapshot
from .standby_sessions import end_standby_sessions
from .stored_files import ArtifactStore
from .swap import Swap, swap

LOCK_WAIT_SECONDS = 10.0
# A failover takes half a minute, a node's return some minutes.
SETTLE_SECONDS = 600.0
_UID = re.compile(r"[a-z0-9][-a-z0-9]{7,62}")
_UNTOUCHABLE = ("postgres", "template0", "template1")


@dataclass(frozen=True)
class RestoreRequest:
    """What to restore and where to.

    Attributes:
        parameters: the server, a superuser, and the database to replace (or to create) as
            ``dbname``.
        uid: of the restore: a run with the same UID continues or repeats this one.
        jobs: processes that pg_restore works with.
        keep_previous: how long the replaced database is kept; zero drops it at once.
        selection: whose rows are restored; None for all that the backup has.
        partial: whether a selection, or a backup that is one, may take the database's place.
        dry_run: end before the swap, and report what it would change.
        as_superuser: whether a superuser may execute what users have written, where the backup has
            what cannot be restored otherwise.
        try_without_room: begin also where there seems to be too little room, see ``room``.
        takes_properties: whether the database gets the backup's privileges, settings, comment and
            connection limit also where there is one whose own it would get.
        logins: whether roles that are made can log in with the passwords that they had.
        ends_replication: whether subscriptions, and logical replication slots that are not read
            from, may stay in the replaced database.
        expected_sha256: of the manifest, as the Backup recorded it; None if not known.
        lock_wait_seconds: patience with another restore of the same database.
    """

    parameters: ConnectionParameters
    store: ArtifactStore
    location: Location
    uid: str
    jobs: int = 1
    keep_previous: timedelta = timedelta(hours=24)
    selection: Selection | None = None
    partial: bool = False
    dry_run: bool = False
    as_superuser: bool = False
    try_without_room: bool = False
    takes_properties: bool = False
    logins: bool = False
    ends_replication: bool = False
    expected_sha256: str | None = None
    lock_wait_seconds: float = LOCK_WAIT_SECONDS

    @property
    def database(self) -> str:
        """The database to replace."""
        return self.parameters.dbname

    @property
    def scratch(self) -> str:
        """The database to restore into first."""
        return scratch_name(self.uid)

    @property
    def locked_database(self) -> str:
        """The database whose lock is held; a dry run does not block a restore."""
        return self.scratch if self.dry_run else self.database

    @property
    def maintenance(self) -> ConnectionParameters:
        """The server, through the maintenance database."""
        return self.parameters.maintenance


@dataclass(frozen=True)
class RestoreOutcome:
    """How a restore ended.

    Attributes:
        summary: ``Restored.summary()`` with the restore's own times and previousDatabase; of a
            dry run with ``difference``, see ``summarize_difference``. Its ``warning`` says too if
            sessions on standbys could not be ended.
        repeated: an earlier run had swapped already.
    """

    summary: dict[str, Any]
    repeated: bool


def restore_artifact(request: RestoreRequest, progress: Progress | None = None) -> RestoreOutcome:
    """Replace a database by the content of an artifact.

    Raises:
        OperatorError: what ``check_restore``, ``room_kept`` and ``swap`` raise; Locked; NoSpace;
            RestoreFailed otherwise. The live database is untouched then.
    """
    progress = progress or Progress()
    _check_request(request)
    started = now_text()
    with (
        database_errors(f'restoring database "{request.database}"', RestoreFailed),
        connect(request.maintenance) as connection,
        database_lock(connection, request.locked_database, request.lock_wait_seconds),
    ):
        done = find_outcome(connection, request.uid)
        if done is not None:
            return RestoreOutcome(_clean_up(request, connection, done), repeated=True)
        warnings: list[str] = []
        with (
            check_restore(request, connection, progress, warnings) as artifact,
            missing_roles_made(
                connection, request.maintenance, _plan_roles(request, connection, artifact)
            ) as made,
            _own_roles(request, connection) as roles,
        ):
            try:
                done = _restore(request, connection, roles, artifact, started, progress, made)
            except BaseException as error:
                done = _undo(request)
                if done is None or not isinstance(error, Exception):
                    raise
        if warnings:
            done |= {"warning": join_warnings(done.get("warning"), *warnings)}
        return RestoreOutcome(done, repeated=False)


@contextmanager
def _own_roles(request: RestoreRequest, connection: Connection) -> Iterator[SessionRoles]:
    """The roles of this run, once nothing is left that belongs to those of a killed one."""
    drop_with_subscriptions(connection, request.maintenance, request.scratch)
    with session_roles(request.maintenance, request.uid) as roles:
        yield roles


def _plan_roles(request: RestoreRequest, connection: Connection, artifact: Artifact) -> RolePlan:
    takes = _takes_properties(request, connection)
    return plan_roles(artifact.manifest.source, list_roles(connection), takes, request.logins)


def _takes_properties(request: RestoreRequest, connection: Connection) -> bool:
    """Whether the database gets what the backup says of it, and not what a live one has."""
    return request.takes_properties or not database_exists(connection, request.database)


def rehearse_restore(request: RestoreRequest, progress: Progress | None = None) -> bool:
    """Check all that can be checked without writing.

    Returns:
        Whether there is something to do: False if a run with this UID has succeeded before.

    Raises:
        OperatorError: as ``check_restore``.
    """
    _check_request(request)
    action = f'checking the restore of database "{request.database}"'
    with database_errors(action, RestoreFailed), connect(request.maintenance) as connection:
        if find_outcome(connection, request.uid) is not None:
            return False
        with check_restore(request, connection, progress or Progress(), []):
            return True


def _check_request(request: RestoreRequest) -> None:
    if not _UID.fullmatch(request.uid):
        raise InvalidInput(f"{request.uid!r} is not the UID of a Restore")
    require_jobs(request.jobs)
    if request.keep_previous < timedelta(0):
        raise InvalidInput("keep_previous is negative: use zero to keep nothing")
    if request.database in (*_UNTOUCHABLE, request.scratch):
        raise InvalidInput(f'database "{request.database}" cannot be replaced: name another one')


@contextmanager
def check_restore(
    request: RestoreRequest, connection: Connection, progress: Progress, warnings: list[str]
) -> Iterator[OpenArtifact]:
    """Everything that can be found out without writing anything to the server.

    Args:
        connection: a session in the maintenance database.
        warnings: where what could not be found out is added.

    Raises:
        DatabaseNotReady: the server is a standby.
        BackupLocationMissing, ChecksumMismatch, EncryptionKeyWrong: see ``check_artifact``.
        IncompatibleVersion: the server is older than the backup's, or lacks its encoding.
        NotEnoughRoom: less than the reserve would be left on the server's volume.
        ServerVersionUnsupported: pg_restore is too old.
        DatabaseInUse: see ``require_not_in_use``; not for a dry run.
        RestoreFailed: the owner, or extensions that the backup needs, are missing.
        InvalidInput: a part of the rows would take the place of a whole database.
    """
    row = connection.execute("SELECT pg_is_in_recovery()").fetchone()
    if row is None or row[0]:
        raise DatabaseNotReady(f"{request.parameters.host} is a standby: connect to the primary")
    if not request.dry_run:
        use = read_use(connection, request.database)
        require_not_in_use(use, request.database, request.ends_replication)

    def check(found: Artifact) -> None:
        check_versions(found, connection)
        warnings.extend(_check_room(request, connection, found.manifest))

    with open_artifact(
        request.store,
        request.location,
        request.expected_sha256,
        request.jobs,
        progress,
        check,
    ) as artifact:
        if not request.partial and (request.selection or artifact.manifest.is_partial):
            raise InvalidInput(
                f'a partial restore does not replace database "{request.database}": restore it'
                " beside that, into a targetDatabase, and copy what you need"
            )
        check_owner(artifact, connection)
        check_extensions(artifact, connection, RestoreFailed)
        yield artifact


def _check_room(request: RestoreRequest, connection: Connection, manifest: Manifest) -> list[str]:
    """Refuse to begin where less than the reserve would be left.

    Returns:
        Warnings, where it is not known how much is free.

    Raises:
        NotEnoughRoom
    """
    if request.selection is not None:
        manifest = narrow_manifest(manifest, select_at_least(manifest, request.selection))
    needed = RoomRequest(
        request.maintenance, manifest.restored_bytes, request.scratch, f"backup {request.location}"
    )
    return check_room(needed, connection, refuse=not request.try_without_room)


def _restore(
    request: RestoreRequest,
    connection: Connection,
    roles: SessionRoles,
    artifact: OpenArtifact,
    started: str,
    progress: Progress,
    made: MadeRoles,
) -> dict[str, Any]:
    properties = _properties_for(request, connection, artifact)
    # Its owner, too, connects to it only once it is whole: until then a superuser makes things in
    # it, and who could make others beside them would have theirs executed.
    closed = replace(properties, owner=request.parameters.user, grants=())
    with progress.step(f'Creating scratch database "{request.scratch}"'):
        ensure_history(connection)
        announce_scratch(connection, request.scratch, request.locked_database)
        create_database(connection, request.scratch, artifact.manifest.source.locale, closed)
    load = LoadRequest(
        parameters=replace(request.parameters, dbname=request.scratch),
        artifact=artifact,
        roles=roles,
        jobs=request.jobs,
        failure=RestoreFailed,
        selection=request.selection,
        as_superuser=request.as_superuser,
        database_owner=properties.owner,
    )
    server = request.maintenance.at(roles.server.hostaddr)
    with room_kept(server, request.scratch, read_file_systems, MORE_ROOM):
        loaded = load_and_compare(load, progress, with_statistics=True)
    for statement in left_statements(made.plan):
        progress.say(f"Not given to a role that was made: {statement}")
    said = artifact.manifest.source.globals
    described = {role.name for role in said.roles} & made.plan.present if said else set()
    live = read_globals(connection, request.database, described)
    differs = describe_difference(
        said, live, request.database, made.plan.present, _takes_properties(request, connection)
    )
    loaded = loaded.with_warning(join_warnings(made.warning, differs))
    publications = tuple(read_publications(connection, request.parameters))
    if request.dry_run:
        warning = join_warnings(_describe_use(request, connection, publications), loaded.warning)
        loaded = replace(loaded, warning=warning)
        done = _end_dry_run(request, connection, roles, loaded, started, progress)
        drop_roles(connection, made.names)
        return done
    with progress.step(f'Replacing database "{request.database}"'):
        times = {"startTime": started, "completionTime": now_text()}
        plan = Swap(
            uid=request.uid,
            live=request.database,
            scratch=request.scratch,
            scratch_properties=closed,
            properties=properties,
            keep_previous=request.keep_previous,
            outcome=loaded.summary() | times,
            backed_up=artifact.manifest.source,
            takes_backed_up=request.takes_properties,
            made_roles=made.names,
            publications=publications,
            ends_replication=request.ends_replication,
        )
        try:
            done = swap(connection, request.maintenance, plan)
        except (OperatorError, psycopg.Error) as error:
            if not connection.broken:
                raise
            return _settle(request, error)
        return _clean_up(request, connection, done)


def _describe_use(
    request: RestoreRequest, connection: Connection, publications: Sequence[str]
) -> str:
    """Say what would keep the database from being replaced, or stay in the replaced one."""
    use = read_use(connection, request.database)
    refused = describe_use(use, request.ends_replication)
    return join_warnings(
        refused and f"a Restore would be refused: {refused}",
        describe_left(
            use if request.ends_replication else Use(),
            publications,
            previous_name(request.database, request.uid),
        ),
    )


def _settle(request: RestoreRequest, error: Exception) -> dict[str, Any]:
    """Find out how a swap ended whose session broke between the server's commit and its answer.

    Its lock is free only once the server has ended that session.

    Returns:
        What `_clean_up` does, of a swap that has happened.

    Raises:
        RestoreFailed: the server did not answer for SETTLE_SECONDS.
        Exception: ``error``, where the database was not replaced.
    """
    deadline = time.monotonic() + SETTLE_SECONDS
    done = None
    while True:
        try:
            with (
                connect(request.maintenance) as connection,
                database_lock(connection, request.locked_database, request.lock_wait_seconds),
            ):
                done = find_outcome(connection, request.uid)
                if done is None:
                    raise error
                done = _clean_up(request, connection, done)
        except (OperatorError, psycopg.Error) as problem:
            if problem is error:
                raise
            if done is not None:
                return done
            if time.monotonic() > deadline:
                previous = previous_name(request.database, request.uid)
                raise RestoreFailed(
                    f'whether database "{request.database}" was replaced is not known: the'
                    f" server was lost then, and did not answer for {SETTLE_SECONDS:g} s"
                    f' ({problem}). It was if there is a database "{previous}"'
                ) from error
        else:
            return done
        time.sleep(1)


def _end_dry_run(
    request: RestoreRequest,
    connection: Connection,
    roles: SessionRoles,
    loaded: Restored,
    started: str,
    progress: Progress,
) -> dict[str, Any]:
    """Drop the scratch database, and compare with what it would have replaced."""
    drop_scratch(connection, request.maintenance, request.scratch)
    manifest = loaded.artifact.manifest
    with progress.step(f'Comparing the backup with database "{request.database}"'):
        found: list[TableEntry] = []
        roots: HashRoots = {}
        if read_properties(connection, request.database) is not None:
            with locked_snapshot(request.parameters, roles, progress.say) as snapshot:
                found = read_tables(snapshot, request.jobs, older_hash_of(manifest))
                roots = hash_roots(snapshot.tables)
        difference = summarize_difference(*_comparable(manifest, found), roots)
    times = {"startTime": started, "completionTime": now_text()}
    return loaded.summary() | times | {"difference": difference}


def _comparable(
    manifest: Manifest, found: list[TableEntry]
) -> tuple[Sequence[TableEntry], Sequence[TableEntry]]:
    """The tables to compare: all, or of a partial restore those that have their rows."""
    if not manifest.is_partial:
        return manifest.tables, found
    wanted = [table for table in manifest.tables if table.populated]
    keys = {(table.schema, table.name) for table in wanted}
    return wanted, [table for table in found if (table.schema, table.name) in keys]


def _properties_for(
    request: RestoreRequest, connection: Connection, artifact: Artifact
) -> Properties:
    """Those of the live database, or plain ones if there is none."""
    live = read_properties(connection, request.database)
    return live or plain_properties(artifact.manifest.source.owner)


def _clean_up(
    request: RestoreRequest, connection: Connection, done: dict[str, Any]
) -> dict[str, Any]:
    return end_swap(connection, request.maintenance, request.keep_previous, done)


def end_swap(
    connection: Connection,
    maintenance: ConnectionParameters,
    keep_previous: timedelta,
    done: dict[str, Any],
) -> dict[str, Any]:
    """What is left to do once the swap has happened, however often: nothing of it fails that.

    Args:
        connection: a session in the maintenance database, which ``maintenance`` leads to.
        done: what is remembered of the swap.

    Returns:
        ``done``, whose ``warning`` says too what could not be done.
    """
    if not keep_previous:
        # Standbys end the sessions of a database that is dropped by themselves. What cannot be
        # dropped now is dropped at the next reconcile.
        with suppress(OperatorError, psycopg.Error):
            drop_expired_previous(connection, agreed_time(connection), [])
    previous = done["previousDatabase"]
    if previous is None:
        return done
    problems = end_standby_sessions(connection, maintenance, previous)
    if not problems:
        return done
    sessions = (
        f"sessions that began before may still see the replaced database on {'; '.join(problems)};"
        " end or restart them"
    )
    return done | {"warning": join_warnings(done.get("warning"), sessions)}


def _undo(request: RestoreRequest) -> dict[str, Any] | None:
    """Drop the scratch database of a failed run, as far as the server still answers.

    Returns:
        What is remembered of the swap if it has happened after all: the session may break
        between the server's commit and its answer.
    """
    with suppress(OperatorError, psycopg.Error), connect(request.maintenance) as connection:
        ensure_history(connection)
        drop_scratch(connection, request.maintenance, request.scratch)
        return find_outcome(connection, request.uid)
    return None
