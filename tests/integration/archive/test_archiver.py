"""The archiver and archive_command beside a real server."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.archive import names
from ansible_collections.postgres.operator.plugins.module_utils.archive.archiver import (
    read_system_identifier,
)
from ansible_collections.postgres.operator.plugins.module_utils.archive.wal_archive import (
    Identity,
    WalArchive,
    archive_location,
)
from ansible_collections.postgres.operator.plugins.module_utils.postgres.archiving import (
    read_archiving,
)
from ansible_collections.postgres.operator.plugins.module_utils.store.filesystem import (
    FilesystemStore,
)
from collection_root import CHECKOUT, ensure_collection_root
from instances import PROGRAM, wait_for
from s3_faults import faulty


@dataclass
class Site:
    """A server, its archiver, and the archive as a reader has it."""

    server: object
    folder: Path
    archive: WalArchive
    settings: dict[str, object]
    process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        return self.server.folder / "data"

    @property
    def failing(self) -> str:
        path = self.folder / "shared/failing"
        return path.read_text() if path.exists() else ""

    @property
    def output(self) -> str:
        return (self.folder / "log").read_text()

    def start(self, program: str = PROGRAM, **changes: object) -> None:
        (self.folder / "settings").write_text(json.dumps(self.settings | changes))
        arguments = [
            word
            for name in ("settings", "shared", "spool")
            for word in (f"--{name}", str(self.folder / name))
        ]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", program, *arguments, "--data", str(self.data)],
                env=os.environ | {"PYTHONPATH": str(ensure_collection_root())},
                stdout=log,
                stderr=log,
            )

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        if self.process:
            self.process.send_signal(number)
            self.process.wait(timeout=60)
            self.process = None

    def switch(self) -> str:
        """Fill a segment a little, end it, and return its name."""
        with self.server.connect() as connection:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS t (a text);"
                " INSERT INTO t SELECT md5(n::text) FROM generate_series(1, 1000) n"
            )
            lsn = connection.execute("SELECT pg_walfile_name(pg_switch_wal())").fetchone()
            return str(lsn[0])

    def archived(self) -> dict[str, object]:
        with self.server.connect() as connection:
            row = connection.execute(
                "SELECT archived_count, last_archived_wal, failed_count FROM pg_stat_archiver"
            ).fetchone()
        return dict(zip(("count", "last", "failed"), row, strict=True))

    def wait_until_archived(self, name: str, seconds: float = 40) -> None:
        wait_for(lambda: (self.archived()["last"] or "") >= name, f"{name} is archived", seconds)

    def local(self, name: str) -> str:
        return hashlib.sha256((self.data / "pg_wal" / name).read_bytes()).hexdigest()

    def segments(self) -> list[str]:
        return list(self.archive.segments(1))


@pytest.fixture(scope="module")
def archiving(run_server) -> Iterator[tuple[object, Path]]:
    """A server that archives by the script of the agent, and the folder that it shares."""
    folder = Path(tempfile.mkdtemp(prefix="archiving-"))
    folder.chmod(0o755)
    (folder / "shared").mkdir()
    shutil.copy(CHECKOUT / "image/agent/archive-wal", folder / "archive-wal")
    (folder / "archive-wal").chmod(0o755)
    command = f"ARCHIVE_TRIES=30 ARCHIVE_FOLDER={folder}/shared {folder}/archive-wal %f"
    with run_server(
        Path(tempfile.mkdtemp(prefix="archived-server-")),
        archive_mode="always",
        archive_command=command,
        wal_keep_size="2GB",
    ) as server:
        yield server, folder
    shutil.rmtree(folder)


@pytest.fixture
def site(archiving, s3, s3_store, tmp_path) -> Iterator[Site]:
    """The server with an archive of its own in S3; its archiver is to be started."""
    server, folder = archiving
    shutil.rmtree(folder / "spool", ignore_errors=True)
    (folder / "spool").mkdir()
    (folder / "log").write_text("")
    uid = str(uuid.uuid4())
    settings = {
        "namespace": "ns",
        "database": "app",
        "uid": uid,
        "recipients": [],
        "s3": {
            "endpoint": s3.endpoint,
            "bucket": s3_store.bucket,
            "prefix": s3_store.prefix,
            "credentials_folder": str(s3.credentials),
            "ca_file": str(s3.ca_file),
            "path_style": True,
        },
    }
    archive = WalArchive(s3_store, archive_location("ns", "app", uid), None, tmp_path)
    made = Site(server, folder, archive, settings)
    yield made
    made.end(signal.SIGKILL)
    # Whatever this test has left goes to an archive that nobody reads.
    made.start(uid=str(uuid.uuid4()))
    name = made.switch()
    made.wait_until_archived(name, 90)
    made.end()
    assert list((folder / "shared/durable").iterdir()) == []


def test_segments_arrive_as_they_are(site, tmp_path) -> None:
    site.start()
    made = [site.switch() for _ in range(6)]
    site.wait_until_archived(made[-1])
    assert set(made) <= set(site.segments())
    for name in made:
        assert site.archive.fetch(name, tmp_path / name)
        assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == site.local(name)
    found = site.archive.read_identity()
    assert found == Identity(
        "ns", "app", str(site.settings["uid"]), read_system_identifier(site.data)
    )
    with site.server.connect() as connection:
        row = connection.execute("SELECT system_identifier::text FROM pg_control_system()")
        assert row.fetchone() == (found.system_identifier,)
    durable = site.folder / "shared/durable"
    wait_for(lambda: not list(durable.iterdir()), "the markers are gone")
    assert len(site.output.splitlines()) <= 2, "no line for a segment"


def test_an_archive_is_there_before_its_first_segment(site) -> None:
    """A physical backup looks for it."""
    wait_for(lambda: not list((site.data / "pg_wal/archive_status").glob("*.ready")), "no work")
    site.start()
    wait_for(site.archive.read_identity, "the archive begins")
    assert site.segments() == []


def test_a_store_that_comes_while_nothing_waits(site) -> None:
    site.start(s3=site.settings["s3"] | {"endpoint": "https://127.0.0.1:1"})
    wait_for(lambda: site.failing, "it fails")
    (site.folder / "settings").write_text(json.dumps(site.settings))
    wait_for(lambda: not site.failing, "it goes on")
    assert site.archive.read_identity()


def test_encrypted_segments_open_with_the_identity_only(site, key, tmp_path) -> None:
    site.start(recipients=key.public_keys)
    name = site.switch()
    site.wait_until_archived(name)
    assert replace(site.archive, key=key).fetch(name, tmp_path / name)
    assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == site.local(name)


def test_a_folder_as_the_store(site, tmp_path) -> None:
    (tmp_path / "store").mkdir()
    site.start(s3=None, root=str(tmp_path / "store"))
    name = site.switch()
    site.wait_until_archived(name)
    archive = WalArchive(FilesystemStore(tmp_path / "store"), site.archive.location, None, tmp_path)
    assert archive.fetch(name, tmp_path / name)


def test_killed_between_the_store_and_the_marker(site) -> None:
    """What is in the store is found there: nothing is lost, and nothing conflicts."""
    site.start(
        program=PROGRAM.replace(
            "archiver.main(",
            "import os; archiver.SharedFolder.mark = lambda *_: os._exit(9); archiver.main(",
        )
    )
    name = site.switch()
    site.process.wait(timeout=40)
    assert name in site.segments() or site.segments()
    assert (site.archived()["last"] or "") < name
    site.process = None
    site.start()
    site.wait_until_archived(name)
    assert name in site.segments()


def test_archivers_that_are_killed_again_and_again(site, tmp_path) -> None:
    made = []
    for _ in range(8):
        site.start()
        made += [site.switch() for _ in range(3)]
        time.sleep(0.7)
        site.end(signal.SIGKILL)
    site.start()
    site.wait_until_archived(made[-1], 90)
    first, last = names.segment_number(made[0]), names.segment_number(made[-1])
    wanted = [names.segment_name(1, number) for number in range(first, last + 1)]
    assert [name for name in wanted if name not in site.segments()] == []
    for name in wanted:
        assert site.archive.find(name).sha256 == site.local(name)


@pytest.mark.parametrize("kind", ["status-503", "reset", "stall", "forget"])
def test_a_store_that_is_away_for_a_while(site, s3, kind) -> None:
    with faulty(s3) as (endpoint, faults):
        site.start(s3=site.settings["s3"] | {"endpoint": endpoint})
        site.wait_until_archived(site.switch())
        faults.set(kind, lambda method, path: True)
        made = [site.switch() for _ in range(3)]
        wait_for(lambda: site.failing, "the archiver says that it fails", 60)
        since, reason = site.failing.split(maxsplit=2)[:2]
        assert reason == "StoreUnreachable:"
        assert time.strptime(since, "%Y-%m-%dT%H:%M:%SZ")
        began = time.monotonic()
        done = subprocess.run(
            [site.folder / "archive-wal", made[-1]],
            env={"ARCHIVE_FOLDER": str(site.folder / "shared"), "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=False,
        )
        assert time.monotonic() - began < 2, "nothing waits for a store that is away"
        assert done.returncode == 1
        assert "StoreUnreachable" in done.stderr
        assert (site.archived()["last"] or "") < made[0]
        assert all((site.data / "pg_wal" / name).exists() for name in made)
        faults.set("", lambda method, path: False)
        wait_for(lambda: not site.failing, "the archiver goes on", 60)
        site.switch()
        site.wait_until_archived(made[-1], 90)
        assert set(made) <= set(site.segments())
        assert "archives again after" in site.output


def test_the_operator_reads_how_far_it_is(site, s3) -> None:
    site.start()
    name = site.switch()
    site.wait_until_archived(name)
    site.end()
    path = str(site.folder / "shared/failing")
    with site.server.connect() as connection:
        wait_for(lambda: read_archiving(connection, path).pending == 0, "nothing waits")
        well = read_archiving(connection, path)
        assert (well.mode, well.last_wal, well.failing) == ("always", name, "")
        assert well.oldest is None
        assert well.last_time is not None
        assert well.last_time <= well.now
        site.start(s3=site.settings["s3"] | {"endpoint": "https://127.0.0.1:1"})
        site.switch()
        wait_for(lambda: site.failing, "it fails")
        away = read_archiving(connection, path)
    assert away.pending >= 1
    assert away.oldest is not None
    assert "StoreUnreachable: https://127.0.0.1:1" in away.failing


def test_other_content_is_an_error_and_holds_up_only_itself(site, tmp_path) -> None:
    site.start()
    before = site.switch()
    site.wait_until_archived(before)
    conflict = names.next_segment(before)
    other = tmp_path / "other"
    other.write_bytes(b"of another server")
    site.archive.put(conflict, other)
    assert site.switch() == conflict
    after = site.switch()
    wait_for(lambda: "ArchiveConflict" in site.failing, "the conflict is reported")
    wait_for(lambda: after in site.segments(), "the next segment is stored all the same")
    assert site.archive.find(conflict).sha256 == hashlib.sha256(other.read_bytes()).hexdigest()
    assert (site.archived()["last"] or "") < conflict


def test_an_archive_of_another_server_is_left_alone(site) -> None:
    identity = Identity("ns", "app", str(site.settings["uid"]), "1")
    site.archive.identify(identity, create=True)
    site.start()
    site.switch()
    wait_for(lambda: "another server" in site.failing, "it is refused")
    assert site.segments() == []


def test_it_ends_after_the_last_segment(site) -> None:
    site.start()
    # A signal that comes before it listens ends it at once.
    wait_for(site.archive.read_identity, "the archiver runs")
    made = [site.switch() for _ in range(5)]
    site.end(signal.SIGTERM)
    assert set(made) <= set(site.segments())


def test_it_ends_soon_where_the_store_is_away(site) -> None:
    site.start(s3=site.settings["s3"] | {"endpoint": "https://127.0.0.1:1"})
    site.switch()
    wait_for(lambda: site.failing, "it fails")
    began = time.monotonic()
    site.end(signal.SIGTERM)
    assert time.monotonic() - began < 20


def test_settings_are_read_again(site) -> None:
    site.start(s3=site.settings["s3"] | {"endpoint": "https://127.0.0.1:1"})
    name = site.switch()
    wait_for(lambda: site.failing, "it fails")
    (site.folder / "settings").write_text(json.dumps(site.settings))
    site.wait_until_archived(name, 90)


def test_memory_stays_small(site) -> None:
    site.start()
    made = [site.switch() for _ in range(40)]
    site.wait_until_archived(made[-1], 120)
    status = Path(f"/proc/{site.process.pid}/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    assert int(peak.split()[1]) < 100 * 1024, peak


def test_a_script_without_an_archiver_gives_up(tmp_path) -> None:
    (tmp_path / "durable").mkdir()
    done = subprocess.run(
        ["sh", CHECKOUT / "image/agent/archive-wal", "x"],
        env={
            "ARCHIVE_FOLDER": str(tmp_path), "ARCHIVE_TRIES": "2", "PATH": os.environ["PATH"]
        },
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "has not stored it" in done.stderr
