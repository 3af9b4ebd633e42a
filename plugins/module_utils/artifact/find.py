"""What a store holds, by its manifests alone: no Backup, Database or namespace need be there."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from ..errors import BackupLocationMissing, OperatorError
from ..store.protocol import Location, Store
from ..units import first_of, plural
from .physical.artifact import load_any
from .stored_files import ArtifactStore


@dataclass(frozen=True)
class Found:
    """A finished artifact, as its manifest says. That is not kept: thousands may be large.

    Attributes:
        start_time: just before the snapshot, RFC 3339 in UTC.
        sha256: of the manifest.
    """

    location: Location
    start_time: str
    size_bytes: int
    server_version: str
    sha256: str

    def summary(self) -> dict[str, Any]:
        """What is printed of it: the location's parts, and all else, keys in camelCase."""
        return asdict(self.location) | {
            "location": str(self.location),
            "startTime": self.start_time,
            "sizeBytes": self.size_bytes,
            "serverVersion": self.server_version,
            "sha256": self.sha256,
        }


@dataclass(frozen=True)
class Unreadable:
    """A finished artifact whose manifest cannot be read, and why."""

    location: Location
    error: OperatorError

    def __str__(self) -> str:
        return f"{self.location}: {self.error.reason}: {self.error.message}"


def list_artifacts(
    store: ArtifactStore, namespace: str = "", database: str = "", jobs: int = 1
) -> tuple[list[Found], list[Unreadable]]:
    """Read the manifests of a store: all, those of a namespace, or of one Database in it.

    Args:
        jobs: how many are read at the same time.

    Returns:
        What can be read, the newest first, and what cannot.

    Raises:
        InvalidInput: a name is none of Kubernetes'.
        StoreDenied, StoreUnreachable, BackupLocationMissing: the store cannot be listed.
    """
    Location(namespace or "any", database or "any", "any")
    locations = store.files.list_finished(namespace, database)
    with ThreadPoolExecutor(jobs) as pool:
        read = list(pool.map(lambda location: _read(store, location), locations))
    found = [one for one in read if isinstance(one, Found)]
    found.sort(key=lambda one: (one.start_time, str(one.location)), reverse=True)
    unreadable = [one for one in read if isinstance(one, Unreadable)]
    return found, sorted(unreadable, key=str)


def find_newest(
    store: ArtifactStore, namespace: str, database: str, jobs: int = 1
) -> tuple[Found, str]:
    """Return the newest artifact of a Database, and a warning where another one may be newer.

    By the times in the manifests: the files of a bucket that was copied have other ones.

    Raises:
        BackupLocationMissing: there is none; the message says whose are there.
        Others: as ``list_artifacts``; where none can be read, as ``load_artifact`` of one.
    """
    found, unreadable = list_artifacts(store, namespace, database, jobs)
    if not found and unreadable:
        raise unreadable[0].error
    if not found:
        raise BackupLocationMissing(_none_of(store, namespace, database))
    if not unreadable:
        return found[0], ""
    others = plural(len(unreadable), "other backup")
    which = first_of([str(one) for one in unreadable], "; ")
    return found[0], f"{others} of this Database cannot be read and may be newer: {which}"


def find_missing(
    files: Store, namespace: str, database: str, uids: Sequence[str], jobs: int = 1
) -> list[str]:
    """Return the UIDs of which the store has no finished artifact, in order.

    One request each, and no file is read: what is there may still be damaged.

    Raises:
        StoreDenied, StoreUnreachable, BackupLocationMissing: the store does not answer.
    """
    locations = [Location(namespace, database, uid) for uid in uids]
    with ThreadPoolExecutor(jobs) as pool:
        there = list(pool.map(files.is_finished, locations))
    return [uid for uid, found in zip(uids, there, strict=True) if not found]


def _none_of(store: ArtifactStore, namespace: str, database: str) -> str:
    """Say that a Database has no artifact in a store, and whose are there."""
    others = sorted({f"{one.namespace}/{one.database}" for one in store.files.list_finished()})
    there = f"backups of {first_of(others)}" if others else "no backup at all"
    return (
        f"there is no finished backup of Database {namespace}/{database} here, but {there}:"
        " correct namespace and database of artifact, or destination"
    )


def _read(store: ArtifactStore, location: Location) -> Found | Unreadable:
    try:
        artifact = load_any(store, location)
    except OperatorError as error:
        return Unreadable(location, error)
    manifest = artifact.manifest
    return Found(
        location,
        manifest.start_time,
        manifest.size_bytes,
        manifest.server_version,
        artifact.sha256,
    )
