"""Reports the progress of a Job, step by step, and within a step that takes long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from ..errors import OperatorError
from ..printable import printable

FIGURES_SECONDS = 5.0
"""How often the figures of a step are logged; the operator polls a long Job every ten seconds."""

Figures = Callable[[], str]
"""Returns the progress of a step, such as "43%, 12 of 40 files"; empty if there is none."""


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
    def step(self, name: str, figures: Figures | None = None) -> Iterator[None]:
        """Announce a step; when it succeeds, say how long it took.

        Args:
            figures: called in a thread of its own while the step lasts; what it raises of a
                database or a store is not logged.
        """
        started = time.monotonic()
        self.say(f"{name} ...")
        with self._told(name, figures):
            yield
        seconds = time.monotonic() - started
        self.steps.append((name, round(seconds, 3)))
        self.say(f"{name}: done in {seconds:.1f} s")

    @contextmanager
    def _told(self, name: str, figures: Figures | None) -> Iterator[None]:
        """Log the figures regularly while the block lasts."""
        if figures is None or self.file is None:
            yield
            return
        over = threading.Event()

        def report() -> None:
            while not over.wait(FIGURES_SECONDS):
                with suppress(OperatorError, psycopg.Error, OSError):
                    text = figures()
                    if text and not over.is_set():
                        self.say(f"{name}: {text}")

        thread = threading.Thread(target=report, name="progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            # A server that is away must not hold up the end of the step.
            thread.join(timeout=1)

    def say(self, text: str) -> None:
        """Append a line to the file; a log that cannot be written stops no backup."""
        if self.file is None:
            return
        try:
            with self.file.open("a", encoding="utf-8") as file:
                file.write(f"{now_text()} {printable(text)}\n")
        except OSError:
            self.file = None


@dataclass
class Tally:
    """What is done of a step's work, counted by its workers.

    Attributes:
        things: what is counted, in the plural.
        describe: writes an amount, such as a number of bytes or of rows.
        count, amount: what is done.
    """

    things: str
    describe: Callable[[int], str]
    count: int = 0
    amount: int = 0
    _total: tuple[int, int] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def expect(self, amounts: list[int]) -> None:
        """Say what is to be done: the amount of each thing."""
        self._total = (len(amounts), sum(amounts))

    def add(self, amount: int) -> None:
        """Count a thing that is done."""
        with self._lock:
            self.count += 1
            self.amount += amount

    def text(self) -> str:
        """Return the progress; empty before it is known what is to be done."""
        if self._total is None:
            return ""
        things, amount = self._total
        return (
            f"{percent(self.amount, amount)}, {self.count} of {things} {self.things},"
            f" {self.describe(self.amount)} of {self.describe(amount)}"
        )


def percent(done: int, total: int) -> str:
    """How much of it is done, rounded down; never more than all.

    >>> percent(1, 3), percent(5, 4), percent(0, 0)
    ('33%', '100%', '100%')
    """
    return f"{min(100, 100 * done // total) if total else 100}%"
