"""The Backups that a schedule makes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.kube.client import ApiError
from ansible_collections.postgres.operator.plugins.module_utils.resources.schedule.scheduled_backups import (
    being_restored,
    list_runs,
    run_manifest,
    schedule_of,
    slot_of,
    start_run,
)

SLOT = datetime(2026, 3, 29, 1, tzinfo=UTC)
SCHEDULE: dict[str, Any] = {
    "kind": "Backup",
    "metadata": {"name": "nightly", "namespace": "shop", "uid": "u1"},
    "spec": {
        "databaseRef": {"name": "app"},
        "schedule": "0 3 * * *",
        "timeZone": "Europe/Berlin",
        "suspend": False,
    },
}


class FakeCluster:
    """Keeps Backups by name and refuses a second one, as the API server does."""

    def __init__(self) -> None:
        self.backups: dict[str, dict[str, Any]] = {}

    def create(self, manifest: dict[str, Any]) -> None:
        name = manifest["metadata"]["name"]
        if name in self.backups:
            raise ApiError("exists", 409)
        self.backups[name] = manifest

    def list(self, *_: str) -> list[dict[str, Any]]:
        return list(self.backups.values())


def test_a_runs_name_is_the_slot_in_utc_and_its_spec_is_the_schedules_without_the_schedule() -> (
    None
):
    run = run_manifest(SCHEDULE, SLOT)
    assert run["metadata"]["name"] == "nightly-20260329010000"
    assert run["spec"] == {"databaseRef": {"name": "app"}}
    assert slot_of(run) == SLOT
    assert schedule_of(run)["name"] == "nightly"


def test_a_slot_has_one_run_however_many_try() -> None:
    cluster: Any = FakeCluster()
    assert start_run(cluster, SCHEDULE, SLOT)
    assert not start_run(cluster, SCHEDULE, SLOT)
    assert len(cluster.backups) == 1


def test_only_the_schedules_own_runs_count_and_not_those_that_are_going() -> None:
    cluster: Any = FakeCluster()
    namesake = {**SCHEDULE, "metadata": {**SCHEDULE["metadata"], "uid": "u2"}}
    start_run(cluster, SCHEDULE, SLOT)
    start_run(cluster, namesake, SLOT.replace(hour=2))
    start_run(cluster, SCHEDULE, SLOT.replace(hour=3))
    cluster.backups["nightly-20260329030000"]["metadata"]["deletionTimestamp"] = "now"
    assert [run["metadata"]["name"] for run in list_runs(cluster, SCHEDULE)] == [
        "nightly-20260329010000"
    ]


@pytest.mark.parametrize(
    "name",
    [
        "nightly-keep",
        "nightly-20260329010000-keep",
        "nightly-20260399010000",
        "nightly-2026032901",
        "weekly-20260329020000",
        "keep",
    ],
)
def test_a_copy_of_a_run_under_another_name_is_not_the_schedules(name: str) -> None:
    cluster: Any = FakeCluster()
    start_run(cluster, SCHEDULE, SLOT)
    run = cluster.backups["nightly-20260329010000"]
    cluster.backups[name] = {**run, "metadata": {**run["metadata"], "name": name}}
    assert list_runs(cluster, SCHEDULE) == [run]


def test_the_files_that_a_restore_waits_for_stay() -> None:
    class Cluster:
        def list(self, _version: str, kind: str, _namespace: str) -> list[dict[str, Any]]:
            return resources[kind]

    def restore(name: str, **status: str) -> dict[str, Any]:
        return {"spec": {"backupRef": {"name": name}}, "status": status}

    resources: dict[str, list[dict[str, Any]]] = {
        "Restore": [
            restore("waits-for-its-safety-backup"),
            restore("nightly", phase="InProgress", backup="at-work"),
            restore("done", phase="Completed", backup="done"),
        ],
        "Database": [
            {"spec": {}},
            {"spec": {"backupRef": {"name": "new"}}},
            {"spec": {"backupRef": {"name": "old"}}, "status": {"restoredFrom": "old"}},
        ],
    }
    kept = being_restored(Cluster(), "shop")
    assert kept == {"waits-for-its-safety-backup", "nightly", "at-work", "new"}
