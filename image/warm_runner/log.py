"""A few lines for people: when parents come and go, and why a run was not warm."""

from __future__ import annotations

import os
import time

MOST_BYTES = 1 << 20


def write(folder: str, message: str) -> None:
    """Append a line to FOLDER/log; a log that cannot be written stops nothing."""
    line = f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} [{os.getpid()}] {message}\n"
    path = os.path.join(folder, "log")
    try:
        log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            if os.fstat(log).st_size > MOST_BYTES:
                os.ftruncate(log, 0)
            os.write(log, line.encode(errors="replace"))
        finally:
            os.close(log)
    except OSError:
        return
