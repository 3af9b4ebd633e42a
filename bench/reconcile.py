"""make bench-reconcile: what one reconcile costs, with the stock ansible-runner and the warm one.

    python bench/reconcile.py [--runs 9] [--at-once 1 8]
    python bench/reconcile.py --waiting
    python bench/reconcile.py --small
    python bench/reconcile.py --role NAME --roles-path roles --extra-vars @vars.json

It measures the role `database` on unchanged Databases, each run at once on another one, against a
real API server and a real PostgreSQL on this machine; bench/stand_in.py says what is missing of a
cluster. With --waiting their instances do not start, and each reconcile is one that waits for them.
With --small it is a role of six tasks that each ask a small server. The variants:

    stock       ansible-runner as it is, every module in a process of its own, as in any operator
    in-process  ansible-runner as it is, modules run in Ansible's worker
    warm        the same modules behind the warm runner
    inline      there, and in the playbook's own process
    early       and Ansible does not run where there is nothing to do: what the image does

A role that is given runs as it is, in-process, warm and, with --inline, inline.

Every run is `ansible-runner run` with ansible-operator's arguments, its events posted to a socket.
The variants take turns, so that a busy moment hits all. It needs a Python environment with
ansible-runner, ansible-core and ansible-runner-http: $OPERATOR_BIN, which `make` sets to one with
what the image has, else the Python that it runs in, or --bin.
"""

from __future__ import annotations

import argparse
import contextlib
import http.server
import json
import os
import re
import resource
import shutil
import signal
import socketserver
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import stand_in

CHECKOUT = Path(__file__).resolve().parents[1]
WARM_RUNNER = CHECKOUT / "image" / "warm_runner"
CONFIGURATION = CHECKOUT / "image" / "operator" / "ansible.cfg"
COLLECTION_PARTS = ("galaxy.yml", "playbooks", "plugins", "roles")
COLLECTION = "postgres.operator"
TASKS = 6
TICKS = os.sysconf("SC_CLK_TCK")

ASK = '''
"""Ask the server, as a module that talks to an API does."""
import urllib.request

def ask(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as answer:
        return answer.read().decode()
'''
MODULE = """#!/usr/bin/python
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.bench.{name}.plugins.module_utils.ask import ask

def main():
    module = AnsibleModule(argument_spec={{"port": {{"type": "int"}}}})
    module.exit_json(answer=ask(module.params["port"]))

if __name__ == "__main__":
    main()
"""
ACTION = """
from ansible.plugins.action import ActionBase
from ansible_collections.bench.{name}.plugins.module_utils.ask import ask

class ActionModule(ActionBase):
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        result.update(changed=False, answer=ask(self._task.args["port"]))
        return result
"""


@dataclass
class Variant:
    """A way to run the role, and what its runs took."""

    name: str
    role: str
    roles_path: Path
    warm: bool
    inline: str = ""
    early: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    walls: list[float] = field(default_factory=list)
    batches: list[float] = field(default_factory=list)
    cpu: float = 0.0
    memory: int = 0


