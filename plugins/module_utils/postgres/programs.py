"""pg_dump and pg_restore: found on PATH, run by argument list, their errors given a reason."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache

from ..errors import (
    IncompatibleVersion,
    InvalidInput,
    OperatorError,
    OutOfMemory,
    ServerVersionUnsupported,
)
from .cancellation import Cancellation
from .errors import classify_text, without_values
from .releases import Version

_STDERR_TAIL_LINES = 40
_MESSAGE_LENGTH = 1500
_WORKER_DIED = "a worker process died unexpectedly"
"""What pg_dump and pg_restore write of a worker that is gone. One that fails says why before."""

MORE_MEMORY = (
    "as the kernel does when memory is short; if this is a Job, raise jobs.resources.limits.memory"
    " of the Database"
)
"""The cause of signal 9, and the next step."""


def find_program(name: str) -> str:
    """The path of a client program.

    Raises:
        ServerVersionUnsupported: it is not on PATH.
    """
    path = shutil.which(name)
    if path is None:
        raise ServerVersionUnsupported(
            f"{name} is not on PATH: use an image that has PostgreSQL's programs,"
            " or put their folder on PATH"
        )
    return path


def program_version(name: str) -> Version:
    """The version of a client program on PATH."""
    return _version_of(find_program(name))


@lru_cache
def _version_of(path: str) -> Version:
    """Ask it once: a Job does so in several places, and its programs stay what they are."""
    done = subprocess.run([path, "--version"], capture_output=True, text=True, check=True)
    return Version.from_program(done.stdout)


def require_client_not_older(name: str, client: Version, server: Version) -> None:
    """Refuse a client of an older major version than the server's.

    Raises:
        ServerVersionUnsupported: pg_dump itself would refuse, pg_restore would fail later.
    """
    if client.major < server.major:
        raise ServerVersionUnsupported(
            f"{name} is version {client}, the server {server}:"
            f" use {name} of version {server.major} or newer"
        )


def require_jobs(jobs: int) -> None:
    """Refuse a number of processes that no program works with.

    Raises:
        InvalidInput
    """
    if jobs < 1:
        raise InvalidInput(f"jobs is {jobs}: use 1 or more")


def require_not_newer(source: Version, server: Version) -> None:
    """Refuse to restore a dump into a server of an older major version than its source.

    Raises:
        IncompatibleVersion
    """
    if source.major > server.major:
        raise IncompatibleVersion(
            f"the backup was taken from PostgreSQL {source}, the server is {server}:"
            f" restore into version {source.major} or newer"
        )


def run_program(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    failure: type[OperatorError],
    cancellation: Cancellation | None = None,
) -> None:
    """Run a client program to its end; memory stays bounded however much it complains.

    Args:
        arguments: program name, found on PATH, and its arguments.
        environment: all of its environment (``program_environment``).
        failure: the error if the reason is not recognised.
        cancellation: by which another thread can end the program.

    Raises:
        OperatorError: the class that fits what it wrote, with the end of that in the message.
    """
    name = arguments[0]
    command = [find_program(name), *arguments[1:]]
    tail: deque[str] = deque(maxlen=_STDERR_TAIL_LINES)
    process = subprocess.Popen(
        command,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        process_group=0,
    )
    # Not kill(): asked to terminate, they cancel what their own workers do in the server.
    with (cancellation or Cancellation()).calls(process.terminate):
        try:
            _follow(process, tail)
        finally:
            _end_group(process)
    if process.returncode != 0:
        raise _program_error(name, process.returncode, tail, failure)


def _follow(process: subprocess.Popen[str], tail: deque[str]) -> None:
    """Keep the end of stderr until the program ends."""
    assert process.stderr is not None
    stream = process.stderr

    def read() -> None:
        with stream:
            tail.extend(stream)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    process.wait()
    # Workers that outlive a killed program hold stderr open: its end is not waited for.
    reader.join(timeout=2)


def _end_group(process: subprocess.Popen[str]) -> None:
    """End the program if it still runs, and what it may have left behind."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    process.wait()


def _program_error(
    name: str, status: int, tail: Sequence[str], failure: type[OperatorError]
) -> OperatorError:
    text = "".join(tail).strip()
    detail = " ".join(without_values(text).split())[-_MESSAGE_LENGTH:]
    message = f"{name} {describe_ending(status)}: {detail or 'it wrote no message'}"
    if status == -signal.SIGKILL:
        return OutOfMemory(f"{message}; {MORE_MEMORY}")
    errors = [line for line in text.splitlines() if ": error: " in line]
    if errors and all(line.endswith(_WORKER_DIED) for line in errors):
        return OutOfMemory(f"{message}: it was killed, {MORE_MEMORY}")
    return classify_text(text, failure)(message)


def describe_ending(status: int) -> str:
    """How a process ended, from its exit status as subprocess returns it.

    >>> describe_ending(-9)
    'was killed by signal 9'
    """
    return f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
