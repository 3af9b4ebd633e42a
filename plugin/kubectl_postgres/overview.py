"""What `kubectl postgres status` says of a Database: a pure function of the objects."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from .access import Object

NORMAL = frozenset({"Archiving", "Progressing", "Ready", "SynchronousReplication"})
"""The conditions of a Database that are True where all is well, or while it changes; any other
speaks of something to do while it is True (docs/reference/conditions.md)."""

_PATIENCE = timedelta(minutes=1)

BACKUP_TROUBLE = frozenset({"ArtifactMissing", "Degraded"})
"""Those of a Backup."""


@dataclass(frozen=True)
class BackupLine:
    """A Backup, or a run of a schedule.

    Attributes:
        completed: when it ended; empty while it runs.
        proof: Verified, `not verified` or empty, where it is not Completed.
    """

    name: str
    phase: str
    completed: str
    size: str
    duration: str
    proof: str
    message: str


@dataclass(frozen=True)
class ScheduleLine:
    """A Backup with a schedule."""

    name: str
    schedule: str
    phase: str
    next: str


@dataclass(frozen=True)
class RestoreLine:
    """A Restore."""

    name: str
    phase: str
    backup: str
    completed: str
    message: str


@dataclass(frozen=True)
class Overview:
    """All of a Database on one screen. Times are RFC 3339, sizes as Kubernetes writes them.

    Attributes:
        instances: as its status has them.
        archive: its status' `archive`; empty without one.
        backups: the newest first.
        last_completed, last_verified: the newest such Backup's completion; empty without one.
        todo: what to do next, one sentence or more for each.
    """

    name: str
    namespace: str
    phase: str
    version: str
    primary: str
    ready: str
    timeline: int | None
    endpoint: str
    message: str
    instances: Sequence[Object] = ()
    archive: Object = field(default_factory=dict)
    backups: Sequence[BackupLine] = ()
    schedules: Sequence[ScheduleLine] = ()
    restores: Sequence[RestoreLine] = ()
    last_completed: str = ""
    last_verified: str = ""
    todo: Sequence[str] = ()

    def document(self) -> Object:
        """Return it as JSON has it, keys in camelCase."""
        document: Object = camel(asdict(self))
        return document


def overview_of(
    database: Object, backups: Iterable[Object], restores: Iterable[Object], now: datetime
) -> Overview:
    """Return the overview of a Database.

    Args:
        backups, restores: all of its namespace; those of other Databases are left out.
    """
    name, status = database["metadata"]["name"], database.get("status", {})
    own, own_restores = of_database(backups, name), of_database(restores, name)
    lines = [_backup_line(one) for one in _newest_first(own) if not is_schedule(one)]
    schedules = [_schedule_line(one) for one in own if is_schedule(one)]
    completed = [one for one in lines if one.phase == "Completed"]
    verified = [one for one in completed if one.proof == "verified"]
    return Overview(
        name=name,
        namespace=database["metadata"]["namespace"],
        phase=status.get("phase", "new"),
        version=status.get("version", ""),
        primary=status.get("primary", ""),
        ready=status.get("instancesReady", ""),
        timeline=status.get("timeline"),
        endpoint=status.get("endpoint", ""),
        message=condition(database, "Ready").get("message", ""),
        instances=status.get("instances", []),
        archive=status.get("archive", {}),
        backups=lines,
        schedules=schedules,
        restores=[_restore_line(one) for one in _newest_first(own_restores)],
        last_completed=max((one.completed for one in completed), default=""),
        last_verified=max((one.completed for one in verified), default=""),
        todo=[
            *_of_operator(database, now),
            *_of_conditions(database, own),
            *_of_backups(name, lines, schedules),
        ],
    )


def of_database(resources: Iterable[Object], name: str) -> list[Object]:
    """Return the Backups or Restores of a Database, among those of its namespace."""
    return [one for one in resources if one["spec"]["databaseRef"]["name"] == name]


def is_schedule(backup: Object) -> bool:
    """Return whether a Backup makes others, and none itself."""
    return "schedule" in backup["spec"]


def condition(resource: Object, kind: str) -> Object:
    """Return a condition of a resource; empty where it has none of that type."""
    conditions: list[Object] = resource.get("status", {}).get("conditions", [])
    return next((one for one in conditions if one["type"] == kind), {})


def main_condition(resource: Object) -> Object:
    """Return the condition that says how a Backup or a Restore is; empty where it is new."""
    return condition(resource, f"{resource['kind']}Ready")


def in_words(said: Object) -> str:
    """Return reason and message of a condition."""
    return f"{said.get('reason')}: {said.get('message')}"


def since(moment: str, now: datetime) -> str:
    """Return how long ago a moment was, in its two largest units or one.

    >>> since("2026-01-01T00:00:00Z", datetime(2026, 1, 2, 3, tzinfo=UTC))
    '1d3h'
    """
    seconds = max(int((now - datetime.fromisoformat(moment)).total_seconds()), 0)
    return span(seconds)


def span(seconds: int) -> str:
    """Return a duration in its two largest units, or one.

    >>> [span(5), span(125), span(3600), span(90000)]
    ['5s', '2m5s', '1h', '1d1h']
    """
    parts: list[str] = []
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        amount, seconds = divmod(seconds, length)
        if amount or (unit == "s" and not parts):
            parts.append(f"{amount}{unit}")
        elif parts:
            break
    return "".join(parts[:2])


def _newest_first(resources: Iterable[Object]) -> list[Object]:
    return sorted(
        resources,
        key=lambda one: (one["metadata"]["creationTimestamp"], one["metadata"]["name"]),
        reverse=True,
    )


def _backup_line(backup: Object) -> BackupLine:
    status = backup.get("status", {})
    phase = status.get("phase", "new")
    proof = ""
    if phase == "Completed":
        proof = "verified" if status.get("verified") else "not verified"
    return BackupLine(
        name=backup["metadata"]["name"],
        phase=phase,
        completed=status.get("completionTime", "") if phase == "Completed" else "",
        size=status.get("size", ""),
        duration=status.get("duration", ""),
        proof=proof,
        message=_said(backup),
    )


def _schedule_line(backup: Object) -> ScheduleLine:
    status = backup.get("status", {})
    return ScheduleLine(
        name=backup["metadata"]["name"],
        schedule=backup["spec"]["schedule"],
        phase=status.get("phase", "new"),
        next=status.get("nextScheduleTime", ""),
    )


def _restore_line(restore: Object) -> RestoreLine:
    status = restore.get("status", {})
    return RestoreLine(
        name=restore["metadata"]["name"],
        phase=status.get("phase", "new"),
        backup=status.get("backup") or restore["spec"]["backupRef"]["name"],
        completed=status.get("completionTime", ""),
        message=_said(restore),
    )


def _said(resource: Object) -> str:
    """Return reason and message of a resource that is neither done nor just running."""
    said = main_condition(resource)
    return "" if not said or said["status"] == "True" else in_words(said)


def _of_operator(database: Object, now: datetime) -> list[str]:
    """Return what to do where no operator reconciles the Database."""
    metadata, status = database["metadata"], database.get("status", {})
    age = now - datetime.fromisoformat(metadata["creationTimestamp"])
    if status or age < _PATIENCE:
        return []
    return [
        "No operator has reconciled it: see whether one runs, and for this namespace"
        " (kubectl get pods --all-namespaces -l control-plane=controller-manager)"
    ]


def _of_conditions(database: Object, backups: Iterable[Object]) -> list[str]:
    """Return what conditions ask for."""
    found = []
    for one in database.get("status", {}).get("conditions", []):
        wrong = one["status"] == "False" if one["type"] in NORMAL else one["status"] == "True"
        if wrong and one["type"] != "Progressing":
            found.append(f"{one['type']} {one['status']}, {one['reason']}: {one['message']}")
    for backup in backups:
        for one in backup.get("status", {}).get("conditions", []):
            if one["type"] in BACKUP_TROUBLE and one["status"] != "False":
                name = backup["metadata"]["name"]
                found.append(f"Backup {name}: {one['type']} {one['status']}: {one['message']}")
    return found


def _of_backups(
    name: str, backups: Sequence[BackupLine], schedules: Sequence[ScheduleLine]
) -> list[str]:
    """Return what is missing for the loss of everything."""
    if not any(one.phase == "Completed" for one in backups):
        return [f"No Backup is Completed: kubectl postgres backup {name} --verify"]
    found = []
    newest = next(one for one in backups if one.phase in {"Completed", "Failed"})
    if newest.phase == "Failed":
        found.append(f"The newest Backup has failed: {newest.name}: {newest.message}")
    if not any(one.proof == "verified" for one in backups):
        found.append("No Backup is verified: set verify: restore in a Backup or its schedule")
    if not schedules:
        found.append("No schedule makes Backups: add one (docs/how-to/schedule-backups.md)")
    return found


def camel(value: Any) -> Any:
    """Return a value with the keys of its objects in camelCase, as the API has them."""
    if isinstance(value, dict):
        return {_camel_key(key): camel(one) for key, one in value.items()}
    return [camel(one) for one in value] if isinstance(value, list | tuple) else value


def _camel_key(key: str) -> str:
    first, *others = key.split("_")
    return first + "".join(map(str.capitalize, others))


def now() -> datetime:
    """Return the present moment."""
    return datetime.now(UTC)
