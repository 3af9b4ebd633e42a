"""Two docker-archives compared: which files make one image differ from the other.

The format: https://github.com/moby/docker-image-spec. `manifest.json` names the configuration,
whose SHA-256 is the image's id, and the layers, which are tar archives.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import IO, Any

NAMES_SHOWN = 20


def image_id(archive: Path) -> str:
    """The SHA-256 of the image's configuration, which names the digests of all layers."""
    with tarfile.open(archive) as file:
        return hashlib.sha256(_read(file, _manifest(file)["Config"])).hexdigest()


def differences(first: Path, second: Path) -> list[str]:
    """Where two images differ: a line for each file, named with its layer.

    No line means the same layers; the configurations may still differ.
    """
    with tarfile.open(first) as one, tarfile.open(second) as other:
        layers = zip_longest(_manifest(one)["Layers"], _manifest(other)["Layers"])
        return [
            f"layer {number}: {name}"
            for number, (here, there) in enumerate(layers, 1)
            for name in _changed(_entries(one, here), _entries(other, there))
        ]


def _changed(here: dict[str, object], there: dict[str, object]) -> Iterator[str]:
    """The names whose entries are not the same."""
    for name in sorted(here.keys() | there.keys()):
        if here.get(name) != there.get(name):
            yield name


def _entries(archive: tarfile.TarFile, layer: str | None) -> dict[str, object]:
    """Each file of a layer with all that counts for the layer's digest; none without a layer."""
    if layer is None:
        return {}
    with tarfile.open(fileobj=_open(archive, layer)) as files:
        return {
            f"/{member.name}": (
                member.type, member.mode, member.uid, member.gid, member.mtime, member.linkname,
                _digest(files, member),
            )
            for member in files
        }  # fmt: skip


def _digest(files: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    """The SHA-256 of a regular file; nothing for other kinds."""
    file = files.extractfile(member) if member.isreg() else None
    return hashlib.file_digest(file, "sha256").hexdigest() if file else ""  # type: ignore[arg-type]


def _manifest(archive: tarfile.TarFile) -> dict[str, Any]:
    """What the archive says of its one image."""
    images: list[dict[str, Any]] = json.loads(_read(archive, "manifest.json"))
    return images[0]


def _read(archive: tarfile.TarFile, name: str) -> bytes:
    return _open(archive, name).read()


def _open(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    """A file of the archive; links are followed, as docker writes one for a layer used twice."""
    file = archive.extractfile(name)
    if file is None:
        raise ValueError(f"{name} of the archive is not a file")
    return file
