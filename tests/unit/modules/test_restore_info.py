"""What a Restore does at one look, with an API server of a few lines."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.resources.job_state import JobState
from ansible_collections.postgres.operator.plugins.module_utils.resources.recovery_target import (
    TARGETS,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.restore import (
    status as restore,
)
from ansible_collections.postgres.operator.plugins.modules import restore_info
from job_variables import variables_of

NAMES = {"name": "undo", "namespace": "shop", "agent_image": "operator:1"}


class FakeCluster:
    """Objects by kind and name."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}

    def add(self, kind: str, name: str, **content: Any) -> dict[str, Any]:
        metadata = {"name": name, "namespace": "shop", "uid": f"{name}-0000-uid"}
        metadata["creationTimestamp"] = "2026-01-01T00:00:00Z"
        made = {"kind": kind, "metadata": metadata | content.pop("metadata", {}), **content}
        self.objects[kind, name] = made
        return made

    def get(self, _version: str, kind: str, _namespace: str, name: str) -> Any:
        return copy.deepcopy(self.objects.get((kind, name)))

    def list(self, _version: str, kind: str, *_: Any, **__: Any) -> list[Any]:
        return [copy.deepcopy(o) for (k, _), o in self.objects.items() if k == kind]


# Of the server and of the artifact, as tests/unit/roles has them.
COMMON = [
    "host",
    "port",
    "user",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "namespace",
    "resource",
    "uid",
    "jobs",
    "progress_file",
    "result_file",
    "root",
    "s3",
    "spool",
]


def own_variables(found: dict[str, Any]) -> dict[str, Any]:
    """What the playbook reads that comes from the Restore and its Backup."""
    variables = variables_of(found["definitions"][-1])
    return {name: value for name, value in variables.items() if name not in COMMON}


def completed(**status: Any) -> dict[str, Any]:
    location = {"backupLocation": "pvc://app-backups/x", "sha256": "ab"}
    return {"phase": "Completed", **location, **status}


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    fake = FakeCluster()
    fake.add(
        "Database",
        "app",
        spec={"databaseName": "app", "image": "postgres:17", "storage": {"size": "1Gi"}},
        status={"phase": "Ready", "writable": True, "encrypted": True},
    )
    fake.add("PersistentVolumeClaim", "app-backups")
    fake.add("Secret", "login", data={"accessKeyId": "eA==", "secretAccessKey": "eA=="})
    fake.add(
        "Backup",
        "nightly-20260101030000",
        metadata={
            "labels": {"database.example.com/plan": "nightly"},
            "ownerReferences": [{"kind": "Backup", "uid": "nightly-0000-uid"}],
        },
        spec={
            "databaseRef": {"name": "app"},
            "parallelism": 2,
            "verify": "restore",
            "deletionPolicy": "Retain",
            "destination": {"s3": {"bucket": "safe", "credentialsSecretRef": {"name": "login"}}},
        },
        status=completed(),
    )
    fake.add("Backup", "nightly", spec={"databaseRef": {"name": "app"}, "schedule": "0 3 * * *"})
    monkeypatch.setattr(restore_info, "connect", lambda: fake)
    return fake


def look(cluster: FakeCluster, first: bool = False, **spec: Any) -> dict[str, Any]:
    base = {
        "databaseRef": {"name": "app"},
        "backupRef": {"name": "nightly"},
        "keepPrevious": "24h",
        "timeout": "2h",
    }
    owners = [{"kind": "Database", "name": "app", "uid": "u"}] if first else []
    cluster.add("Restore", "undo", metadata={"ownerReferences": owners}, spec={**base, **spec})
    return restore_info.run(NAMES, False)


def test_first_there_is_the_safety_backup_and_then_the_job(cluster: FakeCluster) -> None:
    found = look(cluster)
    safety = found["safety_backup"]
    assert found["definitions"] == []
    assert safety["metadata"]["name"] == "undo-safety-undo-000"
    assert "ownerReferences" not in safety["metadata"]
    assert safety["spec"] == {
        "databaseRef": {"name": "app"},
        "parallelism": 2,
        "deletionPolicy": "Delete",
        "destination": {"s3": {"bucket": "safe", "credentialsSecretRef": {"name": "login"}}},
    }
    assert look(cluster)["safety_backup"] == safety, "a killed operator makes no other one"

    made = cluster.add("Backup", safety["metadata"]["name"], spec=safety["spec"], status={})
    for phase in ("Pending", "InProgress"):
        made["status"] = {"phase": phase}
        found = look(cluster)
        assert (found["definitions"], found["safety_backup"]) == ([], {})
    made["status"] = completed()
    found = look(cluster)
    assert found["definitions"][-1]["metadata"]["annotations"] == {
        "database.example.com/backup": "nightly-20260101030000",
        "database.example.com/safety-backup": "undo-safety-undo-000",
    }


