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
from psycopg import sql


@pytest.fixture
def play(changed, tmp_path):
    """Run a playbook; returns its exit status, its result document and its output."""

    result_file, variables_file = tmp_path / "result", tmp_path / "variables.json"

    def run(name: str, **changes: object):
        variables = {
            "root": str(changed.files.root),
            "namespace": "ns",
            "resource": "app",
            "uid": changed.location.uid,
            "result_file": str(result_file),
        }
        if name == "search":
            del variables["uid"]
        elif name != "remove":
            variables |= {"jobs": 2, "progress_file": str(tmp_path / "progress")}
        if name in {"backup", "restore"}:
            variables |= {
                "host": changed.server.host,
                "port": changed.server.port,
                "user": changed.server.user,
                "password_file": str(changed.server.password_file),
                "sslmode": "disable",
                "database": changed.database,
            }
        if name == "verify":
            variables["scratch"] = "/tmp"
        variables_file.write_text(json.dumps(variables | changes))
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
                f"--extra-vars=variables_file={variables_file.name}",
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
        status, backed_up, output = play("backup", uid=uid)
        assert (status, backed_up["ok"]) == (0, True), output
        changed.execute("DROP TABLE numbers")
        status, restored, more = play(
            "restore",
            uid=uid,
            sha256=backed_up["sha256"],
            restore_uid=str(uuid.uuid4()),
        )
        assert (status, restored["ok"]) == (0, True), more
    assert changed.scalar("SELECT count(*) FROM numbers") == 10
    assert backed_up["location"] == f"ns/app/{uid}"
    assert set(backed_up) == {
        "ok", "location", "sizeBytes", "sha256", "serverVersion", "tables", "rows",
        "startTime", "completionTime", "partial", "restoreSizeBytes",
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


def test_failures_are_reported(changed, play, tmp_path) -> None:
    status, result, _ = play("restore", uid="nothing-here", restore_uid=str(uuid.uuid4()))
    assert status != 0
    assert (result["ok"], result["reason"]) == (False, "BackupLocationMissing")
    wrong = tmp_path / "wrong"
    wrong.write_text("wrong")
    status, result, _ = play("backup", password_file=str(wrong), uid="a")
    assert status != 0
    assert (result["ok"], result["reason"]) == (False, "AuthFailed")
    for name, changes, expected in (
        ("backup", {"jobs": "many", "host": None}, "missing required arguments: host"),
        ("backup", {"jobs": "many"}, "'jobs' is of type str"),
        ("backup", {"include": {"schema": ["a"]}}, "unknown: include.schema"),
        ("verify", {"databaseNmae": "app"}, "unknown: databaseNmae"),
        ("verify", {"uid": "../app"}, "../app"),
    ):
        status, result, output = play(name, **changes)
        assert status == 2
        assert (result["ok"], result["reason"]) == (False, "InvalidInput")
        assert expected in result["message"], output


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
    changed, play, key, spool, tmp_path, removable
) -> None:
    """Its Backup is Failed, for a reason that a removal which fails does not hide."""
    folder = changed.files.folder(replace(changed.location, uid=str(uuid.uuid4())))

    def lose_files() -> None:
        for path in (folder / "dump").iterdir():
            path.unlink()
        if not removable:
            # A folder where a removal expects a file.
            (folder / ".manifest.json.new").mkdir()

    with once_it_is_there(folder / "manifest.json.age", lose_files):
        status, result, output = play(
            "backup",
            uid=folder.name,
            identity_file=str(key.identity_file),
            spool=str(spool),
        )
    assert status == 2, "the exit code that keeps a Job from trying again"
    assert (result["ok"], result["reason"]) == (False, "ChecksumMismatch"), output
    assert f"Reading back backup ns/app/{folder.name} ..." in (tmp_path / "progress").read_text()
    assert folder.exists() == (not removable)


def test_what_an_earlier_run_has_made_stays(changed, play) -> None:
    status, result, output = play("backup", identity_file="/no/such/key", spool="/tmp")
    assert (status, result["reason"]) == (2, "SecretMissing"), output
    (changed.folder / "dump" / "more").write_text("x")
    status, result, output = play("backup")
    assert (status, result["reason"]) == (2, "ChecksumMismatch"), output
    assert (changed.folder / "manifest.json").exists()


def test_a_backup_is_verified_without_its_server(changed, play, tmp_path) -> None:
    status, verified, output = play("verify")
    assert (status, verified["ok"]) == (0, True), output
    assert (verified["tables"], verified["rows"]) == (2, 20001)
    assert "Comparing it with the manifest: done" in (tmp_path / "progress").read_text()


