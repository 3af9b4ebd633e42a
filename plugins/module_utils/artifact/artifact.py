"""An artifact in its store: written, opened, checked, and its files handed out.

A manifest is trusted once it has the SHA-256 that the Backup recorded, or where none is known once
it was decrypted, and it names its own place; its files, see ``stored_files``.

Into a folder, and not encrypted, pg_dump writes at the place. Else it writes into a spool, and each
of its files is encrypted, sent and removed there. On the way back the files are fetched into the
spool, checked while they come, and decrypted there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import BackupFailed, ChecksumMismatch, IncompatibleVersion, NotEnoughRoom
from ..postgres.disk_space import RoomUnknown, local_file_system
from ..postgres.programs import program_version, run_program
from ..postgres.releases import Version
from ..store.encryption import HEADER
from ..store.filesystem import FilesystemStore, store_errors
from ..store.protocol import ENCRYPTED_SUFFIX, MANIFEST_NAMES, Location, Store
from ..units import first_of, format_size
from . import manifest as manifests
from .files import is_file_name
from .manifest import DUMP_FOLDER, Manifest
from .progress import Progress, Tally
from .stored_files import (
    ArtifactStore,
    NewFiles,
    StoredFiles,
    files_tally,
    for_each,
    load_manifest,
    new_files,
    read_manifest,
)

TABLE_OF_CONTENTS = "toc.dat"


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
            "serverVersion": self.manifest.server_version,
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
        read_manifest(self.store, self.location, self.sha256)
        self.compare_files(jobs, tally)

    def check(self, jobs: int = 1, tally: Tally | None = None) -> None:
        """Read everything back from where it is stored; raises as ``check_artifact``."""
        _require_readable(self)
        self.compare_files(jobs, tally)
        with self.store.folder_of(self.location, DUMP_FOLDER) as folder:
            if not self.store.direct:
                self.fetch_table_of_contents(folder)
            check_table_of_contents(self.location, folder)

    def compare_files(self, jobs: int = 1, tally: Tally | None = None) -> None:
        """Read every stored file and compare it with the manifest.

        Raises:
            ChecksumMismatch: a file is missing, extra or altered.
        """
        self._files.compare(jobs, tally)

    def fetch_files(self, folder: Path, jobs: int, tally: Tally | None) -> None:
        """Copy every file into a local folder, checked and decrypted.

        Raises:
            ChecksumMismatch: a file is missing, extra or altered.
            EncryptionKeyWrong
        """
        self._files.fetch(folder, jobs, tally)

    def fetch_table_of_contents(self, folder: Path) -> None:
        """Copy the file by which pg_restore can list the dump; raises as ``fetch_files``."""
        wanted = f"{DUMP_FOLDER}/{TABLE_OF_CONTENTS}"
        for file in self.manifest.files:
            if file.name.removesuffix(ENCRYPTED_SUFFIX) == wanted:
                self._files.fetch_one(file, folder)
                return
        raise ChecksumMismatch(f"backup {self.location} has no {wanted}: use another backup")

    @property
    def _files(self) -> StoredFiles:
        return StoredFiles(self.store, self.location, self.manifest.files)


@dataclass(frozen=True)
class OpenArtifact(Artifact):
    """An artifact whose every file is what the manifest says.

    Attributes:
        dump: the folder that pg_restore can read it from, as long as it is open.
    """

    dump: Path


@dataclass(frozen=True)
class NewArtifact(NewFiles):
    """An artifact that is being written; pg_dump writes into its ``folder``."""

    def finish(self, manifest: Manifest) -> Artifact:
        """Let the manifest appear, encrypted like everything else."""
        digest = self.write_manifest(manifests.to_json(manifest))
        return Artifact(self.store, self.location, manifest, digest)


@contextmanager
def new_artifact(store: ArtifactStore, location: Location) -> Iterator[NewArtifact]:
    """Room for an artifact that is removed again if the block fails.

    What a failed run has left there is replaced.
    """
    with new_files(store, location, DUMP_FOLDER) as files:
        yield NewArtifact(files.store, files.location, files.folder)


def load_artifact(
    store: ArtifactStore, location: Location, expected_sha256: str | None = None
) -> Artifact:
    """Read the manifest only.

    Args:
        expected_sha256: what the status of the Backup says; None if that is not known.

    Raises:
        BackupLocationMissing, ChecksumMismatch, EncryptionKeyWrong, IncompatibleVersion.
    """
    manifest, digest = load_manifest(store, location, expected_sha256, manifests.from_json)
    return Artifact(store, location, manifest, digest)


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
    artifact.check(jobs, tally)
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
            folder = stack.enter_context(store.folder_of(location, DUMP_FOLDER))
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
    strange = [name for name in names if not is_file_name(name)]
    if strange:
        raise ChecksumMismatch(f"backup {location} has unexpected files: {first_of(strange)}")
    target.begin(location)
    with store_errors(f"copying backup {location}"):
        for folder in {name.rpartition("/")[0] for name in names}:
            (target.folder(location) / folder).mkdir()

    def copy(name: str) -> None:
        with (
            store_errors(f"copying {name} of backup {location}"),
            (target.folder(location) / name).open("xb") as output,
        ):
            files.read(location, name, output)

    for_each(names, copy, jobs)
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
