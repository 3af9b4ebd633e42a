"""make bench-fleet: what many resources cost, on a stand-in cluster (bench/stand_in.py).

    python bench/fleet.py simple [--count 100] [--stock-count 30]
    python bench/fleet.py databases [--count 100]
    python bench/fleet.py databases --count 1000 --rest-seconds 300 --no-change
    python bench/fleet.py restart [--count 500]

`simple` is what operator-sdk's performance test of Ansible operators asks: so many resources,
each of which is to have one object (here a ConfigMap); how long until all are up? One turn with
the stock ansible-runner and the module in a process of its own, one with the warm runner and the
module in Ansible's worker. Both have the same ansible-operator, role, module and number of
workers.

`databases` makes Databases, waits until all are Ready, then stands still, then changes each. The
operator's side is whole: the role, the API server, the SQL. What would run on nodes is not there:
no pod starts, so the time until all are up is the operator's own share of it. All Databases share
one PostgreSQL. CPU and memory are those of ansible-operator, the warm parent and all runs; memory
counts shared pages once.

`restart` has Backups that ended long ago and one that has not, starts the operator, which
reconciles all of them, and makes a new one: how long until each of the two is reconciled, and
until all were, which is what the last of them would wait for without priorities.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import stand_in
from reconcile import CONFIGURATION, WARM_RUNNER, write_ordinary_collection

CHECKOUT = Path(__file__).resolve().parents[1]
RUN_OPERATOR = CHECKOUT / "image" / "operator" / "run_operator.py"
TICKS = os.sysconf("SC_CLK_TCK")
NAMESPACE = "default"
DATABASES = ("database.example.com", "v1", NAMESPACE, "databases")
BACKUPS = ("database.example.com", "v1", NAMESPACE, "backups")
SIMPLE_CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "simples.bench.example.com"},
    "spec": {
        "group": "bench.example.com",
        "names": {"kind": "Simple", "plural": "simples"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "x-kubernetes-preserve-unknown-fields": True,
                    }
                },
            }
        ],
    },
}
SIMPLE_ROLE = """
- name: The ConfigMap exists
  postgres.operator.apply:
    definitions:
      - apiVersion: v1
        kind: ConfigMap
        metadata:
          name: "{{ ansible_operator_meta.name }}"
          namespace: "{{ ansible_operator_meta.namespace }}"
          labels: {app: simple}
        data: {key: value}
