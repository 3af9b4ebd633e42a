"""A Database rests only where the operator hears of its instances."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.kube.client import ApiError
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.watches import (
    is_watched,
)

DATABASE = {"metadata": {"name": "app", "namespace": "shop", "uid": "u"}}
OWNED: dict[str, Any] = {"metadata": {"ownerReferences": [{"uid": "x"}, {"uid": "u"}]}}


INSTANCES = ("Endpoints", "app-pods")
WATCHED = [
    ("Endpoints", "app-ro"),
    ("Service", "app"),
    ("StatefulSet", "app"),
    ("NetworkPolicy", "app"),
    ("PodDisruptionBudget", "app"),
]


class Api:
    """Has objects by kind and name, or an error in their place, and notes what it is asked for."""

    def __init__(self, *owned: tuple[str, str]) -> None:
        self.objects: dict[tuple[str, str], Any] = dict.fromkeys(owned, OWNED)
        self.asked: list[tuple[str, str]] = []

    def get(self, _version: str, kind: str, namespace: str, name: str) -> Any:
        assert namespace == "shop"
        self.asked.append((kind, name))
        found = self.objects.get((kind, name))
        if isinstance(found, Exception):
            raise found
        return found


def test_a_read_through_the_proxy_starts_each_watch() -> None:
    cluster, proxy = Api(INSTANCES), Api(*WATCHED)
    assert is_watched(cluster, lambda: proxy, DATABASE)  # type: ignore[arg-type]
    assert proxy.asked == WATCHED
    assert cluster.asked == [INSTANCES]


@pytest.mark.parametrize(
    "found",
    [
        None,
        {"metadata": {}},
        {"metadata": {"ownerReferences": [{"uid": "of one of that name before"}]}},
        ApiError("away"),
    ],
)
@pytest.mark.parametrize("missed", [INSTANCES, *WATCHED])
def test_an_object_without_an_owner_reconciles_nothing(missed: tuple[str, str], found: Any) -> None:
    cluster, proxy = Api(INSTANCES), Api(*WATCHED)
    (cluster if missed == INSTANCES else proxy).objects[missed] = found
    assert not is_watched(cluster, lambda: proxy, DATABASE)  # type: ignore[arg-type]


def test_a_proxy_that_cannot_be_found_is_no_failure() -> None:
    def connect() -> Any:
        raise ApiError("cannot find the proxy")

    assert not is_watched(Api(INSTANCES), connect, DATABASE)  # type: ignore[arg-type]
