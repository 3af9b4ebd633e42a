"""Which name a WAL file gets in the archive."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.archive.archiver import (
    read_system_identifier,
)
from ansible_collections.postgres.operator.plugins.module_utils.archive.names import first_lsn
from ansible_collections.postgres.operator.plugins.module_utils.archive.segment_file import (
    stored_name,
)
from ansible_collections.postgres.operator.plugins.module_utils.archive.wal_archive import (
    WalArchive,
    archive_location,
)
from ansible_collections.postgres.operator.plugins.module_utils.errors import (
    ChecksumMismatch,
    InvalidInput,
)
from ansible_collections.postgres.operator.plugins.module_utils.store.filesystem import (
    FilesystemStore,
)

SIZE = 1 << 20
SERVER = 7001


def write(folder: Path, name: str, *, lsn: int | None = None, server: int = SERVER) -> Path:
    """A segment as PostgreSQL begins it."""
    path = folder / name
    position = first_lsn(name, SIZE) if lsn is None else lsn
    header = struct.pack("=HHIQI4xQII", 0xD110, 2, 1, position, 0, server, SIZE, 8192)
    path.write_bytes(header + bytes(SIZE - len(header)))
    return path


def name_of(path: Path) -> str:
    return stored_name(path.name, path, str(SERVER))


def test_a_segment_that_is_whole(tmp_path) -> None:
    path = write(tmp_path, "000000010000000000000002")
    assert name_of(path) == path.name


@pytest.mark.parametrize(
    ("segment", "ended"),
    [
        ("000000010000000000000001", False),
        ("000000010000000000000002", False),
        ("000000010000000000000003", True),
        ("000000010000000000000004", True),
        ("000000020000000000000003", False),
    ],
)
def test_where_the_timeline_ended(tmp_path, segment: str, ended: bool) -> None:
    (tmp_path / "00000002.history").write_text("1\t0/300148\tno recovery target specified\n")
    path = write(tmp_path, segment)
    assert name_of(path) == segment + (".partial" if ended else "")


def test_a_timeline_that_ended_between_two_segments(tmp_path) -> None:
    (tmp_path / "00000002.history").write_text("1\t0/300000\tat the beginning of a segment\n")
    assert not name_of(write(tmp_path, "000000010000000000000002")).endswith(".partial")
    assert name_of(write(tmp_path, "000000010000000000000003")).endswith(".partial")


def test_the_newest_history_decides(tmp_path) -> None:
    (tmp_path / "00000002.history").write_text("1\t0/300148\ta branch that was given up\n")
    (tmp_path / "00000003.history").write_text("1\t0/500148\tthe one that was followed\n")
    assert not name_of(write(tmp_path, "000000010000000000000004")).endswith(".partial")
    assert name_of(write(tmp_path, "000000010000000000000005")).endswith(".partial")


@pytest.mark.parametrize("harm", ["short", "empty", "place", "server"])
def test_what_is_no_segment_now(tmp_path, harm: str) -> None:
    name = "000000010000000000000002"
    path = write(
        tmp_path,
        name,
        lsn=first_lsn(name, SIZE) + SIZE if harm == "place" else None,
        server=SERVER + (harm == "server"),
    )
    if harm in ("short", "empty"):
        with path.open("r+b") as file:
            file.truncate(SIZE // 2 if harm == "short" else 0)
    with pytest.raises(ChecksumMismatch, match="tried again"):
        name_of(path)


def test_other_files_keep_their_names(tmp_path) -> None:
    for name in ("00000002.history", "000000010000000000000002.partial"):
        (tmp_path / name).write_text("")
        assert name_of(tmp_path / name) == name


@pytest.mark.parametrize(
    "name", ["000000010000000000000002", "00000002.history", "000000010000000000000002.partial"]
)
def test_a_link_is_not_followed(tmp_path, name: str) -> None:
    """It would be in the archiver's own file system, which has the credentials of the store."""
    secret = tmp_path / "secret"
    secret.write_text("the secret key")
    path = tmp_path / "pg_wal" / name
    path.parent.mkdir()
    path.symlink_to(secret)
    archive = WalArchive(
        FilesystemStore(tmp_path), archive_location("ns", "app", "u"), spool=tmp_path
    )
    with pytest.raises(ChecksumMismatch, match="not a plain file"):
        archive.put(name, path)
    if name.endswith(".history"):
        with pytest.raises(ChecksumMismatch, match="not a plain file"):
            name_of(write(path.parent, "000000010000000000000002"))
    assert not (tmp_path / "ns").exists()


def test_a_history_that_is_none_is_not_quoted(tmp_path) -> None:
    for text in ("the secret key\n", "1 secret x\n"):
        (tmp_path / "00000002.history").write_text(text)
        with pytest.raises(InvalidInput) as caught:
            name_of(write(tmp_path, "000000010000000000000002"))
        assert "secret" not in str(caught.value)


def test_a_linked_control_file_is_not_read(tmp_path) -> None:
    (tmp_path / "global").mkdir()
    (tmp_path / "secret").write_text("the secret key")
    (tmp_path / "global/pg_control").symlink_to(tmp_path / "secret")
    with pytest.raises(ChecksumMismatch):
        read_system_identifier(tmp_path)
