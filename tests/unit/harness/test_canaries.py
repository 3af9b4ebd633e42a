"""Which files of a pod count as readable by others, when secrets are searched for."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from collection_root import CHECKOUT

sys.path.append(str(CHECKOUT / "tests" / "e2e"))

from canaries import readable_by_others

POD = 65532

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files of others")


def a_file(folder: Path, mode: int, folder_mode: int, owner: int = POD) -> Path:
    inner = folder / "made"
    inner.mkdir()
    path = inner / "file"
    path.write_text("x")
    for one, its in ((path, mode), (inner, folder_mode)):
        os.chown(one, owner, owner)
        one.chmod(its)
    return path


@pytest.mark.parametrize(
    ("mode", "folder_mode", "readable"),
    [
        (0o644, 0o755, True),
        (0o640, 0o710, True),
        (0o602, 0o711, True),
        (0o600, 0o755, False),
        (0o644, 0o700, False),
    ],
)
def test_a_mode_counts_where_the_folder_lets_others_in(
    tmp_path: Path, mode: int, folder_mode: int, readable: bool
) -> None:
    assert readable_by_others(a_file(tmp_path, mode, folder_mode)) == readable


def test_a_folder_of_root_hides_nothing(tmp_path: Path) -> None:
    """The kubelet's folders are closed, and are above all that pods write."""
    path = a_file(tmp_path, 0o644, 0o755)
    tmp_path.chmod(0o700)
    assert readable_by_others(path)


def test_what_is_gone_is_not_readable(tmp_path: Path) -> None:
    assert not readable_by_others(tmp_path / "gone")
