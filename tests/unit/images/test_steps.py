"""Failures show the end of the log and say what failed."""

from pathlib import Path

import pytest
from images import steps


def test_tail_keeps_the_last_lines() -> None:
    assert steps.tail("a\nb\nc\n", lines=2) == "b\nc"


def test_cache_is_outside_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache/me")
    assert steps.cache_folder() == Path("/var/cache/me/postgres-operator/images")


def test_a_failed_step_shows_its_log(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(steps.StepFailed, match=r"(?s)ended with 3.*the reason.*probe.log"):
        steps.run(["sh", "-c", "echo the reason; exit 3"], log="probe")


def test_a_missing_program_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(steps.StepFailed, match="no-such-program is not installed"):
        steps.run(["no-such-program"], log="probe")
