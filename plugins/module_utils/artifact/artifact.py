"""An artifact in its store: written, opened, checked, and its files handed out.

What is trusted when: a manifest once it has the SHA-256 that the Backup recorded, or where none is
known once it was decrypted, and it names its own place; then each file that has the size and the
SHA-256 which the manifest says. No other name is read, and nothing is handed out before.

Into a folder, and not encrypted, pg_dump writes at the place. Else it writes into a spool, and each
of its files is encrypted, sent and removed there. On the way back the files are fetched into the
spool, checked while they come, and decrypted there.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from typing import Any, TypeVar

from ..errors import (
    BackupFailed,
    ChecksumMismatch,
    EncryptionKeyWrong,
    IncompatibleVersion,
    InvalidInput,
    NotEnoughRoom,
    OperatorError,
)
from ..postgres.disk_space import RoomUnknown, local_file_system
from ..postgres.programs import program_version, run_program
from ..postgres.releases import Version
from ..store.encryption import HEADER, EncryptionKey
from ..store.filesystem import FilesystemStore, store_errors
from ..store.protocol import ENCRYPTED_SUFFIX, MANIFEST_NAME, MANIFEST_NAMES, Location, Store
from ..units import first_of, format_size
from . import manifest as manifests
from .manifest import DUMP_FOLDER, FileEntry, Manifest
from .progress import Progress, Tally

TABLE_OF_CONTENTS = "toc.dat"
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
    def dump_folder(self, location: Location) -> Iterator[Path]:
        """The artifact's own folder of the dump, or an empty one in the spool that goes in the end.

        Raises:
            NoSpace, StoreUnreachable: the spool's disk.
        """
        if self.direct:
            yield self.direct.folder(location) / DUMP_FOLDER
            return
        assert self.spool is not None
        spooled = self.spool / location.uid
        with _spool_errors(spooled):
            shutil.rmtree(spooled, ignore_errors=True)
            spooled.mkdir(mode=0o700)
        try:
            (spooled / DUMP_FOLDER).mkdir()
            yield spooled / DUMP_FOLDER
        finally:
            shutil.rmtree(spooled, ignore_errors=True)


@dataclass(frozen=True)
class Artifact:
    """A finished artifact.

    Attributes:
        sha256: of the manifest's stored bytes, in hex; the manifest has those of all other files.
            Both were read, except of an artifact that was just written.
    """

    store: ArtifactStore = field(repr=False, compare=False)
    location: Location
    manifest: Manifest
    sha256: str

    def summary(self, warning: str = "") -> dict[str, Any]:
        """What a status shows of it, keys in camelCase; sizeBytes is that of the dump's files.

        restoreSizeBytes is about what a restore takes, and not there where that is not known.

        Args:
            warning: what its reader should know too; left out where it is empty.
        """
        size = self.manifest.restored_bytes
        shown = {
            "location": str(self.location),
            "sizeBytes": self.manifest.size_bytes,
            "sha256": self.sha256,
            "serverVersion": self.manifest.source.server_version,
            "tables": self.manifest.table_count,
            "rows": self.manifest.rows,
            "partial": self.manifest.is_partial,
            "startTime": self.manifest.start_time,
            "completionTime": self.manifest.completion_time,
        }
        sized = {} if size is None else {"restoreSizeBytes": size}
        return shown | sized | ({"warning": warning} if warning else {})

    def check_written(self, jobs: int = 1, tally: Tally | None = None) -> None:
        """Read everything back as it is stored; what is encrypted is compared as such.

        For who has just written an artifact and cannot decrypt it: the manifest is the one that was
        written, its stored bytes are only compared.

        Args:
            jobs: how many files are read at the same time.
            tally: counts those that are done.

        Raises:
            ChecksumMismatch: a file is missing, extra or altered.
        """
        _read_manifest(self.store, self.location, self.sha256)
        self.compare_files(jobs, tally)

    def compare_files(self, jobs: int = 1, tally: Tally | None = None) -> None:
        """Read every stored file and compare it with the manifest.

        Raises:
            ChecksumMismatch: a file is missing, extra or altered.
        """
        self._compare_names()
        self._for_each_file(self._compare, jobs, tally)

    def fetch_files(self, folder: Path, jobs: int, tally: Tally | None) -> None:
        """Copy every file into a local folder, checked and decrypted.

        Raises:
            ChecksumMismatch: a file is missing, extra or altered.
            EncryptionKeyWrong
        """
        self._compare_names()
        self._for_each_file(lambda file: self._fetch(file, folder), jobs, tally)

    def fetch_table_of_contents(self, folder: Path) -> None:
        """Copy the file by which pg_restore can list the dump; raises as ``fetch_files``."""
        wanted = f"{DUMP_FOLDER}/{TABLE_OF_CONTENTS}"
        for file in self.manifest.files:
            if file.name.removesuffix(ENCRYPTED_SUFFIX) == wanted:
                self._fetch(file, folder)
                return
        raise ChecksumMismatch(f"backup {self.location} has no {wanted}: use another backup")

    def _compare_names(self) -> None:
        present = self.store.files.file_names(self.location)
        expected = {file.name for file in self.manifest.files}
        for what, names in (("lacks", expected - present), ("also has", present - expected)):
            if names:
                raise ChecksumMismatch(
                    f"backup {self.location} {what} {first_of(sorted(names))}:"
                    " it is not what was written"
                )

    def _for_each_file(
        self, work: Callable[[FileEntry], None], jobs: int, tally: Tally | None
    ) -> None:
        """Work on all files, the largest first so that none is left over in the end."""
        tally = tally or files_tally()
        files = sorted(self.manifest.files, key=lambda file: file.size_bytes, reverse=True)
        tally.expect([file.size_bytes for file in files])

        def counted(file: FileEntry) -> None:
            work(file)
            tally.add(file.size_bytes)

        _for_each(files, counted, jobs)

    def _fetch(self, file: FileEntry, folder: Path) -> None:
        """Copy one stored file into a local folder, checked and decrypted."""
        target = folder / Path(file.name).name
        with _spool_errors(target):
            with FileIO(target, "x") as output:
                self._compare(file, output)
            if self.store.key:
                self.store.key.decrypt_file(target, target.with_suffix(""))
                target.unlink()

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


@dataclass(frozen=True)
class OpenArtifact(Artifact):
    """An artifact whose every file is what the manifest says.

    Attributes:
        dump: the folder that pg_restore can read it from, as long as it is open.
    """

    dump: Path


@dataclass(frozen=True)
class NewArtifact:
    """An artifact that is being written.

    Attributes:
        dump: the folder that pg_dump writes into.
    """

    store: ArtifactStore
    location: Location
    dump: Path

    def send(self, path: Path) -> FileEntry:
        """Store one file of the spool's dump, encrypted, and remove it there."""
        with _spool_errors(path):
            if self.store.key:
                plain, path = path, self.store.key.encrypt_file(path, path.parent.parent)
                plain.unlink()
            entry = _describe(path, f"{DUMP_FOLDER}/{path.name}")
            self.store.files.put(self.location, entry.name, path)
            path.unlink()
        return entry

    def describe_files(self, jobs: int) -> list[FileEntry]:
        """Size and checksum of every file of a dump that was written at its place.

        Args:
            jobs: how many files are read at the same time.
        """
        paths = sorted(path for path in self.dump.rglob("*") if path.is_file())

        def entry(path: Path) -> FileEntry:
            return _describe(path, f"{DUMP_FOLDER}/{path.relative_to(self.dump).as_posix()}")

        with store_errors(f"reading {self.dump}"), ThreadPoolExecutor(jobs) as pool:
            return list(pool.map(entry, paths))

    def finish(self, manifest: Manifest) -> Artifact:
        """Let the manifest appear, encrypted like everything else."""
        name, content = MANIFEST_NAME, manifests.to_json(manifest)
        if self.store.key:
            name, content = name + ENCRYPTED_SUFFIX, self.store.key.encrypt(content)
        self.store.files.finish(self.location, name, content)
        digest = hashlib.sha256(content).hexdigest()
        return Artifact(self.store, self.location, manifest, digest)


