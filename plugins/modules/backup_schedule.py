"""Start and delete the runs of a Backup with a schedule."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: backup_schedule
short_description: Start and delete the runs of a Backup with a schedule
description:
  - Creates the Backup of the slot that is due; after a downtime of the newest slot only.
  - Its name derives from the slot, so that there is never a second one.
  - Deletes the Backups that retention does not keep, and with them their files.
  - Gives all of them the schedule's deletionPolicy.
options:
  resource:
    description: The Backup with a schedule.
    type: dict
    required: true
author: [postgres-operator maintainers]
"""

EXAMPLES = r"""
- name: Start the run that is due
  postgres.operator.backup_schedule:
    resource: "{{ backup_info.resource }}"
  register: backup_schedule
"""

RETURN = r"""
observation:
  description: What the schedule's status depends on.
  type: dict
  returned: success
removed:
  description: The Backups that were deleted.
  type: list
  elements: str
  returned: success
started:
  description: The Backup that was made; empty where none was due.
  type: str
  returned: success
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from ansible_collections.postgres.operator.plugins.module_utils.ansible_module import execute
from ansible_collections.postgres.operator.plugins.module_utils.errors import (
    LACKS_ROOM,
    ScheduleInvalid,
    TimeZoneUnknown,
)
from ansible_collections.postgres.operator.plugins.module_utils.kube.client import (
    GROUP_VERSION,
    ApiError,
    Cluster,
    Object,
    connect,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.backup.finalizer import (
    set_deletion_policy,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.backup.missing import (
    is_missing,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.backup.status import (
    CONDITION,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.job_state import has_ended
from ansible_collections.postgres.operator.plugins.module_utils.resources.prerequisites import (
    find_database_block,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.schedule.cron import (
    Schedule,
    parse_schedule,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.schedule.retention import (
    DEFAULT_COUNT,
    Retention,
    Run,
    choose_prunable,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.schedule.scheduled_backups import (
    being_restored,
    list_runs,
    run_manifest,
    slot_of,
    start_run,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.schedule.slots import (
    SlotDecision,
    decide_slot,
    find_awaited,
    find_overrun,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.schedule.status import (
    Observation,
)
from ansible_collections.postgres.operator.plugins.module_utils.units import (
    format_time,
    parse_duration,
    parse_time,
)

ARGUMENT_SPEC = {"resource": {"type": "dict", "required": True}}
# A step that the API server refused is tried again after so many seconds.
_RETRY = 60.0
# One without its Database checks this often whether that was created.
_NO_DATABASE = 10.0
# A run that hangs notifies nothing: so the schedule checks unfinished runs this often.
_ACTIVE = 600.0


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Evaluate the schedule, do what is due."""
    cluster, backup, now = connect(), params["resource"], datetime.now(UTC)
    spec = backup["spec"]
    runs = list_runs(cluster, backup)
    observation = Observation(
        runs=runs,
        suspended=spec.get("suspend", False),
        started=_newest_started(backup, runs),
    )
    started, removed = "", []
    try:
        schedule = parse_schedule(spec["schedule"], spec.get("timeZone", "UTC"))
        if not observation.suspended:
            found = _decide_slot(backup, schedule, runs, now)
            if found.start:
                started = _start(cluster, backup, found.start, check_mode)
            observation = _after(cluster, backup, observation, found, now)
            observation = replace(observation, overrun=_find_overrun(backup, schedule, runs, now))
        removed = _prune(cluster, backup, schedule, observation.runs, check_mode)
        observation = _with_database(cluster, backup, observation)
        observation = _without(observation, removed)
    except (ScheduleInvalid, TimeZoneUnknown) as error:
        observation = replace(observation, refused=(error.reason, error.message))
    except ApiError as error:
        observation = replace(
            observation,
            problem=("ScheduleStepFailed", error.message),
            awaited=backup.get("status", {}).get("nextScheduleTime"),
            wake_seconds=_RETRY,
        )
    return {
        "changed": bool(started or removed),
        "started": started,
        "removed": removed,
        "observation": asdict(observation),
    }


def _with_database(cluster: Cluster, backup: Object, observation: Observation) -> Observation:
    """Return the observation with what is wrong with databaseRef, also before the first slot."""
    name = backup["spec"]["databaseRef"]["name"]
    database = cluster.get(GROUP_VERSION, "Database", backup["metadata"]["namespace"], name)
    if database is not None:
        return observation
    wake = min(_NO_DATABASE, observation.wake_seconds or _NO_DATABASE)
    return replace(observation, problem=find_database_block(name, database), wake_seconds=wake)


def _decide_slot(
    backup: Object, schedule: Schedule, runs: list[Object], now: datetime
) -> SlotDecision:
    """Find out which slot is due."""
    spec, status = backup["spec"], backup.get("status", {})
    recorded = status.get("nextScheduleTime")
    # Slots that passed while the schedule was suspended or invalid are skipped.
    reconciled_before = "observedGeneration" in status
    since = now if reconciled_before else parse_time(backup["metadata"]["creationTimestamp"])
    deadline = spec.get("startingDeadlineSeconds")
    return decide_slot(
        schedule,
        find_awaited(schedule, parse_time(recorded) if recorded else None, since, now),
        now,
        backup["metadata"]["uid"],
        deadline=None if deadline is None else timedelta(seconds=deadline),
        busy=_find_busy(backup, runs) is not None,
    )


