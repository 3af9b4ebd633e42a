"""What a physical backup and a recovery cost beside the programs of others.

    python bench/physical.py [--sizes 1000] [--jobs 2] [--rounds 3] [--barman] [--folder /var/tmp]

A PostgreSQL server of its own gets a database of each size, in MB, with data that compress about
2.4:1, and an S3 server on this machine takes what is backed up. In turns:

- *ours*: a physical backup into S3, with the WAL of its time and the manifest; then every file read
  back, as Completed asks for; the same encrypted; and a recovery to the end of the backup, up to
  the server's shutdown.
- *pg_basebackup*: ``-Ft --compress=server-zstd:3`` into a folder, which has to hold all of it, then
  the upload of that by boto3.
- *barman-cloud-backup* with ``--lz4``, with ``--barman``: it is installed from PyPI.

The median is shown, the bytes stored, and the peak of memory of what the run has started.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import backup
import boto3
import pyrage
from ansible_collections.postgres.operator.plugins.module_utils.archive.wal_archive import (
    Identity,
    WalArchive,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.physical.artifact import (
    load_physical,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.physical.create import (
    PhysicalRequest,
    create_physical,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.physical.recover import (
    RecoverRequest,
    recover,
)
from ansible_collections.postgres.operator.plugins.module_utils.errors import OperatorError
from ansible_collections.postgres.operator.plugins.module_utils.postgres.connection import (
    ConnectionParameters,
    connect,
)
from ansible_collections.postgres.operator.plugins.module_utils.postgres.scratch import (
    scratch_server,
)
from ansible_collections.postgres.operator.plugins.module_utils.store.protocol import Location
from backup import SETTINGS, Place, bench_folder, fill, measure, peak_memory
from boto3.s3.transfer import TransferConfig
from s3_server import BUCKET, S3Server, s3_server

BARMAN = "barman==3.19.1"
# What it needs for this; of psycopg2, which it asks for, the wheel that needs no compiler.
BARMAN_NEEDS = ("boto3", "lz4", "psycopg2-binary", "python-dateutil", "setuptools")
ARCHIVE = "wal-bench"


def work(task: dict[str, Any]) -> None:
    """Do one run, as a process of its own, and print seconds and KiB."""
    port, *paths = task["s3"]
    credentials, ca_file, data = map(Path, paths)
    s3 = S3Server(port, credentials, ca_file, data)
    place = Place(task["kind"], Path(task["folder"]), s3)
    server = ConnectionParameters(task["host"], task["port"], "postgres")
    with peak_memory() as peak:
        started = time.monotonic()
        ACTIONS[task["action"]](place, server, task)
        seconds = time.monotonic() - started
    print(json.dumps({"seconds": seconds, "kib": peak[0]}))


def ours(place: Place, server: ConnectionParameters, task: dict[str, Any]) -> None:
    """Back up."""
    create_physical(
        PhysicalRequest(
            server, server, place.store, location(task), _archive_of(place), jobs=task["jobs"]
        )
    )


def read_back(place: Place, _server: ConnectionParameters, task: dict[str, Any]) -> None:
    """Read back."""
    load_physical(place.store, location(task)).check_written(task["jobs"])


def recovery(place: Place, _server: ConnectionParameters, task: dict[str, Any]) -> None:
    """Recover to the end of the backup."""
    folder = place.folder / "recovered"
    folder.mkdir()
    folder.chmod(0o755)
    try:
        recover(RecoverRequest(place.store, location(task), folder, jobs=task["jobs"]))
    finally:
        shutil.rmtree(folder)


def pg_basebackup(place: Place, server: ConnectionParameters, task: dict[str, Any]) -> None:
    """Back up by PostgreSQL's program, and upload what it has made."""
    folder = place.folder / "tar"
    command = ["pg_basebackup", "-Ft", "-X", "none", "--compress=server-zstd:3", "-c", "fast"]
    address = ["-h", server.host, "-p", str(server.port), "-U", server.user]
    subprocess.run([*command, "--no-sync", "-D", folder, *address], check=True)
    assert place.s3 is not None
    config = TransferConfig(max_concurrency=task["jobs"])
    for path in folder.iterdir():
        _client(place.s3).upload_file(
            str(path), BUCKET, f"tar/{task['uid']}/{path.name}", Config=config
        )
    shutil.rmtree(folder)


def barman(place: Place, server: ConnectionParameters, task: dict[str, Any]) -> None:
    """Back up by barman-cloud-backup."""
    assert place.s3 is not None
    credentials = place.s3.credentials
    environment = os.environ | {
        "AWS_ACCESS_KEY_ID": (credentials / "accessKeyId").read_text(),
        "AWS_SECRET_ACCESS_KEY": (credentials / "secretAccessKey").read_text(),
        "AWS_CA_BUNDLE": str(place.s3.ca_file),
        "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
    }
    program = place.folder / "barman" / "bin" / "barman-cloud-backup"
    subprocess.run(
        [program, "--lz4", "--immediate-checkpoint", f"--jobs={task['jobs']}",
         f"--endpoint-url={place.s3.endpoint}", "-h", server.host, "-p", str(server.port),
         "-U", server.user, f"s3://{BUCKET}/barman", task["uid"]],
        env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


ACTIONS = {
    "ours": ours,
    "read back": read_back,
    "recover": recovery,
    "pg_basebackup": pg_basebackup,
    "barman": barman,
}


def location(task: dict[str, Any]) -> Location:
    """Where ours puts its artifact."""
    return Location("bench", "app", task["uid"])


def _archive_of(place: Place) -> str:
    return f"{ARCHIVE}-{'encrypted' if 'encrypted' in place.kind else 'plain'}"


def _client(s3: S3Server) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=s3.endpoint,
        aws_access_key_id=(s3.credentials / "accessKeyId").read_text(),
        aws_secret_access_key=(s3.credentials / "secretAccessKey").read_text(),
        verify=str(s3.ca_file),
        region_name="us-east-1",
    )


