"""Opens files of a data directory, in which a superuser of its server can put anything.

A symbolic link there would be followed where this process runs, which has other files than the
server: its credentials, for one.
"""

from __future__ import annotations

import errno
import os
import stat
from io import FileIO
from pathlib import Path

from ..errors import ChecksumMismatch


def open_plain(path: Path) -> FileIO:
    """Open a file for reading that is a plain one itself.

    Raises:
        ChecksumMismatch: it is a symbolic link, a pipe or the like.
        OSError
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise ChecksumMismatch(f"{path} is not a plain file") from error
        raise
    file = FileIO(descriptor)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        file.close()
        raise ChecksumMismatch(f"{path} is not a plain file")
    return file