def test_it_is_not_made_while_the_restore_is_blocked_or_refused(cluster: FakeCluster) -> None:
    assert look(cluster, pointInTime="2026-01-01T00:00:00Z")["safety_backup"] == {}
    assert look(cluster, backupRef={"name": "none"})["safety_backup"] == {}
    cluster.objects["Database", "app"]["status"] = {"phase": "Deploying"}
    assert look(cluster)["safety_backup"] == {}


def test_what_cannot_be_replaced_is_not_backed_up_first(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def refuse(*objects: Any) -> tuple[str, str]:
        asked.append([one["metadata"]["name"] for one in objects[1:]])
        return "DatabaseInUse", "a slot"

    monkeypatch.setattr(restore_info, "find_early_refusal", refuse)
    found = look(cluster)
    assert (found["definitions"], found["safety_backup"]) == ([], {})
    assert found["observation"]["refused"] == ("DatabaseInUse", "a slot")
    assert asked == [["undo", "nightly-20260101030000", "app"]]
    for spec in ({"safetyBackup": False}, {"dryRun": True}, {"targetDatabase": "other"}):
        assert look(cluster, **spec)["definitions"], "the Job comes first, and finds it itself"
    cluster.add("Backup", "undo-safety-undo-000", spec={}, status={"phase": "InProgress"})
    assert look(cluster)["observation"]["refused"] is None
    assert len(asked) == 1


def test_a_failed_one_ends_the_restore(cluster: FakeCluster) -> None:
    condition = {"type": "BackupReady", "reason": "NoSpace", "message": "full"}
    status = {"phase": "Failed", "conditions": [condition]}
    cluster.add("Backup", "undo-safety-undo-000", spec={}, status=status)
    found = look(cluster)
    assert found["definitions"] == []
    assert found["observation"]["safety"]["reason"] == "NoSpace"


def test_the_variables_of_the_job(cluster: FakeCluster) -> None:
    include = {"tables": ["public.song"]}
    found = look(cluster, targetDatabase="other", include=include, dryRun=True)
    assert own_variables(found) == {
        "sha256": "ab",
        "restore_uid": "undo-0000-uid",
        "keep_previous_seconds": 86400,
        "dry_run": True,
        "as_superuser": False,
        "logins": False,
        "try_without_room": False,
        "ends_replication": False,
        "takes_properties": False,
        "partial": True,
        "include": include,
        "database": "other",
    }
    found = look(cluster, safetyBackup=False)
    assert own_variables(found)["partial"] is False
    assert own_variables(found)["database"] == "app"


def test_a_claim_that_is_gone_is_reported(cluster: FakeCluster) -> None:
    del cluster.objects["PersistentVolumeClaim", "app-backups"]
    found = look(cluster)
    assert found["definitions"] == []
    assert found["observation"]["refused"][0] == "BackupLocationMissing"
    assert "app-backups" in found["observation"]["refused"][1]


def test_a_schedule_without_a_run_is_waited_for_with_consent(cluster: FakeCluster) -> None:
    del cluster.objects["Backup", "nightly-20260101030000"]
    found = look(cluster, consent={"newerBackup": True})["observation"]
    assert (found["blocked"][0], found["refused"]) == ("BackupNotCompleted", None)
    refused = look(cluster)["observation"]["refused"]
    assert refused[0] == "BackupNewerThanRestore"


def test_a_run_that_was_begun_after_the_restore_was_created_is_not_taken(
    cluster: FakeCluster,
) -> None:
    run = cluster.objects["Backup", "nightly-20260101030000"]
    run["status"]["startTime"] = "2026-01-01T03:00:00Z"
    found = look(cluster)
    assert found["definitions"] == []
    assert found["safety_backup"] == {}
    assert found["observation"]["refused"][0] == "BackupNewerThanRestore"
    assert look(cluster, dryRun=True)["observation"]["refused"] is None
    assert look(cluster, consent={"newerBackup": True})["observation"]["refused"] is None


def test_once_there_is_a_job_nothing_else_is_read(cluster: FakeCluster) -> None:
    job = cluster.add(
        "Job",
        "undo-restore-undo-000",
        metadata={"annotations": {"database.example.com/backup": "nightly-1"}},
        spec={"template": {"spec": {"containers": []}}},
    )
    assert job["metadata"]["name"] == look(cluster)["job_made"]["name"]
    cluster.objects.pop(("Backup", "nightly"))
    found = look(cluster)
    assert found["definitions"] == []
    assert found["observation"]["job"]["annotations"]["database.example.com/backup"] == "nightly-1"
    assert found["observation"]["blocked"] is None


def test_a_secret_that_is_gone_is_reported(cluster: FakeCluster) -> None:
    del cluster.objects["Secret", "login"]
    found = look(cluster)
    assert found["definitions"] == []
    assert found["safety_backup"] == {}
    assert found["observation"]["blocked"][0] == "SecretMissing"


def test_a_newer_run_than_the_verified_one_is_reported(cluster: FakeCluster) -> None:
    verified = cluster.objects["Backup", "nightly-20260101030000"]
    verified["status"]["verified"] = True
    newer = copy.deepcopy(verified)
    newer["metadata"]["name"] = "nightly-20260102030000"
    newer["status"]["verified"] = False
    cluster.objects["Backup", "nightly-20260102030000"] = newer
    found = look(cluster, safetyBackup=False)
    annotations = found["definitions"][-1]["metadata"]["annotations"]
    assert annotations["database.example.com/backup"] == "nightly-20260101030000"
    assert annotations["database.example.com/newer-backup"] == "nightly-20260102030000"
    result = {"ok": True, "completionTime": "2026-01-03T00:00:00Z"}
    done = restore.decide(
        restore.Observation(job=JobState("j", result=result, annotations=annotations))
    )
    assert done.conditions[0].message == (
        "Restore completed successfully from nightly-20260101030000, the newest verified run;"
        " nightly-20260102030000 is newer and not verified"
    )


def test_how_a_stopped_restore_ended_is_asked_without_its_backup(cluster: FakeCluster) -> None:
    cluster.add(
        "Job",
        "undo-restore-undo-000",
        metadata={"annotations": {"database.example.com/backup": "nightly-1"}},
        spec={"template": {"spec": {"containers": []}}, "activeDeadlineSeconds": 7200},
        status={"conditions": [{"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}]},
    )
    cluster.objects.pop(("Backup", "nightly"))
    found = look(cluster, targetDatabase="other", dryRun=True)
    (job,) = found["definitions"]
    container = job["spec"]["template"]["spec"]["containers"][1]
    assert container["command"][-1].endswith("/outcome.yml")
    assert job["metadata"]["name"] == "undo-restore-undo-000-2"
    assert job["metadata"]["annotations"] == {"database.example.com/backup": "nightly-1"}
    assert found["job_made"] == {
        "name": "undo-restore-undo-000-2",
        "annotations": {"database.example.com/backup": "nightly-1"},
        "after_timeout": True,
    }
    assert "/backups" not in [mount["mountPath"] for mount in container["volumeMounts"]]
    assert own_variables(found) == {
        "restore_uid": "undo-0000-uid",
        "keep_previous_seconds": 86400,
        "dry_run": True,
        "timeout": "2h",
        "database": "other",
    }
    assert found["safety_backup"] == {}


def of_physical(cluster: FakeCluster, **spec: Any) -> dict[str, Any]:
    """The pod of a Restore of a physical, encrypted Backup in S3, and its containers' variables."""
    backup = cluster.objects["Backup", "nightly-20260101030000"]
    backup["spec"] |= {
        "method": "physical",
        "encryption": {"recipients": ["age1x"], "secretRef": {"name": "key"}},
    }
    backup["status"] |= {"method": "physical", "consistentTime": "2025-12-31T00:00:00Z"}
    cluster.add("Secret", "key", data={"identity": "eA=="})
    found = look(cluster, safetyBackup=False, **spec)
    assert found["observation"]["refused"] is None, found["observation"]["refused"]
    job = found["definitions"][-1]
    template = job["spec"]["template"]
    containers = template["spec"]["initContainers"] + template["spec"]["containers"]
    return {
        container["name"]: {
            "mounts": {mount["name"] for mount in container["volumeMounts"]},
            "variables": variables_of(
                job, "" if container["name"] == "restore" else container["name"]
            ),
            "read_only": {m["name"] for m in container["volumeMounts"] if m.get("readOnly")},
        }
        for container in containers
        if container["name"] != "agent"
    }


def test_what_runs_the_server_of_a_moment_has_no_credentials(cluster: FakeCluster) -> None:
    moment = "2025-12-31T10:00:00+01:00"
    pod = of_physical(cluster, pointInTime=moment)
    assert list(pod) == ["recover", "extract", "restore"]
    secrets = {"s3", "encryption", "superuser"}
    assert pod["recover"]["mounts"] >= {*secrets, "scratch", "spool"}
    assert pod["extract"]["mounts"].isdisjoint(secrets | {"spool", "backups"})
    assert pod["restore"]["mounts"] & {*secrets, "scratch", "backups"} == {"superuser"}
    assert "copy" in pod["restore"]["read_only"]
    assert "copy" not in pod["extract"]["read_only"]
    recover = pod["recover"]["variables"]
    assert recover["point_in_time"] == moment
    assert (recover["sha256"], recover["folder"]) == ("ab", "/scratch")
    assert recover["identity_file"] == "/etc/encryption/identity"
    assert recover["s3"]["bucket"] == "safe"
    assert pod["restore"]["variables"]["root"] == "/copy"
    assert not pod["restore"]["variables"]["sha256"]


def test_the_database_and_the_tables_are_chosen_where_they_are_extracted(
    cluster: FakeCluster,
) -> None:
    tables = {"tables": ["public.song"]}
    pod = of_physical(cluster, include=tables, targetDatabase="b", sourceDatabase="shop")
    extract, restore = pod["extract"]["variables"], pod["restore"]["variables"]
    assert (extract["database"], extract["include"]) == ("shop", tables)
    assert (restore["database"], restore["partial"]) == ("b", True)
    assert "include" not in restore
    assert pod["recover"]["variables"].keys().isdisjoint(TARGETS.values())


@pytest.mark.parametrize(
    ("spec", "variables"),
    [
        ({"restorePoint": "before"}, {"restore_point": "before"}),
        ({"lsn": "0/9000028"}, {"lsn": "0/9000028"}),
        ({"xid": "741"}, {"xid": "741"}),
        ({"latest": True}, {"latest": True}),
        ({"latest": False}, {}),
    ],
)
def test_a_target_is_given_to_what_recovers(cluster: FakeCluster, spec, variables) -> None:
    cluster.objects["Backup", "nightly-20260101030000"]["status"]["endLSN"] = "0/9000000"
    run = {"name": "nightly-20260101030000"}
    recover = of_physical(cluster, backupRef=run, **spec)["recover"]["variables"]
    assert {key: recover[key] for key in TARGETS.values() if key in recover} == variables


@pytest.mark.parametrize("spec", [{"restorePoint": "before"}, {"xid": "741"}])
def test_what_says_no_time_needs_the_run_of_a_schedule(cluster: FakeCluster, spec) -> None:
    cluster.objects["Backup", "nightly"]["spec"]["method"] = "physical"
    found = look(cluster, **spec)
    assert found["observation"]["refused"][0] == "BackupRunNeeded"
    assert "let backupRef name the run" in found["observation"]["refused"][1]


def test_a_safety_backup_of_a_physical_one_is_logical(cluster: FakeCluster) -> None:
    backup = cluster.objects["Backup", "nightly-20260101030000"]
    backup["spec"] |= {"method": "physical", "maxRate": 1024}
    backup["status"] |= {"method": "physical", "consistentTime": "2025-12-31T00:00:00Z"}
    safety = look(cluster)["safety_backup"]
    assert not {"method", "maxRate"} & safety["spec"].keys()


def refused(found: dict[str, Any]) -> tuple[str, str]:
    """Nothing was begun, no safety Backup either."""
    assert found["definitions"] == []
    assert found["safety_backup"] == {}
    reason, message = found["observation"]["refused"]
    return reason, message


def physical_runs(cluster: FakeCluster, *days: int, **last: Any) -> None:
    """The schedule has runs of several days, each of which ended at 03:01 in its own segment.

    Args:
        last: what the status of the last one has besides.
    """
    first = cluster.objects.pop(("Backup", "nightly-20260101030000"))
    cluster.objects["Backup", "nightly"]["spec"]["method"] = "physical"
    for day in days:
        run = copy.deepcopy(first)
        status = completed(
            method="physical",
            consistentTime=f"2025-12-{day:02}T03:01:00Z",
            startTime=f"2025-12-{day:02}T03:00:00Z",
            endLSN=f"0/{day:X}001000",
            archive={"name": "wal-app-0000-uid", "gaps": []},
        )
        name = f"nightly-202512{day:02}030000"
        made = {"name": name, "uid": name, "creationTimestamp": f"2025-12-{day:02}T03:00:00Z"}
        run |= {"metadata": first["metadata"] | made, "status": status}
        cluster.objects["Backup", name] = run
    run["status"] |= last
    database = cluster.objects["Database", "app"]
    database["spec"]["archive"] = {"destination": run["spec"]["destination"]}
    database["status"]["archive"] = {"window": {"latest": "2025-12-31T23:00:00Z"}}


ONE_GAP = {
    "segment": "00000001000000000000000B",
    "segments": 1,
    "startLSN": "0/B000000",
    "endLSN": "0/C000000",
    "from": "2025-12-11T12:00:00Z",
}


def test_a_moment_before_all_runs_is_refused_with_the_window(cluster: FakeCluster) -> None:
    physical_runs(cluster, 10, 12)
    assert refused(look(cluster, pointInTime="2025-12-10T03:00:59Z")) == (
        "PointInTimeOutOfRange",
        "pointInTime 2025-12-10T03:00:59Z is before the end of the oldest run of Backup nightly,"
        " nightly-20251210030000; moments from 2025-12-10T03:01:00Z to 2025-12-31T23:00:00Z can be"
        " restored",
    )
    found = look(cluster, pointInTime="2025-12-10T03:01:00Z")
    assert found["safety_backup"], "the end of the first run is one that can be restored"


def test_a_moment_before_the_named_run_is_refused_with_one_that_leads_there(
    cluster: FakeCluster,
) -> None:
    physical_runs(cluster, 10, 12)
    run = {"name": "nightly-20251212030000"}
    reason, message = refused(look(cluster, backupRef=run, pointInTime="2025-12-11T00:00:00Z"))
    assert reason == "PointInTimeOutOfRange"
    assert message.endswith("; name Backup nightly-20251210030000, which leads there")


def test_the_archive_of_another_database_ends_with_its_newest_backup(cluster: FakeCluster) -> None:
    physical_runs(cluster, 10, 12)
    cluster.add(
        "Database",
        "staging",
        spec={"databaseName": "app", "image": "postgres:17", "storage": {"size": "1Gi"}},
        status={"phase": "Ready", "writable": True, "encrypted": True},
    )
    staging = {"databaseRef": {"name": "staging"}, "pointInTime": "2025-12-01T00:00:00Z"}
    _, message = refused(look(cluster, **staging))
    assert message.endswith("from 2025-12-10T03:01:00Z to 2025-12-12T03:01:00Z can be restored")


def test_a_moment_in_a_gap_is_refused(cluster: FakeCluster) -> None:
    physical_runs(cluster, 10, 12, archive={"name": "wal-app-0000-uid", "gaps": [ONE_GAP]})
    reason, message = refused(look(cluster, pointInTime="2025-12-11T12:00:01Z"))
    assert reason == "WalMissing"
    assert message == (
        "the archive lacks WAL segment 00000001000000000000000B, without which nothing after"
        " 2025-12-11T12:00:00Z can be restored from Backup nightly-20251210030000, and pointInTime"
        " 2025-12-11T12:00:01Z was asked for; moments from 2025-12-10T03:01:00Z to"
        " 2025-12-31T23:00:00Z, but for those from 2025-12-11T12:00:00Z to 2025-12-12T03:01:00Z,"
        " can be restored"
    )
    assert look(cluster, pointInTime="2025-12-11T12:00:00Z")["safety_backup"]


def test_of_a_schedule_the_run_after_a_gap_is_taken(cluster: FakeCluster) -> None:
    """Though that before it was verified."""
    physical_runs(cluster, 10, 12, archive={"name": "wal-app-0000-uid", "gaps": [ONE_GAP]})
    cluster.objects["Backup", "nightly-20251210030000"]["status"]["verified"] = True
    for target in ({"pointInTime": "2025-12-13T00:00:00Z"}, {"latest": True}):
        found = look(cluster, **target, safetyBackup=False)
        assert found["job_made"]["annotations"][restore.BACKUP_ANNOTATION].endswith("12030000")
    run = {"name": "nightly-20251210030000"}
    for target in ({"pointInTime": "2025-12-13T00:00:00Z"}, {"latest": True}):
        reason, message = refused(look(cluster, backupRef=run, **target))
        assert reason == "WalMissing"
        assert message.endswith("name Backup nightly-20251212030000, which leads there")


def test_a_moment_after_the_newest_that_is_known_is_tried(cluster: FakeCluster) -> None:
    """The archive may have it by then."""
    physical_runs(cluster, 10)
    assert look(cluster, pointInTime="2025-12-31T23:30:00Z")["safety_backup"]


def test_a_moment_in_the_future_is_refused(cluster: FakeCluster) -> None:
    physical_runs(cluster, 10)
    for name in ("nightly", "nightly-20251210030000"):
        found = look(cluster, backupRef={"name": name}, pointInTime="2026-01-01T00:00:01Z")
        reason, message = refused(found)
        assert reason == "PointInTimeOutOfRange"
        assert "is after this Restore was created (2026-01-01T00:00:00Z)" in message


def test_a_run_that_may_end_before_the_moment_is_waited_for(cluster: FakeCluster) -> None:
    physical_runs(cluster, 10)
    run = cluster.objects["Backup", "nightly-20251210030000"]
    run["status"] = {"phase": "InProgress"}
    found = look(cluster, pointInTime="2025-12-10T03:00:01Z")
    assert found["observation"]["blocked"][0] == "BackupNotCompleted"
    reason, message = refused(look(cluster, pointInTime="2025-12-10T02:59:59Z"))
    assert reason == "PointInTimeOutOfRange"
    assert "before the end of the first run of Backup nightly, which is not Completed" in message


def test_a_schedule_of_logical_backups_has_no_moments(cluster: FakeCluster) -> None:
    """None of its runs ever will: without this it would wait."""
    reason, message = refused(look(cluster, pointInTime="2025-12-10T02:59:59Z"))
    assert reason == "PointInTimeOutOfRange"
    assert message.startswith("Backup nightly is a logical backup of one point in time; leave")


def whole_server(cluster: FakeCluster, **database: Any) -> None:
    """The Database is made from a physical Backup."""
    backup = cluster.objects["Backup", "nightly-20260101030000"]
    backup["spec"] |= {"method": "physical"}
    backup["status"] |= {"method": "physical", "consistentTime": "2025-12-31T00:00:00Z"}
    found = cluster.objects["Database", "app"]
    found["spec"] |= {"backupRef": {"name": "nightly", "wholeServer": True}}
    found["status"] = database


def test_the_whole_server_is_made_on_the_first_volume(cluster: FakeCluster) -> None:
    whole_server(cluster)
    cluster.objects["Database", "app"]["spec"] |= {
        "pod": {"nodeSelector": {"disk": "fast"}},
        "jobs": {"nodeSelector": {"disk": "slow"}},
        "postgresql": {"parameters": {"max_prepared_transactions": "5"}},
    }
    found = look(cluster, first=True, safetyBackup=False, latest=True)
    assert found["observation"]["blocked"] is None
    pod = found["definitions"][-1]["spec"]["template"]["spec"]
    assert pod["nodeSelector"] == {"disk": "fast"}
    assert pod["initContainers"] == []
    _, container = pod["containers"]
    assert container["command"][-1].endswith("/rebuild.yml")
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounts["data"] == "/var/lib/postgresql/data"
    assert "superuser" not in mounts
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert volumes["data"]["persistentVolumeClaim"] == {"claimName": "data-app-0"}
    variables = own_variables(found)
    assert variables == {
        "sha256": "ab",
        "folder": "/var/lib/postgresql/data",
        "data": "/var/lib/postgresql/data/pgdata",
        "restore_uid": "undo-0000-uid",
        "max_prepared_transactions": 5,
        "latest": True,
    }


def test_the_whole_server_is_not_made_under_instances(cluster: FakeCluster) -> None:
    whole_server(cluster, restoredFrom="nightly", replicas=1)
    blocked = look(cluster, first=True, safetyBackup=False)["observation"]["blocked"]
    assert blocked[0] == "DatabaseNotReady"
    assert "its files are not replaced" in blocked[1]


def test_a_logical_backup_has_no_whole_server(cluster: FakeCluster) -> None:
    whole_server(cluster)
    backup = cluster.objects["Backup", "nightly-20260101030000"]
    backup["spec"]["method"] = backup["status"]["method"] = "logical"
    refused = look(cluster, first=True, safetyBackup=False)["observation"]["refused"]
    assert refused[0] == "PhysicalBackupNeeded"
    assert "leave backupRef.wholeServer out" in refused[1]