def test_a_backup_is_copied_and_removed(changed, play, tmp_path) -> None:
    (tmp_path / "copy").mkdir()
    status, result, output = play("copy", target=str(tmp_path / "copy"))
    assert (status, result) == (0, {"ok": True, "location": str(changed.location)}), output
    status, result, output = play("remove")
    assert (status, result) == (0, {"ok": True, "location": str(changed.location)}), output
    assert not changed.folder.exists()
    status, result, output = play("verify", root=str(tmp_path / "copy"))
    assert (status, result["ok"]) == (0, True), output


def test_a_backup_that_cannot_be_verified_is_reported(changed, play) -> None:
    status, result, _ = play("verify", sha256="0" * 64)
    assert status == 2, "the exit code that keeps a Job from trying again"
    assert (result["ok"], result["reason"]) == (False, "ChecksumMismatch")
    status, result, _ = play("verify", scratch="/no/such/folder")
    assert status == 2
    assert (result["ok"], result["reason"]) == (False, "InvalidInput")
    assert "/no/such/folder" in result["message"]


TEXTS = [
    "{{ 6 * 7 }}",
    "{{ 'pub' ~ 'lic' }}",
    "{% if true %}public{% endif %}",
    "$(id -un); `id`",
    "../x",
    "a\r\nb",
    "\"'`",
    "x host=127.0.0.1 user=x",
]


def test_text_in_the_variables_is_data(changed, play) -> None:
    """Of two schemas, one with a name that could be taken for more, only that one is selected."""
    changed.execute("CREATE TABLE public.beside AS SELECT 1 AS n")
    for number, text in enumerate(TEXTS):
        changed.execute(
            sql.SQL("CREATE SCHEMA {}; CREATE TABLE {} AS SELECT {} AS n").format(
                sql.Identifier(text), sql.Identifier(text, "rows"), sql.Literal(number)
            )
        )
    uid = str(uuid.uuid4())
    status, result, output = play("backup", uid=uid, include={"schemas": TEXTS})
    assert (status, result["ok"]) == (0, True), output
    assert (result["tables"], result["rows"]) == (len(TEXTS), len(TEXTS))
    status, result, output = play(
        "restore",
        uid=uid,
        restore_uid=str(uuid.uuid4()),
        database="beside",
        partial=True,
        exclude={"schemas": TEXTS[:1]},
    )
    assert (status, result["ok"], result["rows"]) == (0, True, len(TEXTS) - 1), output
    with changed.connect("beside") as connection:
        for number, text in enumerate(TEXTS):
            query = sql.SQL("SELECT n FROM {}").format(sql.Identifier(text, "rows"))
            assert connection.execute(query).fetchall() == ([(number,)] if number else [])


@pytest.mark.parametrize("name", ["backup", "restore"])
def test_text_that_names_nothing_is_reported_as_it_is(changed, play, name) -> None:
    changes = (
        {"restore_uid": str(uuid.uuid4()), "database": "beside", "partial": True}
        if name == "restore"
        else {"uid": str(uuid.uuid4())}
    )
    status, result, output = play(name, include={"schemas": TEXTS[:5]}, **changes)
    assert (status, result["reason"]) == (2, "InvalidInput"), output
    for text in TEXTS[:5]:
        assert f'schema "{text}"' in result["message"]


def test_a_backup_finds_out_which_others_are_gone(changed, play) -> None:
    there, gone = changed.location.uid, str(uuid.uuid4())
    status, result, output = play("backup", uid=str(uuid.uuid4()), completed=[gone, there])
    assert status == 0, output
    assert result["missing"] == [gone]
    status, result, _ = play("backup", uid=str(uuid.uuid4()), completed=[there])
    assert "missing" not in result


def test_a_search_reports_what_is_gone_and_what_keeps_it_from_searching(
    changed, play, tmp_path
) -> None:
    there, gone = changed.location.uid, [str(uuid.uuid4()) for _ in range(120)]
    status, result, output = play("search", completed=[there])
    assert (status, result) == (0, {"ok": True, "missing": []}), output
    status, result, output = play("search", completed=[*gone, there])
    assert (status, result) == (0, {"ok": True, "missing": gone[:100]}), output
    (changed.folder / "manifest.json").unlink()
    status, result, output = play("search", completed=[there])
    assert (status, result) == (0, {"ok": True, "missing": [there]}), output
    for changes, reason, words in (
        ({"completed": ["../x"]}, "InvalidInput", "../x"),
        ({}, "InvalidInput", "missing required arguments: completed"),
    ):
        status, result, _ = play("search", **changes)
        assert (status, result["ok"], result["reason"]) == (2, False, reason)
        assert words in result["message"]
