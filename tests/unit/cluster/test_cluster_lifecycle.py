"""A real cluster's life. It takes a minute and root, so it runs only with CLUSTER_LIFECYCLE=1."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from cluster.progress import Progress

from cluster import cgroups, leftovers, lifecycle, state

NAME = "lifecycle"

pytestmark = pytest.mark.skipif(
    os.environ.get("CLUSTER_LIFECYCLE") != "1", reason="set CLUSTER_LIFECYCLE=1 to run it"
)


@pytest.fixture
def cluster() -> Iterator[state.Cluster]:
    """Give a cluster that runs, and take it away."""
    lifecycle.up(NAME, 1, Progress())
    made = state.load(NAME)
    assert made is not None
    yield made
    lifecycle.down(NAME, Progress())


def test_a_cluster_heals_and_leaves_nothing(cluster: state.Cluster) -> None:
    assert not lifecycle.unwell(lifecycle.status(NAME))
    assert cgroups.kill(cgroups.group_name(NAME)) > 0
    assert lifecycle.unwell(lifecycle.status(NAME))
    lifecycle.up(NAME, None, Progress())
    assert not lifecycle.unwell(lifecycle.status(NAME))
    lifecycle.down(NAME, Progress())
    assert leftovers.find(NAME) == []