@contextmanager
def new_artifact(store: ArtifactStore, location: Location) -> Iterator[NewArtifact]:
    """Room for an artifact that is removed again if the block fails.

    What a failed run has left there is replaced.
    """
    store.files.begin(location)
    try:
        with store.dump_folder(location) as folder:
            yield NewArtifact(store, location, folder)
    except BaseException:
        with suppress(OperatorError):
            store.files.remove(location)
        raise


def load_artifact(
    store: ArtifactStore, location: Location, expected_sha256: str | None = None
) -> Artifact:
    """Read the manifest only.

    Args:
        expected_sha256: what the status of the Backup says; None if that is not known.

    Raises:
        BackupLocationMissing, ChecksumMismatch, EncryptionKeyWrong, IncompatibleVersion.
    """
    content, digest = _read_manifest(store, location, expected_sha256)
    manifest = manifests.from_json(_decrypted(store, location, content))
    stated = (manifest.namespace, manifest.database, manifest.uid)
    if stated != (location.namespace, location.database, location.uid):
        raise ChecksumMismatch(
            f"the manifest at {location} is that of backup {'/'.join(stated)}:"
            " the files were moved or replaced"
        )
    return Artifact(store, location, manifest, digest)


def _read_manifest(
    store: ArtifactStore, location: Location, expected_sha256: str | None
) -> tuple[bytes, str]:
    """The stored bytes of a manifest and their SHA-256."""
    content = store.files.read_manifest(location, manifests.SIZE_LIMIT)
    digest = hashlib.sha256(content).hexdigest()
    if expected_sha256 and digest != expected_sha256:
        raise ChecksumMismatch(
            f"the manifest of backup {location} has SHA-256 {digest}, the Backup recorded"
            f" {expected_sha256}: it was altered or belongs to another backup"
        )
    return content, digest


