"""The table of contents of a dump in the directory format: what pg_restore makes, by entry.

pg_restore prints it with ``--list``, but there the owner looks like the end of a name with spaces,
and who owns an entry decides in whose session it is restored. So the file is read itself; its form
is that of ``WriteHead`` and ``WriteToc`` in src/bin/pg_dump/pg_backup_archiver.c.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from ..errors import ChecksumMismatch, IncompatibleVersion

_MAGIC = b"PGDMP"
_FIRST_VERSION = (1, 14)
_WITH_COMPRESSION_METHOD = (1, 15)
_WITH_RELATION_KIND = (1, 16)
_LAST_VERSION = (1, 16)
_TIME_FIELDS = 7


class Section(Enum):
    """When pg_restore restores an entry: the numbers of ``teSection`` in pg_backup.h."""

    NONE = 1
    PRE_DATA = 2
    DATA = 3
    POST_DATA = 4


@dataclass(frozen=True)
class Entry:
    """One entry.

    Attributes:
        number: what ``pg_restore --use-list`` knows it by.
        kind: such as TABLE, TABLE DATA, FK CONSTRAINT or ACL.
        schema: empty where it is in none.
        owner: name of the role that owns the object; empty for what has no owner.
        section: never NONE: an entry of none belongs to the section of the one before it.
        definition: the SQL that makes it; empty for rows.
        tablespace: empty for the database's own.
        dependencies: numbers of the entries, in the file or not, that have to be there before.
    """

    number: int
    kind: str
    schema: str
    name: str
    owner: str
    section: Section
    definition: str
    tablespace: str
    dependencies: tuple[int, ...]


def read_entries(dump: Path, encoding: str) -> list[Entry]:
    """Read the table of contents of a dump, in the order in which pg_restore works on it.

    Args:
        dump: the folder with ``toc.dat``.
        encoding: Python's name of the encoding that the dump is in.

    Raises:
        IncompatibleVersion: it is of a version that is not known here.
        ChecksumMismatch: it is none.
    """
    reader = _Reader((dump / "toc.dat").read_bytes(), encoding)
    try:
        return _read(reader)
    except (IndexError, ValueError) as error:
        raise ChecksumMismatch(f"the dump's table of contents is damaged: {error}") from error


def _read(reader: _Reader) -> list[Entry]:
    version = _read_head(reader)
    entries: list[Entry] = []
    section = Section.PRE_DATA
    for _ in range(reader.integer()):
        entry = _read_entry(reader, version, section)
        section = entry.section
        entries.append(entry)
    return entries


def _read_head(reader: _Reader) -> tuple[int, int]:
    if reader.take(len(_MAGIC)) != _MAGIC:
        raise ValueError("it does not begin as one")
    major, minor, _revision = reader.take(3)
    version = (major, minor)
    if not _FIRST_VERSION <= version <= _LAST_VERSION:
        raise IncompatibleVersion(
            f"the dump has archive version {major}.{minor}, known are"
            f" {'.'.join(map(str, _FIRST_VERSION))} to {'.'.join(map(str, _LAST_VERSION))}: use an"
            " operator that knows this version of pg_dump"
        )
    reader.integer_bytes, _offset_bytes, _form = reader.take(3)
    if version >= _WITH_COMPRESSION_METHOD:
        reader.take(1)
    else:
        reader.integer()
    for _ in range(_TIME_FIELDS):
        reader.integer()
    for _ in ("database", "version of the server", "version of pg_dump"):
        reader.text()
    return version


def _read_entry(reader: _Reader, version: tuple[int, int], before: Section) -> Entry:
    number = reader.integer()
    reader.integer()  # whether it has data
    reader.text(), reader.text()  # OIDs of catalog and object
    name, kind = reader.text(), reader.text()
    section = Section(reader.integer())
    definition = reader.text()
    reader.text(), reader.text()  # DROP, COPY
    schema, tablespace = reader.text(), reader.text()
    reader.text()  # access method
    if version >= _WITH_RELATION_KIND:
        reader.integer()
    owner = reader.text()
    reader.text()  # WITH OIDS, of former times
    dependencies = []
    while (dependency := reader.text_or_none()) is not None:
        dependencies.append(int(dependency))
    reader.text()  # name of the file
    return Entry(
        number=number,
        kind=kind,
        schema=schema,
        name=name,
        owner=owner,
        section=before if section is Section.NONE else section,
        definition=definition,
        tablespace=tablespace,
        dependencies=tuple(dependencies),
    )


class _Reader:
    """Takes one value after the other from the file's bytes."""

    def __init__(self, data: bytes, encoding: str) -> None:
        self._data = data
        self._encoding = encoding
        self._at = 0
        self.integer_bytes = 4

    def take(self, count: int) -> bytes:
        """The next bytes."""
        taken = self._data[self._at : self._at + count]
        if len(taken) != count:
            raise ValueError("it ends too early")
        self._at += count
        return taken

    def integer(self) -> int:
        """A sign, then the number with its lowest byte first."""
        sign, *digits = self.take(1 + self.integer_bytes)
        value = int.from_bytes(bytes(digits), "little")
        return -value if sign else value

    def text_or_none(self) -> str | None:
        """A text; None where the dump has NULL, which is not the empty text."""
        length = self.integer()
        if length < 0:
            return None
        # Old dumps may hold, in SQL_ASCII, what is of no encoding.
        return self.take(length).decode(self._encoding, errors="surrogateescape")

    def text(self) -> str:
        """A text; empty for NULL."""
        return self.text_or_none() or ""
