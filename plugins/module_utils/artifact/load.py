"""Loads an artifact into a server by pg_restore, after checking that they fit together."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..errors import IncompatibleVersion, InvalidInput, OperatorError, RestoreFailed
from ..postgres.connection import (
    PARALLEL_FROM,
    Connection,
    ConnectionParameters,
    connect,
    program_environment,
    superuser_options,
)
from ..postgres.databases import is_empty, knows_encoding, list_roles
from ..postgres.errors import database_errors
from ..postgres.programs import (
    program_version,
    require_client_not_older,
    require_jobs,
    require_not_newer,
    run_program,
)
from ..postgres.releases import Version, require_fixes
from .artifact import TABLE_OF_CONTENTS, Artifact

# Not each of its many commits waits for the disk and for synchronous standbys. The swap's does, and
# the write-ahead log is flushed in order: with the swap all that was restored before is durable.
_OPTIONS = f"-c synchronous_commit=off -c min_parallel_table_scan_size={PARALLEL_FROM}"


def check_versions(artifact: Artifact, connection: Connection) -> None:
    """Refuse a server or a pg_restore that cannot load the artifact.

    Raises:
        IncompatibleVersion: the server is older than the backup's, or lacks its encoding.
        ServerVersionUnsupported: pg_restore is too old.
    """
    source = artifact.manifest.source
    server = Version.from_number(connection.info.server_version)
    client = program_version("pg_restore")
    require_not_newer(Version.from_number(source.server_version_num), server)
    require_client_not_older("pg_restore", client, server)
    require_fixes("pg_restore", client)
    if not knows_encoding(connection, source.locale.encoding):
        raise IncompatibleVersion(
            f"backup {artifact.location} is encoded in {source.locale.encoding!r},"
            " which the server does not know"
        )


def check_owner(artifact: Artifact, connection: Connection) -> None:
    """Refuse a server without the owner of the database: applications log in as this role.

    Raises:
        RestoreFailed
    """
    owner = artifact.manifest.source.owner
    if owner not in list_roles(connection):
        raise RestoreFailed(
            f"the database in backup {artifact.location} belongs to role {_names([owner])}, which"
            " the server lacks: restore it into a Database with this username, or create the role"
        )


def check_extensions(
    artifact: Artifact, connection: Connection, failure: type[OperatorError]
) -> None:
    """Refuse a server whose image lacks extensions.

    Raises:
        OperatorError: ``failure``.
    """
    present = connection.execute("SELECT name FROM pg_catalog.pg_available_extensions")
    missing = artifact.manifest.source.extension_names - {str(name) for (name,) in present}
    if missing:
        raise failure(
            f"backup {artifact.location} needs extensions that the server lacks:"
            f" {_names(missing)}; use an image that has them"
        )


def _names(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in sorted(names))


def run_pg_restore(
    parameters: ConnectionParameters,
    dump: Path,
    jobs: int,
    failure: type[OperatorError],
    *options: str,
) -> None:
    """Load the dump into an empty database.

    Args:
        parameters: the server, a superuser, and the database as ``dbname``.
        dump: the folder with it.
        jobs: processes that pg_restore works with.
        failure: the error if the reason is not recognised.
        options: further ones for pg_restore.
    """
    session = f"{_OPTIONS} {superuser_options(parameters)}"
    with program_environment(parameters) as environment:
        run_program(
            [
                "pg_restore",
                f"--jobs={jobs}",
                "--exit-on-error",
                "--no-password",
                *options,
                f"--dbname={parameters.conninfo(options=session)}",
                str(dump),
            ],
            environment,
            failure,
        )


def check_load(parameters: ConnectionParameters, folder: Path, jobs: int) -> None:
    """Find out whether ``load_dump`` can do its work, without doing it.

    Raises:
        InvalidInput: jobs, the folder, or a database that is not empty; ServerVersionUnsupported;
            what ``connect`` raises.
    """
    require_jobs(jobs)
    if not (folder / TABLE_OF_CONTENTS).is_file():
        raise InvalidInput(f"{folder} is no dump in the directory format: it has no toc.dat")
    client = program_version("pg_restore")
    require_fixes("pg_restore", client)
    action = f'reading the contents of database "{parameters.dbname}"'
    with connect(parameters) as connection, database_errors(action, RestoreFailed):
        server = Version.from_number(connection.info.server_version)
        require_client_not_older("pg_restore", client, server)
        if not is_empty(connection):
            raise InvalidInput(
                f'database "{parameters.dbname}" is not empty: create an empty one, so that'
                " the contents are not mixed"
            )


def load_dump(parameters: ConnectionParameters, folder: Path, jobs: int) -> None:
    """Load a dump in the directory format into a database that exists and is empty.

    Raises:
        OperatorError: as ``check_load``; RestoreFailed otherwise. What was loaded before is there
            then.
    """
    check_load(parameters, folder, jobs)
    try:
        run_pg_restore(parameters, folder, jobs, RestoreFailed)
    except OperatorError as error:
        raise type(error)(
            f'{error.message}; database "{parameters.dbname}" has a part of it: drop it'
        ) from error
