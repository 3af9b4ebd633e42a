"""Running other programs, and saying clearly which one failed and why."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from cluster.errors import ClusterError

Argument = str | Path
SHOWN_CHARACTERS = 300


def run(
    command: Sequence[Argument],
    *,
    stdin: str | IO[bytes] | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    log: Path | None = None,
    timeout: float | None = None,
) -> str:
    """Run a command and return what it printed.

    ``stdin`` is text or an open file. With ``log`` everything the command prints goes to
    that file instead, and the error names it.
    """
    words = [str(word) for word in command]
    shown = shlex.join(words)
    if len(shown) > SHOWN_CHARACTERS:
        shown = shown[:SHOWN_CHARACTERS] + " ..."
    if log is not None:
        log.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as files:
        stdout: int | IO[str] = subprocess.PIPE
        stderr = subprocess.PIPE
        if log is not None:
            stdout, stderr = files.enter_context(log.open("a")), subprocess.STDOUT
        try:
            done = subprocess.run(
                words,
                check=False,
                cwd=cwd,
                env=env,
                errors="replace",
                input=stdin if isinstance(stdin, str) else None,
                stderr=stderr,
                stdin=_standard_input(stdin),
                stdout=stdout,
                text=True,
                timeout=timeout,
            )
        except FileNotFoundError as missing:
            raise ClusterError(f"{words[0]} is not on this machine: {missing}") from missing
        except subprocess.TimeoutExpired as late:
            raise ClusterError(f"no answer within {timeout:g} s from: {shown}", log) from late
    if done.returncode != 0:
        said = "" if log else "\n" + "\n".join((done.stderr or done.stdout).splitlines()[-20:])
        raise ClusterError(f"exit code {done.returncode} from: {shown}{said}".rstrip(), log)
    return done.stdout or ""


@contextmanager
def output_of(command: Sequence[Argument]) -> Iterator[IO[bytes]]:
    """Lend what a command prints, while it prints it; it is ended where that is not wanted."""
    words = [str(word) for word in command]
    with TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors
        )
        assert process.stdout is not None
        try:
            with process.stdout:
                yield process.stdout
                # What follows the end of an archive is of no use, but must not fail to be written.
                while process.stdout.read(1 << 20):
                    pass
        except BaseException:
            process.kill()
            raise
        finally:
            failed = process.wait() != 0
        if failed:
            errors.seek(0)
            said = f"exit code {process.returncode} from: {shlex.join(words)}\n{errors.read()}"
            raise ClusterError(said.rstrip())


def _standard_input(stdin: str | IO[bytes] | None) -> int | IO[bytes] | None:
    if stdin is None:
        return subprocess.DEVNULL
    return None if isinstance(stdin, str) else stdin


def succeeds(command: Sequence[Argument]) -> bool:
    """Return whether a command runs and exits with 0."""
    words = [str(word) for word in command]
    try:
        return subprocess.run(words, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False
