"""What a backup and a restore cost beside plain pg_dump and pg_restore.

    python bench/backup.py [--sizes 100 1000] [--jobs 2] [--rounds 3] [--folder /var/tmp]

A PostgreSQL server of its own, set like that of a Database but for autovacuum, gets a database of
each size (in MB, as pg_database_size tells). `pg_dump -Fd -j N`, with the same compression, into a
folder is timed beside our backup into a folder and into an S3 server on this machine, plain and
encrypted; `pg_restore -j N` beside our restores.

- *dump*: with fingerprints, checksums and manifest, until the manifest is durable.
- *dump, read back*: and then every file read again from where it is, as Completed asks for.
- *restore*: from the check of every file to the swap, with the comparison and with ANALYZE.
- *pg_restore, ANALYZE*: pg_restore, then `vacuumdb --analyze-only -j N`, since pg_restore leaves a
  database without statistics and our restore does not.

`--only` chooses kinds of store. CPU is that of the run's processes and of
the server's together; `--parts` shows how much each step of a restore takes of it.

The variants take turns, so that a busy moment hits all. The median is shown, and of the ratios,
which are taken round by round. Memory is the peak of what the run's processes have resident
together, pages that they share counted once for each, without PostgreSQL's and the S3 server's.

It needs the environment of `make venv`, and PostgreSQL's server programs on PATH or in Debian's
place.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "hack"))

from collection_root import ensure_collection_root

sys.path.insert(0, str(ensure_collection_root()))

import pyrage
from ansible_collections.postgres.operator.plugins.module_utils.artifact.artifact import (
    check_artifact,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.create import (
    BackupRequest,
    create_artifact,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.dump import (
    Compression,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.progress import (
    Figures,
    Progress,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.restore import (
    RestoreRequest,
    restore_artifact,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.stored_files import (
    ArtifactStore,
)
from ansible_collections.postgres.operator.plugins.module_utils.errors import OperatorError
from ansible_collections.postgres.operator.plugins.module_utils.postgres.connection import (
    ConnectionParameters,
    connect,
    program_environment,
)
from ansible_collections.postgres.operator.plugins.module_utils.postgres.programs import (
    program_version,
)
from ansible_collections.postgres.operator.plugins.module_utils.postgres.scratch import (
    scratch_server,
)
from ansible_collections.postgres.operator.plugins.module_utils.store.encryption import (
    EncryptionKey,
)
from ansible_collections.postgres.operator.plugins.module_utils.store.filesystem import (
    FilesystemStore,
)
from ansible_collections.postgres.operator.plugins.module_utils.store.protocol import Location
from ansible_collections.postgres.operator.plugins.module_utils.store.s3 import S3Store
from s3_server import BUCKET, S3Server, s3_server

Runs = list[dict[str, Any]]

# What a Database's server is set to, which scratch servers are not. No autovacuum: it would come
# and go between the runs.
SETTINGS = {
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "wal_level": "replica",
    "wal_log_hints": "on",
    "max_worker_processes": "8",
    "max_connections": "60",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
}
TABLES = 8
PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
# Text that compresses about as well as people's data does, and numbers and times beside it.
FILL = """
CREATE TABLE t{number} AS
SELECT n AS id, now() - n * interval '1 second' AS at, n % 1000 AS customer, random() AS amount,
       md5(n::text) || ' lorem ipsum dolor sit amet ' || md5((n % 5000)::text) AS note
  FROM generate_series({first}, {last}) n;
