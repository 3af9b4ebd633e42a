"""Converts an observation of a role (plain lists and dicts) and decides the status of its kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .backup import status as backup
from .conditions import Decision
from .database import status as database
from .job_state import JobState
from .restore import status as restore
from .schedule import status as plan


def decide(resource: Mapping[str, Any], observation: Mapping[str, Any]) -> Decision:
    """Decide the status of a Database, Backup or Restore."""
    kind = resource["kind"]
    if kind == "Database":
        return database.decide(resource, _database(observation))
    if kind == "Backup" and "schedule" in resource["spec"]:
        return plan.decide(resource, _plan(observation))
    blocked = _pair(observation.get("blocked"))
    job = _job(observation.get("job"))
    if kind == "Backup":
        return backup.decide(backup.Observation(observation.get("place", ""), blocked, job))
    return restore.decide(
        restore.Observation(
            blocked, job, _pair(observation.get("refused")), _safety(observation.get("safety"))
        )
    )


def _plan(observation: Mapping[str, Any]) -> plan.Observation:
    pairs = {key: _pair(observation[key]) for key in ("refused", "problem", "overrun")}
    return plan.Observation(**{**observation, **pairs})


def _database(observation: Mapping[str, Any]) -> database.Observation:
    instances = tuple(
        database.Instance(
            name=instance["name"],
            ready=instance["ready"],
            role=instance["role"],
            state=instance["state"],
            timeline=instance["timeline"],
            problem=_pair(instance["problem"]),
            needs_user=instance["needs_user"],
        )
        for instance in observation.get("instances", [])
    )
    return database.Observation(
        replicas=observation["replicas"],
        refused=_pair(observation.get("refused")),
        instances=instances,
        primary=observation.get("primary", ""),
        rollout=observation.get("rollout", ""),
        server=_server(observation.get("server")),
        restoring=_pair(observation.get("restoring")),
        unrestorable=_pair(observation.get("unrestorable")),
        restored_from=observation.get("restored_from", ""),
    )


def _server(server: Mapping[str, Any] | None) -> database.Server | None:
    if not server:
        return None
    problem = _pair(server.get("problem"))
    if problem:
        return database.Server(problem=problem)
    return database.Server(
        writable=server["writable"],
        database_exists=server["database_exists"],
        role_exists=server["role_exists"],
        encrypted=server["encrypted"],
        version=server["version"],
        timeline=server["timeline"],
        standbys=tuple(
            database.Standby(standby["name"], standby["state"], standby["lag_bytes"])
            for standby in server["standbys"]
        ),
    )


def _job(job: Mapping[str, Any] | None) -> JobState | None:
    if not job:
        return None
    return JobState(
        name=job["name"],
        problem=_pair(job.get("problem")),
        needs_user=bool(job.get("needs_user")),
        result=job.get("result"),
        proof=job.get("proof"),
        annotations=job.get("annotations") or {},
        progress=job.get("progress", ""),
        age=job.get("age", 0.0),
        after_timeout=bool(job.get("after_timeout")),
    )


def _safety(safety: Mapping[str, Any] | None) -> restore.SafetyBackup | None:
    if not safety:
        return None
    return restore.SafetyBackup(
        name=safety["name"],
        phase=safety["phase"],
        reason=safety["reason"],
        message=safety["message"],
    )


def _pair(value: Any) -> tuple[str, str] | None:
    """Return a (reason, message) pair; None where there is none."""
    return (str(value[0]), str(value[1])) if value else None
