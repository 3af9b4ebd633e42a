"""A Database with Backups, and an API server of a few lines."""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "plugin"))

from kubectl_postgres import follow, options
from kubectl_postgres.access import Cluster, Place
from kubectl_postgres.commands import steer

Object = dict[str, Any]
CREATED = "2026-01-01T00:00:00Z"


def resource(kind: str, name: str, spec: Object, phase: str = "", **status: Any) -> Object:
    metadata = {"name": name, "namespace": "shop", "creationTimestamp": CREATED, "generation": 1}
    made: Object = {"kind": kind, "metadata": metadata, "spec": spec}
    return made | ({"status": {"phase": phase, **status}} if phase else {})


def condition(kind: str, status: str, reason: str, message: str) -> Object:
    return {"type": kind, "status": status, "reason": reason, "message": message}


def backup(name: str, phase: str = "Completed", hour: int = 1, **status: Any) -> Object:
    completed = phase == "Completed"
    said = condition("BackupReady", str(completed), f"Backup{phase}", "the words")
    finished = (
        [condition("Finished", "True", phase, "")] if phase in {"Completed", "Failed"} else []
    )
    known = {"completionTime": f"2026-01-01T0{hour}:00:00Z", "size": "12.3Mi", "duration": "4s"}
    made = resource(
        "Backup",
        name,
        {"databaseRef": {"name": "app"}},
        phase,
        **{"conditions": [said, *finished], **(known if completed else {}), **status},
    )
    made["metadata"]["creationTimestamp"] = f"2026-01-01T0{hour}:00:00Z"
    return made


def schedule(name: str) -> Object:
    spec = {"databaseRef": {"name": "app"}, "schedule": "0 3 * * *"}
    return resource("Backup", name, spec, "Scheduled", nextScheduleTime="2026-01-02T03:00:00Z")


@pytest.fixture
def database() -> Object:
    return resource(
        "Database",
        "app",
        {"databaseName": "shop", "username": "owner", "replicas": 2},
        "Ready",
        observedGeneration=1,
        version="17.7",
        primary="app-0",
        instancesReady="2/2",
        timeline=3,
        endpoint="app.shop.svc.cluster.local:5432",
        instances=[
            {
                "name": "app-0", "role": "primary", "state": "running", "ready": True,
                "timeline": 3, "storage": "1Gi", "storageUsedPercent": 25,
            },
            {
                "name": "app-1", "role": "replica", "state": "streaming", "ready": False,
                "lagBytes": 16777216, "timeline": 3, "storage": "1Gi",
                "pendingRestart": ["max_connections"],
            },
        ],
        archive={"lastArchivedWAL": "000000030000000000000007", "pending": 2},
        conditions=[
            condition("Ready", "True", "AllChecksPassed", "everything is as the spec says"),
            condition("Progressing", "False", "ReconciliationComplete", ""),
            condition("Degraded", "True", "InstancesNotReady", "app-1 is not ready"),
            condition("StorageLow", "False", "EnoughRoom", ""),
        ],
    )  # fmt: skip


class FakeCluster:
    """Objects by kind and name; what a command makes or changes is noted."""

    namespace = "shop"
    place = Place(namespace="shop")
    get = Cluster.get

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], Object] = {}
        self.made: list[Object] = []
        self.changes: list[Object] = []
        # What becomes of a resource that is made, and of a Database that was changed.
        self.ends: dict[str, Object] = {}
        self.becomes: Object = {}

    def add(self, *objects: Object) -> None:
        for one in objects:
            self.objects[one["kind"], one["metadata"]["name"]] = one

    def find(self, kind: str, name: str, version: str = "") -> Object | None:
        return copy.deepcopy(self.objects.get((kind, name)))

    def list(self, kind: str, version: str = "", selector: str = "") -> list[Object]:
        return [copy.deepcopy(one) for (of, _), one in self.objects.items() if of == kind]

    def create(self, manifest: Object) -> Object:
        self.made.append(copy.deepcopy(manifest))
        made = resource(manifest["kind"], manifest["metadata"]["name"], manifest["spec"])
        self.add(made | {"status": self.ends[manifest["kind"]]})
        return made

    def patch_spec(self, kind: str, name: str, fields: Object) -> Object:
        before = self.get(kind, name)
        self.changes.append(fields)
        before["metadata"]["generation"] += 1
        after = copy.deepcopy(before)
        after["status"] |= {"observedGeneration": 2, **self.becomes}
        self.add(after)
        return before


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, database: Object) -> FakeCluster:
    fake = FakeCluster()
    fake.add(database)
    monkeypatch.setattr(options, "Cluster", lambda _place: fake)
    for module in (follow, steer):
        monkeypatch.setattr(module, "_SECONDS", 0)
    return fake
