"""The history of a timeline: which timelines it comes from, and where it left each of them.

A line of the file has the timeline, the LSN at which the next one begins, and a reason, with tabs
between them; ``#`` begins a comment (PostgreSQL's timeline.c).
"""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import InvalidInput
from .names import parse_lsn


@dataclass(frozen=True)
class Switch:
    """The end of one timeline in the history of another.

    Attributes:
        timeline: the one that ends.
        lsn: the first byte that is not of it any more.
        reason: PostgreSQL's words.
    """

    timeline: int
    lsn: int
    reason: str = ""


def parse_history(text: str, timeline: int) -> tuple[Switch, ...]:
    """Read the history of a timeline, the oldest first.

    Args:
        text: of the file.
        timeline: whose history it is.

    Raises:
        InvalidInput: it is not one.
    """
    found: list[Switch] = []
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        words = line.split(None, 2)
        if len(words) < 2 or not words[0].isdecimal():
            # Without the line: it is not known what was read.
            raise InvalidInput(f"the history of timeline {timeline} has a line that is none of one")
        try:
            lsn = parse_lsn(words[1])
        except InvalidInput:
            raise InvalidInput(f"the history of timeline {timeline} has no LSN") from None
        found.append(Switch(int(words[0]), lsn, words[2] if words[2:] else ""))
    parents = [switch.timeline for switch in found]
    if parents != sorted(set(parents)) or any(parent >= timeline for parent in parents):
        raise InvalidInput(
            f"the history of timeline {timeline} names the timelines {parents}: each must be"
            " larger than the one before it, and smaller than its own"
        )
    return tuple(found)


def switch_of(history: tuple[Switch, ...], timeline: int) -> Switch | None:
    """Return where a history leaves a timeline; None where it does not come from it."""
    return next((switch for switch in history if switch.timeline == timeline), None)
