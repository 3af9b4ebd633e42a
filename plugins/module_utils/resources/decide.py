"""Decides the status of any kind of resource from what a role has observed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .backup import status as backup
from .conditions import Decision
from .database import status as database
from .plain import from_plain
from .restore import status as restore
from .schedule import status as schedule


def decide(resource: Mapping[str, Any], observation: Mapping[str, Any]) -> Decision:
    """Decide the status of a Database, Backup or Restore.

    Args:
        observation: the fields of the kind's `Observation`, as plain lists and dicts.
    """
    kind = resource["kind"]
    if kind == "Database":
        return database.decide(resource, from_plain(database.Observation, observation))
    if kind == "Restore":
        return restore.decide(from_plain(restore.Observation, observation))
    if "schedule" in resource["spec"]:
        return schedule.decide(resource, from_plain(schedule.Observation, observation))
    return backup.decide(from_plain(backup.Observation, observation))
