"""make test itself: it stops at the first failure, counts right, and leaves nothing running."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from harness.plan import Step, Target, build_plan
from harness.results import Counts, count_step
from harness.runner import Runner


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path, dict(os.environ))


def step(name: str, script: str, *after: str, report: Path | None = None) -> Step:
    return Step(name, ("bash", "-c", script), after, report)


def report(path: Path, tests: int, failures: int = 0, errors: int = 0, skipped: int = 0) -> Path:
    path.write_text(
        f'<testsuites><testsuite tests="{tests}" failures="{failures}" errors="{errors}"'
        f' skipped="{skipped}"/></testsuites>'
    )
    return path


def test_steps_wait_for_those_that_they_come_after(runner: Runner, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    plan = [
        step("second", f"echo second >> {trace}", "first"),
        step("first", f"sleep 0.3; echo first >> {trace}"),
    ]
    assert runner.run(plan)
    assert trace.read_text().split() == ["first", "second"]


def test_independent_steps_run_side_by_side(runner: Runner, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    # Each end waits for the other.
    assert runner.run([step("reads", f"cat {pipe}"), step("writes", f"echo > {pipe}")])


def test_the_first_failure_ends_all(
    runner: Runner, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    late = tmp_path / "late"
    plan = [
        step("fails", "sleep 0.2; echo the reason; exit 3"),
        step("runs on", f"sleep 60 & wait; touch {late}"),
        step("never", f"touch {late}", "fails"),
    ]
    began = time.monotonic()
    assert not runner.run(plan)
    assert time.monotonic() - began < 30
    assert not late.exists()
    assert runner.counts == Counts(failed=1)
    output = capsys.readouterr().out
    assert "fails: FAILED" in output
    assert "the reason" in output
    assert "runs on: ended unfinished" in output


def test_tests_are_counted(runner: Runner, tmp_path: Path) -> None:
    first = report(tmp_path / "first.xml", tests=5, skipped=1)
    second = report(tmp_path / "second.xml", tests=2)
    assert runner.run([step("1", "true", report=first), step("2", "true", report=second)])
    assert str(runner.counts) == "6 passed, 0 failed, 1 skipped"
    assert runner.counts.good


@pytest.mark.parametrize(
    ("written", "exit_code", "counts"),
    [
        ({"tests": 3, "failures": 1, "errors": 1}, 1, Counts(passed=1, failed=2)),
        ({"tests": 3}, 0, Counts(passed=3)),
        # pytest itself broke after its tests.
        ({"tests": 3}, 3, Counts(passed=3, failed=1)),
        # No test ran.
        ({"tests": 0}, 0, Counts(failed=1)),
        ({"tests": 0}, 5, Counts(failed=1)),
        (None, 0, Counts(failed=1)),
    ],
)
def test_what_a_step_adds(
    tmp_path: Path, written: dict[str, int] | None, exit_code: int, counts: Counts
) -> None:
    path = tmp_path / "report.xml"
    if written is not None:
        report(path, **written)
    assert count_step(path, exit_code) == counts


def test_a_step_without_tests_counts_only_when_it_fails() -> None:
    assert count_step(None, 0) == Counts()
    assert count_step(None, 2) == Counts(failed=1)


@pytest.mark.parametrize("counts", [Counts(), Counts(skipped=3), Counts(passed=3, failed=1)])
def test_nothing_passed_or_something_failed_is_not_good(counts: Counts) -> None:
    assert not counts.good


def test_the_plan_can_be_run(tmp_path: Path) -> None:
    plan = build_plan(Target("test", "embedded", tmp_path))
    names = [step.name for step in plan]
    assert len(set(names)) == len(names)
    for number, item in enumerate(plan):
        assert set(item.after) <= set(names[:number]), item