ALTER TABLE t{number} ADD PRIMARY KEY (id);
CREATE INDEX ON t{number} (customer);
"""
ROWS_PER_MB = 5300


@dataclass(frozen=True)
class Place:
    """Where one run works.

    Attributes:
        kind: PLAIN or one of KINDS.
    """

    kind: str
    folder: Path
    s3: S3Server | None = None

    @property
    def store(self) -> ArtifactStore:
        """The store of a kind that is not plain."""
        key = EncryptionKey(self.folder / "identity") if "encrypted" in self.kind else None
        return ArtifactStore(self._files(), key, self.folder / "spool")

    def _files(self) -> FilesystemStore | S3Store:
        if self.s3 is None or not self.kind.startswith("s3"):
            return FilesystemStore(self.folder / "store")
        return S3Store(
            bucket=BUCKET,
            credentials_folder=self.s3.credentials,
            endpoint=self.s3.endpoint,
            ca_file=self.s3.ca_file,
            path_style=True,
            workers=2,
        )


@dataclass
class Parts(Progress):
    """Counts what each step takes, of the wall clock and of the processors.

    Attributes:
        server: the server's first process.
        parts: (step, seconds, seconds of CPU).
    """

    server: int = 0
    parts: list[tuple[str, float, float]] = field(default_factory=list)

    @contextmanager
    def step(self, name: str, figures: Figures | None = None) -> Iterator[None]:
        """Count a step."""
        started, used = time.monotonic(), cpu_seconds(self.server)
        with super().step(name, figures):
            yield
        # Names and UIDs are another run's.
        label = re.sub(r" (of backup|database) .*", "", name)
        self.parts.append((label, time.monotonic() - started, cpu_seconds(self.server) - used))


def dump(
    place: Place, database: ConnectionParameters, jobs: int, uid: str, _parts: Parts | None = None
) -> None:
    """Back the database up."""
    if place.kind != "plain":
        location = Location("bench", "app", uid)
        create_artifact(BackupRequest(database, place.store, location, jobs))
        return
    compression = Compression().option(program_version("pg_dump"))
    with program_environment(database) as environment:
        subprocess.run(
            ["pg_dump", "-Fd", f"-j{jobs}", f"--compress={compression}",
             f"--file={place.folder / uid}", f"--dbname={database.conninfo()}"],
            env=environment, check=True,
        )  # fmt: skip


def restore(
    place: Place, database: ConnectionParameters, jobs: int, uid: str, parts: Parts | None = None
) -> None:
    """Restore what `dump` made, into another database."""
    target = replace(database, dbname="restored")
    if place.kind != "plain":
        location = Location("bench", "app", uid)
        request = RestoreRequest(target, place.store, location, str(uuid.uuid4()), jobs)
        restore_artifact(request, parts)
        return
    with program_environment(target) as environment:
        subprocess.run(["createdb", "restored"], env=environment | server_of(target), check=True)
        subprocess.run(
            ["pg_restore", f"-j{jobs}", f"--dbname={target.conninfo()}", place.folder / uid],
            env=environment, check=True,
        )  # fmt: skip


def read_back(
    place: Place, _database: ConnectionParameters, jobs: int, uid: str, _parts: Parts
) -> None:
    """Read what `dump` made from where it is."""
    check_artifact(place.store, Location("bench", "app", uid), jobs=jobs)


def analyze(
    _place: Place, database: ConnectionParameters, jobs: int, _uid: str, _parts: Parts
) -> None:
    """Give what pg_restore restored its statistics."""
    target = replace(database, dbname="restored")
    with program_environment(target) as environment:
        subprocess.run(
            ["vacuumdb", "--analyze-only", f"-j{jobs}", "--quiet", f"--dbname={target.conninfo()}"],
            env=environment, check=True,
        )  # fmt: skip


def server_of(database: ConnectionParameters) -> dict[str, str]:
    """How createdb finds the server."""
    return {"PGHOST": database.host, "PGPORT": str(database.port), "PGUSER": database.user}


@contextmanager
def peak_memory() -> Iterator[list[int]]:
    """The most KiB that the children of this process had together, in a list of one number."""
    peak, over = [0], threading.Event()

    def watch() -> None:
        while not over.wait(0.05):
            peak[0] = max(peak[0], sum(map(resident, descendants(os.getpid()))))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        over.set()
        thread.join()


def descendants(root: int) -> list[int]:
    """A process and what it has started, by what the kernel lists: all of /proc takes too long."""
    found = [root]
    for process in found:
        for path in Path(f"/proc/{process}/task").glob("*/children"):
            with suppress(OSError):
                found += map(int, path.read_text().split())
    return found


def resident(process: int) -> int:
    """KiB."""
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * PAGE_KIB
    except OSError:
        return 0


def cpu_seconds(server: int) -> float:
    """What this process and its children have used up to now, and a server's processes."""
    own = os.times()
    found = own.user + own.system + own.children_user + own.children_system
    for process in (*descendants(os.getpid())[1:], *descendants(server)):
        with suppress(OSError):
            stat = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            # Of the process, and of its children that have ended.
            found += sum(map(int, stat[11:15])) / CLOCK_TICKS
    return found


