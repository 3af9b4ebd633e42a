"""Databases, stores and runs for the tests of backup and restore."""

from __future__ import annotations

import itertools
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest
from ansible_collections.postgres.operator.plugins.module_utils.artifact.artifact import Artifact
from ansible_collections.postgres.operator.plugins.module_utils.artifact.create import (
    BackupRequest,
    create_artifact,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.dump import Compression
from ansible_collections.postgres.operator.plugins.module_utils.artifact.progress import Progress
from ansible_collections.postgres.operator.plugins.module_utils.artifact.restore import (
    RestoreOutcome,
    RestoreRequest,
    restore_artifact,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.snapshot import (
    Snapshot,
    locked_snapshot,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.stored_files import (
    ArtifactStore,
)
from ansible_collections.postgres.operator.plugins.module_utils.kube.port_forward import Address
from ansible_collections.postgres.operator.plugins.module_utils.postgres.connection import (
    ConnectionParameters,
)
from ansible_collections.postgres.operator.plugins.module_utils.postgres.session_roles import (
    session_roles,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.restore import (
    early_checks,
)
from ansible_collections.postgres.operator.plugins.module_utils.store.encryption import (
    EncryptionKey,
)
from ansible_collections.postgres.operator.plugins.module_utils.store.filesystem import (
    FilesystemStore,
)
from ansible_collections.postgres.operator.plugins.module_utils.store.protocol import Location
from ansible_collections.postgres.operator.plugins.module_utils.store.s3 import S3Store
from psycopg import sql

_numbers = itertools.count(1)


@dataclass
class Bench:
    """One database and one store, and the runs between them."""

    server: object
    database: str
    files: FilesystemStore | S3Store
    location: Location = field(default_factory=lambda: Location("ns", "app", str(uuid.uuid4())))

    @property
    def parameters(self) -> ConnectionParameters:
        return ConnectionParameters(
            self.server.host,
            self.server.port,
            self.server.user,
            self.database,
            self.server.password_file,
        )

    key: EncryptionKey | None = None
    spool: Path | None = None

    @property
    def store(self) -> ArtifactStore:
        return ArtifactStore(self.files, self.key, self.spool)

    @property
    def folder(self) -> Path:
        return self.files.folder(self.location)

    def backup_request(self, **changes: object) -> BackupRequest:
        # Whatever the server's default is: some tests look into the files.
        settings = {"jobs": 2, "compression": Compression("gzip")} | changes
        return BackupRequest(self.parameters, self.store, self.location, **settings)

    def restore_request(self, **changes: object) -> RestoreRequest:
        settings = {"uid": str(uuid.uuid4()), "jobs": 2, "lock_wait_seconds": 0.2} | changes
        parameters = settings.pop("parameters", self.parameters)
        return RestoreRequest(parameters, self.store, self.location, **settings)

    def backup(self, progress: Progress | None = None, **changes: object) -> Artifact:
        return create_artifact(self.backup_request(**changes), progress).artifact

    def restore(self, **changes: object) -> RestoreOutcome:
        return restore_artifact(self.restore_request(**changes))

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        with (
            session_roles(self.parameters.maintenance, str(uuid.uuid4())) as roles,
            locked_snapshot(self.parameters, roles) as taken,
        ):
            yield taken

    def connect(self, dbname: str | None = None) -> psycopg.Connection:
        return self.server.connect(dbname or self.database)

    def execute(self, statement: str, dbname: str | None = None) -> None:
        with self.connect(dbname) as connection:
            connection.execute(statement)

    def scalar(self, statement: str, dbname: str | None = None) -> object:
        with self.connect(dbname) as connection:
            return connection.execute(statement).fetchone()[0]

    def databases(self) -> set[str]:
        """All databases but the server's own and those of other tests."""
        with self.connect("postgres") as connection:
            rows = connection.execute("SELECT datname FROM pg_database").fetchall()
        return {name for (name,) in rows} - {"postgres", "template0", "template1"}


@pytest.fixture
def bench_of() -> Callable[..., Bench]:
    """Make a bench of a database that is there, on any server, and a folder for its backups."""
    return lambda server, name, root: Bench(server, name, FilesystemStore(root))


@pytest.fixture
def early_refusal(monkeypatch) -> Callable[..., tuple[str, str] | None]:
    """Ask a bench's server as the operator does before it makes a safety Backup."""

    def ask(
        bench: Bench, status: dict[str, object] | None = None, **spec: object
    ) -> tuple[str, str] | None:
        @contextmanager
        def reach(*_: object) -> Iterator[Address]:
            yield Address(bench.server.host, bench.server.port)

        primary = SimpleNamespace(name="app-0", pod_ip="10.0.0.1")
        monkeypatch.setattr(early_checks, "read_instances", lambda *_: ([primary], "app-0"))
        monkeypatch.setattr(early_checks, "find_primary", lambda *_: primary)
        monkeypatch.setattr(early_checks, "reach", reach)
        monkeypatch.setattr(early_checks, "superuser", lambda *_: bench.parameters)
        named = {"metadata": {"name": "friday", "namespace": "ns", "uid": str(uuid.uuid4())}}
        return early_checks.find_early_refusal(
            None,
            {**named, "spec": spec},
            {**named, "spec": {}, "status": status or {}},
            {**named, "spec": {"databaseName": bench.database}, "status": {}},
        )

    return ask


@pytest.fixture
def make_bench(postgres_server, tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    """Make benches; all databases are dropped in the end."""

    def make(name: str | None = None, options: str = "") -> Bench:
        name = name or f"app{next(_numbers)}"
        root = tmp_path / "store"
        root.mkdir(exist_ok=True)
        with postgres_server.connect() as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} " + options).format(sql.Identifier(name))
            )
        return Bench(postgres_server, name, FilesystemStore(root))

    yield make
    with postgres_server.connect() as connection:
        rows = connection.execute(
            "SELECT datname FROM pg_database"
            " WHERE datname NOT IN ('postgres', 'template0', 'template1')"
        ).fetchall()
        for (name,) in rows:
            connection.execute(
                sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
            )


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    """A bench whose database has one table `version` that says 'old', as in the backup to come."""
    made = make_bench()
    made.execute(
        "CREATE TABLE version (name text);"
        "INSERT INTO version VALUES ('old');"
        "CREATE TABLE numbers AS SELECT n, md5(n::text) AS hash FROM generate_series(1, 20000) n"
    )
    return made


@pytest.fixture
def changed(bench: Bench) -> Bench:
    """A bench that was backed up ('old') and then changed ('new')."""
    bench.backup()
    bench.execute("UPDATE version SET name = 'new'; DELETE FROM numbers WHERE n > 10")
    return bench


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder for scratch servers, which the user that they run as can reach; empty in the end."""
    folder = Path(tempfile.mkdtemp(prefix="proof-"))
    folder.chmod(0o755)
    yield folder
    left = list(folder.iterdir())
    shutil.rmtree(folder)
    assert left == []


@pytest.fixture
def roles(postgres_server) -> Iterator[None]:
    """The roles of awkward.sql; what they own goes with them."""
    names = ('"Owner ""ü"""', "reader", '"app user"')
    with postgres_server.connect() as connection:
        for name in names:
            connection.execute(f"CREATE ROLE {name}")
    yield
    with postgres_server.connect() as connection:
        for (name,) in connection.execute(
            "SELECT datname FROM pg_database WHERE datname NOT IN"
            " ('postgres', 'template0', 'template1')"
        ).fetchall():
            connection.execute(
                sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
            )
        connection.execute(f"DROP ROLE {', '.join(names)}")


ONE_HOUR = timedelta(hours=1)


@pytest.fixture
def remote(bench: Bench, s3_store: S3Store, spool: Path) -> Bench:
    """The bench with its store in S3."""
    bench.files, bench.spool = s3_store, spool
    return bench
