"""Segments that are missing in an archive on the way to its newest one.

That way is one timeline and those it comes from: a segment of a timeline that was left before it is
no part of it, nor is a ``.partial``.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from .history import Switch
from .names import SEGMENT_SIZE, is_segment, segment_name, segment_number
from .wal_archive import WalArchive


@dataclass(frozen=True)
class Way:
    """The timelines that lead to one, each with the segments that are read of it.

    Attributes:
        timeline: the one that it leads to.
        history: its history.
        segment_bytes: the size of a segment.
    """

    timeline: int
    history: tuple[Switch, ...] = ()
    segment_bytes: int = SEGMENT_SIZE

    def parts(self) -> Iterator[tuple[int, int, int | None]]:
        """Yield each timeline with its first segment and the first one that is not of it any more.

        Of the segment in which a timeline ends, the next timeline has a copy, which is what a
        recovery reads.
        """
        begin = 0
        for switch in self.history:
            end = switch.lsn // self.segment_bytes
            yield switch.timeline, begin, end
            begin = end
        yield self.timeline, begin, None

    def name(self, number: int) -> str:
        """Return the name of the segment with a number."""
        for timeline, begin, end in self.parts():
            if number >= begin and (end is None or number < end):
                return segment_name(timeline, number, self.segment_bytes)
        raise AssertionError(number)


@dataclass(frozen=True)
class Gap:
    """Segments that are missing, without one between them that is there.

    Attributes:
        first, last: their numbers.
    """

    first: int
    last: int


@dataclass(frozen=True)
class Found:
    """What an archive lacks.

    Attributes:
        gaps: the oldest first.
        newest: the number of the newest segment that is there; None where there is none.
    """

    gaps: tuple[Gap, ...] = ()
    newest: int | None = None


def find_gaps(
    archive: WalArchive,
    way: Way,
    first: int,
    last: int | None = None,
    waiting: Collection[str] = (),
) -> Found:
    """List an archive, and return which segments it lacks before the newest one.

    Args:
        first: the number of the first segment that is to be there.
        last: that of the last one; None for the newest one.
        waiting: the names of segments that are not missing though they are not there.

    Raises:
        InvalidInput: the archive has segments of another size.
        StoreDenied, StoreUnreachable
    """
    there = {segment_number(name, way.segment_bytes) for name in waiting if _is_of(way, name)}
    pending = sorted(number for number in there if number >= first)
    gaps: list[Gap] = []
    newest: int | None = None
    expected = first
    for number in _merged(_numbers(archive, way, first), pending):
        if last is not None and number > last:
            break
        if number > expected:
            gaps.append(Gap(expected, number - 1))
        expected, newest = number + 1, number
    if last is not None and expected <= last:
        gaps.append(Gap(expected, last))
    return Found(tuple(gaps), newest)


def _numbers(archive: WalArchive, way: Way, first: int) -> Iterator[int]:
    """Yield the numbers of the segments that are there, in their order."""
    for timeline, begin, end in way.parts():
        if end is not None and end <= max(first, begin):
            continue
        name = segment_name(timeline, max(first, begin), way.segment_bytes)
        for found in archive.segments(timeline, name):
            number = segment_number(found, way.segment_bytes)
            if end is not None and number >= end:
                break
            yield number


def _merged(numbers: Iterator[int], others: list[int]) -> Iterator[int]:
    """Yield the numbers of both, each once, in their order."""
    previous = -1
    for number in heapq.merge(numbers, others):
        if number > previous:
            yield number
        previous = number


def _is_of(way: Way, name: str) -> bool:
    return is_segment(name) and way.name(segment_number(name, way.segment_bytes)) == name
