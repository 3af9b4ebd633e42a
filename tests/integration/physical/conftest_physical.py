"""A server whose WAL is archived, and physical backups of it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from ansible_collections.postgres.operator.plugins.module_utils.archive.wal_archive import (
    Identity,
    WalArchive,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.physical import actions
from ansible_collections.postgres.operator.plugins.module_utils.artifact.physical.artifact import (
    PhysicalArtifact,
    load_physical,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.physical.create import (
    PhysicalRequest,
    create_physical,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.physical.extract import (
    ExtractRequest,
    extract,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.physical.recover import (
    Recovered,
    RecoverRequest,
    recover,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.physical.target import (
    END_OF_BACKUP,
    Moment,
    Target,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.restore import (
    RestoreOutcome,
    RestoreRequest,
    restore_artifact,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.selection import (
    Selection,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.stored_files import (
    ArtifactStore,
)
from ansible_collections.postgres.operator.plugins.module_utils.errors import OperatorError
from ansible_collections.postgres.operator.plugins.module_utils.postgres.connection import (
    ConnectionParameters,
    connect,
)
from ansible_collections.postgres.operator.plugins.module_utils.store.filesystem import (
    FilesystemStore,
)
from ansible_collections.postgres.operator.plugins.module_utils.store.protocol import Location
from instances import work_folder

UID = "11111111-2222-3333-4444-555555555555"


@dataclass
class Archived:
    """A server with one database `app`, an archive, and what is made of them."""

    server: object
    store: ArtifactStore
    root: Path
    archive_command: str
    hidden: set[str] = field(default_factory=set)

    @property
    def wal(self) -> WalArchive:
        return WalArchive(
            self.store.files, Location("ns", "app", f"wal-{UID}"), self.store.key, self.store.spool
        )

    @property
    def parameters(self) -> ConnectionParameters:
        server = self.server
        return ConnectionParameters(
            server.host, server.port, server.user, "app", server.password_file
        )

    def connect(self, dbname: str = "app") -> psycopg.Connection:
        return self.server.connect(dbname)

    def execute(self, statement: str, dbname: str = "app") -> None:
        with self.connect(dbname) as connection:
            connection.execute(statement)

    def scalar(self, statement: str, dbname: str = "app") -> object:
        with self.connect(dbname) as connection:
            return connection.execute(statement).fetchone()[0]

    def now(self) -> datetime:
        """A moment between two transactions, by the server's clock."""
        time.sleep(0.01)
        moment = self.scalar("SELECT clock_timestamp()")
        time.sleep(0.01)
        return moment.astimezone(UTC)

    def location(self) -> Location:
        return Location("ns", "app", str(uuid.uuid4()))

    def await_archived(self, name: str) -> None:
        deadline = time.monotonic() + 30
        while self.wal.find(name) is None:
            assert time.monotonic() < deadline, f"{name} was not archived"
            time.sleep(0.05)

    def back_up(self, **changes: object) -> PhysicalArtifact:
        request = PhysicalRequest(
            primary=self.parameters.maintenance,
            replication=self.parameters.maintenance,
            store=self.store,
            location=self.location(),
            archive=f"wal-{UID}",
            jobs=2,
            wal_patience_seconds=30,
        )
        artifact, _ = create_physical(replace(request, **changes))
        self.settle(artifact)
        return artifact

    def settle(self, artifact: PhysicalArtifact) -> None:
        """Wait until the next moment is one that can be restored."""
        while self.now() < datetime.fromisoformat(artifact.manifest.consistent_time):
            time.sleep(0.05)

    def recover(
        self,
        artifact: PhysicalArtifact,
        folder: Path,
        target: datetime | Target | None,
        **changes: object,
    ) -> Recovered:
        """Recover to a moment or another target; None is the end of the backup."""
        request = RecoverRequest(
            store=self.store,
            location=artifact.location,
            folder=folder,
            target=Moment(target) if isinstance(target, datetime) else target or END_OF_BACKUP,
            jobs=2,
            expected_sha256=artifact.sha256,
            live=self.parameters.maintenance,
        )
        return recover(replace(request, **changes))

    def extract(
        self, recovered: Recovered, folder: Path, selection: Selection | None = None
    ) -> dict[str, object]:
        target = folder / "logical"
        target.mkdir()
        location = recovered.artifact.location
        return extract(
            ExtractRequest(recovered.folder, "app", target, location, 2, selection=selection)
        )

    def restore(
        self, artifact: PhysicalArtifact, moment: datetime | None, **changes: object
    ) -> RestoreOutcome:
        """Put the database of a moment into the live server, as a Job does."""
        with work_folder() as folder:
            recovered = self.recover(artifact, folder, moment)
            self.extract(recovered, folder, selection=changes.pop("selection", None))
            request = RestoreRequest(
                parameters=self.parameters,
                store=ArtifactStore(FilesystemStore(folder / "logical")),
                location=artifact.location,
                uid=str(uuid.uuid4()),
                jobs=2,
            )
            return restore_artifact(replace(request, **changes))


