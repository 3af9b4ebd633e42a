"""Runs pg_dump in the directory format, compressed, for every dump of this project."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from ..errors import BackupFailed, InvalidInput, ServerVersionUnsupported
from ..postgres.cancellation import Cancellation
from ..postgres.connection import (
    Connection,
    ConnectionParameters,
    connect,
    program_environment,
    superuser_options,
)
from ..postgres.programs import (
    program_version,
    require_client_not_older,
    require_jobs,
    run_program,
)
from ..postgres.releases import (
    Version,
    knows_column_versions,
    require_fixes,
    with_column_versions,
)
from ..store.filesystem import store_errors
from .snapshot import SHARED_LOCK_WAIT_SECONDS

_LEVELS = {"gzip": (1, 9), "lz4": (1, 12), "zstd": (1, 22)}
METHODS = ("gzip", "lz4", "none", "zstd")
_FIRST_WITH_METHODS = 16
"""Before, pg_dump knows gzip's levels only."""

# Tables partitioned by hash, where the hash of a value may be another one after a restore: it is
# computed from OIDs (oid itself as regclass has it, arrays, ranges and rows as they may contain
# enums), by a user's function or by a library that has versions. Of enums pg_dump knows.
_OTHER_HASHES_LATER = """
SELECT 1
  FROM pg_catalog.pg_partitioned_table p, unnest(p.partclass, p.partcollation) AS key(class, coll)
  JOIN pg_catalog.pg_opclass o ON o.oid = key.class
  JOIN pg_catalog.pg_type t ON t.oid = o.opcintype
  LEFT JOIN pg_catalog.pg_collation c ON c.oid = key.coll
 WHERE p.partstrat = 'h'
   AND (p.partexprs IS NOT NULL OR o.opcnamespace <> 'pg_catalog'::regnamespace
        OR NOT c.collisdeterministic OR t.typname = 'oid'
        OR t.typtype = 'p' AND t.typname <> 'anyenum')
 LIMIT 1
"""


@dataclass(frozen=True)
class Compression:
    """What was asked for.

    Attributes:
        method: one of METHODS; None is zstd where pg_dump can do it, else gzip.
        level: None is the method's own default.
    """

    method: str | None = None
    level: int | None = None

    def option(self, client: Version) -> str:
        """The value of pg_dump's ``--compress``.

        >>> Compression().option(Version(15, 20)), Compression().option(Version(17, 6))
        ('6', 'zstd')

        Raises:
            InvalidInput: the level does not fit the method.
            ServerVersionUnsupported: this pg_dump does not know the method.
        """
        modern = client.major >= _FIRST_WITH_METHODS
        method = self.method or ("zstd" if modern else "gzip")
        self._check_level()
        if modern:
            return method if self.level is None else f"{method}:{self.level}"
        if method == "none":
            return "0"
        if method != "gzip":
            raise ServerVersionUnsupported(
                f"pg_dump {client} cannot compress with {method}, {_FIRST_WITH_METHODS} is the"
                " first that can: write compression.method gzip, or use a newer PostgreSQL"
            )
        # zlib's own default.
        return str(self.level or 6)

    def _check_level(self) -> None:
        if self.level is None:
            return
        if self.method not in _LEVELS:
            raise InvalidInput("compression.level needs a method: gzip, lz4 or zstd")
        lowest, highest = _LEVELS[self.method]
        if not lowest <= self.level <= highest:
            raise InvalidInput(
                f"compression.level {self.level} is not valid for {self.method}:"
                f" use {lowest} to {highest}"
            )


@dataclass(frozen=True)
class Dump:
    """A dump in a folder.

    Attributes:
        size_bytes: of all its files.
        server_version: of the server that it is from.
    """

    folder: Path
    size_bytes: int
    server_version: str


def check_versions(parameters: ConnectionParameters) -> tuple[Version, Version]:
    """The versions of server and pg_dump, if they fit together and with what is in the database.

    Raises:
        ServerVersionUnsupported
    """
    client = program_version("pg_dump")
    with connect(parameters) as connection:
        server = Version.from_number(connection.info.server_version)
        require_client_not_older("pg_dump", client, server)
        require_fixes("pg_dump", client)
        if not knows_column_versions(client):
            _require_no_column_versions(connection, client)
    return server, client


