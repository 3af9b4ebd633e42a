"""How a Database comes to its first contents."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.resources.database import (
    status,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.bootstrap import (
    find_origin,
    find_whole_origin,
    is_first_restore,
    list_origins,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.prerequisites import (
    find_database_block,
    is_to_be_restored,
)

DATABASE: dict[str, Any] = {
    "kind": "Database",
    "metadata": {"name": "copy", "namespace": "shop", "uid": "12345678-9", "generation": 1},
    "spec": {"databaseName": "shop", "backupRef": {"name": "nightly"}, "replicas": 1},
}
NAME = "copy-first-12345678"


class FakeCluster:
    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self.backup("app", "Completed")

    def backup(self, database: str, phase: str, **spec: Any) -> None:
        self.objects["Backup", "nightly"] = {
            "metadata": {"name": "nightly", "namespace": "shop", "uid": "n"},
            "spec": {"databaseRef": {"name": database}, **spec},
            "status": {"phase": phase},
        }

    def restore(self, phase: str, message: str = "") -> None:
        self.objects["Restore", NAME] = {
            "metadata": {"name": NAME, "uid": "r"},
            "status": {
                "phase": phase,
                "backup": "nightly-1",
                "conditions": [{"type": "RestoreReady", "reason": "r", "message": message}],
            },
        }

    def get(self, _version: str, kind: str, _namespace: str, name: str) -> Any:
        return copy.deepcopy(self.objects.get((kind, name)))

    def list(self, _version: str, kind: str, *_: Any, **__: Any) -> list[Any]:
        return [found for (each, _), found in self.objects.items() if each == kind != "Backup"]


@pytest.fixture
def cluster() -> Any:
    return FakeCluster()


def test_only_a_database_with_a_backup_that_was_not_restored_is_concerned() -> None:
    assert is_to_be_restored(DATABASE)
    assert not is_to_be_restored({"spec": {}})
    assert not is_to_be_restored({**DATABASE, "status": {"restoredFrom": "nightly"}})


def test_an_empty_database_gets_a_restore_of_its_own(cluster) -> None:
    origin = find_origin(cluster, DATABASE, "empty")
    assert origin.restore is not None
    assert origin.restore["metadata"]["name"] == NAME
    assert origin.restore["spec"] == {
        "databaseRef": {"name": "copy"},
        "backupRef": {"name": "nightly"},
        "safetyBackup": False,
    }
    assert is_first_restore(origin.restore)
    assert origin.restoring is not None
    assert find_origin(cluster, DATABASE, "empty") == origin, "there is never another one"


def test_a_database_of_a_moment_gets_a_restore_of_that_moment(cluster) -> None:
    of_moment = {"pointInTime": "2026-01-31T14:03:00Z", "sourceDatabase": "app"}
    spec = DATABASE["spec"] | {"backupRef": {"name": "nightly"} | of_moment}
    origin = find_origin(cluster, DATABASE | {"spec": spec}, "empty")
    assert origin.restore is not None
    made = origin.restore["spec"]
    assert made["backupRef"] == {"name": "nightly"}
    assert {key: made[key] for key in of_moment} == of_moment


def test_it_is_known_by_its_own_restore_and_by_where_the_backup_is(cluster) -> None:
    assert list_origins(cluster, DATABASE) == (None, [])
    cluster.restore("Completed")
    cluster.objects["Backup", "nightly"]["status"]["backupLocation"] = "pvc://app-backups/a"
    assert list_origins(cluster, DATABASE) == ("r", ["pvc://app-backups/a"])


def test_it_follows_the_restore(cluster) -> None:
    cluster.restore("Pending", "waiting for Backup nightly")
    origin = find_origin(cluster, DATABASE, "empty")
    assert origin.restore is None
    assert origin.restoring is not None
    assert "waiting for Backup nightly" in origin.restoring[1]
    cluster.restore("Failed", "ChecksumMismatch")
    origin = find_origin(cluster, DATABASE, "other")
    assert origin.refused is not None
    assert origin.refused[0] == "FirstRestoreFailed"
    assert f"delete Restore {NAME}" in origin.refused[1]
    cluster.restore("Completed")
    assert find_origin(cluster, DATABASE, "restored").restored_from == "nightly-1"


def test_volumes_with_other_data_are_not_restored_into(cluster) -> None:
    origin = find_origin(cluster, DATABASE, "other")
    assert origin.restore is None
    assert origin.refused is not None
    assert origin.refused[0] == "DatabaseNotEmpty"


def test_volumes_that_were_restored_before_are_left_alone(cluster) -> None:
    origin = find_origin(cluster, DATABASE, "restored")
    assert (origin.restored_from, origin.restore) == ("nightly", None)


def test_a_backup_that_waits_for_the_database_is_refused(cluster) -> None:
    for phase in ("Pending", "InProgress"):
        cluster.backup("copy", phase)
        origin = find_origin(cluster, DATABASE, "empty")
        assert origin.refused is not None
        assert origin.refused[0] == "BackupOfItself"
    cluster.backup("copy", "Scheduled", schedule="0 3 * * *")
    assert find_origin(cluster, DATABASE, "empty").refused is not None
    cluster.backup("copy", "Completed")
    assert find_origin(cluster, DATABASE, "empty").restore is not None, "after a disaster"
    cluster.backup("copy", "Pending", artifact={"latest": True})
    assert find_origin(cluster, DATABASE, "empty").restore is not None, "it waits for no server"


SERVED = status.Observation(
    replicas=1,
    instances=(status.Instance("copy-0", ready=True, role="primary", state="running"),),
    primary="copy-0",
    server=status.Server(writable=True, database_exists=True, role_exists=True, version="17.6"),
)


def decide(**changes: Any) -> Any:
    return status.decide(DATABASE, status.Observation(**{**vars(SERVED), **changes}))


def test_the_database_is_not_ready_before_its_contents_are_there() -> None:
    decision = decide(restoring=("RestoringBackup", "m"))
    assert (decision.phase, decision.fields["ready"]) == ("Verifying", False)
    decision = decide(unrestorable=("DatabaseNotEmpty", "m"))
    assert (decision.phase, decision.fields["ready"]) == ("Failed", False)
    decision = decide(restored_from="nightly-1")
    assert (decision.phase, decision.fields["restoredFrom"]) == ("Ready", "nightly-1")


def test_only_its_own_restore_can_begin_meanwhile() -> None:
    conditions = [{"type": "Ready", "status": "False", "reason": "RestoringBackup"}]
    waiting = {"status": {"phase": "Verifying", "ready": False, "conditions": conditions}}
    assert find_database_block("copy", waiting) is not None
    assert find_database_block("copy", waiting, first=True) is None
    assert find_database_block("copy", {"status": {"phase": "Deploying"}}, first=True) is not None


def whole(**status: Any) -> dict[str, Any]:
    """A Database that is made from all files of a server."""
    found = copy.deepcopy(DATABASE)
    found["spec"] |= {"storage": {"size": "2Gi"}}
    found["spec"]["backupRef"] |= {"wholeServer": True, "latest": True}
    return found | {"status": status}


def test_a_whole_server_gets_its_restore_before_its_volume(cluster) -> None:
    origin = find_whole_origin(cluster, whole())
    assert origin.restore is not None
    assert origin.claim is None
    assert origin.restore["spec"] == {
        "databaseRef": {"name": "copy"},
        "backupRef": {"name": "nightly"},
        "latest": True,
        "safetyBackup": False,
    }


def test_the_volume_of_a_whole_server_is_made_once_its_restore_is_there(cluster) -> None:
    cluster.restore("InProgress", "Fetching")
    origin = find_whole_origin(cluster, whole())
    assert origin.restore is None
    assert origin.claim is not None
    assert origin.claim["metadata"]["name"] == "data-copy-0"
    assert origin.claim["spec"]["resources"] == {"requests": {"storage": "2Gi"}}
    assert origin.restoring == ("RestoringBackup", f"Restore {NAME}: Fetching")


def test_a_whole_server_is_there_when_its_restore_is_completed(cluster) -> None:
    cluster.restore("Completed")
    assert find_whole_origin(cluster, whole()).restored_from == "nightly-1"


def test_a_server_that_serves_is_not_made_again(cluster) -> None:
    cluster.objects["PersistentVolumeClaim", "data-copy-0"] = {"metadata": {"name": "data-copy-0"}}
    assert find_whole_origin(cluster, whole(), served=True).restored_from == "nightly"


def test_a_whole_server_that_could_not_be_made_says_what_to_do(cluster) -> None:
    cluster.restore("Failed", "no room")
    origin = find_whole_origin(cluster, whole())
    assert origin.refused is not None
    assert origin.refused[0] == "FirstRestoreFailed"
    assert "no room; correct the cause and delete Restore" in origin.refused[1]


def test_volumes_that_were_kept_are_not_filled_with_a_whole_server(cluster) -> None:
    claim = {"metadata": {"name": "data-copy-1"}}
    cluster.objects["PersistentVolumeClaim", "data-copy-1"] = claim
    origin = find_whole_origin(cluster, whole())
    assert origin.restore is None
    assert origin.refused is not None
    assert origin.refused[0] == "DatabaseNotEmpty"
    assert "(data-copy-1)" in origin.refused[1]


def test_a_whole_server_of_its_own_backup_is_refused(cluster) -> None:
    cluster.backup("copy", "Pending")
    origin = find_whole_origin(cluster, whole())
    assert origin.refused is not None
    assert origin.refused[0] == "BackupOfItself"


def test_the_status_follows_a_restore_of_the_whole_server() -> None:
    restoring = ("RestoringBackup", "Restore copy-first: Replaying WAL")
    observation = status.Observation(replicas=1, restoring=restoring)
    decision = status.decide(whole(), observation)
    assert decision.phase == "Provisioning"
    assert decision.conditions[0].reason == "RestoringBackup"
    refused = status.Observation(replicas=1, unrestorable=("DatabaseNotEmpty", "kept"))
    assert status.decide(whole(), refused).phase == "Failed"