def _decrypted(store: ArtifactStore, location: Location, manifest: bytes) -> bytes:
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


def check_artifact(
    store: ArtifactStore,
    location: Location,
    expected_sha256: str | None = None,
    jobs: int = 1,
    tally: Tally | None = None,
) -> Artifact:
    """Read everything back from where it is stored and compare it with the manifest.

    Args:
        jobs: how many files are read at the same time.
        tally: counts those that are done.

    Raises:
        ChecksumMismatch: a file is missing, extra or altered, or pg_restore cannot read the
            table of contents.
        IncompatibleVersion: pg_restore is older than what wrote the dump.
        Others: see ``load_artifact``.
    """
    store.check()
    artifact = load_artifact(store, location, expected_sha256)
    _require_readable(artifact)
    artifact.compare_files(jobs, tally)
    with store.dump_folder(location) as folder:
        if not store.direct:
            artifact.fetch_table_of_contents(folder)
        check_table_of_contents(location, folder)
    return artifact


@contextmanager
def open_artifact(
    store: ArtifactStore,
    location: Location,
    expected_sha256: str | None,
    jobs: int,
    progress: Progress,
    check: Callable[[Artifact], None] | None = None,
) -> Iterator[OpenArtifact]:
    """Hand out the files of an artifact, each checked: in their place, or fetched into the spool.

    Args:
        jobs: how many files are read at the same time.
        progress: gets a step for the check.
        check: what else has to be true; before any file but the manifest is read.

    Raises:
        NotEnoughRoom: the spool cannot hold the files.
        As ``check_artifact``, and ``check``.
    """
    tally = files_tally()
    with ExitStack() as stack:
        with progress.step(f"Checking every file of backup {location}", tally.text):
            store.check()
            artifact = load_artifact(store, location, expected_sha256)
            if check:
                check(artifact)
            _require_readable(artifact)
            folder = stack.enter_context(store.dump_folder(location))
            if store.direct:
                artifact.compare_files(jobs, tally)
            else:
                _require_room(artifact, folder)
                artifact.fetch_files(folder, jobs, tally)
            check_table_of_contents(location, folder)
        yield OpenArtifact(store, location, artifact.manifest, artifact.sha256, folder)


