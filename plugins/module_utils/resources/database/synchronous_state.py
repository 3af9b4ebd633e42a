"""Which instances have all commits that were acknowledged, as Patroni keeps it.

With synchronous replication it writes that into the annotations of the Endpoints `NAME-sync`, and
promotes no other instance (source: patroni/ha.py, process_sync_replication).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...kube.client import Cluster, Object
from .members import Member
from .synchronous import MODE, OFF, QUORUM, mode_of


def is_in_effect(
    cluster: Cluster, database: Object, config: Mapping[str, Any], leader: str
) -> bool:
    """Return whether the leader's Patroni acts by the mode in its dynamic configuration.

    Raises:
        ApiError: the API server refused or was not reached.
    """
    state = _read_state(cluster, database)
    return state.get("leader", "") == (leader if config.get(MODE) else "")


def mark_candidates(
    cluster: Cluster, database: Object, members: Sequence[Member], leader: str
) -> list[Member]:
    """Return the members, each with whether Patroni lets it take over in a switchover.

    With a quorum, Patroni compares the positions itself, and takes any.

    Raises:
        ApiError: the API server refused or was not reached.
    """
    if mode_of(database) in {OFF, QUORUM}:
        return list(members)
    state = _read_state(cluster, database)
    if "leader" not in state:
        return list(members)
    names = state.get("sync_standby", "").split(",") if state["leader"] == leader else []
    return [replace(member, promotable=member.name in names) for member in members]


def last_synchronous_leader(cluster: Cluster, database: Object) -> str:
    """Return the instance that was the last to acknowledge commits; empty where none is known.

    Without its synchronous replicas no other is promoted.

    Raises:
        ApiError: the API server refused or was not reached.
    """
    return _read_state(cluster, database).get("leader", "")


def _read_state(cluster: Cluster, database: Object) -> dict[str, str]:
    metadata = database["metadata"]
    found = cluster.get("v1", "Endpoints", metadata["namespace"], f"{metadata['name']}-sync") or {}
    annotations: dict[str, str] = found.get("metadata", {}).get("annotations") or {}
    return annotations
