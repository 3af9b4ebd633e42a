"""The root folder of a machine is the root of its mount namespace, also in a chroot."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cluster.machine import OWN_ROOT

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, as the cluster does")

# What is mounted in the namespace, as seen by who enters it.
SHOW = "nsenter --mount=/proc/self/ns/mnt cat /proc/self/mountinfo"


@pytest.mark.parametrize("in_chroot", [True, False])
def test_who_enters_the_namespace_comes_to_its_root(tmp_path: Path, in_chroot: bool) -> None:
    enter = 'mount --rbind / "$1" && exec chroot "$@"' if in_chroot else 'shift && exec "$@"'
    done = subprocess.run(
        [
            "unshare", "--mount", "--propagation", "slave", "sh", "-c", enter, "sh", str(tmp_path),
            sys.executable, str(OWN_ROOT), "/bin/sh", "-c", SHOW,
        ],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    mounted = [line.split()[4] for line in done.stdout.splitlines()]
    assert "/" in mounted
    assert not [path for path in mounted if path.startswith(str(tmp_path))]
