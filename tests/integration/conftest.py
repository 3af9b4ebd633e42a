"""A private PostgreSQL server for the tests, made anew for each run of them."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pyrage
import pytest
from ansible_collections.postgres.operator.plugins.module_utils.store.encryption import (
    EncryptionKey,
)
from ansible_collections.postgres.operator.plugins.module_utils.store.s3 import S3Store
from s3_server import BUCKET, S3Server, s3_server

_numbers = itertools.count(1)
# Quoting, escaping and encoding all have their say in this one. Its end is another one in each
# run: tests look for it in every process of the machine.
SUPERUSER_PASSWORD = f"s3cret:\\'\" ünïcode {uuid.uuid4()}"


def pytest_addoption(parser: pytest.Parser) -> None:
    for name, default, what in (
        ("rounds", 3, "how many random moments to restore"),
        ("promotions", 0, "how often the primary is lost and the standby promoted meanwhile"),
        ("seed", 0, "of what is chosen at random; 0 for another one each time"),
        ("minutes", 600, "no further moment is restored after so many"),
    ):
        parser.addoption(f"--{name}", type=int, default=default, help=what)
    parser.addoption(
        "--any-release",
        action="store_true",
        help="run the corpus also by programs that the operator refuses, as they lack a fix",
    )


@dataclass
class PostgresServer:
    """A running server, reached by psycopg itself and not by the code under test."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]

    host = "127.0.0.1"
    user = "postgres"
    password = SUPERUSER_PASSWORD

    @property
    def account(self) -> dict[str, object]:
        """What subprocess takes to run as the server's own user."""
        return _unprivileged()

    @property
    def password_file(self) -> Path:
        return self.folder / "password"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def connect(self, dbname: str = "postgres", **options: object) -> psycopg.Connection:
        settings = {"user": self.user, "password": SUPERUSER_PASSWORD} | options
        return psycopg.connect(
            host=self.host, port=self.port, dbname=dbname, autocommit=True, **settings
        )

    def run(self, program: str, *arguments: str, dbname: str) -> str:
        """Run one of PostgreSQL's programs and return what it prints."""
        environment = os.environ | {
            "PGHOST": self.host,
            "PGPORT": str(self.port),
            "PGUSER": self.user,
            "PGPASSWORD": SUPERUSER_PASSWORD,
            "PGDATABASE": dbname,
        }
        done = subprocess.run(
            [program, *arguments], env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout

    def stream(self, dbname: str, slot: str) -> subprocess.Popen[bytes]:
        """Read from a logical slot, until the process is killed; it reads once this returns."""
        environment = os.environ | {"PGPASSWORD": SUPERUSER_PASSWORD}
        address = ["-h", self.host, "-p", str(self.port), "-U", self.user, "-d", dbname]
        options = ["--start", "-f", "-", "-o", "proto_version=1", "-o", "publication_names=none"]
        process = subprocess.Popen(
            ["pg_recvlogical", *address, f"--slot={slot}", *options],
            env=environment,
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 60
        with self.connect() as connection:
            while time.monotonic() < deadline:
                if connection.execute(
                    "SELECT 1 FROM pg_replication_slots WHERE slot_name = %s AND active", [slot]
                ).fetchone():
                    return process
                time.sleep(0.05)
        process.kill()
        raise AssertionError(f"nothing reads from slot {slot}")


def _find_programs() -> Path:
    """The folder of a server's programs; Debian keeps it off PATH."""
    on_path = shutil.which("initdb")
    candidates = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if on_path:
        candidates.append(Path(on_path).resolve())
    if not candidates:
        pytest.fail("no PostgreSQL server: apt-get install postgresql-15", pytrace=False)
    return candidates[-1].parent


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _unprivileged() -> dict[str, object]:
    """PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return {}
    account = pwd.getpwnam("postgres")
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def _start(
    programs: Path,
    folder: Path,
    port: int,
    environment: Mapping[str, str] | None = None,
    **others: str,
) -> subprocess.Popen[bytes]:
    settings = {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": str(folder),
        "fsync": "off",
        "max_connections": "60",
        "max_prepared_transactions": "2",
        "log_statement": "all",
        "wal_level": "logical",
        **others,
    }
    options = [word for item in settings.items() for word in ("-c", "=".join(item))]
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            [programs / "postgres", "-D", folder / "data", "-p", str(port), *options],
            stdout=log,
            stderr=log,
            cwd=folder,
            env=environment,
            **_unprivileged(),
        )


def _wait_until_ready(server: PostgresServer) -> None:
    deadline = time.monotonic() + 90
    while True:
        try:
            server.connect().close()
            return
        except psycopg.OperationalError:
            if server.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"PostgreSQL did not start:\n{server.log}", pytrace=False)
            time.sleep(0.05)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A server whose client programs come first on PATH."""
    with _run_server(Path(tempfile.mkdtemp(prefix="postgres-test-"))) as server:
        yield server


@pytest.fixture(scope="session")
def run_server() -> Callable[..., AbstractContextManager[PostgresServer]]:
    """What runs another server, see ``_run_server``."""
    return _run_server


@contextmanager
def _run_server(
    folder: Path, environment: Mapping[str, str] | None = None, **settings: str
) -> Iterator[PostgresServer]:
    """A new server in a folder that is removed in the end.

    Args:
        environment: the server's own; None for that of the tests.
        settings: of the server, beyond what those of all tests have.
    """
    programs = _find_programs()
    (folder / "password").write_text(SUPERUSER_PASSWORD + "\n")
    if os.getuid() == 0:
        shutil.chown(folder, "postgres")
        shutil.chown(folder / "password", "postgres")
    subprocess.run(
        [
            programs / "initdb",
            f"--pgdata={folder / 'data'}",
            "--username=postgres",
            "--auth=scram-sha-256",
            f"--pwfile={folder / 'password'}",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        ],
        check=True,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        **_unprivileged(),
    )
    port = _free_port()
    server = PostgresServer(folder, port, _start(programs, folder, port, environment, **settings))
    path = os.environ["PATH"]
    os.environ["PATH"] = f"{programs}{os.pathsep}{path}"
    try:
        _wait_until_ready(server)
        yield server
    finally:
        os.environ["PATH"] = path
        server.process.send_signal(signal.SIGINT)
        server.process.wait(timeout=30)
        shutil.rmtree(folder, ignore_errors=folder.is_mount())


@pytest.fixture(scope="session")
def s3(tmp_path_factory) -> Iterator[S3Server]:
    """An S3 server with an empty bucket, for all tests together."""
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    folder = tmp_path / "spool"
    folder.mkdir()
    return folder


@pytest.fixture
def s3_store(s3: S3Server) -> S3Store:
    """A store in the bucket, below a prefix of its own."""
    return S3Store(
        bucket=BUCKET,
        credentials_folder=s3.credentials,
        endpoint=s3.endpoint,
        ca_file=s3.ca_file,
        prefix=f"test/{next(_numbers)}",
        path_style=True,
        timeout_seconds=2,
        attempts=3,
    )


@pytest.fixture
def key(tmp_path: Path) -> EncryptionKey:
    """A new key, as age-keygen writes it."""
    identity = pyrage.x25519.Identity.generate()
    path = tmp_path / "identity"
    path.write_text(f"# created: now\n# public key: {identity.to_public()}\n{identity}\n")
    return EncryptionKey(path)