def back_up(archived, *others: PhysicalArtifact, **changes: Any) -> tuple[PhysicalArtifact, Any]:
    """As a Job does, which is given from where on the other Backups need WAL."""
    location = archived.location()
    parameters = archived.parameters
    done = actions.create(
        {
            "host": parameters.host,
            "port": parameters.port,
            "user": parameters.user,
            "password_file": str(parameters.password_file),
            "sslmode": "prefer",
            "sslrootcert": None,
            "sslcert": None,
            "sslkey": None,
            "root": str(archived.root),
            "namespace": location.namespace,
            "resource": location.database,
            "uid": location.uid,
            "archive": archived.wal.location.uid,
            "replication": None,
            "standby": None,
            "max_rate": None,
            "jobs": 2,
            "progress_file": None,
            "unfinished": [],
            "unfinished_listed": None,
            "completed": [],
            "kept_from": [other.manifest.start_lsn for other in others],
            "oldest_end": None,
            **changes,
        },
        False,
    )
    return load_physical(archived.store, location), done["artifact"]


@pytest.fixture
def work() -> Iterator[Path]:
    """A folder that the server's user can reach."""
    with work_folder() as folder:
        yield folder


@contextmanager
def beside(work: Callable[[threading.Event], None]) -> Iterator[None]:
    """Do some work in a thread, which ends when the event is set, at the end of the block."""
    over = threading.Event()
    thread = threading.Thread(target=work, args=(over,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _archive(ready: Path, archived: Archived, over: threading.Event) -> None:
    """Store what the server hands over."""
    while not over.wait(0.05):
        for path in sorted(ready.iterdir()):
            if path.suffix != ".new" and path.name not in archived.hidden:
                archived.wal.put(path.name, path)
                path.unlink()


@contextmanager
def archived_server(
    run_server, store: ArtifactStore | None, root: Path, **settings: str
) -> Iterator[Archived]:
    """Run a server whose WAL goes into the archive of Database ns/app.

    Args:
        store: where; None for the folder `root`, in clear.
        settings: further ones of the server.
    """
    store = store or ArtifactStore(FilesystemStore(root))
    with work_folder() as folder:
        ready = folder / "ready"
        ready.mkdir()
        ready.chmod(0o777)
        command = f"cp %p {ready}/%f.new && mv {ready}/%f.new {ready}/%f"
        server_folder = Path(tempfile.mkdtemp(prefix="postgres-archived-"))
        with run_server(
            server_folder,
            wal_level="replica",
            archive_mode="on",
            archive_command=command,
            **settings,
        ) as server:
            archived = Archived(server, store, root, command)
            archived.execute("CREATE DATABASE app", "postgres")
            identifier = archived.scalar(
                "SELECT system_identifier::text FROM pg_control_system()", "postgres"
            )
            archived.wal.identify(Identity("ns", "app", UID, identifier), create=True)
            with beside(partial(_archive, ready, archived)):
                yield archived


@pytest.fixture(scope="module")
def shared_server(run_server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archived]:
    """A server for the tests of a file, with an archive in a folder, in clear."""
    root = tmp_path_factory.mktemp("store")
    with archived_server(run_server, None, root) as made:
        yield made


@pytest.fixture
def archived(shared_server: Archived) -> Archived:
    """The server with a new, empty database `app`, and no artifact in the store."""
    shared_server.hidden.clear()
    shared_server.execute("DROP DATABASE app WITH (FORCE)", "postgres")
    shared_server.execute("CREATE DATABASE app", "postgres")
    for path in (shared_server.root / "ns" / "app").iterdir():
        if path.name != shared_server.wal.location.uid:
            shutil.rmtree(path)
    return shared_server


@pytest.fixture
def standby_of() -> Callable[..., AbstractContextManager[ConnectionParameters]]:
    """What runs a standby of a server while a block lasts."""
    return _standby_of


@contextmanager
def _standby_of(archived: Archived, archives: bool = False) -> Iterator[ConnectionParameters]:
    """Run a standby.

    Args:
        archives: whether it archives what it writes once it is promoted.
    """
    server = archived.server
    folder = Path(tempfile.mkdtemp(prefix="postgres-standby-"))
    shutil.chown(folder, "postgres")
    environment = os.environ | {"PGPASSWORD": server.password}
    address = ["-h", server.host, "-p", str(server.port), "-U", server.user]
    copy = ["pg_basebackup", "-D", folder / "data", "-R", "-X", "stream", "-c", "fast", *address]
    subprocess.run(copy, env=environment, check=True, cwd=folder, **server.account)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    settings = ["-c", f"port={port}", "-c", f"unix_socket_directories={folder}", "-c", "fsync=off"]
    settings += [
        "-c",
        f"listen_addresses={server.host}",
        "-c",
        f"archive_command={archived.archive_command}",
    ]
    settings += ["-c", f"archive_mode={'on' if archives else 'off'}"]
    settings += ["-c", "wal_level=replica", "-c", "max_connections=60"]
    settings += ["-c", "max_prepared_transactions=2"]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            ["postgres", "-D", folder / "data", *settings],
            stdout=log,
            stderr=log,
            cwd=folder,
            env=environment,
            **server.account,
        )
    parameters = replace(archived.parameters.maintenance, port=port)
    try:
        _await_connection(parameters, folder / "log")
        yield parameters
    finally:
        process.send_signal(signal.SIGQUIT)
        process.wait(timeout=30)
        shutil.rmtree(folder)


def _await_connection(parameters: ConnectionParameters, log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            connect(parameters).close()
            return
        except OperatorError:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
