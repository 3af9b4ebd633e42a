"""A physical artifact in its store: loaded, checked, and its server's files laid out."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...archive.wal_archive import WalArchive
from ...errors import ChecksumMismatch
from ...store.protocol import Location
from ..artifact import Artifact
from ..document import read_document
from ..manifest import PHYSICAL, FileEntry
from ..manifest import is_physical as is_physical_manifest
from ..progress import Progress, Tally
from ..stored_files import (
    ArtifactStore,
    StoredFiles,
    decrypted_manifest,
    files_tally,
    load_manifest,
    read_manifest,
)
from . import manifest as manifests
from .bundles import decompress, unpack
from .manifest import SERVER_MANIFEST, PhysicalManifest
from .wal import archive_beside


@dataclass(frozen=True)
class PhysicalArtifact:
    """A finished physical artifact.

    Attributes:
        sha256: of the manifest's stored bytes, in hex; the manifest has those of all other files.
        why_primary: why no standby was copied, where one was to be; known where it was made.
    """

    store: ArtifactStore = field(repr=False, compare=False)
    location: Location
    manifest: PhysicalManifest
    sha256: str
    why_primary: str = field(default="", compare=False)

    def summary(self, warning: str = "") -> dict[str, Any]:
        """What a status shows of it, keys in camelCase; restoreSizeBytes is that of the server.

        Args:
            warning: what its reader should know too; left out where it is empty.
        """
        manifest = self.manifest
        shown = {
            "location": str(self.location),
            "method": PHYSICAL,
            "sizeBytes": manifest.size_bytes,
            "restoreSizeBytes": manifest.server.size_bytes,
            "sha256": self.sha256,
            "serverVersion": manifest.server_version,
            "timeline": manifest.timeline,
            "startLSN": manifest.start_lsn,
            "endLSN": manifest.end_lsn,
            "consistentTime": manifest.consistent_time,
            "fromStandby": manifest.server.standby,
            "archive": {"name": manifest.archive},
            "startTime": manifest.start_time,
            "completionTime": manifest.completion_time,
        }
        return shown | ({"warning": warning} if warning else {})

    @property
    def files(self) -> StoredFiles:
        """Its files, as they are stored."""
        return StoredFiles(self.store, self.location, self.manifest.files)

    @property
    def archive(self) -> WalArchive:
        """The archive that has the WAL after it."""
        return archive_beside(self.store, self.location, self.manifest.archive)

    def check(self, jobs: int = 1, tally: Tally | None = None) -> None:
        """Read every file back from where it is stored.

        Raises:
            ChecksumMismatch: a file is missing, extra or altered.
        """
        self.files.compare(jobs, tally)

    def check_written(self, jobs: int = 1, tally: Tally | None = None) -> None:
        """Read everything back as it is stored; what is encrypted is compared as such.

        Raises:
            ChecksumMismatch: a file is missing, extra or altered.
        """
        read_manifest(self.store, self.location, self.sha256)
        self.check(jobs, tally)

    def lay_out(self, data: Path, spool: Path, jobs: int, tally: Tally) -> None:
        """Fetch, check and unpack all files of the server.

        Args:
            data: the new data directory; tablespaces become folders beside it.
            spool: where bundles are fetched to.

        Raises:
            ChecksumMismatch, EncryptionKeyWrong; OSError.
        """
        self.files.compare_names()
        data.mkdir(mode=0o700)
        places = {oid: data.parent / f"tablespace-{oid}" for oid in self.manifest.tablespaces}
        for place in places.values():
            place.mkdir(mode=0o700)

        def lay(entry: FileEntry) -> None:
            fetched = self.files.fetch_one(entry, spool)
            if manifests.is_bundle(entry.name):
                tablespace = manifests.tablespace_of(entry.name)
                unpack(fetched, places[tablespace] if tablespace else data)
            else:
                decompress(fetched, data / SERVER_MANIFEST)
            fetched.unlink()

        histories = [one for one in self.manifest.files if manifests.history_of(one.name)]
        wanted = [
            one
            for one in self.manifest.files
            if not manifests.wal_name_of(one.name) and one not in histories
        ]
        self._require_whole(wanted)
        StoredFiles(self.store, self.location, tuple(wanted)).for_each(lay, jobs, tally)
        for entry in histories:
            fetched = self.files.fetch_one(entry, spool)
            decompress(fetched, data / "pg_wal" / manifests.history_of(entry.name))
        for oid, place in places.items():
            (data / "pg_tblspc" / oid).symlink_to(place)

    def _require_whole(self, entries: list[FileEntry]) -> None:
        tablespaces = {manifests.tablespace_of(one.name) for one in entries} - {""}
        servers = [one for one in entries if not manifests.is_bundle(one.name)]
        if len(servers) != 1 or not tablespaces <= set(self.manifest.tablespaces):
            raise ChecksumMismatch(
                f"the manifest of backup {self.location} names no {SERVER_MANIFEST}, or a"
                " tablespace that it does not know: use another backup"
            )


def load_physical(
    store: ArtifactStore, location: Location, expected_sha256: str | None = None
) -> PhysicalArtifact:
    """Read the manifest only.

    Args:
        expected_sha256: what the status of the Backup says; None if that is not known.

    Raises:
        BackupLocationMissing, ChecksumMismatch, EncryptionKeyWrong, IncompatibleVersion.
        InvalidInput: the backup is a logical one.
    """
    manifest, digest = load_manifest(store, location, expected_sha256, manifests.from_json)
    return PhysicalArtifact(store, location, manifest, digest)


def load_any(
    store: ArtifactStore, location: Location, expected_sha256: str | None = None
) -> Artifact | PhysicalArtifact:
    """Read the manifest of an artifact of either kind; raises as ``load_artifact``."""
    manifest, digest = load_manifest(store, location, expected_sha256, manifests.any_from_json)
    if isinstance(manifest, PhysicalManifest):
        return PhysicalArtifact(store, location, manifest, digest)
    return Artifact(store, location, manifest, digest)


def is_physical(
    store: ArtifactStore, location: Location, expected_sha256: str | None = None
) -> bool:
    """Whether a finished artifact is a physical one.

    Raises:
        BackupLocationMissing, ChecksumMismatch, EncryptionKeyWrong.
    """
    content, _ = read_manifest(store, location, expected_sha256)
    return is_physical_manifest(read_document(decrypted_manifest(store, location, content)))


def read_back(artifact: PhysicalArtifact, jobs: int, progress: Progress) -> None:
    """Read back what was just written.

    Raises:
        ChecksumMismatch: a file is missing, extra or altered.
    """
    tally = files_tally()
    with progress.step(f"Reading back backup {artifact.location}", tally.text):
        artifact.check_written(jobs, tally)
