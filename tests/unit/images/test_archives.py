"""Tests of the comparison of two images."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

from images.archives import differences, image_id


def packed(files: dict[str, bytes], mtime: int = 0) -> bytes:
    """A tar archive of files."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(content), mtime
            archive.addfile(member, io.BytesIO(content))
    return target.getvalue()


def image(path: Path, *layers: bytes, config: bytes = b"{}") -> Path:
    """A docker-archive of these layers."""
    names = [f"{number}.tar" for number in range(len(layers))]
    manifest = json.dumps([{"Config": "config.json", "Layers": names}]).encode()
    files = {
        "manifest.json": manifest,
        "config.json": config,
        **dict(zip(names, layers, strict=True)),
    }
    path.write_bytes(packed(files))
    return path


def test_the_same_content_has_no_differences(tmp_path: Path) -> None:
    one, other = (image(tmp_path / name, packed({"etc/a": b"1"})) for name in ("one", "other"))
    assert differences(one, other) == []
    assert image_id(one) == image_id(other)


def test_a_file_that_differs_is_named_with_its_layer(tmp_path: Path) -> None:
    one = image(tmp_path / "one", packed({"a": b"1"}), packed({"b": b"1", "c": b"1"}))
    other = image(tmp_path / "other", packed({"a": b"1"}), packed({"b": b"1", "c": b"2"}))
    assert differences(one, other) == ["layer 2: /c"]


def test_a_time_that_differs_is_a_difference(tmp_path: Path) -> None:
    one = image(tmp_path / "one", packed({"a": b"1"}))
    other = image(tmp_path / "other", packed({"a": b"1"}, mtime=1))
    assert differences(one, other) == ["layer 1: /a"]


def test_a_layer_that_one_has_alone_is_listed(tmp_path: Path) -> None:
    one = image(tmp_path / "one", packed({"a": b"1"}))
    other = image(tmp_path / "other", packed({"a": b"1"}), packed({"b": b"1"}))
    assert differences(one, other) == ["layer 2: /b"]


def test_the_configuration_counts_for_the_id_only(tmp_path: Path) -> None:
    one = image(tmp_path / "one", config=b'{"config": {}}')
    other = image(tmp_path / "other")
    assert differences(one, other) == []
    assert image_id(one) != image_id(other)
