"""An archive that does not fit a physical backup: another server's, or for other recipients."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from ansible_collections.postgres.operator.plugins.module_utils import errors
from ansible_collections.postgres.operator.plugins.module_utils.archive.wal_archive import (
    IDENTITY_NAME,
)
from ansible_collections.postgres.operator.plugins.module_utils.store.encryption import (
    EncryptionKey,
)


@pytest.fixture
def of_another_server(archived) -> Iterator[str]:
    """Give the archive another server's identity, whose system identifier this is."""
    path = archived.root / str(archived.wal.location) / IDENTITY_NAME
    content = path.read_text(encoding="utf-8")
    other = "7000000000000000001"
    path.write_text(content.replace(archived.wal.read_identity().system_identifier, other))
    yield other
    path.write_text(content, encoding="utf-8")


def test_no_backup_is_made_beside_the_archive_of_another_server(
    archived, of_another_server
) -> None:
    message = f"is of the server with system identifier {of_another_server}, this one has [0-9]+"
    with pytest.raises(errors.ArchiveConflict, match=message):
        archived.back_up()


def test_no_moment_is_recovered_by_the_archive_of_another_server(archived, work, request) -> None:
    artifact = archived.back_up()
    moment = archived.now()
    other = request.getfixturevalue("of_another_server")
    message = f"with system identifier {other}, and backup {artifact.location.uid} of that with"
    with pytest.raises(errors.ArchiveConflict, match=message):
        archived.recover(artifact, work, moment)
    assert list(work.iterdir()) == [], "nothing was fetched"


def test_a_backup_for_recipients_has_no_wal_of_an_archive_in_clear(archived, key, spool) -> None:
    """One identity has to open both; the operator has compared them before it made the Job."""
    recipients = EncryptionKey(recipients=tuple(key.public_keys))
    store = replace(archived.store, key=recipients, spool=spool)
    message = "in the archive is not encrypted, and this backup is to be encrypted: give the Backup"
    with pytest.raises(errors.EncryptionKeyWrong, match=message):
        archived.back_up(store=store)
