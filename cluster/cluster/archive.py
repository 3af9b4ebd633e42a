"""Writing container images as docker-archive files, with no tool but tarfile.

The format is what `docker save` writes: a manifest, one configuration per image, and the
layers, which images may share. Layers stay uncompressed: they only travel within one machine.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REPRODUCIBLE = "1970-01-01T00:00:00Z"


@dataclass(frozen=True)
class Image:
    """The names of an image, and the `config` object of the OCI image specification."""

    names: Sequence[str]
    config: Mapping[str, Any] = field(default_factory=dict)


def normalised(name: str) -> str:
    """Spell an image's name in full, as the container runtime does."""
    first, slash, _ = name.partition("/")
    if not slash:
        name = f"docker.io/library/{name}"
    elif not ("." in first or ":" in first or first == "localhost"):
        name = f"docker.io/{name}"
    if "@" in name or ":" in name.rsplit("/", 1)[-1]:
        return name
    return f"{name}:latest"


def pack_layer(path: Path, files: Mapping[str, Path], links: Mapping[str, str]) -> None:
    """Write a layer of programs, of links to them, and of a /tmp for everyone."""
    with tarfile.open(path, "w") as layer:
        temporary = tarfile.TarInfo("tmp")
        temporary.type, temporary.mode = tarfile.DIRTYPE, 0o1777
        layer.addfile(temporary)
        for name, source in files.items():
            entry = tarfile.TarInfo(name.strip("/"))
            entry.size, entry.mode = source.stat().st_size, 0o755
            with source.open("rb") as content:
                layer.addfile(entry, content)
        for name, target in links.items():
            entry = tarfile.TarInfo(name.strip("/"))
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            layer.addfile(entry)


def write(path: Path, layer: Path, images: Sequence[Image]) -> None:
    """Write an archive of images that share one layer."""
    with layer.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    layer_name = f"{digest}/layer.tar"
    manifest: list[dict[str, Any]] = []
    unfinished = path.with_suffix(".new")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(unfinished, "w") as archive:
        archive.add(layer, layer_name)
        for image in images:
            config = json.dumps(
                {
                    "architecture": architecture(),
                    "os": "linux",
                    "created": REPRODUCIBLE,
                    "config": image.config,
                    "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
                    "history": [{"created": REPRODUCIBLE, "created_by": "cluster"}],
                }
            ).encode()
            config_name = f"{hashlib.sha256(config).hexdigest()}.json"
            _add(archive, config_name, config)
            names = [normalised(name) for name in image.names]
            manifest.append({"Config": config_name, "RepoTags": names, "Layers": [layer_name]})
        _add(archive, "manifest.json", json.dumps(manifest).encode())
    unfinished.rename(path)


def names_in(path: Path) -> list[str]:
    """List the names of the images in an archive."""
    try:
        with tarfile.open(path) as archive:
            content = archive.extractfile("manifest.json")
            manifest = json.load(content) if content else []
    except (tarfile.TarError, KeyError):
        return []
    return [normalised(name) for image in manifest for name in image.get("RepoTags") or []]


def architecture() -> str:
    """Name this machine's processor as images do."""
    machine = platform.machine()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), 0o644
    archive.addfile(entry, io.BytesIO(content))
