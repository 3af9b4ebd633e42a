"""Damaged, exchanged and forged artifacts are refused before anything is written.

Each mutation is another one, drawn with a fixed seed; for more of them:

    MUTATIONS=1000 pytest tests/integration/artifact/test_mutations.py
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.postgres.operator.plugins.module_utils import errors
from ansible_collections.postgres.operator.plugins.module_utils.artifact.create import (
    create_artifact,
)

COUNT = int(os.environ.get("MUTATIONS", "90"))
REFUSALS = (errors.ChecksumMismatch, errors.IncompatibleVersion, errors.BackupLocationMissing)

Mutation = Callable[[random.Random, Path, Path], None]


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def a_file(chance: random.Random, folder: Path) -> Path:
    return chance.choice([path for path in files(folder) if path.stat().st_size])


def flip_a_bit(chance: random.Random, folder: Path, _: Path) -> None:
    path = a_file(chance, folder)
    content = bytearray(path.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def truncate(chance: random.Random, folder: Path, _: Path) -> None:
    path = a_file(chance, folder)
    content = path.read_bytes()
    path.write_bytes(content[: chance.randrange(len(content))])


def append(chance: random.Random, folder: Path, _: Path) -> None:
    path = a_file(chance, folder)
    # A line end alone would do no harm to a manifest, and is refused all the same.
    path.write_bytes(path.read_bytes() + chance.choice([b"\n", b"\0", b"x", chance.randbytes(9)]))


def zero_a_range(chance: random.Random, folder: Path, _: Path) -> None:
    path = a_file(chance, folder)
    content = bytearray(path.read_bytes())
    start = chance.randrange(len(content))
    end = chance.randrange(start, len(content)) + 1
    # Bytes that are zero already make no difference.
    content[start:end] = bytes(end - start) if any(content[start:end]) else b"\1" * (end - start)
    path.write_bytes(content)


def swap_two(chance: random.Random, folder: Path, _: Path) -> None:
    while True:
        one, other = chance.sample(files(folder), 2)
        contents = one.read_bytes(), other.read_bytes()
        if contents[0] != contents[1]:
            break
    one.write_bytes(contents[1])
    other.write_bytes(contents[0])


def remove_one(chance: random.Random, folder: Path, _: Path) -> None:
    chance.choice(files(folder)).unlink()


def add_one(chance: random.Random, folder: Path, _: Path) -> None:
    name = chance.choice(["9999.dat", "toc.dat.old", ".hidden", "sub/9999.dat"])
    path = folder / "dump" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(chance.randbytes(chance.randrange(20)))


def rename_one(chance: random.Random, folder: Path, _: Path) -> None:
    path = chance.choice(files(folder))
    path.rename(path.with_name(f"{path.name}x"))


def exchange_a_file(chance: random.Random, folder: Path, foreign: Path) -> None:
    """Take a file from another backup of the same database."""
    ours = {path.relative_to(folder): path.read_bytes() for path in files(folder)}
    theirs = {path.relative_to(foreign): path.read_bytes() for path in files(foreign)}
    different = sorted(n for n in ours.keys() & theirs.keys() if ours[n] != theirs[n])
    name = chance.choice(different)
    (folder / name).write_bytes(theirs[name])


def exchange_everything(_: random.Random, folder: Path, foreign: Path) -> None:
    shutil.rmtree(folder)
    shutil.copytree(foreign, folder)


def edit_the_manifest(chance: random.Random, folder: Path, _: Path) -> None:
    """Change one value, so that it stays JSON of the right form as often as not."""
    path = folder / "manifest.json"
    document = json.loads(path.read_text())
    change_a_value(chance, document)
    path.write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n")


def change_a_value(chance: random.Random, document: object) -> None:
    while True:
        keys = list(document) if isinstance(document, dict) else list(range(len(document)))
        key = chance.choice(keys)
        value = document[key]
        if isinstance(value, dict | list) and value:
            document = value
            continue
        others = [value + 1 if type(value) is int else 1, f"{value}x", None, [], {}, "", True]
        document[key] = chance.choice([other for other in others if other != value])
        return


def forge(chance: random.Random, folder: Path, _: Path) -> None:
    """Alter a file and make the manifest fit: only the Backup's recorded checksum tells."""
    path = chance.choice([path for path in files(folder / "dump") if path.stat().st_size])
    content = bytearray(path.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)
    manifest = folder / "manifest.json"
    document = json.loads(manifest.read_text())
    for entry in document["files"]:
        if entry["name"] == path.relative_to(folder).as_posix():
            entry["sha256"] = hashlib.sha256(content).hexdigest()
    manifest.write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n")


MUTATIONS: list[Mutation] = [
    flip_a_bit, truncate, append, zero_a_range, swap_two, remove_one, add_one, rename_one,
    exchange_a_file, exchange_everything, edit_the_manifest, forge,
]  # fmt: skip


@pytest.fixture
def originals(changed) -> tuple[str, Path, Path]:
    """The recorded checksum, and two whole artifacts of the same database."""
    kept = changed.files.root.parent / "original"
    shutil.copytree(changed.folder, kept)
    manifest = (changed.folder / "manifest.json").read_bytes()
    other = replace(
        changed.backup_request(), location=replace(changed.location, uid=str(uuid.uuid4()))
    )
    create_artifact(other)
    return hashlib.sha256(manifest).hexdigest(), kept, changed.files.folder(other.location)


def test_every_mutation_is_refused_before_any_write(changed, originals) -> None:
    recorded, kept, foreign = originals
    chance = random.Random(20261)
    databases = changed.databases()
    log_so_far = len(changed.server.log)
    refused: Counter[str] = Counter()
    for number in range(COUNT):
        mutation = MUTATIONS[number % len(MUTATIONS)]
        shutil.rmtree(changed.folder)
        shutil.copytree(kept, changed.folder)
        mutation(chance, changed.folder, foreign)
        try:
            changed.restore(expected_sha256=recorded, jobs=1)
        except REFUSALS as error:
            refused[type(error).__name__] += 1
        else:
            pytest.fail(f"mutation {number}, {mutation.__name__}, was restored")
    assert sum(refused.values()) == COUNT
    written = changed.server.log[log_so_far:]
    for word in ("CREATE", "INSERT", "ALTER", "DROP"):
        assert f"statement: {word}" not in written
    assert changed.databases() == databases
    assert changed.scalar("SELECT name FROM version") == "new"
    shutil.rmtree(changed.folder)
    shutil.copytree(kept, changed.folder)
    changed.restore(expected_sha256=recorded)
    assert changed.scalar("SELECT name FROM version") == "old", "the unharmed one restores"
