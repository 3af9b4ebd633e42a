"""Artifacts in folders of a mounted volume, written so that a crash never leaves half of one.

What makes an artifact finished is its manifest, and that appears by one rename, after
everything else is on the disk. Files are read without following symbolic links.
"""

from __future__ import annotations

import errno
import os
import shutil
import socket
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path

from ..errors import (
    BackupLocationMissing,
    ChecksumMismatch,
    NoSpace,
    OperatorError,
    StoreDenied,
    StoreUnreachable,
)
from ..uids import is_uuid
from .protocol import MANIFEST_NAMES, Location, Sink, find_finished, the_manifest

_TEMPORARY_MANIFEST_NAME = ".manifest.json.new"
_CHUNK = 1024 * 1024


@contextmanager
def store_errors(action: str) -> Iterator[None]:
    """Turn an OSError of the block into NoSpace, StoreDenied or StoreUnreachable."""
    try:
        yield
    except OSError as error:
        detail = f"{action} failed: {error.strerror or error}"
        raise _os_error_class(error.errno)(detail) from error


def _os_error_class(number: int | None) -> type[OperatorError]:
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return NoSpace
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return StoreDenied
    return StoreUnreachable


@dataclass(frozen=True)
class FilesystemStore:
    """A store below a folder that exists already (the mount point of a volume)."""

    root: Path

    def folder(self, location: Location) -> Path:
        """The artifact's folder; it need not exist."""
        return self.root / location.namespace / location.database / location.uid

    def describe(self, location: Location) -> str:
        """The artifact's folder."""
        return str(self.folder(location))

    def is_finished(self, location: Location) -> bool:
        """See ``Store``."""
        return bool(self._manifests(location))

    def _manifests(self, location: Location) -> list[str]:
        folder = self.folder(location)
        with store_errors(f"looking for backup {location}"):
            return [name for name in MANIFEST_NAMES if _exists(folder / name)]

    def exists(self, location: Location) -> bool:
        """See ``Store``."""
        with store_errors(f"looking for backup {location}"):
            return _exists(self.folder(location))

    def begin(self, location: Location) -> None:
        """Make an empty folder for the artifact, in place of what a failed run left there.

        Raises:
            StoreUnreachable: the root does not exist: the volume is not mounted.
        """
        folder = self.folder(location)
        with store_errors(f"preparing {folder}"):
            self._check_root()
            _remove_tree(folder)
            folder.mkdir(parents=True)

    def _check_root(self) -> None:
        if not self.root.is_dir():
            raise StoreUnreachable(
                f"the store's folder {self.root} does not exist: mount the volume there"
            )

    def put(self, location: Location, name: str, path: Path) -> None:
        """See ``Store``; what makes it durable is ``finish``."""
        target = self.folder(location) / name
        with store_errors(f"writing {target}"):
            target.parent.mkdir(exist_ok=True)
            shutil.copyfile(path, target)

    def finish(self, location: Location, name: str, manifest: bytes) -> None:
        """See ``Store``."""
        folder = self.folder(location)
        with store_errors(f"writing backup {location}"):
            _sync_tree(folder)
            _write_durably(folder / _TEMPORARY_MANIFEST_NAME, manifest)
            (folder / _TEMPORARY_MANIFEST_NAME).replace(folder / name)
            for directory in (folder, folder.parent, folder.parent.parent, self.root):
                sync_path(directory)

    def remove(self, location: Location) -> bool:
        """See ``Store``: what a crash leaves is not a backup."""
        folder = self.folder(location)
        with store_errors(f"removing backup {location}"):
            if not _exists(folder):
                return False
            _remove_tree(folder)
            return True

    def list_unfinished(
        self, namespace: str, database: str, is_file_name: Callable[[str], bool]
    ) -> dict[str, datetime]:
        """See ``Store``."""
        folder = self.root / namespace / database
        found = {}
        with store_errors(f"looking for what unfinished backups left in {folder}"):
            if not _exists(folder):
                return {}
            with os.scandir(folder) as entries:
                for entry in entries:
                    if not is_uuid(entry.name) or not entry.is_dir(follow_symlinks=False):
                        continue
                    if _is_unfinished(Path(entry.path), is_file_name):
                        found[entry.name] = _last_change(Path(entry.path))
        return found

    def list_finished(self, namespace: str = "", database: str = "") -> list[Location]:
        """See ``Store``."""
        with store_errors(f"listing the backups in {self.root}"):
            return find_finished(self, self._folder_names, namespace, database)

    def _folder_names(self, *parents: str) -> list[str]:
        """The names of folders below these, without links; empty where there is no such folder."""
        try:
            with os.scandir(self.root.joinpath(*parents)) as entries:
                return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        except (FileNotFoundError, NotADirectoryError):
            return []

    def read_manifest(self, location: Location, limit: int) -> bytes:
        """See ``Store``."""
        name = the_manifest(
            location,
            self._manifests(location),
            f"there is no finished backup at {self.folder(location)}:"
            " it was removed, never completed, or another volume is mounted",
        )
        with (
            store_errors(f"reading the manifest of backup {location}"),
            self.open(location, name) as file,
        ):
            content = file.read(limit + 1)
        if len(content) > limit:
            raise ChecksumMismatch(f"the manifest of backup {location} exceeds {limit} bytes")
        return content

    def file_names(self, location: Location) -> set[str]:
        """The paths of all files below the artifact's folder, the manifest's excepted.

        Raises:
            ChecksumMismatch: something there is neither a folder nor a plain file.
        """
        folder = self.folder(location)
        names = set()
        with store_errors(f"listing backup {location}"):
            for entry in _walk(folder):
                if not entry.is_file(follow_symlinks=False):
                    raise ChecksumMismatch(f"{entry.path} is not a plain file")
                names.add(os.path.relpath(entry.path, folder))
        return names.difference(MANIFEST_NAMES)

    def put_file(self, location: Location, name: str, path: Path) -> None:
        """See ``Store``.

        A killed run leaves a hidden file with the names of machine and process, which the next run
        replaces: in a container they are the same.
        """
        target = self.folder(location) / name
        temporary = target.with_name(f".{target.name}.{socket.gethostname()}-{os.getpid()}")
        with path.open("rb") as source, store_errors(f"writing {target}"):
            self._check_root()
            self._make_folder(target.parent)
            with temporary.open("wb") as sink:
                shutil.copyfileobj(source, sink, _CHUNK)
                sink.flush()
                os.fsync(sink.fileno())
            temporary.replace(target)
            sync_path(target.parent)

    def _make_folder(self, folder: Path) -> None:
        """Make a folder below the root, with those above it, durably."""
        if folder == self.root or folder.is_dir():
            return
        self._make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_path(folder.parent)

    def files(self, location: Location, beginning: str = "") -> Iterator[tuple[str, int]]:
        """See ``Store``; what is hidden, and what is no plain file, is none."""
        folder = self.folder(location)
        parents = beginning.rpartition("/")[0]
        with store_errors(f"listing {folder}"):
            self._check_root()
            if not _exists(folder / parents):
                return
            for entry in _walk(folder / parents):
                name = os.path.relpath(entry.path, folder)
                plain = entry.is_file(follow_symlinks=False) and not entry.name.startswith(".")
                if plain and name.startswith(beginning):
                    yield name, entry.stat(follow_symlinks=False).st_size

    def stored_time(self, location: Location, name: str) -> datetime:
        """See ``Store``."""
        path = self.folder(location) / name
        with store_errors(f"reading {path}"):
            try:
                return datetime.fromtimestamp(path.lstat().st_mtime, UTC)
            except FileNotFoundError:
                raise BackupLocationMissing(f"{path} is not there any more") from None

    def folders(self, location: Location, *parents: str) -> list[str]:
        """See ``Store``."""
        with store_errors(f"listing {self.folder(location)}"):
            self._check_root()
            return sorted(
                self._folder_names(location.namespace, location.database, location.uid, *parents)
            )

    def remove_files(self, location: Location, names: Iterable[str]) -> None:
        """See ``Store``."""
        folder = self.folder(location)
        for name in names:
            with store_errors(f"removing {folder / name}"):
                (folder / name).unlink(missing_ok=True)

    def read(self, location: Location, name: str, sink: Sink) -> None:
        """See ``Store``."""
        buffer = bytearray(_CHUNK)
        view = memoryview(buffer)
        with (
            store_errors(f"reading {name} of backup {location}"),
            self.open(location, name) as stream,
        ):
            while count := stream.readinto(buffer):
                sink.write(bytes(view[:count]))

    @contextmanager
    def open(self, location: Location, name: str) -> Iterator[FileIO]:
        """Open a file for reading what is on the disk, not what the page cache remembers.

        Raises:
            ChecksumMismatch: it is missing or not a plain file.
        """
        path = self.folder(location) / name
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENOTDIR):
                raise ChecksumMismatch(f"{path} is missing or not a plain file") from error
            raise
        with FileIO(descriptor) as raw:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ChecksumMismatch(f"{path} is not a plain file")
            # Only clean pages can be dropped.
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            yield raw


