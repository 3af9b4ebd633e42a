"""What clients have written and read, and whether a database can have that behaviour.

Each value is sent once, in a transaction of its own, and the primary that takes it writes the number
of its timeline beside it. So rows say by themselves on which side of a failover they were made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

ACKNOWLEDGED = "acknowledged"
REFUSED = "refused"
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Write:
    """One value that a client has sent.

    Attributes:
        value: no other write has it.
        outcome: acknowledged (the server said so), refused (it said that it did not), or unknown.
        sent, ended: when, in seconds of one clock for all clients.
        timeline: of the primary that has acknowledged it; 0 where none has.
    """

    value: int
    outcome: str
    sent: float
    ended: float
    timeline: int = 0


@dataclass(frozen=True)
class Read:
    """All rows of a primary at one moment.

    Attributes:
        timeline: the primary's.
        begun: when the read began, by the clock of the writes.
        rows: each value that was found, with the timelines of its rows.
    """

    timeline: int
    begun: float
    rows: Mapping[int, Sequence[int]]


@dataclass
class Verdict:
    """What is wrong with a history, as sorted values; all empty where nothing is.

    Attributes:
        lost: acknowledged, and not in the last read.
        vanished: in a read, and not in the last one.
        doubled: with more than one row.
        unsent: with a row, and no client has sent it.
        refused: with a row, though the server said that it took none.
        reappeared: of an earlier timeline, and first read after a read of a later one.
        stale: acknowledged by a primary after another one of a later timeline had acknowledged.
    """

    lost: list[int] = field(default_factory=list)
    vanished: list[int] = field(default_factory=list)
    doubled: list[int] = field(default_factory=list)
    unsent: list[int] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    reappeared: list[int] = field(default_factory=list)
    stale: list[int] = field(default_factory=list)

    def faults(self) -> dict[str, list[int]]:
        """Return what is not empty."""
        return {kind: values for kind, values in vars(self).items() if values}


def check(writes: Iterable[Write], reads: Iterable[Read]) -> Verdict:
    """Judge a history.

    Args:
        writes: all that clients have sent.
        reads: in their order, each kept no longer than the next one needs it; the last one after all
            writes have ended, and every instance streams.

    Raises:
        ValueError: there is no read, or a value was sent twice, so that nothing can be judged.
    """
    sent = list(writes)
    known = {write.value: write for write in sent}
    if len(known) < len(sent):
        twice = [value for value, times in Counter(w.value for w in sent).items() if times > 1]
        raise ValueError(f"values were sent twice: {sorted(twice)[:5]}")
    seen: set[int] = set()
    doubled: set[int] = set()
    reappeared: set[int] = set()
    last: Read | None = None
    for read in reads:
        if last is not None:
            reappeared |= _find_reappeared(last, read)
        seen |= set(read.rows)
        doubled |= {value for value, timelines in read.rows.items() if len(timelines) > 1}
        last = read
    if last is None:
        raise ValueError("nothing was read")
    acknowledged = [write for write in sent if write.outcome == ACKNOWLEDGED]
    return Verdict(
        lost=sorted(write.value for write in acknowledged if write.value not in last.rows),
        vanished=sorted(seen - set(last.rows)),
        doubled=sorted(doubled),
        unsent=sorted(seen - set(known)),
        refused=sorted(w.value for w in sent if w.outcome == REFUSED and w.value in seen),
        reappeared=sorted(reappeared),
        stale=sorted(_find_stale(acknowledged)),
    )


def _find_reappeared(before: Read, after: Read) -> set[int]:
    """Return values that a read has, and the one before it, of a later timeline than theirs, not.

    What a timeline has when the next one begins is all that it ever hands on.
    """
    return {
        value
        for value, timelines in after.rows.items()
        if value not in before.rows and min(timelines) < before.timeline
    }


def _find_stale(acknowledged: Iterable[Write]) -> set[int]:
    """Return what was sent to an old primary after a new one had acknowledged something.

    It was acknowledged all the same, so that two primaries have taken writes.
    """
    first: dict[int, float] = {}
    for write in acknowledged:
        first[write.timeline] = min(write.ended, first.get(write.timeline, write.ended))
    return {
        write.value
        for write in acknowledged
        if any(timeline > write.timeline and at < write.sent for timeline, at in first.items())
    }


def longest_gap(writes: Iterable[Write], begun: float, ended: float) -> float:
    """Return the longest time in seconds without an acknowledged write, in a span of time."""
    times = sorted(
        write.ended
        for write in writes
        if write.outcome == ACKNOWLEDGED and begun <= write.ended <= ended
    )
    moments = [begun, *times, ended]
    return max(after - before for before, after in pairwise(moments))
