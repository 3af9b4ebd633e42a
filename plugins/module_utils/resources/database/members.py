"""The members of a Patroni cluster as the Kubernetes API shows them.

Patroni writes each member's state into its pod's annotation `status` and the leader's name into the
annotation `leader` of the Endpoints named like the cluster, so no member has to be asked over the
network (source: patroni/dcs/kubernetes.py).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ...kube.client import Object
from ...kube.pods import Problem, find_problem, is_ready
from ...units import parse_time

LEADER_ANNOTATION = "leader"
STATUS_ANNOTATION = "status"
VOLUME = "certificates"
"""The volume of a pod that has certificates."""

REVISION_LABEL = "controller-revision-hash"
# Patroni reports within seconds of its start, whatever PostgreSQL does.
_SILENCE = timedelta(minutes=2)


@dataclass(frozen=True)
class Member:
    """One instance: a pod of the StatefulSet and what its Patroni last reported.

    Attributes:
        name: the pod's, and Patroni's name for the member, such as `app-0`.
        uid: the pod's UID.
        ordinal: the number in the name.
        pod_ip: empty while the pod has none.
        ready: whether the kubelet calls the pod ready.
        revision: the StatefulSet revision that the pod was made from.
        role: `primary`, `replica`, or empty before the first report.
        state: Patroni's word: `running`, `streaming` (replicas), `starting`, ... or empty.
        timeline: 0 before the first report.
        lsn: the position written or replayed, in bytes from the start of WAL; 0 where unknown.
        problem: what keeps the pod, or its server, from running.
        encrypted: whether the pod has certificates; those that an operator without TLS has made
            have none.
    """

    name: str
    uid: str
    ordinal: int
    pod_ip: str
    ready: bool
    revision: str
    role: str
    state: str
    timeline: int
    lsn: int
    problem: Problem | None
    encrypted: bool = True

    @property
    def leading(self) -> bool:
        """Whether it runs as the primary, so that its promotion is over."""
        return (self.role, self.state) == ("primary", "running")

    @property
    def serving(self) -> bool:
        """Whether it takes part: a running primary, or a replica that streams."""
        wanted = "running" if self.role == "primary" else "streaming"
        return self.ready and self.state == wanted


def parse_member(pod: Object) -> Member:
    """Read a member from its pod."""
    metadata = pod["metadata"]
    report = _report(metadata.get("annotations") or {})
    return Member(
        name=metadata["name"],
        uid=metadata["uid"],
        ordinal=int(metadata["name"].rpartition("-")[2]),
        pod_ip=pod.get("status", {}).get("podIP", ""),
        ready=is_ready(pod),
        revision=(metadata.get("labels") or {}).get(REVISION_LABEL, ""),
        role=str(report.get("role", "")),
        # A replica runs even if it receives nothing; whether it streams is checked separately.
        state=str(report.get("replication_state") or report.get("state", "")),
        timeline=int(report.get("timeline") or 0),
        lsn=int(report.get("xlog_location") or report.get("receive_lsn") or 0),
        problem=find_problem(pod)
        or _server_problem(metadata["name"], report)
        or _silence(pod, report),
        encrypted=any(
            volume["name"] == VOLUME for volume in pod.get("spec", {}).get("volumes", [])
        ),
    )


def is_migrating(members: Sequence[Member], replicas: int) -> bool:
    """Return whether members with certificates have to understand others that have none.

    An only instance is replaced in one step.
    """
    without = [member for member in members if not member.encrypted]
    return bool(without) and (len(members) > 1 or replicas > 1)


def _server_problem(name: str, report: Object) -> Problem | None:
    """Return what Patroni cannot repair: it keeps trying, so that the pod keeps running."""
    if report.get("state") != "start failed":
        return None
    return Problem(
        "PostgreSQLNotStarted",
        f"PostgreSQL of instance {name} does not start; see: kubectl logs {name} -c postgres",
        needs_user=False,
    )


def _silence(pod: Object, report: Object) -> Problem | None:
    """Return that Patroni runs and has never reported, as where it is given hardly any CPU."""
    name = pod["metadata"]["name"]
    for container in pod.get("status", {}).get("containerStatuses", []):
        running = container.get("state", {}).get("running")
        if report or container["name"] != "postgres" or not running:
            continue
        if datetime.now(UTC) - parse_time(running["startedAt"]) > _SILENCE:
            return Problem(
                "PatroniNotReporting",
                f"Patroni of instance {name} runs and reports nothing: check its resources, and"
                f" see: kubectl logs {name} -c postgres",
                needs_user=False,
            )
    return None


def _report(annotations: Object) -> Object:
    """Return the member's report; empty where there is none yet or it is not JSON."""
    try:
        report = json.loads(annotations.get(STATUS_ANNOTATION, "{}"))
    except ValueError:
        return {}
    return report if isinstance(report, dict) else {}


def parse_leader(endpoints: Object | None) -> str:
    """Return the name of the member that holds the leader lock, or an empty string."""
    if endpoints is None:
        return ""
    annotations = endpoints["metadata"].get("annotations") or {}
    return str(annotations.get(LEADER_ANNOTATION, ""))
