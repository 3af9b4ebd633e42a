"""The manifest of an artifact: what it was taken from, its files, and what is in its tables.

It is read as hostile input: anything that is not exactly as written here is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..errors import ChecksumMismatch, IncompatibleVersion, InvalidInput
from ..postgres.databases import PRIVILEGES, Grant, Locale, Setting
from ..postgres.labels import Label
from ..postgres.roles import Membership, Role
from ..postgres.scram import is_verifier
from .document import (
    is_time,
    read_document,
    require,
    require_unique,
    to_dataclass,
    write_document,
)

FORMAT_VERSION = 7
"""Another one with every change of what is written here, of how fingerprints are computed too.

All older ones are read, see ``older_fingerprints``: 1 has fingerprints of the rows' text, neither 1
nor 2 has versions of extensions or tables that belong to one, and up to 3 a table's fingerprint is
of generated columns too. Only from 5 on there are the properties of the database, from 6 on what is
known of roles, and from 7 on the sizes of the database and of its tables.
"""

_FIRST_WITH_STORED_VALUES = 2
_FIRST_WITH_EXTENSION_TABLES = 3
_FIRST_WITH_GENERATED_COLUMNS = 4
_FIRST_WITH_PROPERTIES = 5
_FIRST_WITH_GLOBALS = 6
_FIRST_WITH_SIZES = 7

_NEW_KEYS: tuple[tuple[int, str, str, Any], ...] = (
    (_FIRST_WITH_SIZES, "source", "sizeBytes", None),
    (_FIRST_WITH_SIZES, "tables", "sizeBytes", None),
    (_FIRST_WITH_GLOBALS, "source", "globals", None),
    (_FIRST_WITH_PROPERTIES, "source", "properties", None),
    (_FIRST_WITH_GENERATED_COLUMNS, "tables", "generated", []),
)
"""The format version that has them first, where they are, and what they are before."""

SIZE_LIMIT = 256 * 1024 * 1024
"""Bytes; a table takes about 150 of them."""

PHYSICAL = "physical"
"""The ``method`` of a physical artifact. A logical one has none."""

DUMP_FOLDER = "dump"
_FILE_NAME = re.compile(DUMP_FOLDER + r"/[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9]+)*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FINGERPRINT = re.compile(r"[0-9a-f]{16}")
_END = re.compile(r"-?infinity|\d{4,6}-\d\d-\d\dT\d\d:\d\d:\d\dZ")

TABLE = "table"
PARTITION = "partition"
MATERIALIZED_VIEW = "materialized view"

NO_ROWS = "0" * 16
"""The fingerprint of a table without rows."""

_EMPTY_DATABASE = 8 * 1024 * 1024
"""Bytes that a database takes without any object of a user: the catalogs of template0."""


@dataclass(frozen=True)
class FileEntry:
    """One file: its path below the artifact's folder, its size in bytes, its SHA-256 in hex."""

    name: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class GeneratedColumn:
    """A stored generated column, whose values no dump has, and a fingerprint of them."""

    name: str
    fingerprint: str


@dataclass(frozen=True)
class TableEntry:
    """What one table holds; see ``fingerprint`` for how it is computed.

    Attributes:
        kind: TABLE, PARTITION or MATERIALIZED_VIEW.
        populated: False for a materialized view WITH NO DATA, and for what is in a partial backup
            without its rows.
        fingerprint: 16 hex digits.
        generated: ordered by name; none of a backup of format 1 to 3.
        size_bytes: on the server, with indexes and TOAST, at the backup; 0 where the backup has not
            its rows. None where it is not known: a backup of an older format does not say.
    """

    schema: str
    name: str
    kind: str
    populated: bool
    rows: int
    fingerprint: str
    generated: tuple[GeneratedColumn, ...] = ()
    size_bytes: int | None = field(default=None, compare=False)


@dataclass(frozen=True)
class ExtensionTable:
    """A table that belongs to an extension: no dump has its definition.

    Attributes:
        configuration: whether a dump has rows of it: those for which the condition holds that the
            extension gives. Rows and fingerprint are of these; else of all.
    """

    schema: str
    name: str
    extension: str
    configuration: bool
    rows: int
    fingerprint: str


@dataclass(frozen=True)
class Extension:
    """An installed extension.

    Attributes:
        version: None where it is not known: a backup of format 1 or 2 does not say.
    """

    name: str
    version: str | None


@dataclass(frozen=True)
class SequenceState:
    """What a sequence's own row says."""

    last_value: int
    is_called: bool


@dataclass(frozen=True)
class SequenceEntry:
    """A sequence before and after the dump: sequences obey no snapshot."""

    schema: str
    name: str
    before: SequenceState
    after: SequenceState


@dataclass(frozen=True)
class LargeObjects:
    """All large objects together."""

    count: int
    size_bytes: int
    fingerprint: str


@dataclass(frozen=True)
class DatabaseProperties:
    """What belongs to the database and is not in the dump, but for its owner and its tablespace.

    Attributes:
        connection_limit: -1 for none.
        grants: privileges on the database, the owner's and PUBLIC's too.
        settings: ALTER DATABASE SET, and ALTER ROLE IN DATABASE SET.
    """

    connection_limit: int
    comment: str | None
    grants: tuple[Grant, ...]
    settings: tuple[Setting, ...]


