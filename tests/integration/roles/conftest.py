"""An API server for the roles, and the warm runner that runs them."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from collection_root import ensure_collection_root

# What the tests of the warm runner have.
sys.path.insert(0, str(Path(__file__).parents[1] / "warm_runner"))

from role_runs import add_backup, add_claim, add_database, add_secret
from stub_cluster import StubCluster, serve
from warm_box import WarmBox


@pytest.fixture(scope="module")
def box() -> Iterator[WarmBox]:
    made = WarmBox(Path(tempfile.mkdtemp(prefix="text-", dir="/tmp")))
    made.environment |= {
        "ANSIBLE_COLLECTIONS_PATH": str(ensure_collection_root()),
        "WARM_RUNNER_COLLECTIONS": "postgres.operator",
        "WARM_RUNNER_INLINE": "postgres.operator",
        "WARM_RUNNER_EARLY_END": "postgres.operator",
        "OPERATOR_IMAGE": "operator:1",
        "MAX_ACTIVE_BACKUPS": "0",
        "MAX_ACTIVE_BACKUPS_PER_DESTINATION": "0",
        "KUBECONFIG": str(made.folder / "kubeconfig"),
    }
    yield made
    made.close()


@pytest.fixture(scope="module")
def server(box: WarmBox) -> Iterator[StubCluster]:
    cluster = StubCluster()
    with serve(cluster, box.folder):
        yield cluster


@pytest.fixture
def cluster(server: StubCluster) -> StubCluster:
    """A namespace with what is needed for everything to be made at once."""
    server.objects.clear()
    server.add({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
    add_database(server, "app")
    add_claim(server, "app")
    add_backup(server, "nightly")
    add_secret(server, "secret")
    return server
