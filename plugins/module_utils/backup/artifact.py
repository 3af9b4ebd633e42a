"""Reading an artifact: its manifest, and whether every byte is what that says."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import FileIO
from typing import Any

from ..errors import BackupFailed, ChecksumMismatch
from ..postgres.programs import run_program
from ..store.filesystem import FilesystemStore, store_errors
from ..store.location import Location
from . import manifest as manifests
from .manifest import DUMP_FOLDER, FileEntry, Manifest

_CHUNK = 1024 * 1024


@dataclass(frozen=True)
class Artifact:
    """A finished artifact.

    Attributes:
        sha256: of the manifest's bytes, in hex; the manifest has those of all other files.
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
    store: FilesystemStore, location: Location, expected_sha256: str | None = None
) -> Artifact:
    """Read the manifest only.

    Args:
        expected_sha256: what the status of the Backup says; None if that is not known.

    Raises:
        BackupLocationMissing, ChecksumMismatch, IncompatibleVersion.
    """
    content = store.read_manifest(location, manifests.SIZE_LIMIT)
    digest = hashlib.sha256(content).hexdigest()
    if expected_sha256 and digest != expected_sha256:
        raise ChecksumMismatch(
            f"the manifest of backup {location} has SHA-256 {digest}, the Backup recorded"
            f" {expected_sha256}: it was altered or belongs to another backup"
        )
    manifest = manifests.from_json(content)
    stated = (manifest.namespace, manifest.database, manifest.uid)
    if stated != (location.namespace, location.database, location.uid):
        raise ChecksumMismatch(
            f"the manifest at {location} is that of backup {'/'.join(stated)}:"
            " the files were moved or exchanged"
        )
    return Artifact(location, manifest, digest)


def verify_artifact(
    store: FilesystemStore, location: Location, expected_sha256: str | None = None, jobs: int = 1
) -> Artifact:
    """Read everything back from the disk and compare it with the manifest.

    Args:
        jobs: how many files are read at the same time.

    Raises:
        ChecksumMismatch: a file is missing, extra or altered, or pg_restore cannot read the
            table of contents. Others: see ``load_artifact``.
    """
    artifact = load_artifact(store, location, expected_sha256)
    _compare_names(artifact, store.file_names(location))

    def verify(file: FileEntry) -> None:
        _verify_file(store, location, file)

    with store_errors(f"reading back backup {location}"), ThreadPoolExecutor(jobs) as pool:
        for _ in pool.map(verify, artifact.manifest.files):
            pass
    check_table_of_contents(store, location)
    return artifact


def _compare_names(artifact: Artifact, present: set[str]) -> None:
    expected = {file.name for file in artifact.manifest.files}
    for what, names in (("lacks", expected - present), ("has besides", present - expected)):
        if names:
            raise ChecksumMismatch(
                f"backup {artifact.location} {what} {_some(sorted(names))}:"
                " it is not what was written"
            )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _verify_file(store: FilesystemStore, location: Location, file: FileEntry) -> None:
    with store.open(location, file.name) as stream:
        size, digest = hash_stream(stream)
    if (size, digest) != (file.size_bytes, file.sha256):
        raise ChecksumMismatch(
            f"{file.name} of backup {location} has {size} bytes with SHA-256 {digest}, the manifest"
            f" says {file.size_bytes} bytes with {file.sha256}: use another backup"
        )


def check_table_of_contents(store: FilesystemStore, location: Location) -> None:
    """Let pg_restore list the dump.

    Raises:
        ChecksumMismatch: it cannot.
    """
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
    try:
        run_program(
            ["pg_restore", "--list", str(store.folder(location) / DUMP_FOLDER)],
            environment,
            BackupFailed,
        )
    except BackupFailed as error:
        raise ChecksumMismatch(
            f"the dump of backup {location} cannot be read: {error.message}"
        ) from error


def hash_stream(stream: FileIO) -> tuple[int, str]:
    """Size in bytes and SHA-256 in hex of what is left of a stream."""
    digest = hashlib.sha256()
    buffer = bytearray(_CHUNK)
    view = memoryview(buffer)
    size = 0
    while count := stream.readinto(buffer):
        digest.update(view[:count])
        size += count
    return size, digest.hexdigest()
