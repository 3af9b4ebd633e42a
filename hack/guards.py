"""Takes out each guard of guards.yml, one at a time, and looks whether its tests notice.

Works on a copy of the checkout's last commit. A guard whose tests pass without it is named, and the
exit code is 1. The tests that need an API server are run with --cluster, on that of $KUBECONFIG,
which gets the CRDs of the copy.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CHECKOUT = Path(__file__).resolve().parents[1]
GUARDS = Path(__file__).with_name("guards.yml")
TIMEOUT_SECONDS = 900
TESTS_FAILED = 1
"""pytest's exit code where tests were run and some failed."""


@dataclass(frozen=True)
class Guard:
    """What holds a boundary.

    Attributes:
        name: what it does.
        file: where, from the checkout's root.
        changes: (text that the file has once, what is there without the guard).
        tests: as pytest takes them.
        cluster: whether these need an API server.
    """

    name: str
    file: str
    changes: tuple[tuple[str, str], ...]
    tests: tuple[str, ...]
    cluster: bool

    def take_out(self, text: str) -> str:
        """Return a file's text without the guard.

        Raises:
            ValueError: what is to be replaced is not in it, or not once.
        """
        for old, new in self.changes:
            if text.count(old) != 1:
                raise ValueError(f"{self.file} has this {text.count(old)} times:\n{old}")
            text = text.replace(old, new)
        return text


def read_guards() -> list[Guard]:
    """Return the guards of guards.yml."""
    return [_guard(entry) for entry in yaml.safe_load(GUARDS.read_text(encoding="utf-8"))]


def _guard(entry: dict[str, Any]) -> Guard:
    changes = [entry, *entry.get("also", ())]
    return Guard(
        entry["guard"],
        entry["file"],
        tuple((change["old"], change["new"]) for change in changes),
        tuple(entry["tests"]),
        entry.get("cluster", False),
    )


def notices(guard: Guard, copy: Path) -> tuple[bool, str]:
    """Return whether the guard's tests fail without it, and the end of what they printed."""
    path = copy / guard.file
    whole = path.read_text(encoding="utf-8")
    path.write_text(guard.take_out(whole), encoding="utf-8")
    installed = guard.file.startswith("crds/")
    try:
        if installed:
            _install(copy)
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-x", "--no-header", *guard.tests],
            cwd=copy,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    finally:
        path.write_text(whole, encoding="utf-8")
        if installed:
            _install(copy)
    return done.returncode == TESTS_FAILED, (done.stdout + done.stderr)[-2000:]


def _install(copy: Path) -> None:
    """Have the cluster use the CRDs of the copy as they are now."""
    subprocess.run(["make", "--silent", "install"], cwd=copy, check=True, stdout=subprocess.DEVNULL)


def main() -> int:
    """Try the chosen guards and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="those whose description has this text")
    parser.add_argument("--cluster", action="store_true", help="also those that need a cluster")
    options = parser.parse_args()
    chosen = [guard for guard in read_guards() if options.only in guard.name]
    silent = 0
    os.environ["PATH"] = os.pathsep.join([str(CHECKOUT / ".cluster" / "bin"), os.environ["PATH"]])
    with tempfile.TemporaryDirectory(prefix="guards-") as folder:
        copy = Path(folder, "checkout")
        subprocess.run(["git", "clone", "--quiet", str(CHECKOUT), str(copy)], check=True)
        if options.cluster:
            _install(copy)
        for guard in chosen:
            if guard.cluster and not options.cluster:
                print(f"not tried    {guard.name} (needs --cluster)", flush=True)
                continue
            started = time.monotonic()
            noticed, output = notices(guard, copy)
            silent += not noticed
            word = "noticed" if noticed else "NOT NOTICED"
            print(f"{word:<12} {guard.name} ({time.monotonic() - started:.0f} s)", flush=True)
            if not noticed:
                print(output)
    return 1 if silent else 0


if __name__ == "__main__":
    sys.exit(main())
