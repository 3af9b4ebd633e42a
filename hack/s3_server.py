"""A real S3 server with TLS, on this machine, for tests and benchmarks."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

ROOT = Path(__file__).resolve().parents[1]
BUCKET = "backups"
_START_SECONDS = 30.0


@dataclass(frozen=True)
class S3Server:
    """A running server with one bucket.

    Attributes:
        credentials: a folder with the files accessKeyId and secretAccessKey.
        ca_file: the certificate of its authority.
        data: the folder in which each object is a file.
    """

    port: int
    credentials: Path
    ca_file: Path
    data: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """Its URL."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def client(self) -> Any:
        """A client that is independent of the code under test."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=(self.credentials / "accessKeyId").read_text(),
            aws_secret_access_key=(self.credentials / "secretAccessKey").read_text(),
            region_name="us-east-1",
            verify=str(self.ca_file),
        )

    def create_user(self, folder: Path) -> None:
        """Make credentials in an empty folder that may read and write every bucket."""
        (folder / "accessKeyId").write_text("temporary-access")
        (folder / "secretAccessKey").write_text(secrets.token_urlsafe())
        self._administer(
            "create-user", "--access", (folder / "accessKeyId").read_text(),
            "--secret", (folder / "secretAccessKey").read_text(), "--role", "admin",
        )  # fmt: skip

    def delete_user(self, folder: Path) -> None:
        """Have the credentials of `create_user` refused from now on."""
        self._administer("delete-user", "--access", (folder / "accessKeyId").read_text())

    def _administer(self, *words: str) -> None:
        environment = os.environ | {
            "ADMIN_ACCESS_KEY_ID": (self.credentials / "accessKeyId").read_text(),
            "ADMIN_SECRET_ACCESS_KEY": (self.credentials / "secretAccessKey").read_text(),
        }
        subprocess.run(
            [build(), "admin", "--endpoint-url", self.endpoint, "--allow-insecure", *words],
            env=environment, check=True, capture_output=True,
        )  # fmt: skip

    def object_names(self) -> set[str]:
        """All objects."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        return {entry["Key"] for page in pages for entry in page.get("Contents", [])}

    def uploads(self) -> list[dict[str, Any]]:
        """All multipart uploads that were not completed."""
        return list(self.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []))


def build() -> Path:
    """The server's program, built once for each state of its sources."""
    done = subprocess.run(
        [sys.executable, ROOT / "cluster", "build", "versitygw"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return Path(done.stdout.splitlines()[-1])


@contextmanager
def s3_server(folder: Path) -> Iterator[S3Server]:
    """Run a server on a free port of 127.0.0.1, below an empty folder."""
    credentials, data, tls = folder / "credentials", folder / "data", folder / "tls"
    for path in (credentials, data, tls, folder / "sidecar", folder / "users"):
        path.mkdir()
    (credentials / "accessKeyId").write_text("test-access")
    (credentials / "secretAccessKey").write_text(secrets.token_urlsafe())
    _make_certificates(tls)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {
        "ROOT_ACCESS_KEY": (credentials / "accessKeyId").read_text(),
        "ROOT_SECRET_KEY": (credentials / "secretAccessKey").read_text(),
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [build(), "--port", f"127.0.0.1:{port}", "--cert", tls / "tls.crt",
             "--key", tls / "tls.key", "--iam-dir", folder / "users", "--iam-cache-disable",
             "posix", "--sidecar", folder / "sidecar", data],
            env=environment, stdout=log, stderr=log,
        )  # fmt: skip
    server = S3Server(port, credentials, tls / "ca.crt", data, process)
    try:
        _wait(port, process, folder / "log")
        server.client.create_bucket(Bucket=BUCKET)
        yield server
    finally:
        process.terminate()
        process.wait(timeout=30)


def _make_certificates(folder: Path) -> None:
    """An authority, and a certificate of it for 127.0.0.1."""

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    openssl("req", "-x509", *curve, "-subj", "/CN=test authority",
            "-keyout", "ca.key", "-out", "ca.crt")  # fmt: skip
    openssl("req", "-x509", *curve, "-subj", "/CN=127.0.0.1", "-CA", "ca.crt", "-CAkey", "ca.key",
            "-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=CA:FALSE",
            "-keyout", "tls.key", "-out", "tls.crt")  # fmt: skip


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the S3 server did not start:\n{log.read_text()}") from None
            time.sleep(0.05)
