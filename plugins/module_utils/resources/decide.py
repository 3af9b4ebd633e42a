"""Decides the status of any kind of resource from what a role has observed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from .backup import status as backup
from .conditions import Decision
from .database import status as database
from .restore import status as restore
from .schedule import status as schedule

T = TypeVar("T")


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


def from_plain(kind: type[T], plain: Mapping[str, Any]) -> T:
    """Return the dataclass of which `plain` has the fields; what else is in it is left out.

    Where a field may be None, an empty list or dict, which templates write more easily, is None.

    Raises:
        TypeError: a field without a default is missing.
    """
    hints = _hints(kind)  # type: ignore[arg-type]  # a class is hashable
    return kind(
        **{name: _value(hints[name], value) for name, value in plain.items() if name in hints}
    )


def _value(hint: Any, value: Any) -> Any:
    if isinstance(hint, UnionType) and NoneType in get_args(hint):
        if value is None or (isinstance(value, list | dict | tuple) and not value):
            return None
        hint = next(option for option in get_args(hint) if option is not NoneType)
    if is_dataclass(hint):
        return from_plain(hint, value)  # type: ignore[arg-type]
    if get_origin(hint) is tuple:
        return tuple(_value(get_args(hint)[0], each) for each in value)
    return value


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _prepare(hint: Any) -> None:
    """Find the hints of a dataclass and of those in it."""
    if is_dataclass(hint):
        for each in _hints(hint).values():  # type: ignore[arg-type]  # a class is hashable
            _prepare(each)
    for each in get_args(hint):
        _prepare(each)


# Where this is loaded, and not in each of the processes that are forked from there.
for _module in (backup, database, restore, schedule):
    _prepare(_module.Observation)
