"""The check of histories: what no database may do is found, and what one may do is not."""

from __future__ import annotations

import pytest
from history import ACKNOWLEDGED, REFUSED, UNKNOWN, Read, Verdict, Write, check, longest_gap


def wrote(value: int, outcome: str = ACKNOWLEDGED, timeline: int = 1, sent: float = 0.0) -> Write:
    at = sent or float(value)
    return Write(value, outcome, at, at + 0.5, timeline if outcome == ACKNOWLEDGED else 0)


def read(timeline: int, *rows: int, of: int = 1) -> Read:
    return Read(timeline, 100.0, dict.fromkeys(rows, (of,)))


def test_what_was_acknowledged_and_is_there_is_right() -> None:
    writes = [wrote(1), wrote(2), wrote(3, UNKNOWN), wrote(4, UNKNOWN), wrote(5, REFUSED)]
    assert check(writes, [read(1, 1), read(1, 1, 2, 3)]) == Verdict()
    assert check(writes, [read(1, 1, 2, 3)]).faults() == {}


@pytest.mark.parametrize("reads", [[read(1, 1)], [read(1, 1, 2), read(2, 1)]])
def test_an_acknowledged_row_that_is_gone_is_lost(reads: list[Read]) -> None:
    assert check([wrote(1), wrote(2)], reads).lost == [2]


def test_a_row_that_was_read_and_is_gone_has_vanished() -> None:
    writes = [wrote(1), wrote(2, UNKNOWN)]
    assert check(writes, [read(1, 1, 2), read(2, 1)]).faults() == {"vanished": [2]}


def test_a_row_of_unknown_outcome_may_be_there_once() -> None:
    twice = Read(2, 0.0, {1: (1,), 2: (1, 2)})
    writes = [wrote(1), wrote(2, UNKNOWN)]
    assert check(writes, [twice]).faults() == {"doubled": [2]}
    # Also if it is whole again at the end.
    assert check(writes, [twice, read(2, 1, 2)]).doubled == [2]


def test_an_acknowledged_row_may_be_there_once() -> None:
    assert check([wrote(1)], [Read(1, 0.0, {1: (1, 1)})]).faults() == {"doubled": [1]}


def test_what_nobody_has_sent_is_found() -> None:
    assert check([wrote(1)], [read(1, 1, 9)]).faults() == {"unsent": [9]}


def test_what_was_refused_must_not_be_there() -> None:
    assert check([wrote(1, REFUSED)], [read(1, 1)]).faults() == {"refused": [1]}


def test_a_row_of_an_old_timeline_does_not_come_back() -> None:
    writes = [wrote(1), wrote(2, UNKNOWN)]
    came_back = [read(2, 1), read(2, 1, 2)]
    assert check(writes, came_back).faults() == {"reappeared": [2]}
    acknowledged = [wrote(1), wrote(2)]
    assert check(acknowledged, came_back).faults() == {"reappeared": [2]}


def test_a_row_of_the_present_timeline_may_be_seen_late() -> None:
    """As one whose client has gone while its commit waited for a replica."""
    writes = [wrote(1), wrote(2, UNKNOWN)]
    late = Read(2, 0.0, {1: (1,), 2: (2,)})
    assert check(writes, [read(2, 1), late]) == Verdict()
    assert check(writes, [read(1, 1), read(1, 1, 2)]) == Verdict()


def test_an_old_primary_takes_nothing_after_a_new_one() -> None:
    new = wrote(1, timeline=2, sent=10.0)
    late = wrote(2, timeline=1, sent=11.0)
    meanwhile = wrote(3, timeline=1, sent=10.2)
    both = Read(2, 0.0, {1: (2,), 2: (1,), 3: (1,)})
    assert check([new, late, meanwhile], [both]).faults() == {"stale": [2]}


def test_a_history_without_a_read_or_with_a_value_sent_twice_is_not_judged() -> None:
    with pytest.raises(ValueError, match="nothing was read"):
        check([wrote(1)], [])
    with pytest.raises(ValueError, match="sent twice"):
        check([wrote(1), wrote(1)], [read(1, 1)])


def test_a_gap_is_between_acknowledgements_and_at_the_edges() -> None:
    writes = [wrote(n, sent=n) for n in (1, 2, 6, 7)] + [wrote(4, UNKNOWN, sent=4.0)]
    assert longest_gap(writes, 1.0, 8.0) == 4.0
    assert longest_gap(writes, 1.0, 20.0) == 12.5
    assert longest_gap([], 1.0, 3.0) == 2.0
