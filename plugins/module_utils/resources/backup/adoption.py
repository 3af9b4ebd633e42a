"""Which artifact of a store is a Backup's: one that it makes, or one that it adopts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def adopts(backup: Mapping[str, Any]) -> bool:
    """Return whether a Backup takes an artifact that is in the store, and makes none."""
    return "artifact" in backup["spec"]


def artifact_of(backup: Mapping[str, Any]) -> dict[str, Any]:
    """Return whose the artifact is in its store: `namespace`, `resource`, the Database, and `uid`.

    A Backup that makes one names it after itself. One that adopts the newest has its `uid` once it
    is Completed.
    """
    metadata, spec = backup["metadata"], backup["spec"]
    own = {"namespace": metadata["namespace"], "resource": spec["databaseRef"]["name"]}
    if not adopts(backup):
        return {**own, "uid": metadata["uid"]}
    location = backup.get("status", {}).get("backupLocation")
    if location:
        return dict(zip(("namespace", "resource", "uid"), location.split("/")[-3:], strict=True))
    wanted = spec["artifact"]
    named = {
        "namespace": wanted.get("namespace"),
        "resource": wanted.get("database"),
        "uid": wanted.get("uid"),
    }
    return own | {key: value for key, value in named.items() if value}