@dataclass(frozen=True)
class Globals:
    """What the server has for the database: its tablespace, and the roles that have to do with it.

    Attributes:
        tablespace: the name of the database's own.
        roles: those that own something in the database, or were granted something in it or on it,
            or have settings in it; predefined ones excepted.
        memberships: those of these roles in any, and of any in these.
        settings: of these roles, in all databases.
        labels: security labels of these roles and of the database; others are in the dump.
    """

    tablespace: str
    roles: tuple[Role, ...]
    memberships: tuple[Membership, ...]
    settings: tuple[Setting, ...]
    labels: tuple[Label, ...]


@dataclass(frozen=True)
class Source:
    """The database that was dumped.

    Attributes:
        server_version_num: such as 150020.
        roles: roles that own something or were granted something, predefined ones excepted.
        properties: None where they are not known: a backup of an older format does not say.
        globals: the same.
        size_bytes: of the database on the server, at the backup (pg_database_size); None where it
            is not known, as above.
    """

    database: str
    owner: str
    system_identifier: str
    server_version: str
    server_version_num: int
    dump_program_version: str
    locale: Locale
    roles: tuple[str, ...]
    extensions: tuple[Extension, ...]
    properties: DatabaseProperties | None
    globals: Globals | None
    size_bytes: int | None

    @property
    def extension_names(self) -> frozenset[str]:
        """Of the installed ones."""
        return frozenset(extension.name for extension in self.extensions)


@dataclass(frozen=True)
class Manifest:
    """All that is known of an artifact. Times are RFC 3339 in UTC, to the second.

    Attributes:
        format_version: what it was written as.
        extension_tables: those that have rows, and all that an extension marks as configuration;
            none of a partial backup.
    """

    format_version: int
    namespace: str
    database: str
    uid: str
    start_time: str
    completion_time: str
    source: Source
    files: tuple[FileEntry, ...]
    tables: tuple[TableEntry, ...]
    extension_tables: tuple[ExtensionTable, ...]
    sequences: tuple[SequenceEntry, ...]
    large_objects: LargeObjects

    @property
    def size_bytes(self) -> int:
        """Of all files but the manifest."""
        return sum(file.size_bytes for file in self.files)

    @property
    def server_version(self) -> str:
        """Of the server that was dumped."""
        return self.source.server_version

    @property
    def is_partial(self) -> bool:
        """Whether rows were left out. Such a backup is a selection and not a whole database."""
        return any(not table.populated and table.kind != MATERIALIZED_VIEW for table in self.tables)

    @property
    def table_count(self) -> int:
        """Of tables and materialized views; in a partial backup of those that have their rows."""
        partial = self.is_partial
        return sum(
            table.populated or (table.kind == MATERIALIZED_VIEW and not partial)
            for table in self.tables
        )

    @property
    def rows(self) -> int:
        """Of all tables; those of materialized views are not counted, they are derived."""
        return sum(table.rows for table in self.tables if table.kind != MATERIALIZED_VIEW)

    @property
    def restored_bytes(self) -> int | None:
        """About what a restore takes on the server's volume; None where that is not known.

        It is what the database took at the backup, or of a part of the rows what their tables did.
        One that was bloated takes less once it is restored.
        """
        if self.source.size_bytes is None or not self.is_partial:
            return self.source.size_bytes
        tables = sum(table.size_bytes or 0 for table in self.tables if table.populated)
        return _EMPTY_DATABASE + tables + self.large_objects.size_bytes

    @property
    def has_text_fingerprints(self) -> bool:
        """Whether they are of the rows' text, see ``older_fingerprints``."""
        return self.format_version < _FIRST_WITH_STORED_VALUES

    @property
    def has_generated_columns_in_rows(self) -> bool:
        """Whether the values of generated columns count in a table's fingerprint."""
        return self.format_version < _FIRST_WITH_GENERATED_COLUMNS

    @property
    def knows_extension_tables(self) -> bool:
        """Whether it says what they held: older formats do not."""
        return self.format_version >= _FIRST_WITH_EXTENSION_TABLES


def to_json(manifest: Manifest) -> bytes:
    """The manifest as UTF-8 JSON; keys in camelCase."""
    return write_document(manifest)


def is_physical(document: Any) -> bool:
    """Whether a manifest's JSON is that of a physical artifact, see ``physical.manifest``."""
    return isinstance(document, dict) and document.get("method") == PHYSICAL


def from_json(content: bytes) -> Manifest:
    """Parse a manifest; raises as ``from_document``."""
    return from_document(read_document(content))


def from_document(document: Any) -> Manifest:
    """Build a manifest from its JSON.

    Raises:
        IncompatibleVersion: its format version is newer than FORMAT_VERSION.
        InvalidInput: it is that of a physical backup.
        ChecksumMismatch: it is not a manifest: broken JSON, a missing or unknown key, a value
            of the wrong type or form, a file name that leads elsewhere, a name given twice.
    """
    if is_physical(document):
        raise InvalidInput(
            "the backup is a physical one, of a whole server: here a logical one is needed"
        )
    _check_format_version(document)
    manifest = to_dataclass(Manifest, _in_this_format(document), "manifest")
    _check_values(manifest)
    return manifest


