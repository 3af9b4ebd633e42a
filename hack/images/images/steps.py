"""Running commands as named steps: one line each, and the end of the log when one fails."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

TAIL_LINES = 40


class StepFailed(Exception):
    """A step did not succeed; the message says which, why, and what to do next."""


def cache_folder() -> Path:
    """Where everything that may be thrown away is kept: outside the checkout."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "postgres-operator" / "images"


def tail(text: str, lines: int = TAIL_LINES) -> str:
    """The last lines of a log."""
    return "\n".join(text.rstrip().splitlines()[-lines:])


@contextmanager
def step(name: str) -> Iterator[None]:
    """Print a step's name at once and its elapsed time when it has succeeded."""
    print(f"{name} ...", flush=True)
    start = time.monotonic()
    yield
    print(f"{name}: done in {time.monotonic() - start:.1f} s", flush=True)


def print_path(make: Callable[[], Path], what: str) -> int:
    """Make something and print its path, which alone goes to standard output.

    Args:
        what: is made, for the error.

    Returns:
        The exit code.
    """
    try:
        with contextlib.redirect_stdout(sys.stderr):
            path = make()
    except StepFailed as failure:
        print(f"error: no {what}: {failure}", file=sys.stderr)
        return 1
    print(path)
    return 0


def succeeds(command: Sequence[str], timeout: float = 60) -> bool:
    """Whether a command can be run and exits with 0 in time; its output is dropped."""
    try:
        done = subprocess.run(command, capture_output=True, timeout=timeout, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def output_of(command: Sequence[str]) -> str:
    """What a command prints, without the line end."""
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    if done.returncode:
        raise StepFailed(f"`{' '.join(command)}` failed:\n{tail(done.stderr)}")
    return done.stdout.strip()


def run(command: Sequence[str], *, log: str, environment: Mapping[str, str] | None = None) -> None:
    """Run a command with its output in a log file of the cache folder.

    Raises StepFailed with the end of that log.
    """
    path = cache_folder() / "logs" / f"{log}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            done = subprocess.run(
                command,
                stdout=file,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **(environment or {})},
                check=False,
            )
        except FileNotFoundError as error:
            raise StepFailed(f"{command[0]} is not installed") from error
    if done.returncode:
        shown = tail(path.read_text(errors="replace"))
        raise StepFailed(
            f"`{' '.join(command)}` ended with {done.returncode}\n{shown}\nThe whole log is {path}"
        )
