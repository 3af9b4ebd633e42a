"""Archives in a folder and in S3, in clear and encrypted."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.archive.wal_archive import (
    Identity,
    WalArchive,
    archive_location,
)
from ansible_collections.postgres.operator.plugins.module_utils.store.encryption import (
    EncryptionKey,
)
from ansible_collections.postgres.operator.plugins.module_utils.store.filesystem import (
    FilesystemStore,
)
from ansible_collections.postgres.operator.plugins.module_utils.store.protocol import Location
from s3_server import BUCKET


@dataclass
class Place:
    """An archive as what writes has it, and as what reads has it."""

    writer: WalArchive
    reader: WalArchive
    root: Path
    """Below it the objects of the store are files."""

    @property
    def identity(self) -> Identity:
        location: Location = self.writer.location
        return Identity(
            location.namespace, location.database, location.uid.removeprefix("wal-"), "7001"
        )

    @property
    def folder(self) -> Path:
        return self.root / str(self.writer.location)

    def files(self) -> dict[str, bytes]:
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for path in self.folder.rglob("*")
            if path.is_file()
        }


@pytest.fixture(params=["folder", "s3", "folder-encrypted", "s3-encrypted"])
def place(request, tmp_path: Path, spool: Path, key) -> Place:
    """An archive that does not exist yet."""
    if request.param.startswith("s3"):
        server = request.getfixturevalue("s3")
        store = request.getfixturevalue("s3_store")
        root = server.data / BUCKET / store.prefix
    else:
        root = tmp_path / "store"
        root.mkdir()
        store = FilesystemStore(root)
    location = archive_location("ns", "app", str(uuid.uuid4()))
    writing = reading = None
    if request.param.endswith("encrypted"):
        writing, reading = EncryptionKey(recipients=tuple(key.public_keys)), key
    return Place(
        WalArchive(store, location, writing, spool),
        WalArchive(store, location, reading, spool),
        root,
    )