def _require_room(artifact: Artifact, folder: Path) -> None:
    """Refuse to fetch files into a folder whose disk cannot hold them.

    Raises:
        NotEnoughRoom
    """
    try:
        disk = local_file_system(folder)
    except RoomUnknown:
        return
    needed = artifact.manifest.size_bytes
    if disk.free_bytes < needed:
        raise NotEnoughRoom(
            f"the files of backup {artifact.location} take {format_size(needed)} in the spool"
            f" {artifact.store.spool} on the node's disk, where {format_size(disk.free_bytes)} of"
            f" {format_size(disk.size_bytes)} are free: make room there, or have"
            " jobs.resources.requests.ephemeral-storage of the Database ask for a node that has it"
        )


def copy_artifact(files: Store, location: Location, target: FilesystemStore, jobs: int = 1) -> None:
    """Copy an artifact as it is stored, unchecked, into a folder where it can then be checked.

    Raises:
        BackupLocationMissing; ChecksumMismatch: it has what no artifact has.
    """
    manifest = files.read_manifest(location, manifests.SIZE_LIMIT)
    names = sorted(files.file_names(location))
    strange = [name for name in names if not manifests.is_file_name(name)]
    if strange:
        raise ChecksumMismatch(f"backup {location} has unexpected files: {first_of(strange)}")
    target.begin(location)
    with store_errors(f"copying backup {location}"):
        (target.folder(location) / DUMP_FOLDER).mkdir()

    def copy(name: str) -> None:
        with (
            store_errors(f"copying {name} of backup {location}"),
            (target.folder(location) / name).open("xb") as output,
        ):
            files.read(location, name, output)

    _for_each(names, copy, jobs)
    encrypted = manifest.startswith(HEADER)
    target.finish(location, MANIFEST_NAMES[1] if encrypted else MANIFEST_NAMES[0], manifest)


def _require_readable(artifact: Artifact) -> None:
    """Refuse a pg_restore that is older than what the dump was made with: it could not list it.

    Raises:
        IncompatibleVersion
    """
    source = artifact.manifest.source
    writer = max(
        Version.from_text(source.dump_program_version),
        Version.from_number(source.server_version_num),
    )
    reader = program_version("pg_restore")
    if reader.major < writer.major:
        raise IncompatibleVersion(
            f"backup {artifact.location} was made with PostgreSQL {writer}, pg_restore is {reader}:"
            f" use programs of version {writer.major} or newer"
        )


def check_table_of_contents(location: Location, folder: Path) -> None:
    """Let pg_restore list the dump.

    Raises:
        ChecksumMismatch: it cannot.
    """
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
    try:
        run_program(
            ["pg_restore", "--list", str(folder)],
            environment,
            BackupFailed,
        )
    except BackupFailed as error:
        raise ChecksumMismatch(
            f"the dump of backup {location} cannot be read: {error.message}"
        ) from error


def files_tally() -> Tally:
    """What counts the files that are read."""
    return Tally("files", format_size)


def _for_each(items: Iterable[Item], work: Callable[[Item], None], jobs: int) -> None:
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
def _spool_errors(path: Path) -> Iterator[None]:
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


def _describe(path: Path, name: str) -> FileEntry:
    """Size and checksum of a local file, read in pieces."""
    digest, size = hashlib.sha256(), 0
    buffer = bytearray(_CHUNK)
    view = memoryview(buffer)
    with FileIO(path) as stream:
        while count := stream.readinto(buffer):
            digest.update(view[:count])
            size += count
    return FileEntry(name, size, digest.hexdigest())
