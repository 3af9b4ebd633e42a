"""Has Patroni report how full the volume is, with what it reports of its member.

Neither PostgreSQL nor the API server can be asked for it, and the kubelet's own figures take rights
on nodes. Patroni writes its report into the pod's annotation whenever that has changed; the figure
is a tag of the member, in steps, so that it seldom does. Patroni does nothing by tags that it does
not know.
"""

from __future__ import annotations

import os
import threading
import time
from typing import Any

# The operator knows it (plugins/module_utils/resources/database/instances.py).
TAG = "volumeUsedPercent"
STEP = 5
_SECONDS = 10.0
# A file system that does not answer has no figure.
_VALID_SECONDS = 60.0


def used_percent(folder: str) -> int:
    """Return how full a file system is, as df does, rounded down to a step.

    Raises:
        OSError: it cannot be asked.
    """
    found = os.statvfs(folder)
    used = found.f_blocks - found.f_bfree
    # What is reserved for root is no room for PostgreSQL.
    total = used + found.f_bavail
    return used * 100 // total // STEP * STEP if total else 0


class Report:
    """The last figure of a folder's file system."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._known: tuple[float, int] | None = None

    def read(self) -> None:
        """Ask the file system."""
        try:
            self._known = (time.monotonic(), used_percent(self._folder))
        except OSError:
            self._known = None

    def tags(self) -> dict[str, int]:
        """Return the tag; none where the figure is too old."""
        known = self._known
        if known is None or time.monotonic() - known[0] > _VALID_SECONDS:
            return {}
        return {TAG: known[1]}

    def follow(self) -> None:
        """Ask it again and again, in a thread: Patroni must not wait for a disk that hangs."""
        threading.Thread(target=self._follow, name="volume report", daemon=True).start()

    def _follow(self) -> None:
        while True:
            self.read()
            time.sleep(_SECONDS)


def install(report: Report) -> None:
    """Have Patroni, in this process, report it."""
    from patroni.ha import Ha  # noqa: PLC0415 (after what else is changed in Patroni)

    effective = Ha.get_effective_tags

    def with_volume(self: Any) -> dict[str, Any]:
        return {**effective(self), **report.tags()}

    Ha.get_effective_tags = with_volume
