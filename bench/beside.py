"""What a restore costs those who work in the same server meanwhile.

    python bench/beside.py [--size 300] [--rate 100] [--seconds 20] [--rounds 3] [--folder /var/tmp]

A PostgreSQL server of its own, set like that of a Database, has a database of pgbench, in which
four clients execute together `--rate` TPC-B transactions a second, and a database of `--size` MB
that is restored again and again as long as they do: by `pg_restore` and by our restore, with one
and with two processes each. All of it, pgbench too, shares the cores of this machine.

The latency of a transaction counts from the moment at which it was to begin, so that one that
begins late is a slow one. Shown is the median of the rounds, which take turns; the ratio is that of
the 99th percentiles, round by round. *MB/s* is what is restored, of the size of the database.

It needs the environment of `make venv`, and PostgreSQL's server programs on PATH or in Debian's
place.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import backup

# The collection is on the path since `backup` was imported.
from ansible_collections.postgres.operator.plugins.module_utils.errors import OperatorError
from ansible_collections.postgres.operator.plugins.module_utils.postgres.connection import (
    ConnectionParameters,
    connect,
    program_environment,
)
from ansible_collections.postgres.operator.plugins.module_utils.postgres.scratch import (
    scratch_server,
)
from backup import PLAIN, SETTINGS, Place, find_server_programs

SCALE = 10
CLIENTS = 4
VARIANTS: dict[str, tuple[str, int]] = {
    "pg_restore -j1": (PLAIN, 1),
    "pg_restore -j2": (PLAIN, 2),
    "restore, parallelism 1": ("folder", 1),
    "restore, parallelism 2": ("folder", 2),
}
ALONE = "nothing"


@dataclass(frozen=True)
class Round:
    """Milliseconds of transactions, and MB restored a second."""

    p50: float
    p99: float
    longest: float
    rate: float


def workload(database: ConnectionParameters, options: argparse.Namespace, folder: Path) -> None:
    """Run pgbench, which logs each transaction to files named `latency.*`."""
    with program_environment(database) as environment:
        subprocess.run(
            ["pgbench", "--no-vacuum", f"--client={CLIENTS}", f"--rate={options.rate}",
             f"--time={options.seconds}", "--log", f"--log-prefix={folder / 'latency'}",
             "--random-seed=1", database.conninfo()],
            env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip


def latencies(folder: Path) -> list[float]:
    """What pgbench has logged, in milliseconds, sorted; its files are removed."""
    found: list[float] = []
    for path in folder.glob("latency.*"):
        found += [float(line.split()[2]) / 1000 for line in path.read_text().splitlines()]
        path.unlink()
    return sorted(found)


def measure(
    database: ConnectionParameters,
    options: argparse.Namespace,
    folder: Path,
    restore: Callable[[], None] | None,
) -> Round:
    """Run the workload once, beside what is restored."""
    over = threading.Event()
    restored = [0]

    def again() -> None:
        while restore and not over.is_set():
            restore()
            restored[0] += 1

    thread = threading.Thread(target=again)
    started = time.monotonic()
    thread.start()
    workload(database, options, folder)
    over.set()
    thread.join()
    seconds = time.monotonic() - started
    found = latencies(folder)
    return Round(
        p50=found[len(found) // 2],
        p99=found[len(found) * 99 // 100],
        longest=found[-1],
        rate=restored[0] * options.size / seconds,
    )


def bench(options: argparse.Namespace, folder: Path) -> None:
    """Measure every variant and print the table."""
    (folder / "store").mkdir()
    with scratch_server(folder, SETTINGS, OperatorError) as server:
        backup.fill(server.parameters, options.size)
        source = replace(server.parameters, dbname="bench")
        workplace = replace(server.parameters, dbname="work")
        with connect(server.parameters) as connection:
            connection.execute("CREATE DATABASE work")
        with program_environment(workplace) as environment:
            subprocess.run(
                ["pgbench", "--initialize", f"--scale={SCALE}", "--quiet", workplace.conninfo()],
                env=environment, check=True, stderr=subprocess.DEVNULL,
            )  # fmt: skip
        dumps = {kind: str(uuid.uuid4()) for kind in (PLAIN, "folder")}
        for kind, uid in dumps.items():
            backup.dump(Place(kind, folder), source, 2, uid)

        def restore(kind: str, jobs: int) -> None:
            backup.restore(Place(kind, folder), source, jobs, dumps[kind])
            backup.drop_restored(server.parameters)

        found: dict[str, list[Round]] = {}
        for _ in range(options.rounds):
            found.setdefault(ALONE, []).append(measure(workplace, options, folder, None))
            for name, (kind, jobs) in VARIANTS.items():
                found.setdefault(name, []).append(
                    measure(workplace, options, folder, lambda k=kind, j=jobs: restore(k, j))  # type: ignore[misc]
                )
    show(found)


def show(found: dict[str, list[Round]]) -> None:
    """Print the table."""
    print("| beside | p50 ms | p99 ms | longest ms | p99, ratio | MB/s |")
    print("|---|---|---|---|---|---|")
    for name, rounds in found.items():
        ratios = [one.p99 / alone.p99 for one, alone in zip(rounds, found[ALONE], strict=True)]
        values = [
            statistics.median(getattr(one, part) for one in rounds)
            for part in ("p50", "p99", "longest", "rate")
        ]
        print(
            f"| {name} | {values[0]:.1f} | {values[1]:.1f} | {values[2]:.0f}"
            f" | {statistics.median(ratios):.1f} | {values[3]:.1f} |"
        )


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--size", type=int, default=300, help="MB that are restored")
    parser.add_argument("--rate", type=int, default=100, help="transactions a second")
    parser.add_argument("--seconds", type=int, default=20, help="of each run")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp"))  # noqa: S108
    options = parser.parse_args()
    find_server_programs()
    with backup.bench_folder("beside", options.folder) as folder:
        bench(options, folder)


if __name__ == "__main__":
    main()
