"""BASE_BACKUP, the command of the streaming replication protocol that sends a server's files.

Spoken here and not by pg_basebackup: that writes each tablespace as one file, which can only be
stored once it is whole and somewhere on a disk, and with ``-D -`` it makes no manifest.
The messages: https://www.postgresql.org/docs/current/protocol-replication.html (BASE_BACKUP), of
PostgreSQL 15 and later.
"""

from __future__ import annotations

import select
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import conninfo, pq

from ..errors import BackupFailed, DatabaseNotReady, ServerVersionUnsupported
from .connection import REQUIRE_AUTH_VERSION, ConnectionParameters
from .errors import classify_text

FIRST_VERSION = 150000
"""server_version_num of the first server that sends all archives in one stream."""

_WAIT_SECONDS = 60.0
_NO_ERROR = (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK, pq.ExecStatus.COPY_OUT)
_NEW_ARCHIVE, _MANIFEST, _DATA, _PROGRESS = b"n", b"m", b"d", b"p"


@dataclass(frozen=True)
class Position:
    """Where a backup begins or ends: an LSN such as 0/3000028, and its timeline."""

    lsn: str
    timeline: int


@dataclass
class ArchiveStream:
    """One tar archive as it comes, a file object that can only be read onwards.

    Attributes:
        tablespace: its OID; empty for the data directory itself.
        location: the folder of the tablespace on the server; empty for the data directory.
    """

    tablespace: str
    location: str
    _chunks: Iterator[memoryview]
    _rest: memoryview = field(default_factory=lambda: memoryview(b""))

    def read(self, size: int) -> bytes:
        """Return the next bytes, ``size`` of them unless the archive ends."""
        if len(self._rest) >= size:
            taken, self._rest = self._rest[:size], self._rest[size:]
            return bytes(taken)
        parts, missing = [self._rest], size - len(self._rest)
        self._rest = memoryview(b"")
        for chunk in self._chunks:
            parts.append(chunk[:missing])
            missing -= len(parts[-1])
            if not missing:
                self._rest = chunk[len(parts[-1]) :]
                break
        return b"".join(parts)

    def drain(self) -> None:
        """Read what is left and forget it: the zeros after the last file."""
        self._rest = memoryview(b"")
        for _ in self._chunks:
            pass


@dataclass
class BaseBackup:
    """A backup that is being received: read ``archives`` to the end, then ``manifest`` and ``end``.

    Attributes:
        start: from where on WAL is needed.
        manifest: PostgreSQL's backup_manifest.
        end: up to where WAL is needed; None before everything was read.
        received: bytes of the archives so far.
    """

    start: Position
    _connection: pq.abc.PGconn
    manifest: bytearray = field(default_factory=bytearray)
    end: Position | None = None
    received: int = 0
    _next: tuple[bytes, memoryview] | None = None

    def archives(self) -> Iterator[ArchiveStream]:
        """The archives, one after the other; what was not read of one is skipped.

        Raises:
            DatabaseNotReady: the session broke.
            BackupFailed: the server ended the backup, with its words.
        """
        self._advance()
        while self._next is not None:
            kind, content = self._next
            if kind == _NEW_ARCHIVE:
                name, location = (part.decode() for part in bytes(content).split(b"\0")[:2])
                self._advance()
                tablespace = "" if name == "base.tar" else name.removesuffix(".tar")
                stream = ArchiveStream(tablespace, location, self._archive_chunks())
                yield stream
                stream.drain()
            elif kind == _MANIFEST:
                self._advance()
                for chunk in self._data():
                    self.manifest += chunk
            else:
                raise BackupFailed(f"the server sent {kind!r} where an archive was to begin")
        self.end = _position(_result(self._connection))
        _finish(self._connection)

    def _archive_chunks(self) -> Iterator[memoryview]:
        for chunk in self._data():
            self.received += len(chunk)
            yield chunk

    def _data(self) -> Iterator[memoryview]:
        """The data up to the next message of another kind, which is then in ``_next``."""
        while self._next is not None and self._next[0] in (_DATA, _PROGRESS):
            kind, content = self._next
            self._advance()
            if kind == _DATA:
                yield content

    def _advance(self) -> None:
        message = _copy_data(self._connection)
        self._next = None if message is None else (bytes(message[:1]), message[1:])


