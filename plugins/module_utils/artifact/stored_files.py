"""The files of an artifact in their store: sent one by one, checked, and fetched.

What is trusted when: each file once it has the size and the SHA-256 that the manifest says. No
other name is read, and nothing is handed out before.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Protocol, TypeVar

from ..errors import ChecksumMismatch, EncryptionKeyWrong, InvalidInput, OperatorError
from ..store.encryption import HEADER, EncryptionKey
from ..store.filesystem import FilesystemStore, store_errors
from ..store.protocol import ENCRYPTED_SUFFIX, MANIFEST_NAME, Location, Store
from ..units import first_of, format_size
from .manifest import SIZE_LIMIT, FileEntry
from .progress import Tally

_CHUNK = 1024 * 1024

Item = TypeVar("Item")


@dataclass(frozen=True)
class ArtifactStore:
    """Where artifacts are, what encrypts them, and where there is room to work on them.

    Attributes:
        key: encrypts everything; None leaves it as it is. It need not be able to decrypt.
        spool: a folder on a local disk; needed unless ``direct``.
    """

    files: Store
    key: EncryptionKey | None = None
    spool: Path | None = None

    @property
    def direct(self) -> FilesystemStore | None:
        """The folder store, if PostgreSQL's programs can work in it; None if they need a spool."""
        if isinstance(self.files, FilesystemStore) and self.key is None:
            return self.files
        return None

    @property
    def write_only(self) -> bool:
        """Whether what is written here cannot be decrypted here."""
        return self.key is not None and self.key.identity_file is None

    def check(self) -> None:
        """Find out whether there is all that is needed, before any work is done.

        Raises:
            InvalidInput: there is no spool.
            InvalidInput, SecretMissing: the key is not usable.
        """
        if self.key:
            self.key.check()
        if not self.direct and not (self.spool and self.spool.is_dir()):
            raise InvalidInput(
                f"spool {self.spool} is not a folder: S3 and encryption need one that has room for"
                " the dump's files"
            )

    @contextmanager
    def folder_of(self, location: Location, name: str) -> Iterator[Path]:
        """A folder of an artifact's own, or an empty one in the spool that goes in the end.

        Args:
            name: the folder's, such as that of a dump.

        Raises:
            NoSpace, StoreUnreachable: the spool's disk.
        """
        if self.direct:
            yield self.direct.folder(location) / name
            return
        assert self.spool is not None
        spooled = self.spool / location.uid
        with spool_errors(spooled):
            shutil.rmtree(spooled, ignore_errors=True)
            spooled.mkdir(mode=0o700)
        try:
            (spooled / name).mkdir()
            yield spooled / name
        finally:
            shutil.rmtree(spooled, ignore_errors=True)


@dataclass(frozen=True)
class NewFiles:
    """An artifact that is being written: its files, and last its manifest.

    Attributes:
        folder: where its files are made. Their names in the store begin with the folder's.
    """

    store: ArtifactStore
    location: Location
    folder: Path

    def send(self, path: Path) -> FileEntry:
        """Store one file of the spool, encrypted, and remove it there.

        Made at its place, it is only described.
        """
        if self.store.direct:
            with store_errors(f"reading {path}"):
                return describe_file(path, self._name_of(path))
        with spool_errors(path):
            if self.store.key:
                plain, path = path, self.store.key.encrypt_file(path, self.folder.parent)
                plain.unlink()
            entry = describe_file(path, f"{self.folder.name}/{path.name}")
            self.store.files.put(self.location, entry.name, path)
            path.unlink()
        return entry

    def describe_files(self, jobs: int) -> list[FileEntry]:
        """Size and checksum of every file that was made at its place.

        Args:
            jobs: how many files are read at the same time.
        """
        paths = sorted(path for path in self.folder.rglob("*") if path.is_file())
        with store_errors(f"reading {self.folder}"), ThreadPoolExecutor(jobs) as pool:
            return list(pool.map(lambda path: describe_file(path, self._name_of(path)), paths))

    def _name_of(self, path: Path) -> str:
        return f"{self.folder.name}/{path.relative_to(self.folder).as_posix()}"

    def write_manifest(self, content: bytes) -> str:
        """Let the manifest appear, encrypted like everything else; return its SHA-256 in hex."""
        name = MANIFEST_NAME
        if self.store.key:
            name, content = name + ENCRYPTED_SUFFIX, self.store.key.encrypt(content)
        self.store.files.finish(self.location, name, content)
        return hashlib.sha256(content).hexdigest()


