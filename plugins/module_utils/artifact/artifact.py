"""Reading an artifact: its manifest, and whether every byte is what that says."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ..errors import BackupFailed, ChecksumMismatch
from ..postgres.programs import run_program
from ..store.encryption import HEADER
from ..store.filesystem import FilesystemStore, store_errors
from ..store.location import Location
from ..store.protocol import ENCRYPTED_SUFFIX, MANIFEST_NAMES, Store
from ..units import format_size
from . import manifest as manifests
from .artifact_store import TABLE_OF_CONTENTS, ArtifactStore
from .manifest import DUMP_FOLDER, FileEntry, Manifest
from .progress import Progress, Tally

Item = TypeVar("Item")


@dataclass(frozen=True)
class Artifact:
    """A finished artifact.

    Attributes:
        sha256: of the manifest's stored bytes, in hex; the manifest has those of all other files.
            Both were read, except of an artifact that was just written.
    """

    location: Location
    manifest: Manifest
    sha256: str

    def summary(self) -> dict[str, Any]:
        """What a status shows of it, keys in camelCase; sizeBytes is that of the dump's files."""
        return {
            "location": str(self.location),
            "sizeBytes": self.manifest.size_bytes,
            "sha256": self.sha256,
            "serverVersion": self.manifest.source.server_version,
            "tables": self.manifest.table_count,
            "rows": self.manifest.rows,
            "startTime": self.manifest.start_time,
            "completionTime": self.manifest.completion_time,
        }


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
    manifest = manifests.from_json(store.decrypted(location, content))
    stated = (manifest.namespace, manifest.database, manifest.uid)
    if stated != (location.namespace, location.database, location.uid):
        raise ChecksumMismatch(
            f"the manifest at {location} is that of backup {'/'.join(stated)}:"
            " the files were moved or replaced"
        )
    return Artifact(location, manifest, digest)


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


def files_tally() -> Tally:
    """What counts the files that are read."""
    return Tally("files", format_size)


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
            table of contents. Others: see ``load_artifact``.
    """
    store.check()
    artifact = load_artifact(store, location, expected_sha256)
    _read_back(store, artifact, jobs, tally)
    if store.direct:
        check_table_of_contents(location, store.direct.folder(location) / DUMP_FOLDER)
        return artifact
    with store.dump_folder(location) as folder:
        store.fetch(location, _table_of_contents(artifact), folder)
        check_table_of_contents(location, folder)
    return artifact


def check_written(
    store: ArtifactStore, artifact: Artifact, jobs: int = 1, tally: Tally | None = None
) -> None:
    """Read everything back as it is stored; what is encrypted is compared as such.

    For who has just written an artifact and cannot decrypt it.

    Args:
        artifact: as it was written, its manifest not having been read back.

    Raises:
        ChecksumMismatch: a file is missing, extra or altered.
    """
    _read_manifest(store, artifact.location, artifact.sha256)
    _read_back(store, artifact, jobs, tally)


def _read_back(store: ArtifactStore, artifact: Artifact, jobs: int, tally: Tally | None) -> None:
    _compare_names(artifact, store.files.file_names(artifact.location))

    def compare(file: FileEntry) -> None:
        store.compare(artifact.location, file)

    _for_each_file(artifact, compare, jobs, tally)


@contextmanager
def fetched_artifact(
    store: ArtifactStore,
    location: Location,
    expected_sha256: str | None = None,
    jobs: int = 1,
    tally: Tally | None = None,
) -> Iterator[tuple[Artifact, Path]]:
    """A checked artifact and the folder that pg_restore can read it from.

    Raises:
        As ``check_artifact``.
    """
    if store.direct:
        artifact = check_artifact(store, location, expected_sha256, jobs, tally)
        yield artifact, store.direct.folder(location) / DUMP_FOLDER
        return
    store.check()
    artifact = load_artifact(store, location, expected_sha256)
    _compare_names(artifact, store.files.file_names(location))
    with store.dump_folder(location) as folder:

        def fetch(file: FileEntry) -> None:
            store.fetch(location, file, folder)

        _for_each_file(artifact, fetch, jobs, tally)
        check_table_of_contents(location, folder)
        yield artifact, folder


@contextmanager
def checked_artifact(
    store: ArtifactStore,
    location: Location,
    expected_sha256: str | None,
    jobs: int,
    progress: Progress,
) -> Iterator[tuple[Artifact, Path]]:
    """As ``fetched_artifact``, as a step that logs its progress."""
    tally = files_tally()
    with ExitStack() as stack:
        with progress.step(f"Checking every file of backup {location}", tally.text):
            fetched = stack.enter_context(
                fetched_artifact(store, location, expected_sha256, jobs, tally)
            )
        yield fetched


def copy_artifact(files: Store, location: Location, target: FilesystemStore, jobs: int = 1) -> None:
    """Copy an artifact as it is stored, unchecked, into a folder where it can then be checked.

    Raises:
        BackupLocationMissing; ChecksumMismatch: it has what no artifact has.
    """
    manifest = files.read_manifest(location, manifests.SIZE_LIMIT)
    names = sorted(files.file_names(location))
    strange = [name for name in names if not manifests.is_file_name(name)]
    if strange:
        raise ChecksumMismatch(f"backup {location} has unexpected files: {_some(strange)}")
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


def _for_each_file(
    artifact: Artifact, work: Callable[[FileEntry], None], jobs: int, tally: Tally | None
) -> None:
    """Work on all files, the largest first so that none is left over in the end."""
    tally = tally or files_tally()
    files = sorted(artifact.manifest.files, key=lambda file: file.size_bytes, reverse=True)
    tally.expect([file.size_bytes for file in files])

    def counted(file: FileEntry) -> None:
        work(file)
        tally.add(file.size_bytes)

    _for_each(files, counted, jobs)


def _table_of_contents(artifact: Artifact) -> FileEntry:
    wanted = f"{DUMP_FOLDER}/{TABLE_OF_CONTENTS}"
    for file in artifact.manifest.files:
        if file.name.removesuffix(ENCRYPTED_SUFFIX) == wanted:
            return file
    raise ChecksumMismatch(f"backup {artifact.location} has no {wanted}: use another backup")


def _compare_names(artifact: Artifact, present: set[str]) -> None:
    expected = {file.name for file in artifact.manifest.files}
    for what, names in (("lacks", expected - present), ("also has", present - expected)):
        if names:
            raise ChecksumMismatch(
                f"backup {artifact.location} {what} {_some(sorted(names))}:"
                " it is not what was written"
            )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


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