"""
SIMPLE_WATCH = """
- {version: v1, group: bench.example.com, kind: Simple, role: ROLE, watchDependentResources: false}
"""


@dataclass
class Operator:
    """A running operator and what it uses."""

    process: subprocess.Popen[bytes]
    log: Path
    begun: float = field(default_factory=time.monotonic)
    peak_kilobytes: int = 0

    def cpu(self) -> float:
        """CPU seconds so far of the operator and all that it started."""
        ticks = 0
        for pid in [self.process.pid, *_descendants(self.process.pid)]:
            with contextlib.suppress(OSError):
                text = Path(f"/proc/{pid}/stat").read_text()
                ticks += sum(map(int, text.rpartition(")")[2].split()[11:15]))
        return ticks / TICKS

    def memory(self) -> int:
        """Kilobytes of the operator and all that it started, shared pages once."""
        total = 0
        for pid in [self.process.pid, *_descendants(self.process.pid)]:
            with contextlib.suppress(OSError):
                text = Path(f"/proc/{pid}/smaps_rollup").read_text()
                found = re.search(r"^Pss:\s+(\d+)", text, re.MULTILINE)
                total += int(found[1]) if found else 0
        return total

    def watch_memory(self) -> None:
        """Keep the peak, in the background."""

        def watch() -> None:
            while self.process.poll() is None:
                self.peak_kilobytes = max(self.peak_kilobytes, self.memory())
                time.sleep(0.5)

        threading.Thread(target=watch, daemon=True).start()

    def errors(self) -> int:
        """How many lines of its log tell of an error."""
        text = self.log.read_text(errors="replace")
        return len(re.findall(r'"level":"error"|\tERROR\t', text))

    def runs(self) -> int:
        """How many runs have ended well."""
        return self.log.read_text(errors="replace").count("Ansible-runner exited successfully")


def _descendants(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        threads = Path(f"/proc/{pid}/task").iterdir()
        # A Go program starts processes from any of its threads.
        for thread in threads:
            if thread.name != str(pid):
                children += (thread / "children").read_text().split()
    except OSError:
        return []
    return [found for child in children for found in (int(child), *_descendants(int(child)))]


@contextlib.contextmanager
def operator(
    folder: Path,
    kubeconfig: Path,
    watches: Path,
    collections: Path,
    warm: bool,
    workers: int,
    first: Sequence[str] = (),
    options: Sequence[str] = (),
) -> Iterator[Operator]:
    """Run ansible-operator as the image does, or with the stock runner.

    Args:
        first: the command that runs it.
        options: more of its own options.
    """
    programs, runner = Path(sys.executable).parent, stand_in.operator_programs()
    ahead = [str(WARM_RUNNER / "bin")] if warm else []
    environment = os.environ | stand_in.environment(kubeconfig)
    environment |= {
        "PATH": os.pathsep.join([*ahead, str(runner), str(programs), os.environ["PATH"]]),
        "ANSIBLE_COLLECTIONS_PATH": str(collections),
        "ANSIBLE_GATHERING": "explicit",
        "ANSIBLE_CONFIG": str(CONFIGURATION),
        "LC_ALL": "C.UTF-8",
        "WARM_RUNNER": "on" if warm else "off",
        "WARM_RUNNER_FOLDER": str(folder / "warm"),
        "WARM_RUNNER_COLLECTIONS": "postgres.operator",
        "WARM_RUNNER_INLINE": "postgres.operator",
        "TMPDIR": str(folder),
    }
    command = [
        *first,
        *(["with-warm-runner"] if warm else []),
        str(programs / "ansible-operator"),
        "run",
        f"--watches-file={watches}",
        f"--max-concurrent-reconciles={workers}",
        "--ansible-verbosity=0",
        "--metrics-bind-address=0",
        "--health-probe-bind-address=0",
        *options,
    ]
    log = folder / f"operator-{'warm' if warm else 'stock'}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    running = Operator(process, log)
    running.watch_memory()
    try:
        yield running
    finally:
        parents = _descendants(process.pid)
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(40)
        for pid in parents:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        process.kill()
        process.wait()


def wait_until(
    done: Callable[[], bool], running: Operator, seconds: float, pause: float = 0.25
) -> float:
    """Return the seconds until it is so, NaN where it is not within the time."""
    begun = time.monotonic()
    while not done():
        if running.process.poll() is not None:
            tail = running.log.read_text(errors="replace")[-3000:]
            raise SystemExit(f"{tail}\nthe operator ended: see above")
        if time.monotonic() - begun > seconds:
            return float("nan")
        time.sleep(pause)
    return time.monotonic() - begun


class Api:
    """What the benchmark itself asks the API server."""

    def __init__(self, kubeconfig: Path) -> None:
        from kubernetes import client  # noqa: PLC0415 (a slow import)

        api = stand_in.api_client(kubeconfig)
        self._core = client.CoreV1Api(api)
        self._custom = client.CustomObjectsApi(api)

    def count_config_maps(self) -> int:
        """How many ConfigMaps the Simples have."""
        found = self._core.list_namespaced_config_map(
            NAMESPACE, label_selector="app=simple", _preload_content=False
        )
        return len(json.loads(found.data)["items"])

    def databases(self) -> list[dict[str, Any]]:
        """Return all Databases."""
        found = self._custom.list_namespaced_custom_object(*DATABASES)
        items: list[dict[str, Any]] = found["items"]
        return items

    def end_backup(self, name: str) -> None:
        """Write the status of a Backup that is Completed."""
        status = {"status": {"phase": "Completed", "observedGeneration": 1}}
        self._custom.patch_namespaced_custom_object_status(*BACKUPS, name, status)

    def is_taken_up(self, name: str) -> bool:
        """Return whether a Backup has a status of the operator's: its phase has a default."""
        found = self._custom.get_namespaced_custom_object(*BACKUPS, name)
        return bool(found.get("status", {}).get("conditions"))

    def change(self, name: str, spec: dict[str, Any]) -> None:
        """Change a Database's spec."""
        self._custom.patch_namespaced_custom_object(*DATABASES, name, {"spec": spec})

    def all_ready(self, count: int) -> bool:
        """Return whether so many Databases are Ready, as their present spec says."""
        ready = [
            found
            for found in self.databases()
            if found.get("status", {}).get("phase") == "Ready"
            and found["status"]["observedGeneration"] == found["metadata"]["generation"]
        ]
        return len(ready) == count


def _in_parts(items: Sequence[Any], size: int = 200) -> Iterator[Sequence[Any]]:
    for begin in range(0, len(items), size):
        yield items[begin : begin + size]


