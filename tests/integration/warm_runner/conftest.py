"""A box to run in, and one that all cases share: its parent is started once."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from warm_box import SOURCE, WarmBox

sys.path.insert(0, str(SOURCE.parent))


def _new_box() -> Iterator[WarmBox]:
    # Short: a socket's path has room for 107 characters.
    box = WarmBox(Path(tempfile.mkdtemp(prefix="warm-", dir="/tmp")))
    try:
        yield box
    finally:
        box.close()


@pytest.fixture
def box() -> Iterator[WarmBox]:
    yield from _new_box()


@pytest.fixture(scope="session")
def shared_box() -> Iterator[WarmBox]:
    yield from _new_box()