def work(task: dict[str, Any]) -> None:
    """Do one run, as a process of its own, and print what it took."""
    server = task["s3"]
    credentials, ca_file, data = map(Path, server["paths"])
    s3 = S3Server(server["port"], credentials, ca_file, data)
    place = Place(task["kind"], Path(task["folder"]), s3)
    database = ConnectionParameters(task["host"], task["port"], "postgres", "bench", None)
    action = ACTIONS[task["action"]]
    parts = Parts(server=task["server"])
    with peak_memory() as peak:
        started, used = time.monotonic(), cpu_seconds(parts.server)
        action(place, database, task["jobs"], task["uid"], parts)
        seconds, used = time.monotonic() - started, cpu_seconds(parts.server) - used
    print(json.dumps({"seconds": seconds, "cpu": used, "kib": peak[0], "parts": parts.parts}))


def measure(task: dict[str, Any], program: str = __file__) -> dict[str, Any]:
    """Start the `work` of a program."""
    done = subprocess.run(
        [sys.executable, program, "--work", json.dumps(task)],
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


ACTIONS: dict[str, Callable[..., None]] = {
    "dump": dump,
    "read back": read_back,
    "restore": restore,
    "analyze": analyze,
}
PLAIN = "plain"
KINDS = ("folder", "folder-encrypted", "s3", "s3-encrypted")


def compare(
    base: dict[str, Any],
    kinds: Sequence[str],
    rounds: int,
    warm_ups: int,
    drop: Callable[[], None],
) -> dict[tuple[str, str], Runs]:
    """Every action in every place, by turns; the first rounds warm up and do not count."""
    found: dict[tuple[str, str], Runs] = {}
    for turn in range(warm_ups + rounds):
        for kind in (PLAIN, *kinds):
            uid = str(uuid.uuid4())
            own = (
                ("dump", "restore", "analyze")
                if kind == PLAIN
                else ("dump", "read back", "restore")
            )
            for action in own:
                result = measure({**base, "kind": kind, "action": action, "uid": uid})
                if turn >= warm_ups:
                    found.setdefault((action, kind), []).append(result)
            drop()
    return found


def together(one: Runs, other: Runs) -> Runs:
    """Two steps, one after the other, of each round."""
    return [
        {
            "seconds": a["seconds"] + b["seconds"],
            "cpu": a["cpu"] + b["cpu"],
            "kib": max(a["kib"], b["kib"]),
        }
        for a, b in zip(one, other, strict=True)
    ]


def show(size: int, stored: float, jobs: int, found: dict[tuple[str, str], Runs]) -> None:
    """Print the table of one size."""
    print(f"\ndatabase of {size} MB, {jobs} jobs\n")
    print("| | seconds | MB/s | of plain | of plain with ANALYZE | CPU s | peak MiB |")
    print("|---|---|---|---|---|---|---|")

    def row(label: str, runs: Runs, plain: Runs, analyzed: Runs | None = None) -> None:
        seconds = statistics.median(run["seconds"] for run in runs)
        cpu = statistics.median(run["cpu"] for run in runs)
        memory = max(run["kib"] for run in runs) / 1024
        against = ratio(analyzed, runs) if analyzed else ""
        print(
            f"| {label} | {seconds:.2f} | {stored / seconds:.1f} | {ratio(plain, runs)} | {against}"
            f" | {cpu:.2f} | {memory:.0f} |"
        )

    kinds = [kind for kind in KINDS if ("dump", kind) in found]
    dumped, restored = found["dump", PLAIN], found["restore", PLAIN]
    analyzed = together(restored, found["analyze", PLAIN])
    row("pg_dump", dumped, dumped)
    for kind in kinds:
        row(f"dump, {kind}", found["dump", kind], dumped)
    for kind in kinds:
        runs = together(found["dump", kind], found["read back", kind])
        row(f"dump, read back, {kind}", runs, dumped)
    row("pg_restore", restored, restored, analyzed)
    row("pg_restore, ANALYZE", analyzed, restored, analyzed)
    for kind in kinds:
        row(f"restore, {kind}", found["restore", kind], restored, analyzed)
    sys.stdout.flush()


def show_parts(kind: str, runs: Runs) -> None:
    """Print what the steps of a restore take: the median of the runs, of each."""
    print(f"\nsteps of the restore, {kind}\n\n| | seconds | CPU s |\n|---|---|---|")
    for steps in zip(*(run["parts"] for run in runs), strict=True):
        seconds, cpu = (statistics.median(one[index] for one in steps) for index in (1, 2))
        print(f"| {steps[0][0]} | {seconds:.2f} | {cpu:.2f} |")
    sys.stdout.flush()


def ratio(plain: Runs, runs: Runs) -> str:
    """How fast runs were beside plain ones, round by round."""
    ratios = [a["seconds"] / b["seconds"] for a, b in zip(plain, runs, strict=True)]
    return f"{100 * statistics.median(ratios):.0f}%"


def fill(parameters: ConnectionParameters, megabytes: int) -> float:
    """Make the database; return its size in MB."""
    rows = megabytes * ROWS_PER_MB // TABLES
    with connect(parameters) as connection:
        connection.execute("CREATE DATABASE bench TEMPLATE template0 ENCODING 'UTF8'")
    with connect(parameters, "bench", own_search_path=True) as connection:
        for number in range(TABLES):
            first = number * rows + 1
            for statement in FILL.format(number=number, first=first, last=first + rows - 1).split(
                ";\n"
            ):
                if statement.strip():
                    connection.execute(statement.encode())
        connection.execute("VACUUM ANALYZE")
        row: Any = connection.execute("SELECT pg_database_size('bench')").fetchone()
    return float(row[0]) / 1e6


def drop_restored(server: ConnectionParameters) -> None:
    """Drop what `restore` has made, and what it has replaced."""
    with connect(server) as connection:
        names = connection.execute(
            "SELECT datname FROM pg_database WHERE datname LIKE 'restored%'"
        ).fetchall()
        for (name,) in names:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


def find_server_programs() -> None:
    """Put PostgreSQL's server programs on PATH, from Debian's place if they are not there."""
    if shutil.which("pg_verifybackup") is None:
        programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
        os.environ["PATH"] = f"{programs[-1]}{os.pathsep}{os.environ['PATH']}"


@contextmanager
def bench_folder(name: str, parent: Path) -> Iterator[Path]:
    """A folder of its own, which the server's user can enter; it is removed in the end."""
    folder = Path(tempfile.mkdtemp(prefix=f"bench-{name}-", dir=parent.resolve()))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def bench(options: argparse.Namespace, folder: Path) -> None:
    """Measure each size."""
    for name in ("store", "spool", "s3"):
        (folder / name).mkdir()
    (folder / "identity").write_text(f"{pyrage.x25519.Identity.generate()}\n")
    with (
        s3_server(folder / "s3") as s3,
        scratch_server(folder, SETTINGS, OperatorError) as server,
    ):
        base = {
            "folder": str(folder),
            "host": server.parameters.host,
            "port": server.parameters.port,
            "jobs": options.jobs,
            "server": server.process.pid,
            "s3": {"port": s3.port, "paths": [*map(str, (s3.credentials, s3.ca_file, s3.data))]},
        }

        def drop() -> None:
            drop_restored(server.parameters)
            for path in (*(folder / "store").iterdir(), *(s3.data / BUCKET).glob("bench")):
                shutil.rmtree(path)
            for path in folder.glob("????????-????-*"):
                shutil.rmtree(path)

        for size in options.sizes:
            stored = fill(server.parameters, size)
            found = compare(base, options.only, options.rounds, options.warm_ups, drop)
            show(size, stored, options.jobs, found)
            for kind in options.only if options.parts else ():
                show_parts(kind, found["restore", kind])
            with connect(server.parameters) as connection:
                connection.execute("DROP DATABASE bench WITH (FORCE)")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1000], help="MB")
    parser.add_argument("--jobs", type=int, default=2, help="as pg_dump's (default: 2)")
    parser.add_argument("--rounds", type=int, default=3, help="runs that count (default: 3)")
    parser.add_argument("--warm-ups", type=int, default=1, help="runs before (default: 1)")
    parser.add_argument("--only", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--parts", action="store_true", help="what the steps of a restore take")
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp"))  # noqa: S108
    parser.add_argument("--work", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(json.loads(options.work))
        return
    find_server_programs()
    with bench_folder("backup", options.folder) as folder:
        bench(options, folder)


if __name__ == "__main__":
    main()