@contextmanager
def new_files(store: ArtifactStore, location: Location, name: str) -> Iterator[NewFiles]:
    """Room for an artifact that is removed again if the block fails.

    What a failed run has left there is replaced.

    Args:
        name: of the folder that its files are in.
    """
    store.files.begin(location)
    try:
        with store.folder_of(location, name) as folder:
            yield NewFiles(store, location, folder)
    except BaseException:
        with suppress(OperatorError):
            store.files.remove(location)
        raise


@dataclass(frozen=True)
class StoredFiles:
    """Files of an artifact, as its manifest says that they are stored."""

    store: ArtifactStore
    location: Location
    entries: tuple[FileEntry, ...]

    def compare(self, jobs: int, tally: Tally | None) -> None:
        """Read every stored file and compare it with the manifest.

        Args:
            jobs: how many files are read at the same time.
            tally: counts those that are done.

        Raises:
            ChecksumMismatch: a file is missing, extra or altered.
        """
        self.compare_names()
        self.for_each(self._compare, jobs, tally)

    def fetch(self, folder: Path, jobs: int, tally: Tally | None) -> None:
        """Copy every file into a local folder, checked and decrypted.

        Raises:
            ChecksumMismatch: a file is missing, extra or altered.
            EncryptionKeyWrong
        """
        self.compare_names()
        self.for_each(lambda file: self.fetch_one(file, folder), jobs, tally)

    def compare_names(self) -> None:
        """Refuse an artifact that has other files than its manifest names.

        Raises:
            ChecksumMismatch
        """
        present = self.store.files.file_names(self.location)
        expected = {file.name for file in self.entries}
        for what, names in (("lacks", expected - present), ("also has", present - expected)):
            if names:
                raise ChecksumMismatch(
                    f"backup {self.location} {what} {first_of(sorted(names))}:"
                    " it is not what was written"
                )

    def for_each(self, work: Callable[[FileEntry], object], jobs: int, tally: Tally | None) -> None:
        """Work on all files, the largest first so that none is left over in the end."""
        tally = tally or files_tally()
        files = sorted(self.entries, key=lambda file: file.size_bytes, reverse=True)
        tally.expect([file.size_bytes for file in files])

        def counted(file: FileEntry) -> None:
            work(file)
            tally.add(file.size_bytes)

        for_each(files, counted, jobs)

    def fetch_one(self, file: FileEntry, folder: Path) -> Path:
        """Copy one stored file into a local folder, checked and decrypted; return where it is."""
        target = folder / Path(file.name).name
        with spool_errors(target):
            with FileIO(target, "x") as output:
                self._compare(file, output)
            if self.store.key:
                plain = target.with_suffix("")
                self.store.key.decrypt_file(target, plain)
                target.unlink()
                return plain
        return target

    def _compare(self, file: FileEntry, output: FileIO | None = None) -> None:
        """Compare one stored file's size and SHA-256 with the manifest, perhaps copying it."""
        sink = _Digest(output)
        self.store.files.read(self.location, file.name, sink)
        found = sink.size, sink.digest.hexdigest()
        if found != (file.size_bytes, file.sha256):
            raise ChecksumMismatch(
                f"{file.name} of backup {self.location} has {found[0]} bytes with SHA-256"
                f" {found[1]}, the manifest says {file.size_bytes} bytes with {file.sha256}: use"
                " another backup"
            )


