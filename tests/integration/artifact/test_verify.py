"""A verification succeeds for what restores to what was backed up, and for nothing else."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ansible_collections.postgres.operator.plugins.module_utils import errors
from ansible_collections.postgres.operator.plugins.module_utils.artifact import verify as verifying
from ansible_collections.postgres.operator.plugins.module_utils.artifact.artifact import (
    check_artifact,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.progress import (
    Figures,
    Progress,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.verify import (
    VerifyRequest,
    verify_artifact,
)
from test_round_trip import AWKWARD_NAME, AWKWARD_SQL

BIG_TABLE = (
    "CREATE TABLE big AS SELECT repeat(md5(n::text), 40) AS words FROM generate_series(1, 30000) n"
)


@pytest.fixture
def verify(bench, scratch):
    """Verify the bench's artifact; returns what that returns."""

    def run(progress: Progress | None = None, **changes: object) -> dict[str, object]:
        settings = {"jobs": 2, "scratch": scratch} | changes
        return verify_artifact(VerifyRequest(bench.store, bench.location, **settings), progress)

    return run


def rewrite(folder: Path, name: str, change) -> None:
    """Change a table's dumped rows and make all checksums fit again."""
    manifest_file = folder / "manifest.json"
    manifest = json.loads(manifest_file.read_text())
    [path] = [
        path
        for path in (folder / "dump").glob("*.dat.gz")
        if name.encode() in gzip.decompress(path.read_bytes())
    ]
    path.write_bytes(gzip.compress(change(gzip.decompress(path.read_bytes()))))
    for entry in manifest["files"]:
        if entry["name"] == f"dump/{path.name}":
            content = path.read_bytes()
            entry["sizeBytes"] = len(content)
            entry["sha256"] = hashlib.sha256(content).hexdigest()
    manifest_file.write_text(json.dumps(manifest))


def scratch_processes(folder: Path) -> list[int]:
    """The servers, not their children, that have their data below a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"-D" in arguments and str(folder).encode() in b" ".join(arguments):
            found.append(int(process.name))
    return found


def eventually(condition: Callable[[], bool], seconds: float = 60) -> bool:
    """Wait for what a busy machine may take its time over."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def test_everything_awkward_is_verified(roles, make_bench, scratch) -> None:
    """Without roles, databases or anything else of the server that was backed up."""
    bench = make_bench(AWKWARD_NAME)
    bench.execute(AWKWARD_SQL)
    artifact = bench.backup()
    before = bench.databases()
    verification = verify_artifact(VerifyRequest(bench.store, bench.location, scratch, jobs=2))
    assert bench.databases() == before
    times = {
        "startTime": verification["startTime"],
        "completionTime": verification["completionTime"],
    }
    assert verification == artifact.summary() | times
    assert scratch_processes(scratch) == []


@pytest.mark.parametrize(
    "options",
    [
        "ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'",
        "LOCALE_PROVIDER icu ICU_LOCALE 'de-AT' LC_COLLATE 'C.UTF-8' LC_CTYPE 'C.UTF-8'",
    ],
)
def test_the_scratch_database_is_like_the_source(make_bench, scratch, options) -> None:
    """A constraint holds in the source's locale only; a byte is a letter in its encoding only."""
    bench = make_bench(options=f"{options} TEMPLATE template0")
    bench.execute(
        "CREATE TABLE t (a text CHECK"
        " (current_setting('server_encoding') = 'LATIN1' OR 'ä' < 'b'));"
        "INSERT INTO t VALUES ('grün')"
    )
    bench.backup()
    verify_artifact(VerifyRequest(bench.store, bench.location, scratch))


def test_extensions_that_must_be_loaded_are(bench, verify, scratch) -> None:
    seen: list[str] = []

    class Looking(Progress):
        @contextmanager
        def step(self, name: str, figures: Figures | None = None) -> Iterator[None]:
            yield
            if name == "Restoring into it":
                [process] = scratch_processes(scratch)
                seen.extend((Path("/proc") / str(process) / "cmdline").read_text().split("\0"))

    bench.execute("CREATE EXTENSION pg_stat_statements")
    bench.backup()
    verify(Looking())
    assert "shared_preload_libraries=pg_stat_statements" in seen
    assert {"listen_addresses=", "fsync=off", "max_worker_processes=0"} <= set(seen)


def change_a_row(rows: bytes) -> bytes:
    assert rows.count(b"old") == 1
    return rows.replace(b"old", b"odd")


def lose_a_row(rows: bytes) -> bytes:
    return rows.replace(b"old\n", b"")


def double_a_row(rows: bytes) -> bytes:
    return rows.replace(b"old\n", b"old\nold\n")


@pytest.mark.parametrize("change", [change_a_row, lose_a_row, double_a_row])
def test_a_forgery_with_good_checksums_is_found_by_the_verification_only(
    bench, verify, change
) -> None:
    bench.backup()
    rewrite(bench.folder, "old", change)
    check_artifact(bench.store, bench.location)
    with pytest.raises(errors.VerificationFailed, match=r'table "public"\."version" has \d rows'):
        verify()


def test_a_dump_that_does_not_restore_is_found(bench, verify) -> None:
    bench.execute(
        "CREATE TABLE checked (name text PRIMARY KEY); INSERT INTO checked VALUES ('once')"
    )
    bench.backup()
    rewrite(bench.folder, "once", lambda rows: rows.replace(b"once\n", b"once\nonce\n"))
    check_artifact(bench.store, bench.location)
    with pytest.raises(errors.VerificationFailed, match="could not create unique index"):
        verify()


