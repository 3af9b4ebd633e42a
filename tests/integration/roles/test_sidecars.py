"""A Job whose pod has a container of another program, which runs on when the work has ended."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from role_runs import SPACE, resource, run
from string_fields import SPECS
from stub_cluster import StubCluster
from warm_box import WarmBox

POD = "/api/v1/namespaces/shop/pods/job-1"
DONE = {
    "ok": True,
    "location": "shop/app/u",
    "sha256": "ab",
    "startTime": "2026-01-01T00:00:00Z",
    "completionTime": "2026-01-01T00:00:02Z",
    "tables": 1,
    "rows": 1,
}
REFUSED = {"ok": False, "reason": "NoSpace", "message": "the volume is full"}
VERIFIED = DONE | {"sha256": "ab"}


class World:
    """A Backup or a Restore, its Job, and a pod in which a service mesh's proxy runs."""

    def __init__(self, cluster: StubCluster, kind: str, verify: bool = False) -> None:
        cluster.objects.clear()
        self.cluster, self.kind, self.verify = cluster, kind, verify
        spec = copy.deepcopy(SPECS[kind][-1])
        spec.pop("schedule", None)
        self.looked_at = resource(kind, "one", spec, phase="InProgress")
        self.looked_at["metadata"]["uid"] = "12345678-uid"
        cluster.add(self.looked_at)
        self.role = kind.lower()
        self.name = f"one-{self.role}-12345678"
        self.job = f"/apis/batch/v1/namespaces/shop/jobs/{self.name}"
        self.work = "verify" if verify else self.role
        first = ["agent", "backup"] if verify else []
        own = [self.work] if verify else ["agent", self.work]
        template = {"spec": {"initContainers": self._named(first), "containers": self._named(own)}}
        cluster.objects[self.job] = self._stored("Job", self.name) | {
            "spec": {"template": template}
        }
        self.own = [*first, *own]

    def _named(self, names: list[str]) -> list[dict[str, Any]]:
        return [{"name": name} for name in names]

    def _stored(self, kind: str, name: str) -> dict[str, Any]:
        metadata = {"name": name, **SPACE, "uid": name}
        metadata["creationTimestamp"] = "2026-01-01T00:00:00Z"
        return {"kind": kind, "metadata": metadata}

    def end(self, code: int, **results: Any) -> None:
        """End the Job's containers; the last one with that code, each with its result."""
        statuses = [
            {
                "name": name,
                "state": {
                    "terminated": {
                        "exitCode": code if name == self.work else 0,
                        "message": json.dumps(results[name]) if name in results else "",
                    }
                },
            }
            for name in self.own
        ]
        pod = self._stored("Pod", "job-1")
        pod["metadata"]["labels"] = {"batch.kubernetes.io/job-name": self.name}
        names = [*self.own, "proxy"]
        first = statuses[:-1] if self.verify else []
        running = {"name": "proxy", "state": {"running": {}}}
        pod["spec"] = {"containers": self._named(names)}
        pod["status"] = {
            "phase": "Running",
            "initContainerStatuses": first,
            "containerStatuses": [running, *statuses[len(first) :]],
        }
        self.cluster.objects[POD] = pod

    def reconcile(self, box: WarmBox) -> Any:
        """Run the role and return the status."""
        outcome = run(box, self.role, self.looked_at)
        assert outcome.code == 0, outcome.read("stdout")
        (found,) = self.cluster.of_kind(self.kind)
        return found["status"]

    def take_the_status_back(self) -> None:
        """As if the operator had ended before it wrote it."""
        (found,) = self.cluster.of_kind(self.kind)
        found["status"] = {"phase": "InProgress"}

    @property
    def suspended(self) -> bool:
        return bool(self.cluster.objects[self.job]["spec"].get("suspend"))


@pytest.mark.parametrize(
    ("kind", "verify", "code", "results", "phase", "reason"),
    [
        ("Backup", False, 0, {"backup": DONE}, "Completed", "BackupCompleted"),
        ("Backup", False, 2, {"backup": REFUSED}, "Failed", "NoSpace"),
        ("Backup", True, 0, {"backup": DONE, "verify": VERIFIED}, "Completed", "BackupCompleted"),
        ("Backup", True, 2, {"backup": DONE, "verify": REFUSED}, "Completed", "BackupCompleted"),
        ("Restore", False, 0, {"restore": DONE}, "Completed", "RestoreCompleted"),
        ("Restore", False, 2, {"restore": REFUSED}, "Failed", "NoSpace"),
    ],
)
def test_a_job_ends_with_its_work(
    box: WarmBox,
    server: StubCluster,
    kind: str,
    verify: bool,
    code: int,
    results: dict[str, Any],
    phase: str,
    reason: str,
) -> None:
    world = World(server, kind, verify)
    world.end(code, **results)
    status = world.reconcile(box)
    assert (status["phase"], status["conditions"][0]["reason"]) == (phase, reason)
    assert world.suspended, "Kubernetes deletes its pod, and makes no other"
    if verify:
        assert status["verified"] is (code == 0)
    # The operator has ended before the status was written, and the pod is gone by now.
    del server.objects[POD]
    world.take_the_status_back()
    assert _without_times(world.reconcile(box)) == _without_times(status)
    assert len(server.of_kind("Job")) == 1


def test_the_result_is_in_the_job_before_it_is_in_the_status(
    box: WarmBox, server: StubCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(server, "Backup")
    # It is not tried again either before the pod has gone.
    world.end(2, backup=REFUSED | {"reason": "StoreUnreachable"})
    written: list[str] = []
    answer = server.answer

    def refuse(method: str, url: str, content_type: str, body: Any) -> tuple[int, Any]:
        if method == "PATCH":
            written.append(url.partition("?")[0].rpartition("/")[2])
            if "/jobs/" in url:
                return 500, {"kind": "Status", "message": "not now"}
        return answer(method, url, content_type, body)

    monkeypatch.setattr(server, "answer", refuse)
    status = world.reconcile(box)
    assert written == [world.name, "status"]
    assert (status["phase"], status["conditions"][0]["reason"]) == ("Pending", "ReconcileFailed")
    monkeypatch.setattr(server, "answer", answer)
    status = world.reconcile(box)
    assert (status["conditions"][0]["reason"], world.suspended) == ("WaitingForRetry", True)


def test_a_pod_whose_work_was_killed_is_replaced(box: WarmBox, server: StubCluster) -> None:
    world = World(server, "Backup")
    world.end(137)
    assert world.reconcile(box)["phase"] == "InProgress"
    assert POD not in server.objects
    assert not world.suspended
    # Kubernetes makes another.
    world.end(0, backup=DONE)
    assert world.reconcile(box)["phase"] == "Completed"


def test_a_job_that_works_is_left_alone(box: WarmBox, server: StubCluster) -> None:
    world = World(server, "Backup")
    world.end(0, backup=DONE)
    statuses = server.objects[POD]["status"]["containerStatuses"]
    statuses[-1]["state"] = {"running": {}}
    before = copy.deepcopy(server.objects[world.job])
    assert world.reconcile(box)["phase"] == "InProgress"
    assert server.objects[world.job] == before
    assert POD in server.objects


def _without_times(status: dict[str, Any]) -> dict[str, Any]:
    conditions = [
        {key: value for key, value in condition.items() if key != "lastTransitionTime"}
        for condition in status["conditions"]
    ]
    return status | {"conditions": conditions}