class Placed(Protocol):
    """A manifest, which names the place of its artifact."""

    @property
    def namespace(self) -> str: ...

    @property
    def database(self) -> str: ...

    @property
    def uid(self) -> str: ...


Parsed = TypeVar("Parsed", bound=Placed)


def load_manifest(
    store: ArtifactStore,
    location: Location,
    expected_sha256: str | None,
    parse: Callable[[bytes], Parsed],
) -> tuple[Parsed, str]:
    """Read the manifest of a finished artifact, which must name its own place.

    Args:
        expected_sha256: what the status of the Backup says; None if that is not known.

    Returns:
        And the SHA-256 of its stored bytes.

    Raises:
        BackupLocationMissing, ChecksumMismatch, EncryptionKeyWrong; as ``parse``.
    """
    content, digest = read_manifest(store, location, expected_sha256)
    manifest = parse(decrypted_manifest(store, location, content))
    stated = (manifest.namespace, manifest.database, manifest.uid)
    if stated != (location.namespace, location.database, location.uid):
        raise ChecksumMismatch(
            f"the manifest at {location} is that of backup {'/'.join(stated)}:"
            " the files were moved or replaced"
        )
    return manifest, digest


def read_manifest(
    store: ArtifactStore, location: Location, expected_sha256: str | None
) -> tuple[bytes, str]:
    """The stored bytes of a manifest and their SHA-256."""
    content = store.files.read_manifest(location, SIZE_LIMIT)
    digest = hashlib.sha256(content).hexdigest()
    if expected_sha256 and digest != expected_sha256:
        raise ChecksumMismatch(
            f"the manifest of backup {location} has SHA-256 {digest}, the Backup recorded"
            f" {expected_sha256}: it was altered or belongs to another backup"
        )
    return content, digest


def decrypted_manifest(store: ArtifactStore, location: Location, manifest: bytes) -> bytes:
    """The text of a stored manifest.

    Raises:
        ChecksumMismatch: it is not encrypted but has to be.
        EncryptionKeyWrong: it is encrypted, and there is no key or another one.
    """
    encrypted = manifest.startswith(HEADER)
    if store.key and not encrypted:
        raise ChecksumMismatch(
            f"backup {location} is not encrypted, but should be: it was replaced"
        )
    if store.key and not store.write_only:
        return store.key.decrypt(manifest, f"backup {location}")
    if encrypted:
        raise EncryptionKeyWrong(
            f"backup {location} is encrypted, and no identity is given that decrypts it: name"
            " the Secret with one of its recipients' in encryption.secretRef"
        )
    return manifest


def files_tally() -> Tally:
    """What counts the files that are read."""
    return Tally("files", format_size)


def for_each(items: Iterable[Item], work: Callable[[Item], object], jobs: int) -> None:
    """Work on several files at a time; the first failure keeps the rest from being begun."""
    with ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            for future in as_completed(futures):
                future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


@contextmanager
def spool_errors(path: Path) -> Iterator[None]:
    """Give a failure of the spool's disk its reason, and say what to do."""
    with store_errors(f"spooling {path} (the spool is as large as storage.size of the Database)"):
        yield


class _Digest:
    """A sink that measures what goes through it, perhaps into a file."""

    def __init__(self, output: FileIO | None) -> None:
        self.size = 0
        self.digest = hashlib.sha256()
        self._output = output

    def write(self, data: bytes) -> None:
        self.digest.update(data)
        self.size += len(data)
        if self._output:
            view = memoryview(data)
            while view:
                view = view[self._output.write(view) :]


def describe_file(path: Path, name: str) -> FileEntry:
    """Size and checksum of a local file, read in pieces."""
    digest, size = hashlib.sha256(), 0
    buffer = bytearray(_CHUNK)
    view = memoryview(buffer)
    with FileIO(path) as stream:
        while count := stream.readinto(buffer):
            digest.update(view[:count])
            size += count
    return FileEntry(name, size, digest.hexdigest())