def test_a_damaged_file_starts_no_server(bench, verify) -> None:
    artifact = bench.backup()
    progress = Progress()
    with pytest.raises(errors.ChecksumMismatch):
        verify(progress, expected_sha256="0" * 64)
    [path, *_] = (bench.folder / "dump").glob("*.dat.gz")
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(errors.ChecksumMismatch, match=path.name):
        verify(progress, expected_sha256=artifact.sha256)
    assert progress.steps == []


def edit_source(bench, **changes: object) -> None:
    path = bench.folder / "manifest.json"
    document = json.loads(path.read_text())
    document["source"].update(changes)
    path.write_text(json.dumps(document))


def test_what_the_programs_lack_is_named(bench, verify) -> None:
    bench.backup()
    edit_source(bench, extensions=[{"name": "postgis", "version": "3.3.2"}])
    with pytest.raises(errors.VerificationFailed, match=r'extensions .* lacks: "postgis"; use an'):
        verify()
    edit_source(bench, extensions=[], serverVersionNum=990001)
    with pytest.raises(errors.IncompatibleVersion, match=r"99\.1"):
        verify()


def test_a_library_that_the_image_lacks_is_named(bench, verify, monkeypatch) -> None:
    bench.backup()
    edit_source(bench, extensions=[{"name": "no_such_library", "version": "1.0"}])
    monkeypatch.setattr(verifying, "_PRELOADED", ("no_such_library",))
    with pytest.raises(errors.VerificationFailed, match=r'did not start.*"no_such_library"'):
        verify()


def test_programs_that_are_not_there(bench, verify, monkeypatch, tmp_path) -> None:
    bench.backup()
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "pg_restore").symlink_to(shutil.which("pg_restore"))
    monkeypatch.setenv("PATH", str(folder))
    with pytest.raises(errors.ServerVersionUnsupported, match="initdb is not on PATH"):
        verify()


def test_a_scratch_folder_that_cannot_be_used(bench, verify, scratch) -> None:
    bench.backup()
    with pytest.raises(errors.InvalidInput, match="nowhere"):
        verify(scratch=scratch / "nowhere")
    deep = scratch / ("d" * 90)
    deep.mkdir()
    with pytest.raises(errors.InvalidInput, match="too long"):
        verify(scratch=deep)
    assert list(deep.iterdir()) == []
    deep.rmdir()


class Killing(Progress):
    """Kills processes of the scratch server as soon as the restore has begun."""

    def __init__(self, find) -> None:
        super().__init__()
        self.find = find

    @contextmanager
    def step(self, name: str, figures: Figures | None = None) -> Iterator[None]:
        killer = threading.Thread(target=self.kill)
        if name == "Restoring into it":
            killer.start()
        try:
            yield
        finally:
            if killer.ident:
                killer.join()

    def kill(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            for process in self.find():
                os.kill(process, signal.SIGKILL)
                return
            time.sleep(0.002)


def test_a_killed_scratch_server_is_reported(bench, verify, scratch) -> None:
    bench.execute(BIG_TABLE)
    bench.backup()
    with pytest.raises(errors.OutOfMemory, match=r"scratch server was killed: .*by signal 9"):
        verify(Killing(lambda: scratch_processes(scratch)))


def test_a_killed_session_of_the_scratch_server_is_reported(bench, verify, scratch) -> None:
    """What happens when memory is short: a child is killed, and the server ends all the others."""

    def copying() -> list[int]:
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                title = (process / "cmdline").read_bytes()
                parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
            except OSError:
                continue
            if (
                b" verification " in title
                and b"COPY" in title
                and int(parent) in scratch_processes(scratch)
            ):
                found.append(int(process.name))
        return found

    bench.execute(BIG_TABLE)
    bench.backup()
    with pytest.raises(
        errors.OutOfMemory, match=r"killed: .*terminated by signal 9.*limits\.memory"
    ):
        verify(Killing(copying))


def test_a_full_disk_is_reported(bench, verify, scratch) -> None:
    """A limit on the size of files stands for the end of the disk."""
    bench.execute(BIG_TABLE)
    bench.backup()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20 * 1024 * 1024, hard))
    try:
        with pytest.raises(errors.NoSpace, match=f"whole database .* {scratch}: make room"):
            verify()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)


def test_a_server_does_not_outlive_a_verification_that_is_killed(bench, scratch, tmp_path) -> None:
    bench.execute(BIG_TABLE)
    bench.backup()
    script = (
        "import sys; from pathlib import Path\n"
        "from ansible_collections.postgres.operator.plugins.module_utils.artifact.verify import *\n"
        "root, uid, scratch = sys.argv[1:]\n"
        "from ansible_collections.postgres.operator.plugins.module_utils.store.filesystem"
        " import FilesystemStore\n"
        "store = ArtifactStore(FilesystemStore(Path(root)))\n"
        "verify_artifact(VerifyRequest(store, Location('ns', 'app', uid), Path(scratch)))\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    arguments = [bench.files.root, bench.location.uid, scratch]
    run = subprocess.Popen([sys.executable, "-c", script, *arguments], env=environment)
    assert eventually(lambda: bool(scratch_processes(scratch)))
    run.kill()
    run.wait()
    assert eventually(lambda: not scratch_processes(scratch))
    for folder in scratch.iterdir():
        shutil.rmtree(folder)