def _exists(path: Path) -> bool:
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _is_unfinished(folder: Path, is_file_name: Callable[[str], bool]) -> bool:
    """Whether a folder has no manifest, and no file that no backup writes."""
    if any(_exists(folder / name) for name in MANIFEST_NAMES):
        return False
    for entry in _walk(folder):
        name = os.path.relpath(entry.path, folder)
        ours = name == _TEMPORARY_MANIFEST_NAME or is_file_name(name)
        if not ours or not entry.is_file(follow_symlinks=False):
            return False
    return True


def _last_change(folder: Path) -> datetime:
    """The newest time of a folder and of those in it: that of files which were added."""
    folders = [folder, *(path for path in folder.glob("*/") if not path.is_symlink())]
    newest = max(path.lstat().st_mtime for path in folders)
    return datetime.fromtimestamp(newest, UTC)


def _walk(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Everything below a folder that is not itself a folder."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(Path(entry.path))
            else:
                yield entry


def _remove_tree(folder: Path) -> None:
    """Remove a folder if it is there; without its manifest from the first moment on."""
    if not _exists(folder):
        return
    for name in (*MANIFEST_NAMES, _TEMPORARY_MANIFEST_NAME):
        (folder / name).unlink(missing_ok=True)
    sync_path(folder)
    shutil.rmtree(folder)


def _sync_tree(folder: Path) -> None:
    for parent, _, names in os.walk(folder):
        for name in names:
            sync_path(Path(parent, name))
        sync_path(Path(parent))


def sync_path(path: Path) -> None:
    """Write a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_durably(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
