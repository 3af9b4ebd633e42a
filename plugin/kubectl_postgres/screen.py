"""How an overview looks on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from .access import Object
from .overview import BackupLine, Overview, RestoreLine, since

SHOWN = 5
"""How many Backups and Restores the screen has; `-o json` has all."""

_UNBROKEN = 2000
_BROKEN = {"BACKUP", "RESTORE", "OF BACKUP", "RESTART FOR"}

_COLORS = {
    "Completed": "green", "Ready": "green", "Scheduled": "green",
    "Failed": "red",
    "InProgress": "cyan", "Pending": "yellow",
}  # fmt: skip


def console(width: int | None = None) -> Console:
    """Return where everything is printed: no wider than the terminal, in color only on one.

    What is read by a program, or by grep, has no line broken.
    """
    screen = Console(width=width, highlight=False, emoji=False, markup=False)
    if not screen.is_terminal and width is None:
        screen.width = _UNBROKEN
    return screen


def render(overview: Overview, now: datetime) -> RenderableType:
    """Return the screen of one Database."""
    parts: list[RenderableType] = [_head(overview)]
    if overview.instances:
        parts.append(_instances(overview.instances, overview.archive))
    parts.append(_backups(overview, now))
    if overview.restores:
        parts.append(_restores(overview, now))
    parts.append(_todo(overview.todo))
    return Group(*parts)


def render_list(overviews: Sequence[Overview], now: datetime) -> RenderableType:
    """Return one line for each Database."""
    table = _table(
        "DATABASE", "PHASE", "READY", "PRIMARY", "VERSION", "BACKUP", "VERIFIED", "TO DO"
    )
    for one in overviews:
        table.add_row(
            one.name,
            _phase(one.phase),
            one.ready,
            one.primary,
            one.version,
            _age(one.last_completed, now),
            _age(one.last_verified, now),
            str(len(one.todo)) if one.todo else "",
        )
    return table


def _head(overview: Overview) -> RenderableType:
    line = Text.assemble(
        (f"{overview.namespace}/{overview.name}", "bold"), "  ", _phase(overview.phase)
    )
    facts = [
        overview.version and f"PostgreSQL {overview.version}",
        overview.ready and f"{overview.ready} instances ready",
        overview.primary and f"primary {overview.primary}",
        overview.timeline and f"timeline {overview.timeline}",
    ]
    second = ", ".join(str(one) for one in facts if one)
    lines = [line, Text(second)] if second else [line]
    if overview.endpoint:
        lines.append(Text(overview.endpoint))
    if overview.phase != "Ready" and overview.message:
        lines.append(Text(overview.message))
    return Group(*lines)


def _instances(instances: Sequence[Object], archive: Object) -> RenderableType:
    table = _table(
        "INSTANCE", "ROLE", "STATE", "READY", "LAG", "TIMELINE", "VOLUME", "USED", "RESTART FOR"
    )
    for one in instances:
        used = one.get("storageUsedPercent")
        table.add_row(
            one["name"],
            one.get("role", "") + (" (sync)" if one.get("synchronous") else ""),
            one.get("state", ""),
            "yes" if one.get("ready") else Text("no", "yellow"),
            format_bytes(one.get("lagBytes")),
            str(one.get("timeline", "")),
            one.get("storage", ""),
            "" if used is None else f"{used}%",
            ", ".join(one.get("pendingRestart", [])),
        )
    parts: list[RenderableType] = [Text(), table]
    if archive:
        last, waiting = archive.get("lastArchivedWAL", "none"), archive.get("pending", 0)
        text = f"Archive: last WAL file {last}, {waiting} waiting"
        if archive.get("failedSince"):
            text += f", failing since {archive['failedSince']}"
        parts.append(Text(text, "red" if archive.get("failedSince") else ""))
    return Group(*parts)


def _backups(overview: Overview, now: datetime) -> RenderableType:
    completed, verified = (
        f"{_age(moment, now)} ago" if moment else "never"
        for moment in (overview.last_completed, overview.last_verified)
    )
    parts: list[RenderableType] = [
        Text(),
        Text(f"Backups: last Completed {completed}, last verified {verified}"),
    ]
    for one in overview.schedules:
        following = f", next {one.next}" if one.next else ""
        parts.append(Text(f"Schedule {one.name}: {one.schedule}, {one.phase}{following}"))
    if overview.backups:
        table = _table("BACKUP", "PHASE", "AGE", "SIZE", "TOOK", "PROOF")
        for backup in overview.backups[:SHOWN]:
            table.add_row(
                backup.name,
                _phase(backup.phase),
                _age(backup.completed, now),
                backup.size,
                backup.duration,
                backup.proof,
            )
        parts += [table, *_said(overview.backups), *_more(len(overview.backups))]
    return Group(*parts)


def _restores(overview: Overview, now: datetime) -> RenderableType:
    table = _table("RESTORE", "PHASE", "OF BACKUP", "AGE")
    for one in overview.restores[:SHOWN]:
        table.add_row(one.name, _phase(one.phase), one.backup, _age(one.completed, now))
    return Group(Text(), table, *_said(overview.restores), *_more(len(overview.restores)))


def _said(lines: Sequence[BackupLine] | Sequence[RestoreLine]) -> list[RenderableType]:
    """Return what those that are shown say, below their table, where it has room."""
    return [Text(f"{one.name}: {one.message}") for one in lines[:SHOWN] if one.message]


def _todo(todo: Sequence[str]) -> RenderableType:
    if not todo:
        return Group(Text(), Text("Nothing to do.", "green"))
    lines = [Text(f"- {one}", "yellow") for one in todo]
    return Group(Text(), Text("To do:", "bold"), *lines)


def _more(count: int) -> list[RenderableType]:
    return [Text(f"and {count - SHOWN} more: -o json has all")] if count > SHOWN else []


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        # On a narrow terminal names are broken, and nothing else.
        table.add_column(column, no_wrap=column not in _BROKEN, overflow="fold")
    return table


def _phase(phase: str) -> Text:
    return Text(phase, _COLORS.get(phase, ""))


def _age(moment: str, now: datetime) -> str:
    return since(moment, now) if moment else ""


def format_bytes(amount: int | None) -> str:
    """Return an amount of bytes as Kubernetes writes it.

    >>> [format_bytes(None), format_bytes(0), format_bytes(2048), format_bytes(16 << 20)]
    ['', '0', '2.0Ki', '16.0Mi']
    """
    if not amount:
        return "" if amount is None else "0"
    value = float(amount)
    for unit in ("", "Ki", "Mi", "Gi"):
        if value < 1024:
            return f"{value:.1f}{unit}" if unit else str(amount)
        value /= 1024
    return f"{value:.1f}Ti"
