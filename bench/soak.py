"""make bench-soak: many runs in a row behind one warm parent, and what is left behind by them.

    python bench/soak.py [--runs 2000] [--at-once 2]

Each run is `ansible-runner run` of the role `database` on an unchanged Database on a stand-in
cluster (bench/stand_in.py), with ansible-operator's arguments. Now and then it prints what the
parent holds: memory, descriptors, children that were not reaped; and how many temporary files
there are. It fails where a run fails or was not warm, or where descriptors, children, temporary
files or more than 10 MB of memory are left behind.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import stand_in
from reconcile import WARM_RUNNER

MOST_GROWTH_KILOBYTES = 10 * 1024
# After these the parent has touched what it will touch.
FIRST_RUNS = 50


@dataclass(frozen=True)
class Held:
    """What the parent holds and what lies around at one moment."""

    kilobytes: int
    descriptors: int
    zombies: int
    temporary_files: int


@dataclass
class Soak:
    """The environment of the runs, and where they happen."""

    folder: Path
    environment: dict[str, str]
    roles_path: Path

    def run(self, number: int, slot: int) -> str:
        """Run once; return what went wrong, empty if nothing."""
        folder = self.folder / f"run-{slot}"
        command = [str(WARM_RUNNER / "bin" / "ansible-runner"), "run", str(folder)]
        command += ["--rotate-artifacts", "10", "--role", "database", "--roles-path"]
        command += [f"{self.roles_path}/", "--hosts", "localhost", "-i", str(number)]
        done = subprocess.run(
            [*command, "--role-skip-facts"],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return f"run {number} ended with {done.returncode}:\n{done.stdout}" * bool(done.returncode)

    def prepare(self, slot: int) -> None:
        """Make the folder of a run, as ansible-operator does."""
        extra_vars = {"ansible_operator_meta": {"name": f"b-{slot}", "namespace": "default"}}
        files = {
            "inventory/hosts": "localhost ansible_connection=local"
            ' ansible_python_interpreter="{{ansible_playbook_python}}"\n',
            "env/extravars": json.dumps(extra_vars),
            "project/.keep": "",
        }
        for name, text in files.items():
            path = self.folder / f"run-{slot}" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    @property
    def log(self) -> str:
        """What the warm runner says of itself."""
        return (self.folder / "warm" / "log").read_text()

    def parent(self) -> int:
        """The one warm parent's pid."""
        return int(re.findall(r"\[(\d+)\] ready after", self.log)[-1])

    def held(self) -> Held:
        """Look at the parent."""
        pid = self.parent()
        memory = Path(f"/proc/{pid}/smaps_rollup").read_text()
        rss = re.search(r"^Rss:\s+(\d+)", memory, re.MULTILINE)
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return Held(
            kilobytes=int(rss[1]) if rss else 0,
            descriptors=len(list(Path(f"/proc/{pid}/fd").iterdir())),
            zombies=len(children),
            temporary_files=len(list((self.folder / "tmp").iterdir())),
        )


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--at-once", type=int, default=2)
    parser.add_argument("--print-every", type=int, default=250)
    return parser.parse_args()


def _soak(soak: Soak, options: argparse.Namespace) -> list[str]:
    """Do the runs; return what is wrong."""
    done = 0
    first: Held | None = None
    print("| runs | parent MB | descriptors | children | temporary files | runs/s |")
    print("|---|---|---|---|---|---|", flush=True)
    begun = time.monotonic()
    with ThreadPoolExecutor(options.at_once) as pool:
        while done < options.runs:
            end = min(options.runs, done + (options.print_every if first else FIRST_RUNS))
            jobs = []
            for slot in range(options.at_once):
                numbers = range(done + slot, end, options.at_once)
                jobs.append(pool.submit(lambda s, n: [soak.run(i, s) for i in n], slot, numbers))
            problems = [problem for job in jobs for problem in job.result() if problem]
            if problems:
                return problems[:1]
            done = end
            # The last children are reaped within a moment.
            time.sleep(0.5)
            held = soak.held()
            first = first or held
            print(
                f"| {done} | {held.kilobytes / 1024:.1f} | {held.descriptors} | {held.zombies}"
                f" | {held.temporary_files} | {done / (time.monotonic() - begun):.1f} |",
                flush=True,
            )
    assert first is not None
    return _left_behind(first, held) + re.findall(
        r"a cold run: .*|a playbook starts cold: .*", soak.log
    )


def _left_behind(first: Held, last: Held) -> list[str]:
    problems = []
    if last.kilobytes - first.kilobytes > MOST_GROWTH_KILOBYTES:
        problems.append(f"the parent grew from {first.kilobytes} to {last.kilobytes} kB")
    if last.descriptors > first.descriptors:
        problems.append(f"descriptors: {first.descriptors}, then {last.descriptors}")
    if last.zombies:
        problems.append(f"{last.zombies} children are left")
    if last.temporary_files > first.temporary_files:
        problems.append(f"temporary files: {first.temporary_files}, then {last.temporary_files}")
    return problems


def main() -> int:
    """Run, print, judge."""
    options = _parse()
    folder = Path(tempfile.mkdtemp(prefix="soak-", dir="/tmp"))
    (folder / "tmp").mkdir()
    collections = os.environ["ANSIBLE_COLLECTIONS_PATH"]
    roles_path = Path(collections, "ansible_collections", "postgres", "operator", "roles")
    try:
        with stand_in.cluster() as (kubeconfig, _):
            environment = os.environ | stand_in.environment(kubeconfig)
            path = [str(WARM_RUNNER / "bin"), str(stand_in.operator_programs()), os.environ["PATH"]]
            environment |= {
                "PATH": os.pathsep.join(path),
                "TMPDIR": str(folder / "tmp"),
                "WARM_RUNNER_FOLDER": str(folder / "warm"),
                "WARM_RUNNER_COLLECTIONS": "postgres.operator",
                "WARM_RUNNER_INLINE": "postgres.operator",
                "WARM_RUNNER_WAIT_SECONDS": "60",
            }
            soak = Soak(folder, environment, roles_path)
            names = [f"b-{slot}" for slot in range(options.at_once)]
            stand_in.apply(
                kubeconfig, [item for n in names for item in stand_in.database("default", n)]
            )
            for slot in range(options.at_once):
                soak.prepare(slot)
            try:
                problems = _soak(soak, options)
            finally:
                os.kill(soak.parent(), signal.SIGTERM)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print("\n".join(["", *problems]) if problems else "\nNothing is left behind.")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