@contextmanager
def archiving(ready: Path, places: list[Place], identifier: str) -> Iterator[None]:
    """Put the WAL that the server hands over into both archives, until the block ends."""
    archives = [
        WalArchive(one.store.files, Location("bench", "app", _archive_of(one)), one.store.key)
        for one in places
    ]
    for archive in archives:
        archive.identify(Identity("bench", "app", "bench", identifier), create=True)
    over = threading.Event()

    def store() -> None:
        while not over.wait(0.1):
            for path in sorted(ready.iterdir()):
                if path.suffix != ".new":
                    for archive in archives:
                        archive.put(path.name, path)
                    path.unlink()

    thread = threading.Thread(target=store, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def stored_bytes(data: Path) -> int:
    """What is in the bucket."""
    return sum(path.stat().st_size for path in data.rglob("*") if path.is_file())


Found = dict[str, list[dict[str, float]]]


def one_round(base: dict[str, Any], data: Path, with_barman: bool) -> dict[str, dict[str, float]]:
    """Every variant once; what each has stored is removed after it."""
    found: dict[str, dict[str, float]] = {}

    def run(label: str, action: str, kind: str, uid: str) -> None:
        before = stored_bytes(data)
        found[label] = measure({**base, "action": action, "kind": kind, "uid": uid}, __file__)
        found[label]["bytes"] = stored_bytes(data) - before

    for kind, name in (("s3", ""), ("s3-encrypted", ", encrypted")):
        uid = str(uuid.uuid4())
        run(f"ours{name}", "ours", kind, uid)
        run(f"ours, read back{name}", "read back", kind, uid)
        run(f"recovery{name}", "recover", kind, uid)
        shutil.rmtree(data / BUCKET / "bench" / "app" / uid)
    run("pg_basebackup, upload", "pg_basebackup", "s3", str(uuid.uuid4()))
    shutil.rmtree(data / BUCKET / "tar")
    if with_barman:
        run("barman-cloud-backup --lz4", "barman", "s3", str(uuid.uuid4()))
        shutil.rmtree(data / BUCKET / "barman")
    return found


def show(size: float, jobs: int, found: Found) -> None:
    """Print the table of one size."""
    print(f"\nserver of {size:.0f} MB, {jobs} jobs\n")
    print("| | seconds | MB/s | stored MB | peak MiB |\n|---|---|---|---|---|")
    for label, runs in found.items():
        seconds = statistics.median(run["seconds"] for run in runs)
        stored = statistics.median(run["bytes"] for run in runs) / 1e6
        memory = max(run["kib"] for run in runs) / 1024
        text = f"{stored:.0f}" if stored > 1 else ""
        print(f"| {label} | {seconds:.1f} | {size / seconds:.0f} | {text} | {memory:.0f} |")
    sys.stdout.flush()


def bench(options: argparse.Namespace, folder: Path) -> None:
    """Measure each size."""
    for name in ("store", "spool", "s3", "ready"):
        (folder / name).mkdir()
    ready = folder / "ready"
    ready.chmod(0o777)
    (folder / "identity").write_text(f"{pyrage.x25519.Identity.generate()}\n")
    if options.barman:
        subprocess.run([sys.executable, "-m", "venv", folder / "barman"], check=True)
        program = folder / "barman" / "bin" / "pip"
        subprocess.run([program, "install", "--quiet", *BARMAN_NEEDS], check=True)
        subprocess.run([program, "install", "--quiet", "--no-deps", BARMAN], check=True)
    settings = SETTINGS | {
        "max_wal_senders": "4",
        "archive_mode": "on",
        "archive_command": f"cp %p {ready}/%f.new && mv {ready}/%f.new {ready}/%f",
        "max_wal_size": "1GB",
    }
    with (
        s3_server(folder / "s3") as s3,
        scratch_server(folder, settings, OperatorError) as server,
    ):
        parameters = replace(server.parameters)
        with connect(parameters) as connection:
            row: Any = connection.execute(
                "SELECT system_identifier::text FROM pg_control_system()"
            ).fetchone()
        places = [Place(kind, folder, s3) for kind in ("s3", "s3-encrypted")]
        base = {
            "folder": str(folder),
            "host": parameters.host,
            "port": parameters.port,
            "jobs": options.jobs,
            "s3": [s3.port, *map(str, (s3.credentials, s3.ca_file, s3.data))],
        }
        with archiving(ready, places, row[0]):
            for size in options.sizes:
                stored = fill(parameters, size)
                found: Found = {}
                for turn in range(1 + options.rounds):
                    for label, run in one_round(base, s3.data, options.barman).items():
                        if turn:
                            found.setdefault(label, []).append(run)
                show(stored, options.jobs, found)
                with connect(parameters) as connection:
                    connection.execute("DROP DATABASE bench WITH (FORCE)")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000], help="MB")
    parser.add_argument("--jobs", type=int, default=2, help="bundles at a time (default: 2)")
    parser.add_argument("--rounds", type=int, default=3, help="runs that count (default: 3)")
    parser.add_argument("--barman", action="store_true", help="time barman-cloud-backup, too")
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp"))  # noqa: S108
    parser.add_argument("--work", help=argparse.SUPPRESS)
    options = parser.parse_args()
    backup.find_server_programs()
    if options.work:
        work(json.loads(options.work))
        return
    with bench_folder("physical", options.folder) as folder:
        bench(options, folder)


if __name__ == "__main__":
    main()
