"""A process of the agent writes for its own user only, and no core files."""

from __future__ import annotations

import os
import resource


def begin() -> None:
    """Have this process and its children write files for their own user, and no core files."""
    os.umask(0o077)
    # A container runtime may well allow them, and a core file has every password in it.
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))
