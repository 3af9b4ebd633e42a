"""An API server of a few lines for a schedule and its runs."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

from ansible_collections.postgres.operator.plugins.module_utils.kube.client import ApiError
from ansible_collections.postgres.operator.plugins.module_utils.resources.backup.finalizer import (
    FINALIZER,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.schedule.scheduled_backups import (
    run_manifest,
)
from ansible_collections.postgres.operator.plugins.module_utils.units import format_time

THIS_MINUTE = datetime.now(UTC).replace(second=0, microsecond=0)


class FakeBackups:
    """Backups by name, and a Database or none.

    `refuse` is the message with which the API server refuses new Backups.
    """

    def __init__(self) -> None:
        self.backups: dict[str, Any] = {}
        self.deleted: list[str] = []
        self.restores: list[dict[str, Any]] = []
        self.refuse = ""
        self.database: dict[str, Any] | None = {"kind": "Database"}

    def get(self, _version: str, kind: str, namespace: str, name: str) -> Any:
        assert (kind, namespace, name) == ("Database", "shop", "app")
        return self.database

    def list(self, _version: str, kind: str, *_: Any) -> list[Any]:
        if kind == "Restore":
            return self.restores
        return copy.deepcopy(list(self.backups.values()))

    def create(self, manifest: dict[str, Any]) -> None:
        name = manifest["metadata"]["name"]
        if self.refuse or name in self.backups:
            raise ApiError(self.refuse or "exists", 403 if self.refuse else 409)
        manifest = copy.deepcopy(manifest)
        manifest["metadata"].update(uid=f"uid-{name}", resourceVersion="1")
        self.backups[name] = manifest

    def merge(self, _version: str, _kind: str, _namespace: str, name: str, patch: Any) -> None:
        self.backups[name]["spec"].update(patch.get("spec", {}))
        self.backups[name]["metadata"].update(patch["metadata"])

    def delete(self, _version: str, _kind: str, _namespace: str, name: str, uid: str) -> None:
        assert self.backups[name]["metadata"]["uid"] == uid
        assert FINALIZER in self.backups[name]["metadata"]["finalizers"]
        self.deleted.append(name)
        del self.backups[name]

    def add(self, schedule: Any, minutes_ago: int, phase: str) -> str:
        run = run_manifest(schedule, THIS_MINUTE - timedelta(minutes=minutes_ago))
        self.create(run)
        name: str = run["metadata"]["name"]
        ended = {"completionTime": format_time(THIS_MINUTE)} if phase == "Completed" else {}
        self.backups[name]["status"] = {"phase": phase, **ended}
        return name
