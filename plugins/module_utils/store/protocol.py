"""Where an artifact lies, and what every store of artifacts can do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from ..errors import BackupLocationMissing, ChecksumMismatch, InvalidInput
from ..uids import is_uuid

MANIFEST_NAME = "manifest.json"
ENCRYPTED_SUFFIX = ".age"
MANIFEST_NAMES = (MANIFEST_NAME, MANIFEST_NAME + ENCRYPTED_SUFFIX)
"""A finished artifact has one of them: as it is, or encrypted."""
_COMPONENT = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


@dataclass(frozen=True)
class Location:
    """``NAMESPACE/DATABASE/UID``: the names are Kubernetes', the UID is the Backup's.

    Raises:
        InvalidInput: a part is not a Kubernetes name, so it might lead out of the root.
    """

    namespace: str
    database: str
    uid: str

    def __post_init__(self) -> None:
        for field, value in (
            ("namespace", self.namespace),
            ("database", self.database),
            ("uid", self.uid),
        ):
            if not _COMPONENT.fullmatch(value) or ".." in value:
                raise InvalidInput(
                    f"{field} {value!r} cannot be part of a backup's location: use lower case"
                    " letters, digits, '-' and '.', as Kubernetes names do"
                )

    def __str__(self) -> str:
        return f"{self.namespace}/{self.database}/{self.uid}"


def the_manifest(location: Location, names: Sequence[str], missing: str) -> str:
    """Return the name of an artifact's manifest.

    Args:
        names: those of MANIFEST_NAMES that the store has of it.
        missing: what there is to say where it has none.

    Raises:
        BackupLocationMissing: there is none.
        ChecksumMismatch: there are two.
    """
    if not names:
        raise BackupLocationMissing(missing)
    if len(names) > 1:
        raise ChecksumMismatch(f"backup {location} has two manifests: {', '.join(names)}")
    return names[0]


def find_finished(
    store: Store, folder_names: Callable[..., Iterable[str]], namespace: str, database: str
) -> list[Location]:
    """Do what ``Store.list_finished`` does.

    Args:
        folder_names: the names below those that it is called with, of which there may be none.
    """
    return [
        location
        for one in ([namespace] if namespace else folder_names())
        for other in ([database] if database else folder_names(one))
        for uid in folder_names(one, other)
        if (location := _artifact_location(one, other, uid)) and store.is_finished(location)
    ]


def _artifact_location(namespace: str, database: str, uid: str) -> Location | None:
    """Return where an artifact may be; None where the names are not those of one."""
    try:
        return Location(namespace, database, uid) if is_uuid(uid) else None
    except InvalidInput:
        return None


class Sink(Protocol):
    """What takes the bytes of a file as they come."""

    def write(self, data: bytes, /) -> object:
        """Take the next bytes."""


class LimitedSink:
    """A sink in memory, ``data``, that refuses more than ``limit`` bytes.

    Args:
        what: is written to it, for people.
    """

    def __init__(self, what: str, limit: int) -> None:
        self.data = bytearray()
        self._what = what
        self._limit = limit

    def write(self, data: bytes, /) -> None:
        """Take the next bytes.

        Raises:
            ChecksumMismatch: they are too many.
        """
        if len(self.data) + len(data) > self._limit:
            raise ChecksumMismatch(f"{self._what} exceeds {self._limit} bytes")
        self.data += data


class Store(Protocol):
    """A place for artifacts. What makes an artifact finished is its manifest, written last.

    All methods raise StoreDenied, StoreUnreachable and NoSpace as they apply.
    """

    def describe(self, location: Location) -> str:
        """Where the artifact is, for people."""

    def is_finished(self, location: Location) -> bool:
        """Whether there is a manifest, be it good or bad."""

    def exists(self, location: Location) -> bool:
        """Whether there is anything, finished or not."""

    def begin(self, location: Location) -> None:
        """Make room for a new artifact: whatever a failed run left there is gone."""

    def put(self, location: Location, name: str, path: Path) -> None:
        """Store a copy of a local file that is no longer written to."""

    def finish(self, location: Location, name: str, manifest: bytes) -> None:
        """Make all files durable, then let the manifest appear under one of MANIFEST_NAMES."""

    def remove(self, location: Location) -> bool:
        """Remove an artifact, its manifest first; return whether there was anything."""

    def list_unfinished(
        self, namespace: str, database: str, is_file_name: Callable[[str], bool]
    ) -> dict[str, datetime]:
        """The artifacts without a manifest: their UIDs, and when something changed last.

        Others may keep their files there too. So only what has a UUID for its name counts, and
        holds nothing that no backup writes.

        Args:
            is_file_name: whether a backup writes a file with this path, manifests excepted.
        """

    def list_finished(self, namespace: str = "", database: str = "") -> list[Location]:
        """The artifacts with a manifest, in no order; without names all that there are.

        What is not named like an artifact is left out. A store that has none,
        or does not have the folder yet, has an empty list.

        Args:
            database: may be given with a namespace only.
        """

    def read_manifest(self, location: Location, limit: int) -> bytes:
        """The manifest's bytes.

        Raises:
            BackupLocationMissing: there is none.
            ChecksumMismatch: it is larger than ``limit`` bytes, or there are two.
        """

    def file_names(self, location: Location) -> set[str]:
        """The paths of all files of the artifact, the manifest excepted.

        Raises:
            ChecksumMismatch: something there cannot be a file of an artifact.
        """

    def put_file(self, location: Location, name: str, path: Path) -> None:
        """Store a copy of one file, whole or not at all, in place of one of that name.

        It is durable when this returns. It needs no ``begin`` and no ``finish``, and leaves alone
        whatever else is below the location.

        Raises:
            OSError: the local file cannot be read.
        """

    def files(self, location: Location, beginning: str = "") -> Iterator[tuple[str, int]]:
        """The path and the size of each file below a location whose path begins so, in no order.

        A location that does not exist has none.

        Raises:
            StoreUnreachable, BackupLocationMissing: what has the locations is not there.
        """

    def stored_time(self, location: Location, name: str) -> datetime:
        """When a file was stored last, by the store's clock.

        Raises:
            BackupLocationMissing: there is no such file.
        """

    def folders(self, location: Location, *parents: str) -> list[str]:
        """The names of the folders below a folder of a location, sorted.

        Raises:
            StoreUnreachable, BackupLocationMissing: what has the locations is not there.
        """

    def remove_files(self, location: Location, names: Iterable[str]) -> None:
        """Remove files that ``files`` has listed; those that are gone already count as removed."""

    def read(self, location: Location, name: str, sink: Sink) -> None:
        """Write what the store really holds of a file to a sink.

        Raises:
            ChecksumMismatch: it is missing.
        """
