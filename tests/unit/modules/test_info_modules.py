"""A module that is called `*_info` reads and writes nothing, in whatever state its resource is."""

from __future__ import annotations

import copy
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

Object = dict[str, Any]
MODULES = Path(__file__).resolve().parents[3] / "plugins" / "modules"
INFO_MODULES = sorted(path.stem for path in MODULES.glob("*_info.py"))
LONG_AGO = "2026-01-01T00:00:00Z"
DESTINATION = {"s3": {"bucket": "safe", "credentialsSecretRef": {"name": "login"}}}
SPECS: dict[str, list[Object]] = {
    "backup_info": [
        {"timeout": "1h", "verify": "restore", "encryption": {"secretRef": {"name": "key"}}},
        {"timeout": "1h", "verify": "checksum", "destination": DESTINATION},
        {"schedule": "0 3 * * *", "verify": "checksum"},
    ],
    "restore_info": [
        {"timeout": "1h", "keepPrevious": "1h", "backupRef": {"name": "nightly"}},
        {"timeout": "1h", "keepPrevious": "1h", "backupRef": {"name": "schedule"}},
        {"timeout": "1h", "keepPrevious": "1h", "backupRef": {"name": "missing"}},
    ],
}
KINDS = {"backup_info": "Backup", "restore_info": "Restore"}


class ReadOnlyCluster:
    """Objects by kind and name; whatever is neither get, list nor read_log fails the test."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], Object] = {}

    def add(self, kind: str, name: str, **content: Any) -> None:
        metadata = {"name": name, "namespace": "shop", "uid": f"{name}-uid"}
        metadata |= {"creationTimestamp": LONG_AGO, **content.pop("metadata", {})}
        self.objects[kind, name] = {"kind": kind, "metadata": metadata, **content}

    def get(self, _version: str, kind: str, _namespace: str, name: str) -> Any:
        return copy.deepcopy(self.objects.get((kind, name)))

    def list(self, _version: str, kind: str, *_: Any, **__: Any) -> Any:
        return [copy.deepcopy(found) for (k, _), found in self.objects.items() if k == kind]

    def read_log(self, *_: Any) -> str:
        return "2026-01-01T00:00:00Z dumping ...\n"

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"a module that reads has called {name}")


def cluster_with(kind: str, spec: Object, job: Object | None) -> ReadOnlyCluster:
    """Return a namespace with the resource `one` and what it names."""
    found = ReadOnlyCluster()
    of_app = {"databaseRef": {"name": "app"}, "parallelism": 2, "deletionPolicy": "Retain"}
    database = {"databaseName": "app", "image": "postgres:17", "storage": {"size": "1Gi"}}
    ready = {"phase": "Ready", "writable": True, "encrypted": True}
    found.add("Database", "app", spec=database, status=ready)
    completed = {"phase": "Completed", "sha256": "ab", "backupLocation": "pvc://app-backups/x"}
    found.add("Backup", "nightly", spec=of_app | {"verify": "none"}, status=completed)
    found.add("Backup", "schedule", spec=of_app | {"verify": "none", "schedule": "0 3 * * *"})
    found.add("PersistentVolumeClaim", "app-backups")
    found.add("Secret", "login", data={"accessKeyId": "eA==", "secretAccessKey": "eA=="})
    found.add("Secret", "key", data={"identity": "eA=="})
    found.add(kind, "one", spec=of_app | spec)
    if job is not None:
        name = f"one-{kind.lower()}-one-uid"
        container = {"name": kind.lower(), "state": {"running": {"startedAt": LONG_AGO}}}
        pods = {"phase": "Running", "containerStatuses": [container]}
        containers = {"containers": [{"name": kind.lower()}]}
        found.add("Job", name, spec={"template": {"spec": containers}}, status=job)
        found.add("Pod", f"{name}-x", spec=containers, status=pods)
    return found


def ended(condition: str, **more: str) -> Object:
    return {"conditions": [{"type": condition, "status": "True", **more}]}


def test_every_info_module_is_tried() -> None:
    assert list(SPECS) == INFO_MODULES


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize(
    "job",
    [
        None,
        {},
        ended("Complete"),
        ended("Failed"),
        ended("Failed", reason="DeadlineExceeded"),
    ],
    ids=["no job", "running", "complete", "failed", "timed out"],
)
@pytest.mark.parametrize(
    ("module", "spec"), [(module, spec) for module, specs in SPECS.items() for spec in specs]
)
def test_an_info_module_writes_nothing(
    module: str, spec: Object, job: Object | None, check_mode: bool, monkeypatch: Any
) -> None:
    cluster = cluster_with(KINDS[module], spec, job)
    loaded: Any = import_module(f"ansible_collections.postgres.operator.plugins.modules.{module}")
    monkeypatch.setattr(loaded, "connect", lambda: cluster)
    limits = {"max_active": 1, "max_active_per_namespace": 1, "max_active_per_destination": 1}
    limits |= {"search_period": "24h"}
    params = {"name": "one", "namespace": "shop", "agent_image": "operator:1", **limits}
    before = copy.deepcopy(cluster.objects)
    found = loaded.run(params, check_mode)
    assert found["resource"]["metadata"]["name"] == "one"
    assert not found["changed"]
    assert cluster.objects == before
