"""Reads what the search for the files of a Completed Backup needs, and what it has found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from ...kube.client import GROUP_VERSION, Cluster, Object
from ...units import parse_time
from ..conditions import merge_patch
from ..job import read_latest_job
from ..schedule.scheduled_backups import schedule_of
from .adoption import artifact_of
from .completed import list_completed_beside
from .destination import find_secret_block
from .search import Observation, Step, has_turn, is_due, next_step, searched_status
from .search_job import search_definitions
from .store_job import read_database


@dataclass(frozen=True)
class Search:
    """What is to be done for a search.

    Attributes:
        missing: UIDs of the Backups whose files are gone.
        why: how that is known.
        definitions: the Job that is to be made now, after its NetworkPolicy; empty where none is.
        held_job: the state of the Job whose pod is to be ended; empty where there is none.
        report: `reason` and `message` that the condition is to have, empty ones where it is to go;
            empty where it is to stay.
    """

    missing: Sequence[str] = ()
    why: str = ""
    definitions: Sequence[Object] = ()
    held_job: dict[str, Any] = field(default_factory=dict)
    report: dict[str, str] = field(default_factory=dict)


def follow_search(cluster: Cluster, backup: Object, period: int, image: str) -> Search:
    """Return what is to be done for a Backup that has ended.

    Nothing is read for one that is not older than the period.

    Args:
        period: seconds from the end of a search to the next one; 0 is no search.
        image: the operator's own.

    Raises:
        ApiError: what it depends on cannot be read.
    """
    now = datetime.now(UTC)
    if not is_due(backup, period, now) or _is_followed(cluster, backup, period, now):
        return Search(report=_report(backup, Step(), now))
    beside = list_completed_beside(cluster, backup)
    if not beside or beside[0]["metadata"]["uid"] != backup["metadata"]["uid"]:
        # The search for the newest one is that for all.
        return Search(report=_report(backup, Step(), now))
    name, job, _ = read_latest_job(cluster, "search", backup, "SearchFailed")
    blocked = find_secret_block(cluster, backup) if job is None else None
    location = backup["status"]["backupLocation"]
    step = next_step(Observation(location, period, blocked, job))
    missing = [
        other["metadata"]["uid"] for other in beside if artifact_of(other)["uid"] in step.missing
    ]
    definitions: Sequence[Object] = ()
    if step.start and has_turn(backup, period, now):
        database = read_database(cluster, backup)
        definitions = search_definitions(name, backup, beside, image, database, period)
    return Search(
        missing=missing,
        why=f"Job {name} did not find them",
        definitions=definitions,
        held_job=asdict(job) if job and job.held_pod else {},
        report=_report(backup, step, now),
    )


def _is_followed(cluster: Cluster, backup: Object, period: int, now: datetime) -> bool:
    """Return whether a run of a schedule has a newer one of this period, which has looked for it.

    So that to see this of hundreds of runs takes one small object each, and not the list of all.
    """
    name, namespace = schedule_of(backup).get("name"), backup["metadata"]["namespace"]
    schedule = cluster.get(GROUP_VERSION, "Backup", namespace, name) if name else None
    last = (schedule or {}).get("status", {}).get("lastSuccessfulTime")
    if schedule is None or not last:
        return False
    same_place = all(
        schedule["spec"].get(field) == backup["spec"].get(field)
        for field in ("databaseRef", "destination")
    )
    return same_place and (now - parse_time(last)).total_seconds() < period


def _report(backup: Object, step: Step, now: datetime) -> dict[str, str]:
    """Return what is to be written of a step; empty where the status says it already."""
    old = backup.get("status", {})
    if step.undecided or not merge_patch(old, searched_status(backup, step.failure, now)):
        return {}
    reason, message = step.failure or ("", "")
    return {"reason": reason, "message": message}