@dataclass
class Bench:
    """The folder of a measurement and the environment of its runs."""

    folder: Path
    programs: Path
    environment: dict[str, str]
    extra_vars: Sequence[str]
    settings: str
    kubeconfig: Path | None = None
    failure: str = ""

    @property
    def parents(self) -> list[int]:
        """The warm parents' pids."""
        log = self.folder / "run" / "log"
        found = re.findall(r"\[(\d+)\] ready after", log.read_text()) if log.exists() else []
        return [int(pid) for pid in found if Path(f"/proc/{pid}").exists()]

    def pass_databases(self) -> None:
        """Have the runs get their Database as it is now, as ansible-operator passes it."""
        if self.kubeconfig is None:
            return
        found = stand_in.kubectl(self.kubeconfig, "get", "databases", "-n", "default", "-o", "json")
        self.extra_vars = [
            json.dumps(
                _unsafe(item["spec"])
                | {
                    "ansible_operator_meta": {
                        "name": item["metadata"]["name"],
                        "namespace": "default",
                    },
                    "_database_example_com_database": _unsafe(item),
                    "_database_example_com_database_spec": _unsafe(item["spec"]),
                }
            )
            for item in json.loads(found)["items"]
        ]

    def start(self, variant: Variant, slot: int) -> subprocess.Popen[bytes]:
        """Start one run as ansible-operator does."""
        folder = self.folder / f"{variant.name}-{slot}"
        files = {
            "inventory/hosts": "localhost ansible_connection=local"
            ' ansible_python_interpreter="{{ansible_playbook_python}}"\n',
            "env/extravars": self.extra_vars[slot % len(self.extra_vars)],
            "env/settings": self.settings,
            "project/.keep": "",
        }
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        ahead = [str(WARM_RUNNER / "bin")] if variant.warm else []
        path = os.pathsep.join([*ahead, str(self.programs), "/usr/local/bin:/usr/bin:/bin"])
        arguments = ["run", str(folder), "--rotate-artifacts", "20", "--role", variant.role]
        arguments += ["--roles-path", f"{variant.roles_path}/", "--hosts", "localhost"]
        arguments += ["-i", str(time.monotonic_ns()), "--role-skip-facts"]
        program = WARM_RUNNER / "bin" if variant.warm else self.programs
        return subprocess.Popen(
            [program / "ansible-runner", *arguments],
            env=self.environment
            | variant.environment
            | {
                "PATH": path,
                "WARM_RUNNER_INLINE": variant.inline,
                "WARM_RUNNER_EARLY_END": variant.early,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def batch(self, variant: Variant, at_once: int) -> None:
        """Run so many at once and keep what they took."""
        cpu = self._cpu()
        begun = time.monotonic()
        running = [self.start(variant, slot) for slot in range(at_once)]
        threads = [
            threading.Thread(target=self._finish, args=(variant, process, begun))
            for process in running
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self.failure:
            raise SystemExit(self.failure)
        variant.batches.append(time.monotonic() - begun)
        variant.cpu += self._cpu() - cpu

    def _finish(self, variant: Variant, process: subprocess.Popen[bytes], begun: float) -> None:
        output, _ = process.communicate()
        variant.walls.append(time.monotonic() - begun)
        if process.returncode:
            self.failure = (
                f"{output.decode(errors='replace')}\n"
                f"{variant.name}: ansible-runner ended with {process.returncode}: see above"
            )

    def _cpu(self) -> float:
        """CPU seconds so far of all runs and of the warm parent."""
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = used.ru_utime + used.ru_stime
        return seconds + sum(sum(map(int, _stat(pid)[11:15])) for pid in self.parents) / TICKS

    def measure_memory(self, variant: Variant) -> None:
        """Run once more and measure the most memory that its processes have."""
        process = self.start(variant, 0)
        while process.poll() is None:
            tree = [process.pid, *_descendants(process.pid)]
            if variant.warm:
                tree += [found for pid in self.parents for found in _descendants(pid)]
            variant.memory = max(variant.memory, sum(map(_memory, tree)))
            time.sleep(0.005)
        process.communicate()


def _unsafe(value: Any) -> Any:
    """Mark texts as ansible-operator does with `markUnsafe: true`."""
    if isinstance(value, dict):
        return {key: _unsafe(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_unsafe(item) for item in value]
    return {"__ansible_unsafe": value} if isinstance(value, str) else value


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _descendants(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [found for child in children for found in (int(child), *_descendants(int(child)))]


def _memory(pid: int) -> int:
    """The kilobytes of a process, shared ones by its share."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    found = re.search(r"^Pss:\s+(\d+)", text, re.MULTILINE)
    return int(found[1]) if found else 0


class _Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def address_string(self) -> str:
        return ""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _TcpServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128


class _UnixServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 128


@contextlib.contextmanager
def _serving(server: socketserver.BaseServer) -> Iterator[None]:
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


def _write_own_role(folder: Path, port: int) -> list[Variant]:
    """Write two collections that differ in the action only, and a role for each."""
    for name in ("ordinary", "inprocess"):
        collection = folder / "collections" / "ansible_collections" / "bench" / name
        files = {
            "galaxy.yml": f"namespace: bench\nname: {name}\nversion: 1.0.0\n",
            "plugins/modules/ask.py": MODULE.format(name=name),
            "plugins/module_utils/ask.py": ASK,
            f"roles/{name}/tasks/main.yml": "".join(
                f"- {{name: Ask {number}, bench.{name}.ask: {{port: {port}}}}}\n"
                for number in range(TASKS)
            ),
        }
        if name == "inprocess":
            files["plugins/action/ask.py"] = ACTION.format(name=name)
        for path, text in files.items():
            (collection / path).parent.mkdir(parents=True, exist_ok=True)
            (collection / path).write_text(text)
    base = folder / "collections" / "ansible_collections" / "bench"
    return [
        Variant("stock", "ordinary", base / "ordinary" / "roles", warm=False),
        Variant("in-process", "inprocess", base / "inprocess" / "roles", warm=False),
        Variant("warm", "inprocess", base / "inprocess" / "roles", warm=True),
        Variant(
            "inline",
            "inprocess",
            base / "inprocess" / "roles",
            warm=True,
            inline="bench.inprocess",
        ),
    ]


def write_ordinary_collection(folder: Path) -> Path:
    """Make the project's collection anew, without the routing that keeps modules in the worker."""
    root = folder / "ordinary"
    collection = root / "ansible_collections" / "postgres" / "operator"
    (collection / "meta").mkdir(parents=True)
    (collection / "meta" / "runtime.yml").write_text('requires_ansible: ">=2.18.0"\n')
    for part in COLLECTION_PARTS:
        if (CHECKOUT / part).is_dir():
            shutil.copytree(CHECKOUT / part, collection / part)
        else:
            shutil.copy(CHECKOUT / part, collection / part)
    return root


def _database_variants(folder: Path) -> list[Variant]:
    """Return all five, of the role `database`."""
    root = Path(os.environ["ANSIBLE_COLLECTIONS_PATH"])
    roles = Path("ansible_collections", "postgres", "operator", "roles")
    ordinary = folder / "ordinary"
    if not ordinary.exists():
        write_ordinary_collection(folder)
    stock = {"ANSIBLE_COLLECTIONS_PATH": str(ordinary)}
    return [
        Variant("stock", "database", ordinary / roles, warm=False, environment=stock),
        Variant("in-process", "database", root / roles, warm=False),
        Variant("warm", "database", root / roles, warm=True),
        Variant("inline", "database", root / roles, warm=True, inline=COLLECTION),
        Variant("early", "database", root / roles, warm=True, inline=COLLECTION, early=COLLECTION),
    ]


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=9, help="rounds for each number at once")
    parser.add_argument("--at-once", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--variants", nargs="+", help="only these")
    parser.add_argument("--waiting", action="store_true", help="instances that do not start")
    parser.add_argument("--small", action="store_true", help="a role of six small tasks")
    parser.add_argument("--role", help="a role of yours; it runs with this environment")
    parser.add_argument("--inline", default="", help="its collections whose tasks may run inline")
    parser.add_argument("--roles-path", type=Path, default=Path("roles"))
    parser.add_argument("--extra-vars", default="{}", help="JSON, or @FILE")
    parser.add_argument("--bin", type=Path, default=stand_in.operator_programs())
    return parser.parse_args()


def _environment(folder: Path, own: bool) -> dict[str, str]:
    environment = dict(os.environ) | {
        "ANSIBLE_GATHERING": "explicit",
        "ANSIBLE_CONFIG": str(CONFIGURATION),
        "WARM_RUNNER": "on",
        "WARM_RUNNER_FOLDER": str(folder / "run"),
        "WARM_RUNNER_WAIT_SECONDS": "60",
    }
    environment.setdefault("LC_ALL", "C.UTF-8")
    if own:
        environment["ANSIBLE_COLLECTIONS_PATH"] = str(folder / "collections")
        environment["WARM_RUNNER_COLLECTIONS"] = "bench.inprocess"
    return environment


def main() -> int:
    """Measure and print."""
    options = _parse()
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir="/tmp"))
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        bench = _prepare(options, folder, stack)
        stack.callback(_end_parents, bench)
        tcp = _TcpServer(("127.0.0.1", 0), _Answer)
        stack.enter_context(_serving(tcp))
        stack.enter_context(_serving(_UnixServer(str(folder / "events"), _Answer)))
        print("| variant | at once | p50 ms | p95 ms | CPU ms | runs/s | peak MB | speed |")
        print("|---|---|---|---|---|---|---|---|", flush=True)
        for at_once in options.at_once:
            variants = _variants(options, folder, tcp.server_address[1])
            _measure(bench, variants, options.runs, at_once)
            _print_rows(variants)
        memory = max(map(_memory, bench.parents), default=0)
        print(f"\nAn idle warm parent: {memory / 1024:.0f} MB.")
    return 0


def _prepare(options: argparse.Namespace, folder: Path, stack: contextlib.ExitStack) -> Bench:
    """Make the environment of the runs, and the cluster that they talk to."""
    environment = _environment(folder, own=options.small)
    text: str = options.extra_vars
    extra_vars = [Path(text[1:]).read_text() if text.startswith("@") else text]
    kubeconfig = None
    if not options.small and not options.role:
        most = max(options.at_once)
        names = [f"b-{number}" for number in range(most)]
        kubeconfig, instances = stack.enter_context(stand_in.cluster())
        if options.waiting:
            instances.stop()
        stand_in.apply(
            kubeconfig, [item for n in names for item in stand_in.database("default", n)]
        )
        extra_vars = [
            json.dumps({"ansible_operator_meta": {"name": name, "namespace": "default"}})
            for name in names
        ]
        environment |= stand_in.environment(kubeconfig)
        environment["KUBECONFIG"] = str(stack.enter_context(stand_in.proxy(kubeconfig)))
        environment["WARM_RUNNER_COLLECTIONS"] = "postgres.operator"
    settings = {"runner_http_url": str(folder / "events"), "runner_http_path": "/events/"}
    return Bench(
        folder=folder,
        programs=options.bin,
        environment=environment,
        extra_vars=extra_vars,
        settings=json.dumps(settings),
        kubeconfig=kubeconfig,
    )


def _end_parents(bench: Bench) -> None:
    for pid in bench.parents:
        os.kill(pid, signal.SIGTERM)


def _variants(options: argparse.Namespace, folder: Path, port: int) -> list[Variant]:
    if options.small:
        found = _write_own_role(folder, port)
    elif not options.role:
        found = _database_variants(folder)
    else:
        path = options.roles_path.absolute()
        found = [
            Variant("in-process", options.role, path, warm=False),
            Variant("warm", options.role, path, warm=True),
            Variant("inline", options.role, path, warm=True, inline=options.inline),
        ][: 3 if options.inline else 2]
    return [v for v in found if not options.variants or v.name in options.variants]


def _measure(bench: Bench, variants: list[Variant], rounds: int, at_once: int) -> None:
    # A Database that is new takes two runs to come up, and one to be known as in the steady state.
    for variant in variants[-1:] * 3 + variants:
        for slot in range(at_once):
            bench.start(variant, slot).communicate()
        bench.pass_databases()
    for _ in range(rounds):
        for variant in variants:
            bench.batch(variant, at_once)
    if at_once == 1:
        for variant in variants:
            bench.measure_memory(variant)


def _print_rows(variants: list[Variant]) -> None:
    first = statistics.median(variants[0].walls)
    for variant in variants:
        walls = sorted(variant.walls)
        median = statistics.median(walls)
        last = walls[round(0.95 * (len(walls) - 1))]
        at_once = len(walls) // len(variant.batches)
        memory = f"{variant.memory / 1024:.0f}" if variant.memory else "-"
        print(
            f"| {variant.name} | {at_once} | {median * 1000:.0f} | {last * 1000:.0f}"
            f" | {variant.cpu / len(walls) * 1000:.0f} | {len(walls) / sum(variant.batches):.1f}"
            f" | {memory} | {first / median:.1f}x |",
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(main())
