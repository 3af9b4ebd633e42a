"""Which changes of a status become an Event and a line in the log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .backup.missing import MISSING
from .backup.status import VERIFIED
from .database.archive_status import ARCHIVE_GAP, ARCHIVING
from .database.planned_switchover import COMPLETED, FAILED, REFUSED
from .database.status import (
    CONFIGURATION_REFUSED,
    MAINTENANCE_PENDING,
    PENDING_RESTART,
    SERVER_OUTDATED,
    STORAGE_DIFFERS,
    STORAGE_LOW,
    SWITCHOVER,
    USERS_OR_DATABASES_DIFFER,
)

_ORDINARY = frozenset(
    {
        "AllChecksPassed",
        "BackupCompleted",
        "BackupInProgress",
        "BackupNotCompleted",
        "BackupScheduled",
        "ConfigurationChange",
        "CreatingInstances",
        "DatabaseNotReady",
        "Hibernated",
        "Hibernating",
        "InitialisingPrimary",
        "Paused",
        "Queued",
        "ReplicasNotReady",
        "RestoreCompleted",
        "RestoreInProgress",
        "RestoringBackup",
        "RollingUpdate",
        "SafetyBackupInProgress",
        "Switchover",
        "VolumeExpansion",
    }
)
"""Reasons for which nobody has to do anything, unless with the phase Failed."""

_STEPS = frozenset({"ConfigurationChange", "RollingUpdate", "VolumeExpansion"})

MAIN_CONDITION = {"Database": "Ready", "Backup": "BackupReady", "Restore": "RestoreReady"}
"""The condition of each kind whose reason and message explain the phase."""


@dataclass(frozen=True)
class Transition:
    """A change to report.

    Attributes:
        log_line: for the operator's log.
        warning: whether a person has to act.
        reason: the Event's reason: the new phase, or the new reason of the condition.
        message: the condition's message.
    """

    log_line: str
    warning: bool
    reason: str
    message: str


def find_transitions(kind: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Transition]:
    """Return what changed between two statuses."""
    return [
        *_phase_transition(kind, old, new),
        *_verification(kind, old, new),
        *_search(kind, old, new),
        *_appeared(SERVER_OUTDATED, f"{kind} is outdated", old, new),
        *_appeared(STORAGE_DIFFERS, f"{kind} has other storage", old, new),
        *_appeared(USERS_OR_DATABASES_DIFFER, f"{kind} has other users or databases", old, new),
        *_appeared(STORAGE_LOW, f"{kind} has little room", old, new),
        *_appeared(PENDING_RESTART, f"{kind} needs a restart", old, new),
        *_appeared(MAINTENANCE_PENDING, f"{kind} has a change that waits", old, new, warning=False),
        *_archiving(old, new),
        *_appeared(ARCHIVE_GAP, f"{kind} lacks WAL in its archive", old, new),
        *_switchover(old, new),
        *_appeared(CONFIGURATION_REFUSED, f"{kind} has parameters that are refused", old, new),
    ]


def log_lines(
    resource: Mapping[str, Any], transitions: Iterable[Transition], further: Iterable[str] = ()
) -> list[str]:
    """Return lines for the operator's log, each with the object that it is about.

    Args:
        further: what is said before the changes.
    """
    metadata = resource["metadata"]
    name = f"{resource['kind']} {metadata['namespace']}/{metadata['name']}"
    return [f"{name}: {line}" for line in (*further, *(t.log_line for t in transitions))]


def _phase_transition(
    kind: str, old: Mapping[str, Any], new: Mapping[str, Any]
) -> Iterator[Transition]:
    """Yield the change of phase, or of what explains it, if there is one."""
    before, after = _main_condition(kind, old), _main_condition(kind, new)
    old_phase, phase = old.get("phase", "Pending"), new["phase"]
    # Each step of an update is reported; other messages have figures that always change.
    same_step = after["reason"] not in _STEPS or before.get("message") == after["message"]
    if old_phase == phase and before.get("reason") == after["reason"] and same_step:
        return
    warning = phase == "Failed" or after["reason"] not in _ORDINARY
    line = f"STATE TRANSITION: {old_phase} -> {phase}"
    if old_phase == phase:
        line = f"{kind} is {phase}: {after['reason']}"
    yield Transition(
        log_line=f"{line} ({after['message']})",
        warning=warning,
        reason=after["reason"] if warning else phase,
        message=after["message"],
    )


def _archiving(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Transition]:
    """Yield that the archive of WAL takes nothing now, or takes files again."""
    before, after = _condition(old, ARCHIVING), _condition(new, ARCHIVING)
    if not after or (before.get("status"), before.get("reason")) == (
        after["status"],
        after["reason"],
    ):
        return
    yield Transition(
        log_line=f"Archiving is {after['status']}: {after['reason']} ({after['message']})",
        warning=after["status"] == "False",
        reason=after["reason"],
        message=after["message"],
    )


def _switchover(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Transition]:
    """Yield how a switchover that the spec asks for has ended."""
    before, after = old.get("switchover") or {}, new.get("switchover") or {}
    state = after.get("state")
    if state not in {COMPLETED, REFUSED, FAILED}:
        return
    if (before.get("to"), before.get("state")) == (after["to"], state):
        return
    yield Transition(
        log_line=f"{SWITCHOVER} to {after['to']} is {state}: {after['message']}",
        warning=state != COMPLETED,
        reason=f"{SWITCHOVER}{state}",
        message=after["message"],
    )


def _verification(
    kind: str, old: Mapping[str, Any], new: Mapping[str, Any]
) -> Iterator[Transition]:
    """Yield that something was verified, or could not be; nothing with verify: checksum."""
    before, after = _condition(old, VERIFIED), _condition(new, VERIFIED)
    verdict = after.get("status")
    if verdict not in {"True", "False"} or verdict == before.get("status"):
        return
    verdict_text = f"{kind} is verified" if verdict == "True" else f"{kind} is not verified"
    yield Transition(
        log_line=f"{verdict_text}: {after['reason']} ({after['message']})",
        warning=verdict == "False",
        reason=after["reason"],
        message=f"{verdict_text}: {after['message']}",
    )


def _search(kind: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Transition]:
    """Yield that a search for the files failed, once for each reason.

    That they are gone is reported as a change of Verified.
    """
    before, after = _condition(old, MISSING), _condition(new, MISSING)
    if after.get("status") != "Unknown" or before.get("reason") == after["reason"]:
        return
    yield Transition(
        log_line=f"{kind} cannot be searched for: {after['reason']} ({after['message']})",
        warning=True,
        reason=after["reason"],
        message=after["message"],
    )


def _appeared(
    condition: str,
    words: str,
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    warning: bool = True,
) -> Iterator[Transition]:
    """Yield a condition that is not always there, once for each message.

    Args:
        warning: whether it says that something is wrong.
    """
    before, after = _condition(old, condition), _condition(new, condition)
    if not after or before.get("message") == after["message"]:
        return
    yield Transition(
        log_line=f"{words}: {after['message']}",
        warning=warning,
        reason=after["reason"],
        message=after["message"],
    )


def _main_condition(kind: str, status: Mapping[str, Any]) -> Mapping[str, Any]:
    return _condition(status, MAIN_CONDITION[kind])


def _condition(status: Mapping[str, Any], wanted: str) -> Mapping[str, Any]:
    conditions = status.get("conditions", [])
    return next((c for c in conditions if c["type"] == wanted), {})
