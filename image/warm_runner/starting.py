"""Starts a parent, once: the process that holds the lock of a key is its parent or is starting it.

The lock is taken by the client and handed down to the parent as an open descriptor, so that there
is no moment between the two, and it is free as soon as the parent is dead, however it died.
"""

from __future__ import annotations

import os
import time

from . import log, real_runner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

# A parent that died so soon after its start would die again: runs are cold meanwhile.
RETRY_SECONDS = 30.0
PARENT = os.path.join(os.path.dirname(os.path.realpath(__file__)), "parent_main.py")


class CannotStartError(Exception):
    """No parent can be started now; the message says why."""


def start(folder: str, key: str, runner: str, environment: Mapping[str, str]) -> None:
    """Start the parent of a key in the background, unless there is one."""
    import fcntl  # noqa: PLC0415 (hardly any client needs it)

    lock = os.open(os.path.join(folder, f"{key}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        last = os.fstat(lock)
        if last.st_size and time.time() - last.st_mtime < RETRY_SECONDS:
            raise CannotStartError(f"the last parent died within {RETRY_SECONDS:.0f} s: see above")
        os.pwrite(lock, b"a parent holds the lock of this file\n", 0)
        os.set_inheritable(lock, True)
        spawn(folder, key, runner, environment, lock)
    finally:
        os.close(lock)


def spawn(
    folder: str,
    key: str,
    runner: str,
    environment: Mapping[str, str],
    lock: int,
    listener: int = -1,
) -> None:
    """Start a parent that owns the lock; it takes over a listener where there is one already."""
    python = real_runner.interpreter(runner)
    if not python:
        raise CannotStartError(f"{runner} names no Python in its first line")
    log_path = os.path.join(folder, "log")
    os.posix_spawnp(
        python[0],
        [*python, PARENT, folder, key, runner, str(lock), str(listener)],
        dict(environment),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_OPEN, 2, log_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600),
        ],
        setsid=True,
    )
    log.write(folder, f"started a parent for {runner}, key {key}")
