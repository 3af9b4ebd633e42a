"""A server's files as they come from BASE_BACKUP, in bundles that can be stored one by one.

The stream of tar is cut between files, at some 256 MiB, and compressed on the way. So what one
bundle takes on the local disk is all that a backup needs there, whatever the size of the server,
and several are encrypted, sent, fetched and unpacked at the same time.
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import zstandard

from ...errors import ChecksumMismatch
from ...postgres.base_backup import ArchiveStream

BUNDLE_BYTES = 256 * 1024 * 1024
"""Of the files in a bundle, before compression; a larger file, at most 1 GiB, is one of its own."""

_LEVEL = 3
_CHUNK = 1024 * 1024
_TABLESPACES = "pg_tblspc/"
# The stubs of mypy do not know stream and copybufsize.
_open_tar: Any = tarfile.open


@dataclass
class Bundles:
    """Writes bundles into a folder.

    Attributes:
        folder: where they are made.
        threads: how many compress.
        done: is called with each one that is closed.
        count: how many there are.
    """

    folder: Path
    threads: int
    done: Callable[[Path], None]
    limit_bytes: int = BUNDLE_BYTES
    count: int = field(default=0, init=False)

    def write(self, archive: ArchiveStream) -> None:
        """Write all files of an archive.

        Raises:
            ChecksumMismatch: the server sent what is not tar.
            OSError
        """
        bundle: _Bundle | None = None
        try:
            with _open_tar(fileobj=archive, mode="r|", bufsize=_CHUNK, stream=True) as source:
                for member in source:
                    if bundle and bundle.size and bundle.size + member.size > self.limit_bytes:
                        self._close(bundle)
                        bundle = None
                    bundle = bundle or self._begin(archive.tablespace)
                    bundle.add(member, source.extractfile(member) if member.isreg() else None)
        except tarfile.TarError as error:
            raise ChecksumMismatch(f"the server's base backup cannot be read: {error}") from error
        except BaseException:
            if bundle:
                bundle.abandon()
            raise
        if bundle:
            self._close(bundle)

    def _begin(self, tablespace: str) -> _Bundle:
        self.count += 1
        prefix = f"{tablespace}-" if tablespace else ""
        return _Bundle(self.folder / f"{prefix}{self.count:06}.tar.zst", self.threads)

    def _close(self, bundle: _Bundle) -> None:
        bundle.close()
        self.done(bundle.path)


class _Bundle:
    """One bundle; ``size`` is that of the files in it, in bytes."""

    def __init__(self, path: Path, threads: int) -> None:
        self.path = path
        self.size = 0
        self._stack = ExitStack()
        file = self._stack.enter_context(path.open("xb"))
        compressor = zstandard.ZstdCompressor(_LEVEL, threads=threads, write_checksum=True)
        writer = self._stack.enter_context(compressor.stream_writer(file, closefd=False))
        # GNU's format has no limit that a server's file could reach, and no further headers.
        self._tar = self._stack.enter_context(
            _open_tar(
                fileobj=writer,
                mode="w|",
                bufsize=_CHUNK,
                format=tarfile.GNU_FORMAT,
                copybufsize=_CHUNK,
            )
        )

    def add(self, member: tarfile.TarInfo, content: IO[bytes] | None) -> None:
        self._tar.addfile(member, content)
        # They are remembered for nothing: a bundle may have a hundred thousand.
        self._tar.members.clear()
        self.size += member.size

    def close(self) -> None:
        self._stack.close()

    def abandon(self) -> None:
        """Close what can be closed: nobody reads it."""
        with suppress(OSError, zstandard.ZstdError, tarfile.TarError):
            self._stack.close()


def unpack(bundle: Path, folder: Path) -> None:
    """Unpack a bundle into the data directory, or into the folder of a tablespace.

    Links to tablespaces are left out: where those are is known otherwise, and not from the server.

    Raises:
        ChecksumMismatch: it is none, or has what no server has.
        OSError
    """
    try:
        with (
            bundle.open("rb") as file,
            zstandard.ZstdDecompressor().stream_reader(file) as reader,
            _open_tar(
                fileobj=reader,
                mode="r|",
                bufsize=_CHUNK,
                copybufsize=_CHUNK,
                stream=True,
            ) as tar,
        ):
            tar.extractall(  # noqa: S202 (filtered)
                folder, members=_without_links(tar), filter=_as_files
            )
    except (tarfile.TarError, zstandard.ZstdError) as error:
        raise ChecksumMismatch(f"bundle {bundle.name} cannot be unpacked: {error}") from error


def _without_links(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    return (member for member in tar if not _is_tablespace_link(member))


def _is_tablespace_link(member: tarfile.TarInfo) -> bool:
    return member.issym() and member.name.removeprefix("./").startswith(_TABLESPACES)


def _as_files(member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo:
    """Refuse whatever leads out of the folder; owners and modes are those of a new server."""
    checked = tarfile.data_filter(member, folder)
    mode = 0o700 if checked.isdir() else 0o600
    return checked.replace(mode=mode, deep=False)


def compress(content: bytes, path: Path) -> None:
    """Write a file, compressed as bundles are.

    Raises:
        OSError
    """
    path.write_bytes(zstandard.ZstdCompressor(_LEVEL, write_checksum=True).compress(content))


def decompress(path: Path, target: Path) -> None:
    """Write what ``compress`` was given.

    Raises:
        ChecksumMismatch; OSError
    """
    try:
        with path.open("rb") as source, target.open("xb") as sink:
            zstandard.ZstdDecompressor().copy_stream(source, sink)
    except zstandard.ZstdError as error:
        raise ChecksumMismatch(f"{path.name} cannot be decompressed: {error}") from error
