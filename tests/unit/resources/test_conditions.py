"""The parts that all statuses share."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.resources.conditions import (
    Condition,
    Decision,
    build_status,
    merge_patch,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.transitions import (
    find_transitions,
    log_lines,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LATER = datetime(2026, 1, 1, 13, tzinfo=UTC)


def build(resource: dict[str, Any], status: str, reason: str, now: datetime) -> dict[str, Any]:
    decision = Decision("InProgress", [Condition("BackupReady", status, reason, "m")])
    return build_status(resource, decision, now)


def test_a_conditions_time_changes_with_its_status_only() -> None:
    resource: dict[str, Any] = {"metadata": {"generation": 4}}
    first = build(resource, "False", "A", NOON)
    resource["status"] = first
    same = build(resource, "False", "B", LATER)
    assert same["conditions"][0]["lastTransitionTime"] == "2026-01-01T12:00:00Z"
    assert same["conditions"][0]["reason"] == "B"
    changed = build(resource, "True", "B", LATER)
    assert changed["conditions"][0]["lastTransitionTime"] == "2026-01-01T13:00:00Z"
    assert changed["observedGeneration"] == 4


def test_an_unchanged_status_needs_no_write() -> None:
    resource: dict[str, Any] = {"metadata": {"generation": 1}}
    resource["status"] = build(resource, "False", "A", NOON)
    assert merge_patch(resource["status"], build(resource, "False", "A", LATER)) == {}


def test_a_field_that_went_away_is_removed() -> None:
    assert merge_patch({"a": 1, "b": 2}, {"a": 1}) == {"b": None}
    assert merge_patch({"a": 1}, {"a": 2, "c": 3}) == {"a": 2, "c": 3}


def test_a_new_phase_is_a_transition_and_the_same_one_is_not() -> None:
    resource: dict[str, Any] = {"metadata": {}}
    status = build(resource, "False", "BackupInProgress", NOON)
    [transition] = find_transitions("Backup", {"phase": "Pending"}, status)
    assert "Pending -> InProgress" in transition.log_line
    assert not transition.warning
    assert find_transitions("Backup", status, status) == []


def test_a_failure_is_a_warning() -> None:
    resource: dict[str, Any] = {"metadata": {}}
    decision = Decision("Failed", [Condition("BackupReady", "False", "NoSpace", "disk full")])
    [transition] = find_transitions("Backup", {}, build_status(resource, decision, NOON))
    assert transition.warning
    assert transition.reason == "NoSpace"


@pytest.mark.parametrize(
    ("reason", "warning"),
    [
        ("CreatingInstances", False),
        ("ReplicasNotReady", False),
        ("SecretMissing", True),
        ("Unschedulable", True),
        ("CrashLoopBackOff", True),
        ("SomethingNew", True),
    ],
)
def test_what_has_to_be_corrected_is_a_warning_with_its_reason(reason: str, warning: bool) -> None:
    decision = Decision("Provisioning", [Condition("Ready", "False", reason, "why")])
    [transition] = find_transitions("Database", {}, build_status({"metadata": {}}, decision, NOON))
    assert transition.warning == warning
    assert transition.reason == (reason if warning else "Provisioning")


def test_each_line_of_the_log_names_its_object() -> None:
    resource = {"kind": "Backup", "metadata": {"name": "nightly", "namespace": "shop"}}
    status = build(resource, "False", "BackupInProgress", NOON)
    transitions = find_transitions("Backup", {"phase": "Pending"}, status)
    first, second = log_lines(resource, transitions, ["All is well"])
    assert first == "Backup shop/nightly: All is well"
    assert second.startswith("Backup shop/nightly: STATE TRANSITION: Pending -> InProgress")


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("ServerOutdated", "SecurityFixesMissing"),
        ("StorageDiffers", "ClaimsKept"),
        ("PendingRestart", "ParametersChanged"),
        ("StorageLow", "VolumeNearlyFull"),
        ("UsersOrDatabasesDiffer", "NotApplied"),
    ],
)
def test_a_condition_of_what_is_wrong_is_an_event_once(kind: str, reason: str) -> None:
    resource: dict[str, Any] = {"metadata": {}}
    ready = Condition("Ready", "True", "AllChecksPassed", "m")
    wrong = Condition(kind, "True", reason, "use 17.12")
    before = build_status(resource, Decision("Ready", [ready]), NOON)
    after = build_status(resource, Decision("Ready", [ready, wrong]), NOON)
    [transition] = find_transitions("Database", before, after)
    assert (transition.warning, transition.reason) == (True, reason)
    assert find_transitions("Database", after, after) == []
    assert find_transitions("Database", after, before) == []
