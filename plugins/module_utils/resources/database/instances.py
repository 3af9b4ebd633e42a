"""The instances of a Database as the Kubernetes API shows them.

Patroni writes each member's state into its pod's annotation `status` and the leader's name into the
annotation `leader` of the Endpoints named like the cluster, so no member has to be asked over the
network (source: patroni/dcs/kubernetes.py).
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

from ...kube.client import Cluster, Object
from ...kube.pods import Problem, find_problem, is_ready
from ...units import parse_time
from .members import Member, ordinal_of

LEADER_ANNOTATION = "leader"
STATUS_ANNOTATION = "status"
VOLUME_TAG = "volumeUsedPercent"
"""What the agent adds to Patroni's report (source: image/agent/volume_report.py)."""

VOLUME = "certificates"
"""The volume of a pod that has certificates."""

REVISION_LABEL = "controller-revision-hash"
# Patroni reports within seconds of its start, whatever PostgreSQL does.
_SILENCE = timedelta(minutes=2)


def selector(name: str) -> str:
    """Return the labels by which a Database's pods and their claims are found."""
    return f"app=database,database={name}"


def read_instances(cluster: Cluster, namespace: str, name: str) -> tuple[list[Member], str]:
    """Return the instances by their number, and the leader's name, empty where there is none."""
    pods = cluster.list("v1", "Pod", namespace, selector(name))
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


def parse_member(pod: Object) -> Member:
    """Read a member from its pod."""
    metadata = pod["metadata"]
    report = _report(metadata.get("annotations") or {})
    problem = (
        find_problem(pod)
        or _server_problem(metadata["name"], report)
        or _silence(pod, report)
        or _uninitialised(pod, report)
    )
    return Member(
        name=metadata["name"],
        uid=metadata["uid"],
        ordinal=ordinal_of(metadata["name"]),
        pod_ip=pod.get("status", {}).get("podIP", ""),
        ready=is_ready(pod),
        revision=(metadata.get("labels") or {}).get(REVISION_LABEL, ""),
        role=str(report.get("role", "")),
        # A replica runs even if it receives nothing; whether it streams is checked separately.
        state=str(report.get("replication_state") or report.get("state", "")),
        timeline=int(report.get("timeline") or 0),
        lsn=int(report.get("xlog_location") or report.get("receive_lsn") or 0),
        problem=(problem.reason, problem.message) if problem else None,
        needs_user=bool(problem and problem.needs_user),
        encrypted=any(
            volume["name"] == VOLUME for volume in pod.get("spec", {}).get("volumes", [])
        ),
        pending_restart=_pending_restart(report),
        volume_used=_volume_used(report),
    )


def parse_leader(endpoints: Object | None) -> str:
    """Return the name of the member that holds the leader lock, or an empty string."""
    if endpoints is None:
        return ""
    annotations = endpoints["metadata"].get("annotations") or {}
    return str(annotations.get(LEADER_ANNOTATION, ""))


def _server_problem(name: str, report: Object) -> Problem | None:
    """Return what Patroni cannot repair: it keeps trying, so that the pod keeps running."""
    if report.get("state") != "start failed":
        return None
    return Problem(
        "PostgreSQLNotStarted",
        f"PostgreSQL of instance {name} does not start; see: kubectl logs {name} -c postgres",
        needs_user=False,
    )


def _pending_restart(report: Object) -> tuple[str, ...]:
    """Return the parameters for which the server has to restart.

    PostgreSQL 17 to 19 still name one that was changed and changed back, and Patroni reports it,
    with twice the same value.
    """
    reasons = report.get("pending_restart_reason") or {}
    if not isinstance(reasons, dict):
        return ()
    return tuple(
        sorted(
            str(name)
            for name, values in reasons.items()
            if isinstance(values, dict) and values.get("old_value") != values.get("new_value")
        )
    )


def _volume_used(report: Object) -> int | None:
    tags = report.get("tags")
    found = tags.get(VOLUME_TAG) if isinstance(tags, dict) else None
    return found if isinstance(found, int) else None


def _silence(pod: Object, report: Object) -> Problem | None:
    """Return that Patroni runs and has never reported, as where it is given hardly any CPU."""
    name = pod["metadata"]["name"]
    if report or not _runs_for_long(pod):
        return None
    return Problem(
        "PatroniNotReporting",
        f"Patroni of instance {name} runs and reports nothing: check its resources, and see:"
        f" kubectl logs {name} -c postgres",
        needs_user=False,
    )


def _uninitialised(pod: Object, report: Object) -> Problem | None:
    """Return that Patroni has not begun to make the instance's data.

    It waits for the first instance then, or has found what a killed initdb or pg_basebackup has
    left, which it never removes itself, as it never takes back that one instance has begun to
    initialise the cluster (source: patroni/ha.py).
    """
    name = pod["metadata"]["name"]
    idle = (report.get("role"), report.get("state")) == ("uninitialized", "stopped")
    if not idle or not _runs_for_long(pod):
        return None
    return Problem(
        "InstanceNotInitialised",
        f"instance {name} has no data and makes none; if its log (kubectl logs {name} -c postgres)"
        " says that the data dir is not empty and the system ID is invalid, what is there was never"
        f" finished: if another instance is primary, kubectl delete pvc/data-{name} pod/{name}, and"
        " it is copied again; if the Database has never had one, delete the Database and the claim"
        f" data-{name}, and make it again",
        needs_user=False,
    )


def _runs_for_long(pod: Object) -> bool:
    """Return whether Patroni has been running for longer than it takes to report."""
    for container in pod.get("status", {}).get("containerStatuses", []):
        running = container.get("state", {}).get("running")
        if container["name"] == "postgres" and running:
            return datetime.now(UTC) - parse_time(running["startedAt"]) > _SILENCE
    return False


def _report(annotations: Object) -> Object:
    """Return the member's report; empty where there is none yet or it is not JSON."""
    try:
        report = json.loads(annotations.get(STATUS_ANNOTATION, "{}"))
    except ValueError:
        return {}
    return report if isinstance(report, dict) else {}
