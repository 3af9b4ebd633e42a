"""What the image must have: PostgreSQL's programs on PATH."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

TERMINATION_LOG = Path("/dev/termination-log")
# The operator knows the word (plugins/module_utils/kube/pods.py).
NO_SERVER = "NoPostgreSQL"


def require_server(log: Path = TERMINATION_LOG) -> None:
    """End the process where the image has no server, with a word for the pod's status.

    Patroni itself would end with a traceback.
    """
    if shutil.which("postgres"):
        return
    try:
        log.write_text(NO_SERVER)
    except OSError as error:
        print(f"{log} cannot be written: {error}", file=sys.stderr)
    sys.exit(
        "this image has no program postgres on its PATH: set spec.image of the Database to an image"
        " of PostgreSQL, such as postgres:17"
    )
