"""Retention by a window of time, with real Backups and a real archive: each moment stays."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.archive.names import segment_number
from ansible_collections.postgres.operator.plugins.module_utils.artifact import actions
from ansible_collections.postgres.operator.plugins.module_utils.artifact.physical.artifact import (
    PhysicalArtifact,
)
from ansible_collections.postgres.operator.plugins.module_utils.errors import (
    BackupLocationMissing,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.backup.kept_wal import (
    kept_from,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.schedule.scheduled_backups import (
    run_manifest,
)
from ansible_collections.postgres.operator.plugins.modules import backup_schedule
from conftest_physical import Archived, back_up
from fake_backups import FakeBackups

SCHEDULE: dict[str, Any] = {
    "kind": "Backup",
    "metadata": {
        "name": "base",
        "namespace": "shop",
        "uid": "u1",
        "creationTimestamp": "2026-01-01T00:00:00Z",
    },
    "spec": {
        "databaseRef": {"name": "app"},
        "schedule": "* * * * *",
        "method": "physical",
        "deletionPolicy": "Retain",
        "retention": 1,
        "suspend": True,
    },
    "status": {"observedGeneration": 1},
}


class Schedule:
    """A schedule without a clock: its runs are made when a test says so, as Jobs make them."""

    def __init__(self, archived: Archived, cluster: FakeBackups) -> None:
        self.archived, self.cluster = archived, cluster
        self.artifacts: dict[str, PhysicalArtifact] = {}

    def run(self) -> PhysicalArtifact:
        """Back up, with the WAL removed that no other run needs."""
        slot = datetime.now(UTC).replace(microsecond=0)
        backup = run_manifest(SCHEDULE, slot)
        self.cluster.create(backup)
        name = backup["metadata"]["name"]
        made = self.cluster.backups[name]
        others = [one for one in self.cluster.backups.values() if one is not made]
        artifact, summary = back_up(self.archived, kept_from=kept_from(made, others))
        shown = ("startLSN", "endLSN", "consistentTime", "method")
        made["status"] = {"phase": "Completed", **{key: summary[key] for key in shown}}
        self.artifacts[name] = artifact
        self.archived.settle(artifact)
        return artifact

    def prune(self, window_seconds: int) -> list[PhysicalArtifact]:
        """Reconcile, remove the files of what was deleted, and return that."""
        policy = {"keepWindow": f"{window_seconds}s"}
        resource = SCHEDULE | {"spec": SCHEDULE["spec"] | {"retentionPolicy": policy}}
        removed = backup_schedule.run({"resource": resource}, False)["removed"]
        gone = [self.artifacts.pop(name) for name in removed]
        for artifact in gone:
            at = artifact.location
            where = {"namespace": at.namespace, "resource": at.database, "uid": at.uid}
            actions.remove({"root": str(self.archived.root), **where}, False)
        return gone


@pytest.fixture
def schedule(archived, monkeypatch: pytest.MonkeyPatch) -> Schedule:
    cluster = FakeBackups()
    monkeypatch.setattr(backup_schedule, "connect", lambda: cluster)
    return Schedule(archived, cluster)


def consistent(artifact: PhysicalArtifact) -> datetime:
    return datetime.fromisoformat(artifact.manifest.consistent_time)


def test_each_moment_of_the_window_can_be_restored_and_older_wal_goes(archived, schedule) -> None:
    archived.execute("CREATE TABLE t (n int)")
    runs, moments = [], []
    for number in range(1, 5):
        runs.append(schedule.run())
        archived.execute(f"INSERT INTO t VALUES ({number}); SELECT pg_switch_wal()")
        moments.append(archived.now())
    first, second, third, _ = runs
    newest_slot = max(schedule.artifacts).rpartition("-")[2]
    end = datetime.strptime(newest_slot, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    # It begins at the end of the second run, which is the only one that leads there.
    window = int((end - consistent(second)).total_seconds())
    assert schedule.prune(window) == [first]
    with pytest.raises(BackupLocationMissing):
        archived.restore(first, moments[0])
    schedule.run()
    # What the window has no use for is gone, and nothing else is.
    numbers = [segment_number(name) for name in archived.wal.segments(1)]
    start = int(second.manifest.start_lsn.partition("/")[2], 16) >> 24
    assert numbers == list(range(start, numbers[-1] + 1))
    assert moments[1] < consistent(third), "the third run does not lead there"
    archived.restore(second, moments[1])
    assert archived.scalar("SELECT max(n) FROM t") == 2
