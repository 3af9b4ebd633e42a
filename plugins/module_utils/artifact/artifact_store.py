"""A store, and the transfer of a dump's files between it and pg_dump or pg_restore.

Into a folder, and not encrypted, pg_dump writes at the place. Else it writes into a spool: each
file that it has finished is encrypted, sent and removed while it works on the next ones. On the way
back the files are fetched into the spool, checked while they come, and decrypted there.
"""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path

from inotify_simple import INotify, flags

from ..errors import ChecksumMismatch, EncryptionKeyWrong, InvalidInput
from ..postgres.cancellation import Cancellation
from ..store.encryption import HEADER, EncryptionKey
from ..store.filesystem import FilesystemStore, store_errors
from ..store.location import Location
from ..store.protocol import ENCRYPTED_SUFFIX, MANIFEST_NAME, Store
from .manifest import DUMP_FOLDER, FileEntry

TABLE_OF_CONTENTS = "toc.dat"
_CHUNK = 1024 * 1024
_LOOK_MILLISECONDS = 20
"""Also what a backup waits on average, and twice that at most, once pg_dump has ended."""


@dataclass(frozen=True)
class ArtifactStore:
    """Where artifacts are, and how their files get there.

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
    def dump_folder(self, location: Location) -> Iterator[Path]:
        """An empty folder named DUMP_FOLDER, or the artifact's own; the spool's goes in the end."""
        if self.direct:
            yield self.direct.folder(location) / DUMP_FOLDER
            return
        with self.spooled(location) as spool:
            (spool / DUMP_FOLDER).mkdir()
            yield spool / DUMP_FOLDER

    @contextmanager
    def spooled(self, location: Location) -> Iterator[Path]:
        """The artifact's own folder in the spool, empty; it goes in the end.

        Raises:
            NoSpace, StoreUnreachable: the spool's disk.
        """
        assert self.spool is not None
        folder = self.spool / location.uid
        with spool_errors(folder):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def send(self, location: Location, path: Path) -> FileEntry:
        """Store one file of the spool's dump, and remove it there."""
        with spool_errors(path):
            if self.key:
                plain, path = path, self.key.encrypt_file(path, path.parent.parent)
                plain.unlink()
            name = f"{DUMP_FOLDER}/{path.name}"
            entry = describe_file(path, name)
            self.files.put(location, name, path)
            path.unlink()
        return entry

    def fetch(self, location: Location, file: FileEntry, folder: Path) -> None:
        """Copy one stored file into a local folder, checked and decrypted.

        Raises:
            ChecksumMismatch: it is not what the manifest says.
            EncryptionKeyWrong
        """
        target = folder / Path(file.name).name
        with spool_errors(target):
            with FileIO(target, "x") as output:
                check_file(location, file, self._read(location, file.name, output))
            if self.key:
                self.key.decrypt_file(target, target.with_suffix(""))
                target.unlink()

    def compare(self, location: Location, file: FileEntry) -> None:
        """Read a stored file and compare it with the manifest.

        Raises:
            ChecksumMismatch
        """
        check_file(location, file, self._read(location, file.name))

    def _read(self, location: Location, name: str, output: FileIO | None = None) -> tuple[int, str]:
        sink = _Digest(output)
        self.files.read(location, name, sink)
        return sink.size, sink.digest.hexdigest()

    def finish(self, location: Location, manifest: bytes) -> str:
        """Let the manifest appear, encrypted like everything else.

        Returns:
            The SHA-256 of what is stored, in hex.
        """
        name, content = MANIFEST_NAME, manifest
        if self.key:
            name, content = name + ENCRYPTED_SUFFIX, self.key.encrypt(manifest)
        self.files.finish(location, name, content)
        return hashlib.sha256(content).hexdigest()

    def decrypted(self, location: Location, manifest: bytes) -> bytes:
        """The text of a stored manifest.

        Raises:
            ChecksumMismatch: it is not encrypted but has to be.
            EncryptionKeyWrong: it is encrypted, and there is no key or another one.
        """
        encrypted = manifest.startswith(HEADER)
        if self.key and not encrypted:
            raise ChecksumMismatch(
                f"backup {location} is not encrypted, but should be: it was replaced"
            )
        if self.key and not self.write_only:
            return self.key.decrypt(manifest, f"backup {location}")
        if encrypted:
            raise EncryptionKeyWrong(
                f"backup {location} is encrypted, and no identity is given that decrypts it: name"
                " the Secret with one of its recipients' in encryption.secretRef"
            )
        return manifest


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
    """Size and checksum of a local file."""
    with FileIO(path) as stream:
        size, digest = hash_stream(stream)
    return FileEntry(name, size, digest)


def hash_stream(stream: FileIO) -> tuple[int, str]:
    """Size in bytes and SHA-256 in hex of what is left of a stream."""
    sink = _Digest(None)
    buffer = bytearray(_CHUNK)
    view = memoryview(buffer)
    while count := stream.readinto(buffer):
        sink.digest.update(view[:count])
        sink.size += count
    return sink.size, sink.digest.hexdigest()


def check_file(location: Location, file: FileEntry, found: tuple[int, str]) -> None:
    """Compare a file's size and SHA-256 with what the manifest says.

    Raises:
        ChecksumMismatch
    """
    if found != (file.size_bytes, file.sha256):
        raise ChecksumMismatch(
            f"{file.name} of backup {location} has {found[0]} bytes with SHA-256 {found[1]}, the"
            f" manifest says {file.size_bytes} bytes with {file.sha256}: use another backup"
        )


@dataclass
class Sender:
    """Sends the files of a dump while pg_dump writes it; ``entries`` is what was sent.

    Attributes:
        folder: an empty one that pg_dump will write into.
    """

    store: ArtifactStore
    location: Location
    folder: Path
    workers: int
    entries: list[FileEntry] = field(default_factory=list)
    _finished: threading.Event = field(default_factory=threading.Event)

    def dump(self, write: Callable[[], None]) -> None:
        """Call what writes the dump; after it has succeeded everything is on its way."""
        write()
        self._finished.set()

    def send(self, cancellation: Cancellation) -> None:
        """Send each file once it is closed, the table of contents last; end when all are sent."""
        with ThreadPoolExecutor(self.workers) as pool, INotify() as inotify:
            inotify.add_watch(self.folder, flags.CLOSE_WRITE)
            sent: dict[str, Future[FileEntry]] = {}
            try:
                while not self._finished.is_set():
                    if cancellation.requested:
                        return
                    closed = {event.name for event in inotify.read(timeout=_LOOK_MILLISECONDS)}
                    self._submit(pool, sent, closed - {TABLE_OF_CONTENTS, ""})
                    _raise_failure(sent.values())
                # Files without an event: the kernel drops events when there are too many.
                rest = {path.name for path in self.folder.iterdir()} - {TABLE_OF_CONTENTS}
                self._submit(pool, sent, rest)
                self.entries += [future.result() for future in list(sent.values())]
                self.entries.append(self.store.send(self.location, self.folder / TABLE_OF_CONTENTS))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _submit(
        self, pool: ThreadPoolExecutor, sent: dict[str, Future[FileEntry]], names: set[str]
    ) -> None:
        for name in sorted(names - sent.keys()):
            sent[name] = pool.submit(self.store.send, self.location, self.folder / name)


def _raise_failure(futures: Iterable[Future[FileEntry]]) -> None:
    for future in futures:
        if future.done():
            future.result()
