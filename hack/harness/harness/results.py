"""Counting what came of the tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree


@dataclass(frozen=True)
class Counts:
    """How many tests passed, failed and were skipped.

    >>> str(Counts(3, 0, 1) + Counts(2, 1, 0))
    '5 passed, 1 failed, 1 skipped'
    """

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped
        )

    def __str__(self) -> str:
        tail = f", {self.skipped} skipped" if self.skipped else ""
        return f"{self.passed} passed, {self.failed} failed{tail}"

    @property
    def good(self) -> bool:
        """Whether tests ran and none failed."""
        return self.passed > 0 and self.failed == 0


def read_report(path: Path) -> Counts:
    """Count the tests of a JUnit XML file; none where there is no such file."""
    if not path.exists():
        return Counts()
    suites = ElementTree.parse(path).getroot().iter("testsuite")
    counts = Counts()
    for suite in suites:
        failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        skipped = int(suite.get("skipped", 0))
        total = int(suite.get("tests", 0))
        counts += Counts(total - failed - skipped, failed, skipped)
    return counts


def count_step(report: Path | None, exit_code: int) -> Counts:
    """Return what a step adds: a command that failed with no failed test is one failure itself.

    Tests of which none ran have failed too, whatever their exit code.
    """
    counts = read_report(report) if report else Counts()
    ran_nothing = report is not None and counts == Counts()
    if (exit_code or ran_nothing) and not counts.failed:
        counts += Counts(failed=1)
    return counts
