"""The playbooks as Jobs run them, and where the password must not be seen meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from collection_root import CHECKOUT, ensure_collection_root


@pytest.fixture
def play(changed, tmp_path):
    """Run a playbook; returns its exit status, its result document and its output."""

    def run(name: str, **changes: object):
        result_file = tmp_path / "result"
        variables = {
            "postgres_host": changed.server.host,
            "postgres_port": changed.server.port,
            "postgres_user": changed.server.user,
            "postgres_password_file": str(changed.server.password_file),
            "postgres_database": changed.database,
            "artifact_root": str(changed.files.root),
            "artifact_namespace": "ns",
            "artifact_database": "app",
            "artifact_uid": changed.location.uid,
            "result_file": str(result_file),
            "progress_file": str(tmp_path / "progress"),
        } | changes
        (tmp_path / "vars.json").write_text(json.dumps(variables))
        environment = os.environ | {
            "ANSIBLE_COLLECTIONS_PATH": str(ensure_collection_root()),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        }
        done = subprocess.run(
            [
                Path(sys.executable).with_name("ansible-playbook"),
                CHECKOUT / "playbooks" / f"{name}.yml",
                "-v",
                f"--extra-vars=@{tmp_path / 'vars.json'}",
            ],
            check=False,
            env=environment,
            capture_output=True,
            text=True,
            cwd=tmp_path,
        )
        return done.returncode, json.loads(result_file.read_text()), done.stdout + done.stderr

    return run


class Watcher:
    """Reads every process's arguments and environment again and again."""

    def __init__(self, secret: str) -> None:
        self.secret = secret.encode()
        self.programs: set[str] = set()
        self.found: set[str] = set()
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.watch)

    def watch(self) -> None:
        while not self.over.is_set():
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    arguments = (process / "cmdline").read_bytes()
                    environment = (process / "environ").read_bytes()
                except OSError:
                    continue
                self.programs.add(Path(arguments.split(b"\0")[0].decode(errors="replace")).name)
                if self.secret in arguments or self.secret in environment:
                    self.found.add(arguments.decode(errors="replace"))
            time.sleep(0.005)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def test_backup_then_restore(changed, play, tmp_path) -> None:
    # A part that looks the same however it is quoted.
    secret = changed.server.password_file.read_text().split()[-1]
    uid = str(uuid.uuid4())
    with Watcher(secret) as watcher:
        status, backed_up, output = play("backup", artifact_uid=uid)
        assert (status, backed_up["ok"]) == (0, True), output
        changed.execute("DROP TABLE numbers")
        status, restored, more = play(
            "restore",
            artifact_uid=uid,
            artifact_sha256=backed_up["sha256"],
            restore_uid=str(uuid.uuid4()),
        )
        assert (status, restored["ok"]) == (0, True), more
    assert changed.scalar("SELECT count(*) FROM numbers") == 10
    assert backed_up["location"] == f"ns/app/{uid}"
    assert set(backed_up) == {
        "ok", "location", "sizeBytes", "sha256", "serverVersion", "tables", "rows",
        "startTime", "completionTime",
    }  # fmt: skip
    assert set(restored) == {*backed_up, "previousDatabase"}
    steps = (tmp_path / "progress").read_text()
    assert "Dumping and fingerprinting 2 tables: done" in steps
    assert "Replacing database" in steps
    assert {"pg_dump", "pg_restore"} <= watcher.programs, "the watcher has seen the programs"
    assert not watcher.found
    manifest = (changed.files.root / backed_up["location"] / "manifest.json").read_text()
    for text in (output, more, steps, changed.server.log, json.dumps(backed_up), manifest):
        assert secret not in text


def test_failures_are_told(changed, play, tmp_path) -> None:
    status, result, _ = play("restore", artifact_uid="nothing-here", restore_uid=str(uuid.uuid4()))
    assert status != 0
    assert (result["ok"], result["reason"]) == (False, "BackupLocationMissing")
    wrong = tmp_path / "wrong"
    wrong.write_text("wrong")
    status, result, _ = play("backup", postgres_password_file=str(wrong), artifact_uid="a")
    assert status != 0
    assert (result["ok"], result["reason"]) == (False, "AuthFailed")
    status, result, _ = play("backup", jobs="many", postgres_host=None)
    assert status != 0
    assert result["reason"] == "InvalidInput"
    assert "jobs" in result["message"]


@contextmanager
def once_it_is_there(path: Path, act: Callable[[], object]) -> Iterator[None]:
    """Do something as soon as a file is there: between two steps of a playbook."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.005):
            if path.exists():
                act()
                return

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("removable", [True, False])
def test_what_was_made_and_could_not_be_read_back_is_gone(
    changed, play, key, spool, removable
) -> None:
    """Its Backup is Failed, for a reason that a removal which fails does not hide."""
    folder = changed.files.folder(replace(changed.location, uid=str(uuid.uuid4())))

    def take_the_key_away() -> None:
        key.identity_file.unlink()
        if not removable:
            # A folder where a removal expects a file.
            (folder / ".manifest.json.new").mkdir()

    with once_it_is_there(folder / "manifest.json.age", take_the_key_away):
        status, result, output = play(
            "backup",
            artifact_uid=folder.name,
            encryption_identity_file=str(key.identity_file),
            spool_folder=str(spool),
        )
    assert status == 2, "the exit code that keeps a Job from trying again"
    assert (result["ok"], result["reason"]) == (False, "SecretMissing"), output
    assert "The artifact read back from the disk is what was written: " in output
    assert folder.exists() == (not removable)


def test_what_an_earlier_run_has_made_stays(changed, play) -> None:
    status, result, output = play("backup", encryption_identity_file="/no/such/key")
    assert (status, result["reason"]) == (2, "SecretMissing"), output
    (changed.folder / "dump" / "more").write_text("x")
    status, result, output = play("backup")
    assert (status, result["reason"]) == (2, "ChecksumMismatch"), output
    assert (changed.folder / "manifest.json").exists()


def test_a_backup_is_proven_without_its_server(changed, play, tmp_path) -> None:
    status, proven, output = play("verify", postgres_host="nowhere")
    assert (status, proven["ok"]) == (0, True), output
    assert (proven["tables"], proven["rows"]) == (2, 20001)
    assert "Comparing it with the manifest: done" in (tmp_path / "progress").read_text()


def test_a_backup_that_cannot_be_proven_is_told(changed, play) -> None:
    status, result, _ = play("verify", artifact_sha256="0" * 64)
    assert status == 2, "the exit code that keeps a Job from trying again"
    assert (result["ok"], result["reason"]) == (False, "ChecksumMismatch")
    status, result, _ = play("verify", scratch_folder="/no/such/folder")
    assert status == 2
    assert (result["ok"], result["reason"]) == (False, "InvalidInput")
    assert "/no/such/folder" in result["message"]
