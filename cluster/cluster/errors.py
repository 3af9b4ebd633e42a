"""The one error that the command reports without a traceback."""

from __future__ import annotations

from pathlib import Path


class ClusterError(Exception):
    """Something a person can act on: what failed, what to do next, which log tells why."""

    def __init__(self, message: str, log: Path | None = None) -> None:
        super().__init__(message)
        self.log = log
