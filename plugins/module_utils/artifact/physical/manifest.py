"""The manifest of a physical artifact: the server that it was taken from, and its files.

It is read as hostile input, as that of a logical one is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ...archive.names import is_wal_file, parse_lsn
from ...errors import ChecksumMismatch, IncompatibleVersion, InvalidInput
from .. import manifest as logical
from ..document import is_time, read_document, require, to_dataclass, write_document
from ..manifest import FileEntry, Manifest, check_files, is_physical

FORMAT_VERSION = 1
"""Another one with every change of what is written here."""

BASE_FOLDER = "base"
"""Where the files of a base backup are: bundles of tar, ``NUMBER.tar.zst``, those of a tablespace
``OID-NUMBER.tar.zst``, PostgreSQL's own ``backup_manifest.zst``, and the history of its timeline if
that is not the first one: a page of WAL that was begun on the one before is refused without."""
WAL_FOLDER = "wal"
"""Where the WAL of the time of the backup is, as it was in the archive."""
SERVER_MANIFEST = "backup_manifest"

_BUNDLE = re.compile(r"base/(?:(?P<tablespace>[1-9][0-9]*)-)?[0-9]{6}\.tar\.zst(\.age)?")
_SERVER_MANIFEST = re.compile(r"base/backup_manifest\.zst(\.age)?")
_HISTORY = re.compile(r"base/(?P<name>[0-9A-F]{8}\.history)\.zst(\.age)?")
_WAL = re.compile(r"wal/(?P<name>.+)-[0-9a-f]{64}\.zst(\.age)?")
_OID = re.compile(r"[1-9][0-9]*")


@dataclass(frozen=True)
class Server:
    """The server that was backed up.

    Attributes:
        server_version_num: such as 150020.
        wal_segment_bytes: the size of a segment of WAL.
        checksums: whether its pages have checksums.
        standby: whether it was a standby.
        size_bytes: of all databases (pg_database_size) at the beginning.
    """

    system_identifier: str
    server_version: str
    server_version_num: int
    wal_segment_bytes: int
    checksums: bool
    standby: bool
    size_bytes: int


@dataclass(frozen=True)
class PhysicalManifest:
    """All that is known of a physical artifact. Times are RFC 3339 in UTC, to the second.

    Attributes:
        method: PHYSICAL.
        archive: the name of the archive's folder, beside that of the artifact.
        timeline: at its end, as at its beginning.
        start_lsn: from where on WAL is needed.
        end_lsn: where it is consistent.
        consistent_time: when that was, by the server's clock; no earlier moment can be restored.
        tablespaces: OIDs.
    """

    format_version: int
    method: str
    namespace: str
    database: str
    uid: str
    start_time: str
    completion_time: str
    consistent_time: str
    server: Server
    archive: str
    timeline: int
    start_lsn: str
    end_lsn: str
    tablespaces: tuple[str, ...]
    files: tuple[FileEntry, ...]

    @property
    def size_bytes(self) -> int:
        """Of all files but the manifest."""
        return sum(file.size_bytes for file in self.files)

    @property
    def server_version(self) -> str:
        """Of the server that was backed up."""
        return self.server.server_version


def to_json(manifest: PhysicalManifest) -> bytes:
    """The manifest as UTF-8 JSON; keys in camelCase."""
    return write_document(manifest)


def from_json(content: bytes) -> PhysicalManifest:
    """Parse a manifest; raises as ``from_document``."""
    return from_document(read_document(content))


def any_from_json(content: bytes) -> Manifest | PhysicalManifest:
    """Parse a manifest of either kind; raises as the ``from_document`` of that kind."""
    document = read_document(content)
    return from_document(document) if is_physical(document) else logical.from_document(document)


def from_document(document: Any) -> PhysicalManifest:
    """Build a manifest from its JSON.

    Raises:
        IncompatibleVersion: its format version is newer than FORMAT_VERSION.
        ChecksumMismatch: it is none, or damaged.
        InvalidInput: it is that of a logical backup.
    """
    if not is_physical(document):
        raise InvalidInput(
            "the backup is a logical one, which has the contents of one point in time only: name a"
            " Backup with method: physical"
        )
    version = document.get("formatVersion")
    if type(version) is int and version > FORMAT_VERSION:
        raise IncompatibleVersion(
            f"the physical backup has format version {version}, this operator reads up to"
            f" {FORMAT_VERSION}: restore it with a newer operator"
        )
    manifest = to_dataclass(PhysicalManifest, document, "manifest")
    _check_values(manifest)
    return manifest


def is_file_name(name: str) -> bool:
    """Whether a file of a physical artifact can have this path."""
    wal = _WAL.fullmatch(name)
    if wal:
        return is_wal_file(wal["name"])
    return any(one.fullmatch(name) for one in (_BUNDLE, _SERVER_MANIFEST, _HISTORY))


def is_bundle(name: str) -> bool:
    """Whether a file has files of the server."""
    return _BUNDLE.fullmatch(name) is not None


def tablespace_of(name: str) -> str:
    """The OID of the tablespace that a bundle is of; empty for the data directory."""
    found = _BUNDLE.fullmatch(name)
    return (found["tablespace"] or "") if found else ""


def history_of(name: str) -> str:
    """The name of the history of a timeline that a file of the base backup has; else empty."""
    found = _HISTORY.fullmatch(name)
    return found["name"] if found else ""


def wal_name_of(name: str) -> str:
    """The name of the WAL file that a file of the artifact has; empty where it has none."""
    found = _WAL.fullmatch(name)
    return found["name"] if found else ""


def _check_values(manifest: PhysicalManifest) -> None:
    times = (manifest.start_time, manifest.completion_time, manifest.consistent_time)
    for time in times:
        require(is_time(time), "a time", time)
    check_files(manifest.files, is_file_name)
    for lsn in (manifest.start_lsn, manifest.end_lsn):
        try:
            parse_lsn(lsn)
        except InvalidInput as error:
            raise ChecksumMismatch(f"the manifest is damaged: {error.message}") from None
    require(manifest.timeline > 0, "a timeline", manifest.timeline)
    for oid in manifest.tablespaces:
        require(_OID.fullmatch(oid) is not None, "an OID", oid)
    require(manifest.server.wal_segment_bytes > 0, "a size", manifest.server.wal_segment_bytes)
