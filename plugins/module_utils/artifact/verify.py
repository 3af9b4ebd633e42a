"""Verifies an artifact: restores it into a scratch server and compares that with the manifest.

Only a restore shows that a backup restores. No other server is needed and none is touched.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import (
    AuthFailed,
    DatabaseNotFound,
    DatabaseNotReady,
    NoSpace,
    OperatorError,
    OutOfMemory,
    Timeout,
    VerificationFailed,
)
from ..postgres.connection import Connection, connect
from ..postgres.databases import create_database, plain_properties
from ..postgres.disk_space import local_file_system
from ..postgres.errors import classify_text, database_errors
from ..postgres.programs import MORE_MEMORY, require_jobs
from ..postgres.scratch import SUPERUSER, ScratchServer, scratch_server
from ..postgres.session_roles import session_roles
from ..store.protocol import Location
from .artifact import Artifact, OpenArtifact, open_artifact
from .load import check_extensions, check_versions
from .load_and_compare import Restored, load_and_compare
from .load_contents import LoadRequest
from .made_roles import make_roles
from .progress import Progress, now_text
from .role_plan import plan_roles
from .room_watch import room_kept
from .stored_files import ArtifactStore

# Not the source's name, which may be one that a new server has already.
_DATABASE = "verification"

# Extensions that cannot be created, or not be used by a view, unless the server has loaded them.
_PRELOADED = ("pg_stat_statements", "pgaudit")

# Each session of pg_restore and of the comparison, and some for the rest.
_SPARE_CONNECTIONS = 10
_LOCKS_PER_TRANSACTION = 1024

# What a server refuses concerns its owner; this one is the verification's own.
_FAILURES = (AuthFailed, DatabaseNotFound, DatabaseNotReady, Timeout, VerificationFailed)


@dataclass(frozen=True)
class VerifyRequest:
    """What to verify and where.

    Attributes:
        scratch: a folder that exists and has room for the whole database; of a physical backup for
            the whole server.
        jobs: processes that pg_restore works with, or files that are fetched of a physical backup;
            and tables that are compared, or read, at a time.
        expected_sha256: of the manifest, as the Backup recorded it; None if not known.
    """

    store: ArtifactStore
    location: Location
    scratch: Path
    jobs: int = 1
    expected_sha256: str | None = None


def verify_artifact(request: VerifyRequest, progress: Progress | None = None) -> dict[str, Any]:
    """Check every file, restore everything, compare it, and leave nothing behind.

    Returns:
        ``Restored.summary()`` with the verification's own times.

    Raises:
        BackupLocationMissing, ChecksumMismatch: see ``check_artifact``.
        IncompatibleVersion, ServerVersionUnsupported: PostgreSQL on PATH is not the right one.
        NotEnoughRoom, NoSpace: the scratch folder's disk is nearly full, or full.
        VerificationFailed: it does not restore, or not to what was backed up.
    """
    progress = progress or Progress()
    require_jobs(request.jobs)
    started = now_text()
    with ExitStack() as stack:
        artifact = stack.enter_context(
            open_artifact(
                request.store, request.location, request.expected_sha256, request.jobs, progress
            )
        )
        with progress.step("Starting a scratch server"), _explained(request, None):
            settings = _settings(artifact, request.jobs)
            server = stack.enter_context(
                scratch_server(request.scratch, settings, VerificationFailed)
            )
        with _explained(request, server):
            restored = _restore_and_compare(request, artifact, server, progress)
    return restored.summary() | {"startTime": started, "completionTime": now_text()}


def _settings(artifact: Artifact, jobs: int) -> dict[str, str]:
    """What the server needs for this database, beyond what every scratch server has."""
    manifest = artifact.manifest
    # A foreign key between partitioned tables locks all partitions at once.
    locks = max(_LOCKS_PER_TRANSACTION, len(manifest.tables))
    return {
        "max_connections": str(2 * jobs + _SPARE_CONNECTIONS),
        "max_locks_per_transaction": str(locks),
        # From a list of our own and not by name: what it names is run, and manifests are input.
        "shared_preload_libraries": ",".join(
            name for name in _PRELOADED if name in manifest.source.extension_names
        ),
    }


def _restore_and_compare(
    request: VerifyRequest,
    artifact: OpenArtifact,
    server: ScratchServer,
    progress: Progress,
) -> Restored:
    database = replace(server.parameters, dbname=_DATABASE)
    with connect(server.parameters) as connection:
        check_versions(artifact, connection)
        check_extensions(artifact, connection, VerificationFailed)
        _create_roles(artifact, connection)
        source = artifact.manifest.source
        create_database(connection, _DATABASE, source.locale, plain_properties(source.owner))
    with session_roles(server.parameters, request.location.uid) as roles:
        load = LoadRequest(
            parameters=database,
            artifact=artifact,
            roles=roles,
            jobs=request.jobs,
            failure=VerificationFailed,
            # The rows are what is verified, not which disk they were on.
            options=("--no-tablespaces",),
            disposable=True,
        )
        with room_kept(
            server.parameters,
            _DATABASE,
            lambda _: [local_file_system(request.scratch)],
            f"to verify backup {request.location} its whole database is restored below"
            f" {request.scratch}: make room there",
        ):
            return load_and_compare(load, progress, with_statistics=False)


def _create_roles(artifact: Artifact, connection: Connection) -> None:
    """Roles to own and to be granted things, as a restore makes them."""
    source = artifact.manifest.source
    needed = replace(source, roles=(*source.roles, source.owner))
    make_roles(connection, plan_roles(needed, {SUPERUSER}, takes_properties=False), [])


@contextmanager
def _explained(request: VerifyRequest, server: ScratchServer | None) -> Iterator[None]:
    """Say of what fails in the block what it means for the artifact, and what to do."""
    try:
        with database_errors("using the scratch server", VerificationFailed):
            yield
    except OperatorError as error:
        raise _explain(error, request, server) from error


def _explain(
    error: OperatorError, request: VerifyRequest, server: ScratchServer | None
) -> OperatorError:
    if server and isinstance(error, DatabaseNotReady):
        server.await_complaint()
    detail = server.explain(error.message) if server else error.message
    if classify_text(detail, type(error)) is NoSpace:
        return NoSpace(
            f"{detail}; to verify backup {request.location} its whole database is restored below"
            f" {request.scratch}: make room there"
        )
    if server and server.out_of_memory:
        return OutOfMemory(
            f"backup {request.location} is not verified, the scratch server was killed: {detail};"
            f" {MORE_MEMORY}"
        )
    if server and server.crashed:
        return VerificationFailed(
            f"backup {request.location} is not verified, the scratch server crashed: {detail};"
            " give it more memory if that was short, and verify the backup again"
        )
    if isinstance(error, _FAILURES):
        return VerificationFailed(
            f"backup {request.location} is not verified: {detail}; until it is, rely on another one"
        )
    return error
