"""The instances of a Database as the API server knows them."""

from __future__ import annotations

import re
from typing import Any

from ...kube.client import Cluster, Object
from .members import Member, parse_leader, parse_member


def read_instances(cluster: Cluster, namespace: str, name: str) -> tuple[list[Member], str]:
    """Return the instances by their number, and the leader's name, empty where there is none."""
    pods = cluster.list("v1", "Pod", namespace, f"app=database,database={name}")
    # Pods of another program may have these labels.
    own = re.compile(rf"{re.escape(name)}-\d+")
    members = sorted(
        (parse_member(pod) for pod in pods if own.fullmatch(pod["metadata"]["name"])),
        key=lambda member: member.ordinal,
    )
    return members, parse_leader(cluster.get("v1", "Endpoints", namespace, name))


def newest_revision(stateful_set: Object | None) -> str:
    """Return the revision that the StatefulSet's controller made of the spec; empty before."""
    if stateful_set is None:
        return ""
    status = stateful_set.get("status", {})
    if status.get("observedGeneration", 0) < stateful_set["metadata"]["generation"]:
        return ""
    revision: str = status.get("updateRevision", "")
    return revision


def describe(member: Member) -> dict[str, Any]:
    """Return the instance as the role and the status take it."""
    problem = member.problem
    return {
        "name": member.name,
        "pod_ip": member.pod_ip,
        "encrypted": member.encrypted,
        "ready": member.ready,
        "role": member.role,
        "state": member.state,
        "timeline": member.timeline,
        "problem": [problem.reason, problem.message] if problem else [],
        "needs_user": bool(problem and problem.needs_user),
    }
