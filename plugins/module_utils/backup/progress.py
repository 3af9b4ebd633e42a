"""Tells people how far a run is, step by step."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path


def now_text() -> str:
    """The time in RFC 3339, UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Progress:
    """The steps of a run.

    Attributes:
        file: lines are appended there as steps begin and end, if given (/proc/1/fd/1 is a
            container's log).
        steps: (name, seconds) of those that have ended.
    """

    file: Path | None = None
    steps: list[tuple[str, float]] = field(default_factory=list)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Announce a step; when it succeeds, say how long it took."""
        started = time.monotonic()
        self.say(f"{name} ...")
        yield
        seconds = time.monotonic() - started
        self.steps.append((name, round(seconds, 3)))
        self.say(f"{name}: done in {seconds:.1f} s")

    def say(self, text: str) -> None:
        """Append a line to the file; a log that cannot be written stops no backup."""
        if self.file is None:
            return
        try:
            with self.file.open("a", encoding="utf-8") as file:
                file.write(f"{now_text()} {text}\n")
        except OSError:
            self.file = None
