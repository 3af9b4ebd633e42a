"""The names that PostgreSQL gives to WAL files, and what follows from them.

A segment's name is 24 hexadecimal digits: 8 of the timeline, 8 of the log, 8 of the segment in that
log. A log is 4 GiB, so how many segments it has depends on their size (PostgreSQL's
xlog_internal.h). An LSN is a number of bytes from the beginning of the WAL.
"""

from __future__ import annotations

import re

from ..errors import InvalidInput

SEGMENT_SIZE = 16 * 1024 * 1024
"""Bytes of a segment, where initdb was not asked for another size."""

_LOG = 1 << 32
_SMALLEST, _LARGEST = 1 << 20, 1 << 30
_SEGMENT = re.compile(r"[0-9A-F]{24}")
_PARTIAL = re.compile(r"[0-9A-F]{24}\.partial")
_LABEL = re.compile(r"[0-9A-F]{24}\.[0-9A-F]{8}\.backup")
_HISTORY = re.compile(r"[0-9A-F]{8}\.history")
_LSN = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})")


_ARCHIVE = "wal-"
"""What the name of an archive's folder begins with. It is no UUID, as those of artifacts are."""


def archive_folder(uid: str) -> str:
    """Return the name of the folder with the archive of a Database.

    >>> archive_folder("0f8fad5b")
    'wal-0f8fad5b'
    """
    return f"{_ARCHIVE}{uid}"


def uid_of_archive(folder: str) -> str:
    """Return the UID of the Database that a folder has the archive of."""
    return folder.removeprefix(_ARCHIVE)


def is_segment(name: str) -> bool:
    """Whether it is the name of a whole segment."""
    return _SEGMENT.fullmatch(name) is not None


def is_partial(name: str) -> bool:
    """Whether it names a segment that its timeline ended in."""
    return _PARTIAL.fullmatch(name) is not None


def is_backup_label(name: str) -> bool:
    """Whether it names the file that a base backup leaves in the WAL."""
    return _LABEL.fullmatch(name) is not None


def is_history(name: str) -> bool:
    """Whether it names the history of a timeline."""
    return _HISTORY.fullmatch(name) is not None


def is_wal_file(name: str) -> bool:
    """Whether it names any of the files that PostgreSQL archives."""
    return is_segment(name) or is_history(name) or is_partial(name) or is_backup_label(name)


def timeline_of(name: str) -> int:
    """Return the timeline of a WAL file.

    Raises:
        InvalidInput: it is not the name of one.

    >>> timeline_of("0000000A000000000000000C")
    10
    """
    if not is_wal_file(name):
        raise InvalidInput(
            f"{name!r} is not the name of a WAL file: those are 000000010000000000000001,"
            " 00000002.history and the like"
        )
    return int(name[:8], 16)


def history_name(timeline: int) -> str:
    """Return the name of a timeline's history.

    >>> history_name(10)
    '0000000A.history'
    """
    return f"{timeline:08X}.history"


def segment_name(timeline: int, number: int, size: int = SEGMENT_SIZE) -> str:
    """Return the name of a segment.

    Args:
        number: of the segment, from 0 at the beginning of the WAL.
        size: bytes of each segment.

    >>> segment_name(1, 256)
    '000000010000000100000000'
    """
    log, segment = divmod(number, _segments_of_a_log(size))
    return f"{timeline:08X}{log:08X}{segment:08X}"


def segment_number(name: str, size: int = SEGMENT_SIZE) -> int:
    """Return the number of a segment, from 0 at the beginning of the WAL.

    Args:
        name: of a segment, or of another file whose name begins with one.

    Raises:
        InvalidInput: there is no such segment of this size.

    >>> segment_number("0000000200000001000000FF")
    511
    """
    if not _SEGMENT.match(name):
        raise InvalidInput(f"{name!r} is not the name of a WAL segment")
    log, segment = int(name[8:16], 16), int(name[16:24], 16)
    if segment >= _segments_of_a_log(size):
        raise InvalidInput(f"there is no WAL segment {name} where each has {size} bytes")
    return log * _segments_of_a_log(size) + segment


def next_segment(name: str, size: int = SEGMENT_SIZE) -> str:
    """Return the name of the segment that follows on the same timeline.

    >>> next_segment("0000000100000000000000FF")
    '000000010000000100000000'
    """
    return segment_name(timeline_of(name), segment_number(name, size) + 1, size)


def segment_at(lsn: int, timeline: int, size: int = SEGMENT_SIZE) -> str:
    """Return the name of the segment that holds the byte at an LSN.

    >>> segment_at(parse_lsn("0/3000028"), 1)
    '000000010000000000000003'
    """
    return segment_name(timeline, lsn // size, size)


def first_lsn(name: str, size: int = SEGMENT_SIZE) -> int:
    """Return the LSN of a segment's first byte."""
    return segment_number(name, size) * size


def parse_lsn(text: str) -> int:
    """Return the number of bytes that an LSN as PostgreSQL writes it stands for.

    Raises:
        InvalidInput: it is not one.

    >>> parse_lsn("1/00000010")
    4294967312
    """
    found = _LSN.fullmatch(text)
    if not found:
        raise InvalidInput(
            f"{text!r} is not an LSN: write two hexadecimal numbers, such as 0/3000028"
        )
    return int(found[1], 16) << 32 | int(found[2], 16)


def format_lsn(lsn: int) -> str:
    """Return an LSN as PostgreSQL writes it.

    >>> format_lsn(4294967312)
    '1/10'
    """
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def _segments_of_a_log(size: int) -> int:
    if not _SMALLEST <= size <= _LARGEST or size & (size - 1):
        raise InvalidInput(
            f"{size} bytes is no size of a WAL segment: it is a power of two from 1 MiB to 1 GiB"
        )
    return _LOG // size
