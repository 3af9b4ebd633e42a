"""Backups that are written with public keys only: who writes cannot read."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pyrage
import pytest
from ansible_collections.postgres.operator.plugins.module_utils import errors
from ansible_collections.postgres.operator.plugins.module_utils.artifact import actions, create
from ansible_collections.postgres.operator.plugins.module_utils.artifact.artifact import (
    check_artifact,
    load_artifact,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.leftovers import (
    LEFT_ALONE,
    OtherBackups,
    remove_leftovers,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.progress import Progress
from ansible_collections.postgres.operator.plugins.module_utils.artifact.stored_files import (
    ArtifactStore,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.verify import (
    VerifyRequest,
    verify_artifact,
)
from ansible_collections.postgres.operator.plugins.module_utils.store.encryption import (
    EncryptionKey,
    first_recipient,
)


@pytest.fixture
def identities(tmp_path: Path) -> list[tuple[str, Path]]:
    """Two pairs of keys: the public one, and the file with the private one."""
    pairs = []
    for name in ("first", "second"):
        identity = pyrage.x25519.Identity.generate()
        path = tmp_path / name
        path.write_text(f"# created: now\n{identity}\n")
        pairs.append((str(identity.to_public()), path))
    return pairs


@pytest.fixture(params=["volume", "bucket"])
def writer(request, bench, s3_store, spool, identities):
    """A bench that has the recipients and no identity."""
    bench.spool = spool
    bench.key = EncryptionKey(recipients=tuple(public for public, _ in identities))
    if request.param == "bucket":
        bench.files = s3_store
    return bench


def back_up(bench):
    """What the Job of a Backup does."""
    request = bench.backup_request()
    outcome = create.create_artifact(request)
    actions.read_back(request, outcome, Progress())
    return outcome


def reader(bench, identity: Path):
    return replace(bench, key=EncryptionKey(identity))


def test_each_recipient_can_restore_what_the_writer_cannot_read(writer, identities, scratch):
    outcome = back_up(writer)
    assert outcome.artifact.summary()["rows"] == 20001
    with pytest.raises(errors.EncryptionKeyWrong, match="no identity is given that decrypts it"):
        check_artifact(writer.store, writer.location)
    writer.execute("UPDATE version SET name = 'new'; DELETE FROM numbers WHERE n > 10")
    with pytest.raises(errors.EncryptionKeyWrong):
        writer.restore()
    assert writer.scalar("SELECT name FROM version") == "new"
    sha256 = outcome.artifact.sha256
    for _, identity in identities:
        store = reader(writer, identity).store
        assert check_artifact(store, writer.location, sha256, jobs=2) == outcome.artifact
    request = VerifyRequest(store, writer.location, scratch, 2, sha256)
    assert verify_artifact(request)["sha256"] == sha256
    reader(writer, identity).restore(expected_sha256=sha256)
    assert writer.scalar("SELECT name FROM version") == "old"


def test_another_key_is_refused(writer, tmp_path):
    back_up(writer)
    path = tmp_path / "third"
    path.write_text(str(pyrage.x25519.Identity.generate()))
    with pytest.raises(errors.EncryptionKeyWrong, match="belongs to a recipient of that time"):
        check_artifact(reader(writer, path).store, writer.location)


@pytest.mark.parametrize("harm", ["altered", "lost", "more", "manifest"])
def test_the_read_back_compares_the_encrypted_bytes(bench, spool, identities, harm):
    bench.spool, bench.key = spool, EncryptionKey(recipients=(identities[0][0],))
    request = bench.backup_request()
    outcome = create.create_artifact(request)
    file = max((bench.folder / "dump").iterdir(), key=lambda path: path.stat().st_size)
    if harm == "altered":
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    elif harm == "lost":
        file.unlink()
    elif harm == "more":
        (bench.folder / "dump" / "9999.dat.age").write_bytes(b"x")
    else:
        # A good one, but not the one that was written.
        stored = bench.folder / "manifest.json.age"
        stored.write_bytes(bench.key.encrypt(b"{}"))
    with pytest.raises(errors.ChecksumMismatch):
        actions.read_back(request, outcome, Progress())


def test_a_second_run_makes_anew_what_it_cannot_read(writer, identities):
    first = back_up(writer)
    writer.execute("UPDATE version SET name = 'new'")
    second = back_up(writer)
    assert not second.adopted
    assert second.artifact.sha256 != first.artifact.sha256
    store = reader(writer, identities[0][1]).store
    assert load_artifact(store, writer.location, second.artifact.sha256) == second.artifact
    writer.execute("DELETE FROM version")
    reader(writer, identities[0][1]).restore()
    assert writer.scalar("SELECT name FROM version") == "new"


def test_a_forgery_for_the_recipients_is_not_adopted(writer, identities):
    """Public keys are public: what anybody can encrypt proves nothing."""
    honest = back_up(writer).artifact
    writer.files.remove(writer.location)
    writer.files.begin(writer.location)
    writer.files.finish(writer.location, "manifest.json.age", writer.key.encrypt(b"{}"))
    again = back_up(writer)
    assert not again.adopted
    assert again.artifact.manifest.rows == honest.manifest.rows
    check_artifact(reader(writer, identities[0][1]).store, writer.location)


def test_leftovers_and_removal_take_no_key(writer):
    back_up(writer)
    done = writer.location
    writer.location = replace(done, uid="0f8fad5b-d9cb-469f-a165-70867728950e")
    path = writer.spool / "toc.dat.age"
    path.write_bytes(b"x")
    writer.files.begin(writer.location)
    writer.files.put(writer.location, "dump/toc.dat.age", path)
    left = writer.files.list_unfinished("ns", "app", lambda _: True)[writer.location.uid]
    others = OtherBackups(frozenset(), left + 2 * LEFT_ALONE)
    assert remove_leftovers(writer.files, done, others, Progress()) == [writer.location.uid]
    assert writer.files.is_finished(done)
    assert writer.files.remove(done)
    assert not writer.files.exists(done)


def test_what_is_no_public_key_is_refused_and_not_repeated(bench, spool):
    secret = str(pyrage.x25519.Identity.generate())
    for wrong in (secret, "age1" + "q" * 58):
        store = ArtifactStore(bench.files, EncryptionKey(recipients=(wrong,)), spool)
        with pytest.raises(errors.InvalidInput, match="recipient 1 of 1 is not a public") as caught:
            store.check()
        assert wrong not in caught.value.message
        assert caught.value.__cause__ is None


def test_the_first_identity_names_the_recipient(identities):
    text = "".join(path.read_text() for _, path in identities)
    assert first_recipient(text, "here") == identities[0][0]
    with pytest.raises(errors.SecretMissing, match="the encryption key here is not valid"):
        first_recipient("age1xyz", "here")


def test_a_person_can_decrypt_it_with_age(bench, spool, identities, tmp_path):
    """With the format's own library, as the program age does."""
    bench.spool, bench.key = spool, EncryptionKey(recipients=(identities[1][0],))
    back_up(bench)
    identity = pyrage.x25519.Identity.from_str(identities[1][1].read_text().split("\n")[1])
    dump = tmp_path / "dump"
    dump.mkdir()
    for path in (bench.folder / "dump").iterdir():
        (dump / path.stem).write_bytes(pyrage.decrypt(path.read_bytes(), [identity]))
    listed = subprocess.run(
        ["pg_restore", "--list", str(dump)],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "TABLE DATA public numbers" in listed.stdout
