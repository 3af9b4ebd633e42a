"""Step names with elapsed time, safe to use from several threads."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from cluster.errors import ClusterError

TAIL_LINES = 25


class Progress:
    """Prints one line when a step is done, and says at once which long step has begun."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._lock = threading.Lock()

    @property
    def elapsed(self) -> float:
        """Seconds since the command began."""
        return time.monotonic() - self._start

    def say(self, text: str) -> None:
        """Print one line under the elapsed time."""
        with self._lock:
            print(f"[{self.elapsed:6.1f}s] {text}", file=sys.stderr, flush=True)

    @contextmanager
    def step(self, name: str, *, long: bool = False) -> Iterator[None]:
        """Time a step; ``long`` announces its beginning too."""
        began = time.monotonic()
        if long:
            self.say(f"{name} ...")
        try:
            yield
        except BaseException:
            self.say(f"{name}: failed after {time.monotonic() - began:.1f} s")
            raise
        self.say(f"{name}: {time.monotonic() - began:.1f} s")

    def failure(self, error: ClusterError) -> None:
        """Print an error and the end of the log that explains it."""
        print(f"error: {error}", file=sys.stderr)
        if error.log is None or not error.log.exists():
            return
        lines = error.log.read_text(errors="replace").splitlines()[-TAIL_LINES:]
        print(f"--- last {len(lines)} lines of {error.log}", file=sys.stderr)
        print("\n".join(lines), file=sys.stderr)
