"""What TLS costs a server's clients: new connections, and transactions over open ones.

    python bench/tls.py [--seconds 10] [--rounds 3] [--clients 4]

A PostgreSQL server of its own, with a certificate as a Database has one and with SCRAM, is asked by
pgbench over the loopback interface without TLS and with `sslmode=verify-full`, in turns, so that a
busy moment hits both. Each round opens a connection for every `SELECT 1`, and then runs pgbench's
own transactions (TPC-B) and its SELECTs over connections that stay open. The median of the rounds
is shown, and the median of their ratios.

It needs the environment of `make venv`, and PostgreSQL's server programs on PATH or in Debian's
place.
"""

from __future__ import annotations

import argparse
import os
import pwd
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "hack"))

from collection_root import ensure_collection_root

sys.path.insert(0, str(ensure_collection_root()))

from ansible_collections.postgres.operator.plugins.module_utils.postgres.connection import (
    ConnectionParameters,
    Tls,
    connect,
    program_environment,
)
from ansible_collections.postgres.operator.plugins.module_utils.tls import issue

NAME = "bench.example"
PASSWORD = "of the bench"  # noqa: S105 (a server that lives as long as the bench)
SCALE = 10
WORK = {
    "connections/s": ["--connect", "--file=one.sql"],
    "TPC-B transactions/s": [],
    "SELECTs/s": ["--select-only"],
}


def find_programs() -> Path:
    """Return the folder of a server's programs; Debian keeps it off PATH."""
    found = shutil.which("pgbench")
    candidates = sorted(Path("/usr/lib/postgresql").glob("*/bin/pgbench"))
    if found:
        candidates.append(Path(found))
    folders = [path.parent for path in candidates if path.with_name("initdb").exists()]
    if not folders:
        raise SystemExit("no PostgreSQL server with pgbench: apt-get install postgresql-15")
    return folders[-1]


def account() -> dict[str, Any]:
    """Return what subprocess takes to be another user: PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return {}
    entry = pwd.getpwnam("postgres")
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


@contextmanager
def server(programs: Path) -> Iterator[dict[str, ConnectionParameters]]:
    """Run a server; give how to reach it, by the names of the variants."""
    now, unprivileged = datetime.now(UTC), account()
    with tempfile.TemporaryDirectory(prefix="bench-tls-") as name:
        folder = Path(name)
        authority = issue.make_authority("bench", now)
        pair = issue.issue_server(authority, "bench", [NAME], now)
        files = {
            "ca.crt": authority.certificate,
            "tls.crt": pair.certificate,
            "tls.key": pair.key,
            "password": PASSWORD,
            "one.sql": "SELECT 1;\n",
        }
        for file, text in files.items():
            (folder / file).touch(mode=0o600)
            (folder / file).write_text(text)
        if unprivileged:
            for path in (folder, *(folder / file for file in files)):
                shutil.chown(path, unprivileged["user"])
        run = {"cwd": folder, "stdout": subprocess.DEVNULL, **unprivileged}
        data = folder / "data"
        subprocess.run(
            [programs / "initdb", f"--pgdata={data}", "--username=postgres", "--no-sync",
             "--auth=scram-sha-256", f"--pwfile={folder / 'password'}"],
            check=True, **run,
        )  # fmt: skip
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        settings = {
            "port": port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": folder,
            "ssl": "on",
            "ssl_cert_file": folder / "tls.crt",
            "ssl_key_file": folder / "tls.key",
        }
        with (data / "postgresql.conf").open("a") as configuration:
            configuration.writelines(f"{key} = '{value}'\n" for key, value in settings.items())
        control: list[str | Path] = [programs / "pg_ctl", "-D", data, "-l", folder / "log", "-w"]
        subprocess.run([*control, "start"], check=True, **run)
        try:
            plain = ConnectionParameters(
                NAME, port, "postgres", "postgres", folder / "password", Tls("disable"), "127.0.0.1"
            )
            encrypted = Tls("verify-full", folder / "ca.crt")
            yield {"plain": plain, "TLS": replace(plain, tls=encrypted)}
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], check=True, **run)


def measure(
    programs: Path, parameters: ConnectionParameters, options: list[str], clients: int, seconds: int
) -> float:
    """Return what pgbench counts in a second."""
    assert parameters.password_file is not None
    with program_environment(parameters) as environment:
        done = subprocess.run(
            [programs / "pgbench", f"--client={clients}", "--jobs=2", f"--time={seconds}",
             "--no-vacuum", *options, parameters.conninfo()],
            env=environment, cwd=parameters.password_file.parent,
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    found = re.search(r"tps = ([\d.]+)", done.stdout)
    assert found is not None
    return float(found[1])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=10, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", type=int, default=4)
    options = parser.parse_args()
    programs = find_programs()
    found: dict[tuple[str, str], list[float]] = {}
    with server(programs) as variants:
        plain = variants["plain"]
        with connect(plain) as session:
            version = session.info.server_version
        with program_environment(plain) as environment:
            subprocess.run(
                [programs / "pgbench", "-i", "-q", f"--scale={SCALE}", plain.conninfo()],
                env=environment, check=True, capture_output=True,
            )  # fmt: skip
        for _ in range(options.rounds):
            for work, arguments in WORK.items():
                for variant, parameters in variants.items():
                    value = measure(
                        programs, parameters, arguments, options.clients, options.seconds
                    )
                    found.setdefault((work, variant), []).append(value)
    print(
        f"PostgreSQL {version // 10000}.{version % 10000}, {os.cpu_count()} cores,"
        f" {options.clients} clients, {options.rounds} rounds of {options.seconds} s\n"
    )
    print(f"{'':24}{'plain':>10}{'TLS':>10}{'ratio':>8}")
    for work in WORK:
        without, with_tls = found[work, "plain"], found[work, "TLS"]
        ratio = statistics.median(b / a for a, b in zip(without, with_tls, strict=True))
        print(
            f"{work:24}{statistics.median(without):10.0f}{statistics.median(with_tls):10.0f}"
            f"{ratio:8.2f}"
        )


if __name__ == "__main__":
    main()
