"""A run in a process of its own, which kills itself (or is killed) at a chosen point.

    killed_run.py backup|restore REQUEST_PICKLE STEP begin|end
    killed_run.py backup|restore REQUEST_PICKLE SECONDS after

STEP is the beginning of a step's name.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ansible_collections.postgres.operator.plugins.module_utils.artifact.create import (
    create_artifact,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.progress import (
    Figures,
    Progress,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.restore import (
    restore_artifact,
)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Deadly(Progress):
    """Dies when a step begins or ends, or some time after it began."""

    point: str
    when: str

    @contextmanager
    def step(self, name: str, figures: Figures | None = None) -> Iterator[None]:
        if name.startswith(self.point):
            if self.when == "begin":
                die()
            if self.when.startswith("+"):
                delay = float(self.when)
                threading.Thread(target=lambda: (time.sleep(delay), die())).start()
        yield
        if name.startswith(self.point) and self.when == "end":
            die()


if __name__ == "__main__":
    kind, request_file, point, when = sys.argv[1:]
    request = pickle.loads(Path(request_file).read_bytes())
    progress = Deadly()
    progress.point, progress.when = point, when
    {"backup": create_artifact, "restore": restore_artifact}[kind](request, progress)
