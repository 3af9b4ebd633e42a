"""The command line of make test."""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from harness.plan import CHECKOUT, Target, build_plan, end_step
from harness.results import Counts
from harness.runner import Runner

# Set by the make that called, for its own targets; they are not for those called here.
MAKE_VARIABLES = ("MAKEFLAGS", "MAKEOVERRIDES", "MFLAGS", "MAKELEVEL")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run everything; return the exit code."""
    options = _parser().parse_args(arguments)
    folder = CHECKOUT / ".cache" / "test"
    # A signal ends the run as an error does: with the cluster taken down. A shell starts background
    # jobs with SIGINT ignored, which the tests would inherit.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    with _only_run(options.cluster):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        target = Target(options.cluster, options.provider, folder)
        return _run(target, keep=os.environ.get("KEEP", "") not in {"", "0"})


def _run(target: Target, keep: bool) -> int:
    environment = {k: v for k, v in os.environ.items() if k not in MAKE_VARIABLES}
    environment["KUBECONFIG"] = str(target.kubeconfig)
    runner = Runner(target.folder, environment)
    complete = False
    try:
        complete = runner.run(build_plan(target))
    except KeyboardInterrupt:
        runner.say("interrupted")
    finally:
        if keep:
            runner.say(f"KEEP is set, so the cluster stays: KUBECONFIG={target.kubeconfig}")
        else:
            complete = runner.run([end_step(target)]) and complete
    counts = runner.counts
    if not complete and not counts.failed:
        # What did not come to its end has not passed.
        counts += Counts(failed=1)
    if not counts.passed:
        runner.say("no test has passed")
    print(counts)
    return 0 if counts.good else 1


@contextmanager
def _only_run(cluster: str) -> Iterator[None]:
    """Refuse a second run on the same cluster: each begins by taking the cluster down."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "postgres-operator"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"test-{cluster}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(f"another run of the tests uses cluster {cluster}: wait for its end")
        yield


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="make test",
        description="Run every test, from nothing. With KEEP=1 the cluster is kept.",
    )
    parser.add_argument("--cluster", default="test", help="the cluster that is made (test)")
    parser.add_argument("--provider", default="embedded", choices=["embedded", "kind"])
    return parser
