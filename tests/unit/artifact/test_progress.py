"""What people read while a step lasts."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.artifact import progress
from ansible_collections.postgres.operator.plugins.module_utils.artifact.progress import (
    Progress,
    Tally,
)
from ansible_collections.postgres.operator.plugins.module_utils.errors import StoreUnreachable


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "FIGURES_SECONDS", 0.01)


def lines(path: Path) -> list[str]:
    return [line.partition(" ")[2] for line in path.read_text().splitlines()]


def await_lines(path: Path, count: int) -> None:
    deadline = time.monotonic() + 20
    while len(lines(path)) < count and time.monotonic() < deadline:
        time.sleep(0.01)


def test_a_step_reports_its_figures_until_it_ends(tmp_path: Path) -> None:
    log = tmp_path / "log"
    progress = Progress(log)
    tally = Tally("files", lambda amount: f"{amount} bytes")
    with progress.step("Reading", tally.text):
        time.sleep(0.05)
        assert lines(log) == ["Reading ..."]
        tally.expect([30, 10])
        tally.add(30)
        await_lines(log, 2)
    assert lines(log)[1] == "Reading: 75%, 1 of 2 files, 30 bytes of 40 bytes"
    assert "done in" in lines(log)[-1]
    ended = len(lines(log))
    time.sleep(0.05)
    assert len(lines(log)) == ended


def test_what_cannot_be_read_is_not_reported_and_harms_nothing(tmp_path: Path) -> None:
    log = tmp_path / "log"
    asked = threading.Event()

    def figures() -> str:
        asked.set()
        raise StoreUnreachable("away")

    with Progress(log).step("Reading", figures):
        assert asked.wait(20)
    assert [line.partition(":")[0] for line in lines(log)] == ["Reading ...", "Reading"]


def test_a_question_that_hangs_does_not_hold_up_the_end(tmp_path: Path) -> None:
    go_on, asked = threading.Event(), threading.Event()

    def figures() -> str:
        asked.set()
        go_on.wait(30)
        return "late"

    started = time.monotonic()
    with Progress(tmp_path / "log").step("Reading", figures):
        assert asked.wait(20)
    assert time.monotonic() - started < 20
    go_on.set()
    time.sleep(0.05)
    assert "late" not in (tmp_path / "log").read_text()


def test_counts_of_many_threads_add_up() -> None:
    tally = Tally("tables", str)
    tally.expect([1] * 4000)

    def work() -> None:
        for _ in range(1000):
            tally.add(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tally.text() == "100%, 4000 of 4000 tables, 4000 of 4000"
