"""A box to run in, with each client, and one that all cases share: its parent starts once."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from warm_box import CLIENTS, SOURCE, WarmBox

sys.path.insert(0, str(SOURCE.parent))


def _new_box(client: str) -> Iterator[WarmBox]:
    if not (SOURCE / client / "ansible-runner").exists():
        pytest.skip("the quick client is not built: make build")
    # Short: a socket's path has room for 107 characters.
    box = WarmBox(Path(tempfile.mkdtemp(prefix="warm-", dir="/tmp")), client)
    try:
        yield box
    finally:
        box.close()


@pytest.fixture(params=CLIENTS)
def box(request: pytest.FixtureRequest) -> Iterator[WarmBox]:
    yield from _new_box(request.param)


@pytest.fixture(scope="session", params=CLIENTS[-1:])
def shared_box(request: pytest.FixtureRequest) -> Iterator[WarmBox]:
    yield from _new_box(request.param)
