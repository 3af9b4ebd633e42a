"""What ends before Ansible leaves what the whole role leaves, and nothing is done twice."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

import pytest
from role_runs import SPACE, VERSION, add_claim, resource, run, spec_of
from stub_cluster import StubCluster
from warm_box import Outcome, WarmBox

FINALIZER = "database.example.com/artifact"
ENDED = {"type": "BackupReady", "status": "True", "reason": "BackupCompleted", "message": "x"}
OFF = {"WARM_RUNNER_EARLY_END": ""}


def _has_run_ansible(outcome: Outcome) -> bool:
    return any(event["event"] == "playbook_on_play_start" for event in outcome.events)


def _ended_backup(**spec: Any) -> dict[str, Any]:
    found = resource(
        "Backup",
        "ended",
        {"databaseRef": {"name": "app"}, "deletionPolicy": "Retain", **spec},
        phase="Completed",
        backupLocation="pvc://app-backups/shop/app/1",
        completionTime=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        conditions=[{**ENDED, "lastTransitionTime": "2026-01-01T00:00:00Z"}],
    )
    found["metadata"]["uid"] = "12345678-uid"
    found["metadata"]["finalizers"] = [FINALIZER]
    return found


def _ended_restore() -> dict[str, Any]:
    return resource("Restore", "ended", spec_of("Restore"), phase="Completed")


def _objects(cluster: StubCluster) -> dict[str, Any]:
    """What there is, without what differs between any two runs."""
    objects = copy.deepcopy(cluster.objects)
    for found in objects.values():
        found["metadata"].pop("resourceVersion")
        found["metadata"].pop("uid")
    return objects


@pytest.mark.parametrize(
    "found",
    [_ended_backup(), _ended_backup(deletionPolicy="Delete"), _ended_restore()],
    ids=["a Backup whose files are kept", "a Backup whose files go with it", "a Restore"],
)
def test_what_has_ended_does_not_reach_ansible(
    box: WarmBox, server: StubCluster, found: dict[str, Any]
) -> None:
    left = []
    for environment in ({}, OFF):
        server.objects.clear()
        add_claim(server, "app")
        server.add(found)
        outcome = run(box, found["kind"].lower(), found, **environment)
        assert outcome.code == 0, outcome.output
        assert _has_run_ansible(outcome) == bool(environment)
        left.append(_objects(server))
    assert left[0] == left[1]


def test_a_backup_whose_files_are_kept_is_released(box: WarmBox, server: StubCluster) -> None:
    server.objects.clear()
    add_claim(server, "app")
    found = _ended_backup()
    server.add(found)
    assert not _has_run_ansible(run(box, "backup", found))
    (backup,) = server.of_kind("Backup")
    assert not backup["metadata"]["finalizers"]


def test_a_backup_whose_volume_is_gone_is_ansible_s(box: WarmBox, server: StubCluster) -> None:
    server.objects.clear()
    found = _ended_backup()
    server.add(found)
    outcome = run(box, "backup", found)
    assert outcome.code == 0, outcome.output
    assert _has_run_ansible(outcome)
    (backup,) = server.of_kind("Backup")
    assert "PersistentVolumeClaim app-backups was deleted" in str(backup["status"]["conditions"])


@pytest.mark.parametrize("kind", ["Database", "Restore"])
def test_what_was_read_is_not_read_again(box: WarmBox, server: StubCluster, kind: str) -> None:
    """The operator has it in its final state, and it is not: the role goes on with what was found."""
    counts = []
    for environment in ({}, OFF):
        server.objects.clear()
        found = resource(kind, "one", spec_of(kind))
        found["metadata"]["uid"] = "12345678-uid"
        server.add(found)
        seen = copy.deepcopy(found)
        seen["metadata"]["generation"] = 1
        phase = "Ready" if kind == "Database" else "Completed"
        seen["status"] = {"phase": phase, "observedGeneration": 1}
        server.requests.clear()
        outcome = run(box, kind.lower(), seen, **environment)
        assert outcome.code == 0, outcome.output
        assert _has_run_ansible(outcome)
        counts.append(sorted(server.requests))
    assert counts[0] == counts[1]
    plural = f"{kind.lower()}s"
    assert f"GET /apis/{VERSION}/namespaces/{SPACE['namespace']}/{plural}/one" in counts[0]


def test_what_is_unfinished_is_not_asked_for_first(box: WarmBox, cluster: StubCluster) -> None:
    """It would only be read twice."""
    found = resource("Backup", "one", spec_of("Backup"))
    cluster.add(found)
    counts = []
    for environment in ({}, OFF):
        cluster.objects = {
            path: kept for path, kept in cluster.objects.items() if kept["kind"] != "Job"
        }
        cluster.add(found)
        cluster.requests.clear()
        assert run(box, "backup", found, **environment).code == 0
        counts.append(len(cluster.requests))
    assert counts[0] == counts[1]


def test_a_failure_is_reported_by_the_role(box: WarmBox, server: StubCluster) -> None:
    """BACKUP_SEARCH_PERIOD cannot be read."""
    left = []
    for environment in ({}, OFF):
        server.objects.clear()
        add_claim(server, "app")
        found = _ended_backup()
        server.add(found)
        outcome = run(box, "backup", found, BACKUP_SEARCH_PERIOD="soon", **environment)
        assert outcome.code == 0, outcome.output
        assert _has_run_ansible(outcome)
        assert "BACKUP_SEARCH_PERIOD of the operator is 'soon'" in outcome.read("stdout")
        (backup,) = server.of_kind("Backup")
        left.append(
            [
                {key: condition[key] for key in ("type", "status", "reason", "message")}
                for condition in backup["status"]["conditions"]
            ]
        )
    assert left[0] == left[1]