def _find_busy(backup: Object, runs: Sequence[Object]) -> Object | None:
    """Return the oldest run whose end a new one has to wait for; None where there is none."""
    if backup["spec"].get("concurrencyPolicy", "Forbid") != "Forbid":
        return None
    return next((run for run in runs if not has_ended(run)), None)


def _find_overrun(
    backup: Object, schedule: Schedule, runs: Sequence[Object], now: datetime
) -> tuple[str, str] | None:
    """Return reason and message where a run has not ended by the next slot."""
    run = _find_busy(backup, runs)
    if run is None:
        return None
    slot = find_overrun(schedule, slot_of(run), now, backup["metadata"]["uid"])
    if slot is None:
        return None
    # The first such slot, not the newest: so the message stays as it is until the run ends.
    return (
        "RunStillActive",
        f"run {run['metadata']['name']} is still {run.get('status', {}).get('phase', 'Pending')}"
        f" though slot {format_time(slot)} has come; no other is started before it has ended",
    )


def _start(cluster: Cluster, backup: Object, slot: datetime, check_mode: bool) -> str:
    """Make the slot's Backup; return its name, empty where it existed already."""
    name: str = run_manifest(backup, slot)["metadata"]["name"]
    return name if check_mode or start_run(cluster, backup, slot) else ""


def _after(
    cluster: Cluster, backup: Object, observation: Observation, found: SlotDecision, now: datetime
) -> Observation:
    """Return the lines for the log once the slot has its Backup."""
    log = []
    runs = observation.runs
    started = observation.started
    if found.start:
        runs = list_runs(cluster, backup)
        started = max(started or "", format_time(found.start))
        log.append(f"Schedule: the backup of {format_time(found.start)} is started")
    if found.missed:
        log.append(
            f"Schedule: slot {format_time(found.missed)} was skipped: it is later than startingDeadlineSeconds"
        )
    wake = (found.wake - now).total_seconds()
    if any(not has_ended(run) for run in runs):
        wake = min(wake, _ACTIVE)
    return replace(
        observation,
        runs=runs,
        started=started,
        awaited=format_time(found.awaited),
        wake_seconds=max(wake, 1.0),
        log=log,
    )


def _prune(
    cluster: Cluster, backup: Object, schedule: Schedule, runs: Sequence[Object], check_mode: bool
) -> list[str]:
    """Delete the runs that are not kept, with their files; the others get the schedule's policy.

    Runs whose files are gone neither count nor are deleted: a store that was away may come back.
    """
    there = [_as_run(run) for run in runs if not is_missing(run)]
    prunable = choose_prunable(there, _retention(backup["spec"]), schedule.zone)
    if prunable:
        restored = being_restored(cluster, backup["metadata"]["namespace"])
        prunable = [name for name in prunable if name not in restored]
    if check_mode:
        return prunable
    removed = []
    for run in runs:
        metadata = run["metadata"]
        if metadata["name"] not in prunable:
            set_deletion_policy(cluster, run, backup["spec"]["deletionPolicy"])
        # One that was changed since it was read is left to the next reconcile.
        elif set_deletion_policy(cluster, run, "Delete"):
            name, namespace = metadata["name"], metadata["namespace"]
            cluster.delete(GROUP_VERSION, "Backup", namespace, name, uid=metadata["uid"])
            removed.append(name)
    return removed


def _as_run(run: Object) -> Run:
    status = run.get("status", {})
    return Run(
        run["metadata"]["name"],
        slot_of(run),
        status.get("phase", "Pending"),
        status.get("verified"),
        _lacked_room(status),
        parse_time(status["consistentTime"]) if "consistentTime" in status else None,
    )


def _lacked_room(status: Object) -> bool:
    """Return whether a run failed because there was no room for it."""
    return status.get("phase") == "Failed" and any(
        condition["type"] == CONDITION and condition["reason"] in LACKS_ROOM
        for condition in status.get("conditions", [])
    )


def _retention(spec: Object) -> Retention:
    tiers = spec.get("retentionPolicy", {})
    return Retention(
        spec.get("retention", DEFAULT_COUNT),
        tiers.get("keepDaily", 0),
        tiers.get("keepWeekly", 0),
        tiers.get("keepMonthly", 0),
        timedelta(seconds=parse_duration(tiers.get("keepWindow", "0s"))),
    )


def _without(observation: Observation, removed: list[str]) -> Observation:
    """Return the observation without the runs that were deleted."""
    if not removed:
        return observation
    return replace(
        observation,
        runs=[run for run in observation.runs if run["metadata"]["name"] not in removed],
        log=[*observation.log, f"Retention: deleted {', '.join(removed)}"],
    )


def _newest_started(backup: Object, runs: list[Object]) -> str | None:
    """Return the newest slot that was started, also when its Backup is gone."""
    slots = [format_time(slot_of(run)) for run in runs]
    return max([*slots, backup.get("status", {}).get("lastScheduleTime", "")]) or None


if __name__ == "__main__":
    execute(ARGUMENT_SPEC, run)