@contextmanager
def base_backup(
    parameters: ConnectionParameters, label: str, max_rate_kilobytes: int | None = None
) -> Iterator[BaseBackup]:
    """Begin a base backup; the server ends it when the block is left.

    WAL is not part of it, and it is not waited until that is archived.

    Args:
        parameters: a server and a role with REPLICATION, for whom pg_hba.conf has a rule of
            ``replication``.
        label: of the backup; letters, digits, blanks and '-'.
        max_rate_kilobytes: how much the server sends in a second; None for all it can.

    Raises:
        ServerVersionUnsupported: the server is older than PostgreSQL 15.
        DatabaseNotReady: it cannot be reached. BackupFailed: it refuses.
    """
    connection = _connect(parameters)
    try:
        if connection.server_version < FIRST_VERSION:
            raise ServerVersionUnsupported(
                f"physical backups need PostgreSQL {FIRST_VERSION // 10000} or newer, the server is"
                f" {connection.server_version // 10000}: make logical ones"
            )
        options = ["LABEL '" + label.replace("'", "''") + "'", "CHECKPOINT 'fast'", "WAIT false"]
        options += ["MANIFEST 'yes'", "MANIFEST_CHECKSUMS 'CRC32C'", "PROGRESS true"]
        if max_rate_kilobytes:
            options.append(f"MAX_RATE {max_rate_kilobytes}")
        connection.send_query(f"BASE_BACKUP ({', '.join(options)})".encode())
        start = _position(_result(connection))
        _result(connection)
        _result(connection)
        yield BaseBackup(start, connection)
    finally:
        connection.finish()


def timeline_history(parameters: ConnectionParameters, timeline: int) -> bytes:
    """Return the history of a timeline, as the server has it: also where that was never archived.

    Args:
        parameters: as for ``base_backup``.
        timeline: 2 or later; the first one has none.

    Raises:
        BackupFailed, DatabaseNotReady
    """
    connection = _connect(parameters)
    try:
        connection.send_query(f"TIMELINE_HISTORY {timeline}".encode())
        content = _result(connection).get_value(0, 1)
        _finish(connection)
    finally:
        connection.finish()
    return content or b""


def _connect(parameters: ConnectionParameters) -> pq.abc.PGconn:
    password = parameters.read_password()
    settings: dict[str, Any] = {**conninfo.conninfo_to_dict(parameters.conninfo())}
    # None of the options of a session: a walsender without a database takes no such settings.
    settings |= {"replication": "true", "options": "", "dbname": "replication"}
    if password is not None:
        settings["password"] = password
    if parameters.require_auth is not None and pq.version() >= REQUIRE_AUTH_VERSION:
        settings["require_auth"] = parameters.require_auth
    connection = pq.PGconn.connect(conninfo.make_conninfo(**settings).encode())
    if connection.status != pq.ConnStatus.OK:
        text = _text(connection)
        connection.finish()
        where = f"{parameters.host}:{parameters.port}"
        raise classify_text(text, DatabaseNotReady)(
            f"connecting for replication as {parameters.user} at {where} failed: {text}"
        )
    return connection


def _wait(connection: pq.abc.PGconn) -> None:
    """Wait for bytes of the server.

    Raises:
        DatabaseNotReady: the session broke.
    """
    # A server that is gone without a word is found by keepalives, not here.
    select.select([connection.socket], [], [], _WAIT_SECONDS)
    try:
        connection.consume_input()
    except psycopg.OperationalError as error:
        raise DatabaseNotReady(f"the server ended the base backup: {error}") from error


def _result(connection: pq.abc.PGconn) -> pq.abc.PGresult:
    """The next result of the command.

    Raises:
        BackupFailed: it is an error, or there is none.
    """
    while connection.is_busy():
        _wait(connection)
    result = connection.get_result()
    if result is None or result.status not in _NO_ERROR:
        text = _text(connection) if result is None else result.get_error_message()
        text = " ".join(text.split())
        raise classify_text(text, BackupFailed)(f"the server ended the base backup: {text}")
    return result


def _finish(connection: pq.abc.PGconn) -> None:
    """Read the results that are left.

    Raises:
        BackupFailed: one of them is an error: the backup is not whole.
    """
    while True:
        while connection.is_busy():
            _wait(connection)
        result = connection.get_result()
        if result is None:
            return
        if result.status not in _NO_ERROR:
            text = " ".join(result.get_error_message().split())
            raise classify_text(text, BackupFailed)(f"the server ended the base backup: {text}")


def _copy_data(connection: pq.abc.PGconn) -> memoryview | None:
    """The next message of the stream; None at its end.

    Raises:
        BackupFailed, DatabaseNotReady
    """
    while True:
        try:
            count, content = connection.get_copy_data(1)
        except psycopg.Error as error:
            text = " ".join(str(error).split())
            raise classify_text(text, BackupFailed)(
                f"the server ended the base backup: {text}"
            ) from error
        if count > 0:
            return memoryview(content)
        if count < 0:
            return None
        _wait(connection)


def _position(result: pq.abc.PGresult) -> Position:
    lsn, timeline = result.get_value(0, 0), result.get_value(0, 1)
    assert lsn is not None
    assert timeline is not None
    return Position(lsn.decode(), int(timeline))


def _text(connection: pq.abc.PGconn) -> str:
    return " ".join(connection.get_error_message().split())