def bench_simple(options: argparse.Namespace, folder: Path) -> None:
    """Measure `simple` and print its table."""
    ordinary = write_ordinary_collection(folder)
    own = Path(os.environ["ANSIBLE_COLLECTIONS_PATH"])
    role = folder / "roles" / "simple"
    (role / "tasks").mkdir(parents=True)
    (role / "tasks" / "main.yml").write_text(SIMPLE_ROLE)
    watches = folder / "watches.yaml"
    watches.write_text(SIMPLE_WATCH.replace("ROLE", str(role)))
    print("| runner | resources | until all are up, s | per second | CPU s each | peak MB |")
    print("|---|---|---|---|---|---|", flush=True)
    turns = [
        Turn("stock", ordinary, False, options.stock_count),
        Turn("ours", own, True, options.count),
    ]
    rates = {turn.name: _bench_simple(turn, options, folder, watches) for turn in turns}
    factor = rates["ours"] / rates["stock"]
    print(f"\nOurs is up {factor:.1f} times sooner.")
    if options.stock_count != options.count:
        print(
            f"The stock runner had {options.stock_count} resources; at the same rate"
            f" {options.count} would take {options.count / rates['stock']:.0f} s."
        )


@dataclass(frozen=True)
class Turn:
    """One way to run the operator, for so many resources."""

    name: str
    collections: Path
    warm: bool
    count: int


def _bench_simple(turn: Turn, options: argparse.Namespace, folder: Path, watches: Path) -> float:
    """Measure one turn, print its row, return how many came up per second."""
    with stand_in.cluster() as (kubeconfig, _):
        stand_in.apply(kubeconfig, [SIMPLE_CRD])
        wait = ("--for=condition=Established", "crd/simples.bench.example.com")
        stand_in.kubectl(kubeconfig, "wait", *wait)
        api = Api(kubeconfig)
        with operator(
            folder, kubeconfig, watches, turn.collections, turn.warm, options.workers
        ) as running:
            # Its caches are in sync, and the first run is done.
            stand_in.apply(kubeconfig, [_simple("first")])
            wait_until(lambda: api.count_config_maps() == 1, running, 120)
            cpu = running.cpu()
            stand_in.apply(kubeconfig, [_simple(f"s-{n}") for n in range(turn.count)])
            seconds = wait_until(
                lambda: api.count_config_maps() == turn.count + 1, running, options.limit
            )
            cpu = running.cpu() - cpu
            print(
                f"| {turn.name} | {turn.count} | {seconds:.1f} | {turn.count / seconds:.2f}"
                f" | {cpu / turn.count:.2f} | {running.peak_kilobytes / 1024:.0f} |",
                flush=True,
            )
            return turn.count / seconds


def _simple(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "bench.example.com/v1",
        "kind": "Simple",
        "metadata": {"name": name, "namespace": NAMESPACE},
    }


Rows = list[tuple[str, str]]


def bench_databases(options: argparse.Namespace, folder: Path) -> None:
    """Measure `databases` and print its table."""
    collections = Path(os.environ["ANSIBLE_COLLECTIONS_PATH"])
    watches = CHECKOUT / "watches.yaml"
    rows: Rows = []
    with (
        stand_in.cluster() as (kubeconfig, instances),
        operator(folder, kubeconfig, watches, collections, True, options.workers) as running,
    ):
        api = Api(kubeconfig)
        stand_in.apply(kubeconfig, stand_in.database(NAMESPACE, "first"))
        wait_until(lambda: bool(api.databases()[0].get("status")), running, 120, 0.05)
        started = time.monotonic() - running.begun
        rows.append(("operator started until the first status, s", f"{started:.1f}"))
        wait_until(lambda: api.all_ready(1), running, 120)
        rows += _bring_up(options, kubeconfig, api, running)
        rows += _rest(options, running)
        if options.change:
            rows += _change(options, api, running)
        rows.append(("peak memory, MB", f"{running.peak_kilobytes / 1024:.0f}"))
        rows.append(("errors in the operator's log", str(running.errors())))
        rows.append(("failures of the stand-in", str(len(instances.failures))))
    print(f"| {options.count} Databases, {options.workers} workers | |\n|---|---|")
    for name, value in rows:
        print(f"| {name} | {value} |")


def _bring_up(options: argparse.Namespace, kubeconfig: Path, api: Api, running: Operator) -> Rows:
    """Make all but the first."""
    begun, cpu = time.monotonic(), running.cpu()
    for part in _in_parts([f"b-{number}" for number in range(options.count - 1)]):
        items = [item for name in part for item in stand_in.database(NAMESPACE, name)]
        stand_in.apply(kubeconfig, items)
    _wait_for_all(options, api, running)
    elapsed = time.monotonic() - begun
    ready = sum(found.get("status", {}).get("phase") == "Ready" for found in api.databases())
    return [
        ("Databases made until all are Ready, s", f"{elapsed:.0f}"),
        ("Ready then", str(ready)),
        ("the same, CPU s", f"{running.cpu() - cpu:.0f}"),
    ]


