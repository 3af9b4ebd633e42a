"""Whether a WAL file is what its name says, and the name that it is to have in the archive.

Two things are not. A segment that is just being copied over, as pg_rewind does with those of a
former primary. And, with ``archive_mode = always``, the segment that a replica was streaming when
the primary began another timeline (PostgreSQL's walreceiver.c): it has the name of a whole one, and
after the switch only what was in the file before. The new timeline begins with a segment that has
everything before the switch too.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

from ..errors import ChecksumMismatch
from .history import Switch, parse_history, switch_of
from .names import first_lsn, is_history, is_segment, segment_number, timeline_of
from .plain_file import open_plain

# The first page's header, XLogLongPageHeaderData of xlog_internal.h: magic, flags, timeline, LSN,
# remaining bytes, padding, system identifier, bytes of a segment, bytes of a page.
_HEADER = struct.Struct("=HHIQI4xQII")


def stored_name(name: str, path: Path, system_identifier: str) -> str:
    """Return the name that a WAL file is to have in the archive.

    Args:
        name: PostgreSQL's.
        path: the file, beside the histories of the server's timelines.
        system_identifier: the server's.

    Returns:
        NAME.partial for a segment that its timeline ended in, or before, as PostgreSQL itself names
        it where it begins the new timeline.

    Raises:
        ChecksumMismatch: it has the name of a segment, and is none.
        OSError: the file is gone.
    """
    if not is_segment(name):
        return name
    size = _check(name, path, system_identifier)
    switch = _switch_from(path.parent, timeline_of(name))
    ended = switch is not None and (segment_number(name, size) + 1) * size > switch.lsn
    return f"{name}.partial" if ended else name


def _check(name: str, path: Path, system_identifier: str) -> int:
    """Return the size of a segment.

    Raises:
        ChecksumMismatch
    """
    with open_plain(path) as file:
        header = file.read(_HEADER.size)
        size = os.fstat(file.fileno()).st_size
    if len(header) == _HEADER.size:
        _, _, _, lsn, _, identifier, segment_size, _ = _HEADER.unpack(header)
        ours = str(identifier) == system_identifier and segment_size == size
        if ours and lsn == first_lsn(name, size):
            return size
    raise ChecksumMismatch(
        f"{name} has {size} bytes and is no whole WAL segment of this server now: it is tried again"
    )


def _switch_from(folder: Path, timeline: int) -> Switch | None:
    """Return where the server's newest timeline left this one; None where it did not."""
    newer = sorted(
        (path.name for path in folder.glob("*.history") if is_history(path.name)), reverse=True
    )
    for name in newer:
        if timeline_of(name) <= timeline:
            return None
        with open_plain(folder / name) as file:
            text = file.readall().decode(errors="replace")
        switch = switch_of(parse_history(text, timeline_of(name)), timeline)
        if switch:
            return switch
    return None
