"""Segments that are missing on the way to the newest one, in archives of all kinds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.archive.gaps import (
    Found,
    Gap,
    Way,
    find_gaps,
)
from ansible_collections.postgres.operator.plugins.module_utils.archive.history import Switch
from ansible_collections.postgres.operator.plugins.module_utils.archive.names import (
    SEGMENT_SIZE,
    segment_name,
)
from ansible_collections.postgres.operator.plugins.module_utils.store.filesystem import (
    FilesystemStore,
)

LOG = 256
"""Segments of 16 MiB in a log, each of which has a folder."""


@pytest.fixture
def fill(place, tmp_path: Path):
    """Put segments, or files of other names, into the archive."""
    content = tmp_path / "content"
    content.write_bytes(b"WAL")

    def put(timeline: int, *numbers: int, suffix: str = "") -> None:
        for number in numbers:
            place.writer.put(segment_name(timeline, number) + suffix, content)

    return put


def switch(timeline: int, number: int, offset: int = 4096) -> Switch:
    return Switch(timeline, number * SEGMENT_SIZE + offset)


def test_what_is_missing_before_the_newest_segment(place, fill) -> None:
    fill(1, 3, 4, 7, 8, 10)
    assert find_gaps(place.writer, Way(1), 3) == Found((Gap(5, 6), Gap(9, 9)), 10)


def test_what_is_before_the_first_and_after_the_newest_one_is_not(place, fill) -> None:
    fill(1, 1, 5, 6)
    assert find_gaps(place.writer, Way(1), 5) == Found((), 6)
    assert find_gaps(place.writer, Way(1), 7) == Found()


def test_over_the_end_of_a_log(place, fill) -> None:
    fill(1, LOG - 2, LOG - 1, LOG + 1, 3 * LOG)
    gaps = (Gap(LOG, LOG), Gap(LOG + 2, 3 * LOG - 1))
    assert find_gaps(place.writer, Way(1), LOG - 2) == Found(gaps, 3 * LOG)


def test_a_segment_that_waits_or_came_meanwhile_is_not_missing(place, fill) -> None:
    fill(1, 3, 6, 8, 9)
    first = find_gaps(place.writer, Way(1), 3)
    assert first == Found((Gap(4, 5), Gap(7, 7)), 9)
    fill(1, 7, 12)
    waiting = {segment_name(1, 4), segment_name(2, 5), "00000002.history"}
    assert find_gaps(place.writer, Way(1), 3, first.newest, waiting).gaps == (Gap(5, 5),)


def test_a_timeline_is_followed_to_where_the_next_one_begins(place, fill) -> None:
    """The segment in which it ended is the next one's; what it went on to write is of no use."""
    fill(1, 3, 4)
    fill(1, 5, suffix=".partial")
    fill(1, 8, 9)
    fill(2, 5, 6, 7)
    way = Way(2, (switch(1, 5),))
    assert find_gaps(place.writer, way, 3) == Found((), 7)
    fill(2, 9)
    assert find_gaps(place.writer, way, 3).gaps == (Gap(8, 8),), "the other timeline's is no help"


def test_a_gap_over_the_end_of_a_timeline(place, fill) -> None:
    fill(1, 3)
    fill(1, 5, suffix=".partial")
    fill(2, 6)
    way = Way(2, (switch(1, 5),))
    assert find_gaps(place.writer, way, 3) == Found((Gap(4, 5),), 6)
    assert [way.name(number) for number in (4, 5)] == [segment_name(1, 4), segment_name(2, 5)]


def test_two_timelines_that_begin_in_one_segment(place, fill) -> None:
    fill(1, 3, 4)
    fill(2, 5, suffix=".partial")
    fill(3, 5, 6)
    way = Way(3, (switch(1, 5), switch(2, 5, 8192)))
    assert find_gaps(place.writer, way, 3) == Found((), 6)


def test_a_timeline_that_begins_with_a_segment(place, fill) -> None:
    fill(1, 3, 4)
    fill(2, 5)
    assert find_gaps(place.writer, Way(2, (switch(1, 5, 0),)), 3) == Found((), 5)


def test_a_backup_after_the_switch_needs_nothing_of_before(place, fill) -> None:
    fill(2, 8, 9)
    assert find_gaps(place.writer, Way(2, (switch(1, 5),)), 8) == Found((), 9)


def test_when_a_segment_was_stored(place, fill) -> None:
    before = datetime.now(UTC) - timedelta(minutes=1)
    fill(1, 3)
    stored = place.writer.stored_time(segment_name(1, 3))
    assert stored is not None
    assert before < stored < datetime.now(UTC) + timedelta(minutes=1)
    assert place.writer.stored_time(segment_name(1, 4)) is None


def test_folders_are_listed_one_by_one(tmp_path, place, fill, monkeypatch) -> None:
    """What is before the first segment that counts is not listed."""
    if not isinstance(place.writer.store, FilesystemStore):
        pytest.skip("one store is enough")
    fill(1, 3, LOG + 3, 2 * LOG + 3)
    listed: list[str] = []
    files = FilesystemStore.files
    monkeypatch.setattr(
        FilesystemStore,
        "files",
        lambda self, location, beginning="": (
            listed.append(beginning),
            files(self, location, beginning),
        )[1],
    )
    find_gaps(place.writer, Way(1), LOG + 3)
    assert listed == ["00000001/00000001/", "00000001/00000002/"]
