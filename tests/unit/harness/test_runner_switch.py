"""The switch between the runners: what it tells the operator, and what it calls a difference."""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "e2e"))
import runner


def resource(kind: str, name: str, phase: str, reason: str) -> dict[str, Any]:
    return {
        "kind": kind,
        "metadata": {"name": name},
        "status": {
            "phase": phase,
            "primary": "app-0",
            "conditions": [{"type": "Ready", "status": "True", "reason": reason, "message": "m"}],
        },
    }


def event(kind: str, name: str, reason: str) -> dict[str, Any]:
    return {
        "regarding": {"kind": kind, "name": name},
        "reason": reason,
        "reportingController": "database.example.com/postgres-operator",
    }


def left(
    phase: str = "Ready", reason: str = "Verified", event_reason: str = "Verified"
) -> dict[str, Any]:
    events = [event("Database", "app", event_reason), event("Database", "app", "Provisioning")]
    return runner.describe([resource("Database", "app", phase, reason)], events)


def test_outcomes_are_equal_with_any_leader_and_any_passing_state() -> None:
    other = resource("Database", "app", "Ready", "Verified")
    other["status"]["primary"] = "app-1"
    described = runner.describe([other], [event("Database", "app", "Verified")])
    assert runner.differences(left(), described) == []


@pytest.mark.parametrize(
    "other",
    [
        left(phase="Failed"),
        left(reason="Broken", event_reason="Broken"),
        left(event_reason="Provisioning"),
        runner.describe([], []),
    ],
    ids=["phase", "reason", "event", "missing"],
)
def test_another_outcome_is_a_difference(other: dict[str, Any]) -> None:
    assert runner.differences(left(), other)
    assert runner.differences(other, left())


def test_a_field_that_only_one_writes_is_a_difference() -> None:
    other = copy.deepcopy(left())
    other["resources"]["Database/app"][0]["fields"].append("endpoint")
    assert runner.differences(left(), other)


def test_runs_of_a_schedule_count_by_their_outcome() -> None:
    runs = [resource("Backup", f"b-2026010100000{n}", "Completed", "BackupCompleted") for n in "12"]
    assert runner.differences(runner.describe(runs, []), runner.describe(runs[:1], [])) == []


@pytest.mark.parametrize("name", ["undo-safety-{}", "copy-first-{}"])
def test_what_is_named_by_a_uid_is_the_same_in_both(name: str) -> None:
    one, other = (
        runner.describe(
            [resource("Restore", name.format(part), "Completed", "RestoreCompleted")], []
        )
        for part in ("dba7b707", "45828756")
    )
    assert runner.differences(one, other) == []


def test_the_switch_sets_the_operators_command_and_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    called: list[tuple[str, ...]] = []
    monkeypatch.setattr(runner, "kubectl", lambda *arguments: called.append(arguments) or "")
    for name in ("off", "stock", "warm"):
        runner.switch_to(name)
    patches = [json.loads(arguments[-1]) for arguments in called if "patch" in arguments]
    off, stock, warm = (one["spec"]["template"]["spec"]["containers"][0] for one in patches)
    assert (off["command"], off["env"]) == (None, [{"name": "WARM_RUNNER", "value": "off"}])
    assert "with-warm-runner" not in stock["command"]
    assert not any("/opt/warm" in word for word in stock["command"])
    assert (warm["command"], warm["env"]) == (None, [{"name": "WARM_RUNNER", "$patch": "delete"}])
    assert stock["env"] == warm["env"]
    assert sum("rollout" in arguments for arguments in called) == 3


def test_an_unknown_runner_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNNER", "cold")
    with pytest.raises(ValueError, match="write warm or off or stock"):
        runner.chosen()