def _rest(options: argparse.Namespace, running: Operator) -> Rows:
    """Wait in the steady state, once the first reconciles and their writes are over."""
    time.sleep(options.settle_seconds)
    cpu, runs = running.cpu(), running.runs()
    time.sleep(options.rest_seconds)
    used = (running.cpu() - cpu) / options.rest_seconds
    return [
        (f"steady state for {options.rest_seconds:.0f} s, % of a core", f"{used * 100:.1f}"),
        ("the same, runs", str(running.runs() - runs)),
        ("memory in the steady state, MB", f"{running.memory() / 1024:.0f}"),
    ]


def _change(options: argparse.Namespace, api: Api, running: Operator) -> Rows:
    begun = time.monotonic()
    for found in api.databases():
        api.change(found["metadata"]["name"], {"resources": {"requests": {"cpu": "20m"}}})
    _wait_for_all(options, api, running)
    elapsed = time.monotonic() - begun
    return [("one change to each until all are Ready, s", f"{elapsed:.0f}")]


def _wait_for_all(options: argparse.Namespace, api: Api, running: Operator) -> None:
    # Each check reads them all: the more there are, the less often.
    pause = 0.25 + options.count / 500
    wait_until(lambda: api.all_ready(options.count), running, options.limit, pause)


def bench_restart(options: argparse.Namespace, folder: Path) -> None:
    """Measure `restart` and print its table."""
    collections = Path(os.environ["ANSIBLE_COLLECTIONS_PATH"])
    watches = CHECKOUT / "watches.yaml"
    with stand_in.cluster() as (kubeconfig, _):
        api = Api(kubeconfig)
        names = [f"ended-{number}" for number in range(options.count)]
        for part in _in_parts([*names, "unfinished"]):
            stand_in.apply(kubeconfig, [_backup(name) for name in part])
        for name in names:
            api.end_backup(name)
        with operator(
            folder,
            kubeconfig,
            watches,
            collections,
            True,
            options.workers,
            [sys.executable, str(RUN_OPERATOR)],
            ["--leader-elect", "--leader-election-id=bench", "--leader-election-namespace=default"],
        ) as running:
            wait_until(lambda: running.runs() > 0, running, 120, 0.05)
            stand_in.apply(kubeconfig, [_backup("new")])
            made = time.monotonic() - running.begun
            seconds: dict[str, float] = {}

            def is_done() -> bool:
                for name in {"new", "unfinished"} - set(seconds):
                    if api.is_taken_up(name):
                        seconds[name] = time.monotonic() - running.begun
                return bool(running.runs() > options.count + 1)

            wait_until(is_done, running, options.limit)
            seconds["all"] = time.monotonic() - running.begun
    print(
        f"| {options.count} ended Backups, {options.workers} workers, operator started until | s |"
    )
    print("|---|---|")
    print(f"| a new one is made, as the first run has ended | {made:.1f} |")
    print(f"| it is reconciled | {seconds['new']:.1f} |")
    print(f"| an unfinished one is reconciled | {seconds['unfinished']:.1f} |")
    print(f"| all were reconciled | {seconds['all']:.1f} |")


def _backup(name: str) -> dict[str, Any]:
    """Return a Backup of a Database that is not there: all that it can do is wait."""
    return {
        "apiVersion": "database.example.com/v1",
        "kind": "Backup",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            # As one that was reconciled before has.
            "finalizers": ["database.example.com/artifact"],
        },
        "spec": {"databaseRef": {"name": "gone"}, "deletionPolicy": "Delete"},
    }


WHAT = {"simple": bench_simple, "databases": bench_databases, "restart": bench_restart}


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=list(WHAT))
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--stock-count", type=int, default=30, help="of `simple`, as it is slow")
    parser.add_argument("--workers", type=int, default=2, help="reconciles at once, as deployed")
    parser.add_argument("--limit", type=float, help="seconds until it is given up; 2 a resource")
    parser.add_argument("--settle-seconds", type=float, default=70)
    parser.add_argument("--rest-seconds", type=float, default=600)
    parser.add_argument("--no-change", dest="change", action="store_false")
    options = parser.parse_args()
    options.limit = options.limit or 240 + 2 * options.count
    return options


def main() -> int:
    """Measure and print."""
    options = _parse()
    folder = Path(tempfile.mkdtemp(prefix="fleet-", dir="/tmp"))
    try:
        WHAT[options.what](options, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
