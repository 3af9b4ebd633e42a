"""WAL files in a store: one folder for each Database, an object for each file.

The place is the Location NAMESPACE/DATABASE/wal-UID, where UID is the Database's: no artifact is
named so. There are:

- ``archive.json``: whose WAL it is, in clear;
- ``TTTTTTTT/LLLLLLLL/NAME-SHA256.zst``: segments, and what is named after a segment, by timeline
  and log, so that a folder has a few hundred files however long the archive is;
- ``TTTTTTTT/NAME-SHA256.zst``: the history of that timeline.

With encryption the names end with ``.age``. SHA256 is that of the plain content. So what writes
needs no key to find out whether a file of that name has the same content, and nothing is
overwritten.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import zstandard

from ..errors import (
    ArchiveConflict,
    ArchiveMissing,
    ChecksumMismatch,
    EncryptionKeyWrong,
    IncompatibleVersion,
    StoreUnreachable,
)
from ..store.encryption import EncryptionKey
from ..store.protocol import ENCRYPTED_SUFFIX, LimitedSink, Location, Store
from .names import (
    SEGMENT_SIZE,
    archive_folder,
    is_history,
    is_partial,
    is_segment,
    is_wal_file,
    segment_number,
    timeline_of,
)
from .plain_file import open_plain

IDENTITY_NAME = "archive.json"
FORMAT_VERSION = 1
_IDENTITY_LIMIT = 64 * 1024
_LEVEL = 3
_CHUNK = 256 * 1024
_SUFFIX = ".zst"
_STORED = re.compile(r"(?P<name>.+)-(?P<sha256>[0-9a-f]{64})\.zst(?P<encrypted>\.age)?")
# By how many bytes the headers of age differ at most, with 16 recipients.
_HEADERS = 4096
_FOLDER = re.compile(r"[0-9A-F]{8}")
# The largest segment that PostgreSQL can have.
_CONTENT_LIMIT = 1 << 30


class StoredWrong(StoreUnreachable):
    """The store has less than it confirmed."""

    reason = StoreUnreachable.reason


@dataclass(frozen=True)
class Identity:
    """Whose WAL an archive has.

    Attributes:
        namespace, database, uid: the Database's.
        system_identifier: of its data, as pg_controldata prints it.
    """

    namespace: str
    database: str
    uid: str
    system_identifier: str


@dataclass(frozen=True)
class StoredFile:
    """A WAL file in an archive.

    Attributes:
        name: PostgreSQL's.
        sha256: of the plain content, hexadecimal.
        encrypted: whether age has encrypted it.
        path: below the archive's place.
        size: bytes in the store.
    """

    name: str
    sha256: str
    encrypted: bool
    path: str
    size: int


def archive_location(namespace: str, database: str, uid: str) -> Location:
    """Return where the archive of a Database is.

    Raises:
        InvalidInput: a part is not a Kubernetes name.
    """
    return Location(namespace, database, archive_folder(uid))


@dataclass(frozen=True)
class WalArchive:
    """The archive of one Database.

    All methods raise StoreDenied, StoreUnreachable and NoSpace as they apply.

    Attributes:
        key: what encrypts, and what decrypts if it has an identity; None for an archive in clear.
        spool: where files are compressed and decrypted; None takes the system's temporary folder.
    """

    store: Store
    location: Location
    key: EncryptionKey | None = None
    spool: Path | None = None

    def identify(self, identity: Identity, create: bool) -> Identity:
        """Find out whether the archive is the one of this server.

        Args:
            create: whether an archive that does not exist begins now.

        Returns:
            What the archive says, which is the same.

        Raises:
            ArchiveConflict: it is of another Database or another server.
            ArchiveMissing: there is none, and it is not to be created.
            IncompatibleVersion: it was written by a newer version of the project.
        """
        found = self.read_identity()
        if found is None:
            if not create:
                raise self._missing()
            self._write_identity(identity)
            found = self.read_identity()
            if found is None:
                raise StoreUnreachable(
                    f"{self._where} does not have {IDENTITY_NAME} that was just written to it"
                )
        if found != identity:
            raise ArchiveConflict(
                f"{self._where} is the archive of another server ({_describe(found)}) than this one"
                f" ({_describe(identity)}): nothing is written to it; delete the Database with"
                " reclaimPolicy Retain and create it again, which gives it an archive of its own"
            )
        return found

    def read_identity(self) -> Identity | None:
        """Return whose archive it is; None where there is none.

        Raises:
            ChecksumMismatch: what is there is not an identity.
            IncompatibleVersion: it was written by a newer version of the project.
        """
        if not any(name == IDENTITY_NAME for name, _ in self._files(IDENTITY_NAME)):
            return None
        content = LimitedSink(IDENTITY_NAME, _IDENTITY_LIMIT)
        self.store.read(self.location, IDENTITY_NAME, content)
        try:
            read = json.loads(bytes(content.data))
            version = int(read.pop("formatVersion"))
            if version > FORMAT_VERSION:
                raise IncompatibleVersion(
                    f"{self._where} has format {version}, and this version of the operator reads"
                    f" format {FORMAT_VERSION}: use a newer one"
                )
            return Identity(
                str(read["namespace"]),
                str(read["database"]),
                str(read["uid"]),
                str(read["systemIdentifier"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ChecksumMismatch(
                f"{IDENTITY_NAME} of {self._where} cannot be read: {error!r}"
            ) from error

    def put(self, name: str, path: Path, anew: bool = False) -> bool:
        """Store a WAL file, so that it is durable when this returns.

        A ``.partial`` may be there with several contents: each instance that begins a timeline at
        another point of the same segment has its own, and recovery asks for none.

        Args:
            name: PostgreSQL's.
            path: the file, which is no longer written to.
            anew: whether to store it also if the archive has it: after StoredWrong.

        Returns:
            False if the archive had it already, with the same content.

        Raises:
            ArchiveConflict: the archive has other content under this name. It is left as it is.
            StoredWrong: the store did not keep what it confirmed.
            ChecksumMismatch: the file was written to meanwhile.
            OSError: the file cannot be read, or the spool cannot be written to.
        """
        there = self._stored(name)
        if there and not anew:
            sha256 = _sha256_of(path)
            self._refuse_others(name, sha256, there)
            if any(file.sha256 == sha256 for file in there):
                return False
        with tempfile.TemporaryDirectory(dir=self.spool) as folder:
            packed, sha256 = _pack(path, Path(folder) / name)
            self._refuse_others(name, sha256, there)
            if self.key:
                packed = self.key.encrypt_file(packed, Path(folder))
            suffix = _SUFFIX + (ENCRYPTED_SUFFIX if self.key else "")
            stored = f"{_folder_of(name)}{name}-{sha256}{suffix}"
            self.store.put_file(self.location, stored, packed)
            self._check(name, sha256, stored, packed.stat().st_size)
        return True

    def _check(self, name: str, sha256: str, stored: str, size: int) -> None:
        """Find out whether the store really has what was just written, and nothing beside it.

        Another instance may have stored the same content at the same time. Encrypted for other
        recipients it has another size.
        """
        there = self._stored(name)
        found = next((file.size for file in there if file.path == stored), None)
        if found is None or found < size - _HEADERS:
            has = "nothing" if found is None else f"{found} bytes"
            raise StoredWrong(
                f"{self._where} was sent {size} bytes of WAL file {name}, confirmed that, and has"
                f" {has}: check the object store"
            )
        self._refuse_others(name, sha256, there)

    def _refuse_others(self, name: str, sha256: str, there: list[StoredFile]) -> None:
        others = {file.sha256 for file in there} - {sha256}
        if others and not is_partial(name):
            raise ArchiveConflict(
                f"{self._where} has WAL file {name} with other content (SHA-256"
                f" {', '.join(sorted(others))}) than this server (SHA-256 {sha256}): two servers"
                " have written the same timeline, or the file was damaged; nothing was overwritten"
            )

    def fetch(self, name: str, target: Path) -> bool:
        """Write a WAL file to a path, which has it whole or not at all.

        Returns:
            False if the archive is there and does not have the file.

        Raises:
            ArchiveMissing: there is no archive.
            ArchiveConflict: it has several contents under this name.
            ChecksumMismatch: what came is not what was stored.
            EncryptionKeyWrong: the key does not open it, or there is none, or it is in clear where
                a key is given.
            OSError: the target cannot be written.
        """
        file = self.find(name)
        if file is None:
            # A wrong bucket has no such file either, and recovery would end there without a word.
            if self.read_identity() is None:
                raise self._missing()
            return False
        self._refuse_key(file)
        spool = self.spool or target.parent
        with tempfile.TemporaryDirectory(dir=spool, prefix=".fetch-") as folder:
            packed = Path(folder) / "stored"
            with packed.open("wb") as sink:
                self.store.read(self.location, file.path, sink)
            if self.key and file.encrypted:
                opened = Path(folder) / f"{name}{_SUFFIX}"
                self.key.decrypt_file(packed, opened)
                packed.unlink()
                packed = opened
            self._unpack(file, packed, target)
        return True

    def _refuse_key(self, file: StoredFile) -> None:
        if file.encrypted and not self.key:
            raise EncryptionKeyWrong(
                f"WAL file {file.name} of {self._where} is encrypted: give the Secret with an"
                " identity of one of its recipients"
            )
        if self.key and not file.encrypted:
            raise EncryptionKeyWrong(
                f"WAL file {file.name} of {self._where} is not encrypted, and those of this archive"
                " are to be: who may write to the store may have put it there"
            )

    def _unpack(self, file: StoredFile, packed: Path, target: Path) -> None:
        temporary = target.with_name(f".{target.name}.new")
        try:
            sha256 = _decompress(packed, temporary)
            if sha256 != file.sha256:
                raise ChecksumMismatch(
                    f"WAL file {file.name} of {self._where} has SHA-256 {sha256}, and was stored"
                    f" with {file.sha256}: it was damaged in the store"
                )
            temporary.replace(target)
        except zstandard.ZstdError as error:
            raise ChecksumMismatch(
                f"WAL file {file.name} of {self._where} cannot be decompressed: {error}"
            ) from error
        finally:
            temporary.unlink(missing_ok=True)

    def find(self, name: str) -> StoredFile | None:
        """Return the file of a name; None where the store says that it has none.

        Raises:
            ArchiveConflict: there are several contents.
            InvalidInput: it is not the name of a WAL file.
        """
        there = self._stored(name)
        if len({file.sha256 for file in there}) > 1:
            raise ArchiveConflict(
                f"{self._where} has WAL file {name} with {len(there)} contents:"
                f" {', '.join(sorted(file.path for file in there))}; which of them is right is not"
                " known, so none is used"
            )
        # The same content in clear and encrypted: the key decides.
        return max(there, key=lambda file: file.encrypted == bool(self.key), default=None)

    def stored_time(self, name: str) -> datetime | None:
        """Return when a file was archived, by the store's clock; None where it is not there.

        Nothing that is in it was written later, as far as that clock is right.
        """
        there = self._stored(name)
        times = [self.store.stored_time(self.location, file.path) for file in there]
        return min(times, default=None)

    def segments(self, timeline: int, first: str = "") -> Iterator[str]:
        """Yield the names of the whole segments of a timeline, in their order, each once.

        Args:
            first: the segment to begin with, if not with the first one that there is.
        """
        folder = f"{timeline:08X}"
        for log in self.store.folders(self.location, folder):
            if log < first[8:16]:
                continue
            found = {
                file.name for file in self._parsed(f"{folder}/{log}/") if is_segment(file.name)
            }
            yield from sorted(name for name in found if name >= first)

    def remove_before(self, number: int, segment_bytes: int = SEGMENT_SIZE) -> int:
        """Remove the segments before one, of all timelines, with what is named after them.

        Histories stay: they are small, and say where a timeline comes from. Folders are listed one
        by one, so that what is remembered is bounded.

        Args:
            number: of the first segment that stays, see ``segment_number``.

        Returns:
            How many files were removed.
        """
        removed = 0
        for timeline in self.store.folders(self.location):
            if not _FOLDER.fullmatch(timeline):
                continue
            for log in self.store.folders(self.location, timeline):
                if segment_number(f"{timeline}{log}00000000", segment_bytes) >= number:
                    continue
                old = [
                    file.path
                    for file in self._parsed(f"{timeline}/{log}/")
                    if not is_history(file.name)
                    and is_wal_file(file.name)
                    and segment_number(file.name, segment_bytes) < number
                ]
                self.store.remove_files(self.location, old)
                removed += len(old)
        return removed

    def histories(self) -> list[int]:
        """Return the timelines whose history the archive has, in their order."""
        return sorted(
            int(folder, 16)
            for folder in self.store.folders(self.location)
            if _FOLDER.fullmatch(folder) and self._stored(f"{folder}.history")
        )

    def _stored(self, name: str) -> list[StoredFile]:
        """Return the files of a name: several where there are several contents."""
        return [file for file in self._parsed(f"{_folder_of(name)}{name}-") if file.name == name]

    def _parsed(self, beginning: str) -> Iterator[StoredFile]:
        """Yield the WAL files whose path begins so; anything else there is not an archive's."""
        for path, size in self._files(beginning):
            found = _STORED.fullmatch(path.rpartition("/")[2])
            if found:
                encrypted = found["encrypted"] is not None
                yield StoredFile(found["name"], found["sha256"], encrypted, path, size)

    def _files(self, beginning: str) -> Iterator[tuple[str, int]]:
        return self.store.files(self.location, beginning)

    def _write_identity(self, identity: Identity) -> None:
        content = asdict(identity)
        content["systemIdentifier"] = content.pop("system_identifier")
        text = json.dumps({"formatVersion": FORMAT_VERSION, **content}, indent=2) + "\n"
        with tempfile.TemporaryDirectory(dir=self.spool) as folder:
            path = Path(folder) / IDENTITY_NAME
            path.write_text(text, encoding="utf-8")
            self.store.put_file(self.location, IDENTITY_NAME, path)

    def _missing(self) -> ArchiveMissing:
        return ArchiveMissing(
            f"there is no archive at {self._where}: it was removed, nothing was archived yet, or"
            " the destination is another one"
        )

    @property
    def _where(self) -> str:
        return self.store.describe(self.location)