# Of what users have made: that begins at this number (source: PostgreSQL, FirstNormalObjectId).
_MARKED_COLUMN = """
SELECT format('%I.%I', n.nspname, c.relname)
  FROM pg_attribute a
       JOIN pg_class c ON c.oid = a.attrelid
       JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.oid >= 16384
   AND EXISTS (SELECT FROM unnest(a.attoptions) AS option WHERE option LIKE 'pg\\_attver=%')
 LIMIT 1
"""


def _require_no_column_versions(connection: Connection, client: Version) -> None:
    """Refuse a pg_dump that would write what only newer servers restore.

    A server that was moved back to an older minor release keeps the marks of its columns.

    Raises:
        ServerVersionUnsupported
    """
    row = connection.execute(_MARKED_COLUMN).fetchone()
    if row:
        raise ServerVersionUnsupported(
            f"the columns of {row[0]} were made by a newer minor release of PostgreSQL, and what"
            f" pg_dump {client} writes of them cannot be restored: use an image with PostgreSQL"
            f" {with_column_versions(client)}"
        )


def run_pg_dump(
    parameters: ConnectionParameters,
    folder: Path,
    jobs: int,
    compress: str,
    *options: str,
    cancellation: Cancellation | None = None,
    lock_wait_seconds: float = SHARED_LOCK_WAIT_SECONDS,
) -> None:
    """Dump a database into a folder that is empty or does not exist.

    Args:
        jobs: processes that pg_dump works with.
        compress: the value of its option of that name.
        options: further ones.
        cancellation: by which another thread can end it.
        lock_wait_seconds: how long it waits for a lock on a table.

    Raises:
        OperatorError: BackupFailed unless the reason is recognised.
    """
    with connect(parameters) as connection:
        encoding = connection.info.parameter_status("server_encoding")
        if connection.execute(_OTHER_HASHES_LATER).fetchone():
            options = ("--load-via-partition-root", *options)
    with program_environment(parameters) as environment:
        run_program(
            [
                "pg_dump",
                f"--encoding={encoding}",
                "--format=directory",
                f"--jobs={jobs}",
                f"--file={folder}",
                f"--compress={compress}",
                f"--lock-wait-timeout={lock_wait_seconds:g}s",
                "--no-password",
                *options,
                f"--dbname={parameters.conninfo(options=superuser_options(parameters))}",
            ],
            environment,
            BackupFailed,
            cancellation,
        )


def dump_bytes(folder: Path) -> int:
    """The size of all files that a dump has so far."""
    return sum(path.stat().st_size for path in folder.iterdir())


def check_dump(
    parameters: ConnectionParameters, folder: Path, jobs: int, compression: Compression
) -> tuple[Version, str]:
    """Find out whether ``dump_database`` can do its work, without doing it.

    Returns:
        The server's version and the value of pg_dump's option ``--compress``.

    Raises:
        InvalidInput: jobs or the folder; ServerVersionUnsupported; what ``connect`` raises.
    """
    require_jobs(jobs)
    if folder.exists():
        raise InvalidInput(f"{folder} already exists: remove it, or name another folder")
    if not folder.parent.is_dir():
        raise InvalidInput(f"{folder.parent} is not a folder: create it first")
    server, client = check_versions(parameters)
    return server, compression.option(client)


def dump_database(
    parameters: ConnectionParameters, folder: Path, jobs: int, compression: Compression
) -> Dump:
    """Dump a database into a new folder, which is there only once the dump is whole.

    What a killed run has left beside it is replaced.

    Raises:
        OperatorError: as ``check_dump`` and ``run_pg_dump``.
    """
    server, compress = check_dump(parameters, folder, jobs, compression)
    partial = folder.with_name(f"{folder.name}.partial")
    with store_errors(f"writing {folder}"):
        shutil.rmtree(partial, ignore_errors=True)
        try:
            run_pg_dump(parameters, partial, jobs, compress)
            size = dump_bytes(partial)
            partial.rename(folder)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
    return Dump(folder, size, str(server))
