"""What was applied is remembered, and whatever changes it later is seen."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.applied import (
    ANNOTATION,
    files_digest,
    is_unchanged,
    remember,
)


class FakeCluster:
    """Objects by kind and name, which merge patches reach."""

    def __init__(self, *objects: dict[str, Any]) -> None:
        self.objects = {(o["kind"], o["metadata"]["name"]): o for o in objects}
        self.writes = 0

    def get(self, _version: str, kind: str, _namespace: str, name: str) -> Any:
        return copy.deepcopy(self.objects.get((kind, name)))

    def merge(self, _version: str, kind: str, _namespace: str, name: str, patch: Any) -> None:
        self.writes += 1
        metadata = self.objects[kind, name]["metadata"]
        metadata.setdefault("annotations", {}).update(patch["metadata"]["annotations"])
        metadata["resourceVersion"] = "another"


def made(kind: str, **content: Any) -> dict[str, Any]:
    metadata = {"name": "app", "namespace": "shop", "uid": kind, "resourceVersion": "1"}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, **content}


@pytest.fixture
def cluster() -> Any:
    """A cluster where a ConfigMap and a StatefulSet were applied from the inputs `one`."""
    found = FakeCluster(made("ConfigMap", data={"a": "1"}), made("StatefulSet", spec={"n": 1}))
    assert remember(found, "one", list(copy.deepcopy(found.objects).values()))  # type: ignore[arg-type]
    return found


def unchanged(cluster: Any, inputs: str = "one") -> bool:
    last = cluster.get("v1", "StatefulSet", "shop", "app")
    return is_unchanged(cluster, last, inputs)


def test_what_was_applied_is_known_again_and_not_written_twice(cluster: Any) -> None:
    assert unchanged(cluster)
    assert not remember(cluster, "one", list(cluster.objects.values()))
    assert cluster.writes == 1


def test_other_inputs_are_a_change(cluster: Any) -> None:
    assert not unchanged(cluster, "two")


def test_status_and_bookkeeping_are_no_change(cluster: Any) -> None:
    for found in cluster.objects.values():
        found["status"] = {"readyReplicas": 1}
        found["metadata"].update(resourceVersion="9", generation=2, managedFields=[{}])
    assert unchanged(cluster)


@pytest.mark.parametrize(
    "change",
    [
        lambda o: o["ConfigMap", "app"]["data"].update(a="2"),
        lambda o: o["StatefulSet", "app"]["spec"].update(n=2),
        lambda o: o["ConfigMap", "app"]["metadata"].update(labels={"a": "b"}),
        lambda o: o["ConfigMap", "app"]["metadata"].update(annotations={"a": "b"}),
        lambda o: o["ConfigMap", "app"]["metadata"].update(deletionTimestamp="now"),
        lambda o: o["ConfigMap", "app"]["metadata"].update(uid="made again"),
        lambda o: o.pop(("ConfigMap", "app")),
        lambda o: o["StatefulSet", "app"]["metadata"]["annotations"].clear(),
        lambda o: o["StatefulSet", "app"]["metadata"]["annotations"].update({ANNOTATION: "{"}),
        lambda o: o["StatefulSet", "app"]["metadata"]["annotations"].update({ANNOTATION: "[]"}),
    ],
)
def test_any_other_change_is_seen(cluster: Any, change: Any) -> None:
    change(cluster.objects)
    assert not unchanged(cluster)


def test_a_folder_is_known_by_names_and_contents_of_the_files_asked_for(tmp_path: Path) -> None:
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "main.yml").write_text("a")
    first = files_digest(tmp_path, "*.yml")
    (tmp_path / "main.pyc").write_text("x")
    assert files_digest(tmp_path, "*.yml") == first
    (tmp_path / "tasks" / "main.yml").rename(tmp_path / "tasks" / "other.yml")
    second = files_digest(tmp_path, "*.yml")
    (tmp_path / "tasks" / "other.yml").write_text("b")
    assert len({first, second, files_digest(tmp_path, "*.yml")}) == 3