def _folder_of(name: str) -> str:
    """Return the folder of a WAL file, with a slash at its end.

    Raises:
        InvalidInput: it is not the name of one.
    """
    folder = f"{timeline_of(name):08X}/"
    return folder if is_history(name) else f"{folder}{name[8:16]}/"


def _describe(identity: Identity) -> str:
    return (
        f"Database {identity.namespace}/{identity.database} with UID {identity.uid}, system"
        f" identifier {identity.system_identifier}"
    )


def _sha256_of(path: Path) -> str:
    content = hashlib.sha256()
    with open_plain(path) as file:
        while chunk := file.read(_CHUNK):
            content.update(chunk)
    return content.hexdigest()


def _pack(path: Path, target: Path) -> tuple[Path, str]:
    """Compress a file and return where that is, and the SHA-256 of just what was compressed.

    Raises:
        ChecksumMismatch: the file was written to meanwhile.
        OSError
    """
    target = target.with_name(target.name + _SUFFIX)
    content = hashlib.sha256()
    with open_plain(path) as source, target.open("wb") as sink:
        before = path.lstat()
        compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compressobj()
        while chunk := source.read(_CHUNK):
            content.update(chunk)
            sink.write(compressor.compress(chunk))
        sink.write(compressor.flush())
        after = path.lstat()
    if (before.st_ino, before.st_mtime_ns) != (after.st_ino, after.st_mtime_ns):
        raise ChecksumMismatch(f"{path.name} was written to while it was read: it is tried again")
    return target, content.hexdigest()


def _decompress(packed: Path, target: Path) -> str:
    """Decompress a file and return the SHA-256 of what came out of it.

    Raises:
        ChecksumMismatch: it is more than a segment can have.
        OSError, zstandard.ZstdError
    """
    content, count = hashlib.sha256(), 0
    with packed.open("rb") as source, target.open("wb") as sink:
        reader = zstandard.ZstdDecompressor().stream_reader(source)
        while chunk := reader.read(_CHUNK):
            count += len(chunk)
            if count > _CONTENT_LIMIT:
                raise ChecksumMismatch(f"{target.name} has more bytes than any WAL file")
            content.update(chunk)
            sink.write(chunk)
    return content.hexdigest()