def _check_format_version(document: Any) -> None:
    version = document.get("formatVersion") if isinstance(document, dict) else None
    if type(version) is not int:
        raise ChecksumMismatch("the manifest has no formatVersion: it is not a manifest")
    if not 1 <= version <= FORMAT_VERSION:
        reader = " restore it with a newer operator" if version > 0 else " it is none that there is"
        raise IncompatibleVersion(
            f"the backup has format version {version}, this operator reads 1 to {FORMAT_VERSION}:"
            f"{reader}"
        )


def _in_this_format(document: dict[str, Any]) -> dict[str, Any]:
    """The document with what its format version did not have yet.

    What is not as that version has it is left to be refused.
    """
    for first, place, key, content in _NEW_KEYS:
        if document["formatVersion"] < first and place in document:
            document = document | {place: _with_new(document[place], place, key, content)}
    if document["formatVersion"] >= _FIRST_WITH_EXTENSION_TABLES:
        return document
    if "extensionTables" in document:
        raise ChecksumMismatch("the manifest has extensionTables, which its format version has not")
    source = document.get("source")
    names = source.get("extensions") if isinstance(source, dict) else None
    if not isinstance(source, dict) or not isinstance(names, list):
        return document
    extensions = [{"name": name, "version": None} for name in names]
    return document | {"extensionTables": [], "source": source | {"extensions": extensions}}


def _with_new(value: Any, place: str, key: str, content: Any) -> Any:
    """An object, or each of a list, with a key that its format version did not have yet."""
    if isinstance(value, list):
        return [_with_new(one, place, key, content) for one in value]
    if not isinstance(value, dict):
        return value
    if key in value:
        raise ChecksumMismatch(f"{place} has the key {key}, which its format version has not")
    return value | {key: content}


def is_file_name(name: str) -> bool:
    """Whether a file of an artifact can have this path."""
    return _FILE_NAME.fullmatch(name) is not None


def check_files(files: tuple[FileEntry, ...], is_name: Callable[[str], bool]) -> None:
    """Refuse entries that no file of an artifact can have.

    Args:
        is_name: whether a file can have this path.

    Raises:
        ChecksumMismatch
    """
    for file in files:
        require(is_name(file.name), "a file name", file.name)
        require(_SHA256.fullmatch(file.sha256) is not None, "a SHA-256", file.sha256)
        require(file.size_bytes >= 0, "a size", file.size_bytes)
    require_unique("file", files, lambda file: file.name)


def _check_values(manifest: Manifest) -> None:
    for time in (manifest.start_time, manifest.completion_time):
        require(is_time(time), "a time", time)
    check_files(manifest.files, is_file_name)
    for table in manifest.tables:
        kinds = (TABLE, PARTITION, MATERIALIZED_VIEW)
        require(table.kind in kinds, "a kind of table", table.kind)
    with_rows: tuple[TableEntry | ExtensionTable, ...] = (
        *manifest.tables,
        *manifest.extension_tables,
    )
    for entry in with_rows:
        require(entry.rows >= 0, "a number of rows", entry.rows)
    properties = manifest.source.properties
    for grant in properties.grants if properties else ():
        require(grant.privilege in PRIVILEGES, "a privilege on a database", grant.privilege)
    if manifest.source.globals:
        _check_globals(manifest.source.globals)
    for size in (manifest.source.size_bytes, *(table.size_bytes for table in manifest.tables)):
        require(size is None or size >= 0, "a size", size)
    provider = manifest.source.locale.provider
    require(provider in ("b", "c", "i"), "a locale provider", provider)
    fingerprints = [entry.fingerprint for entry in with_rows]
    for table in manifest.tables:
        fingerprints += [column.fingerprint for column in table.generated]
        require_unique("column", table.generated, lambda column: column.name)
    for fingerprint in (*fingerprints, manifest.large_objects.fingerprint):
        require(_FINGERPRINT.fullmatch(fingerprint) is not None, "a fingerprint", fingerprint)
    require_unique("table", with_rows, lambda table: (table.schema, table.name))
    require_unique("extension", manifest.source.extensions, lambda extension: extension.name)
    require_unique("sequence", manifest.sequences, lambda entry: (entry.schema, entry.name))


def _check_globals(found: Globals) -> None:
    for role in found.roles:
        end, limit = role.valid_until, role.connection_limit
        require(end is None or _END.fullmatch(end) is not None, "an end of validity", end)
        require(-1 <= limit < 2**31, "a connection limit", limit)
        if role.verifier is not None and not is_verifier(role.verifier):
            raise ChecksumMismatch(
                f"the manifest is damaged: what it has for role {role.name!r} is not a verifier"
            )
    require_unique("role", found.roles, lambda role: role.name)
    require_unique("membership", found.memberships, lambda one: (one.role, one.member))
