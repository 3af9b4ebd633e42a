"""A Database rests only where the operator hears of its instances."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.kubernetes.client import ApiError
from ansible_collections.postgres.operator.plugins.module_utils.kubernetes.wake import is_woken

DATABASE = {"metadata": {"name": "app", "namespace": "shop", "uid": "u"}}
OWNED: dict[str, Any] = {"metadata": {"ownerReferences": [{"uid": "x"}, {"uid": "u"}]}}


class Api:
    """Has Endpoints, or an error in their place, and notes what it is asked for."""

    def __init__(self, **endpoints: Any) -> None:
        self.endpoints = {name.replace("_", "-"): found for name, found in endpoints.items()}
        self.asked: list[str] = []

    def get(self, _version: str, kind: str, namespace: str, name: str) -> Any:
        assert (kind, namespace) == ("Endpoints", "shop")
        self.asked.append(name)
        found = self.endpoints.get(name)
        if isinstance(found, Exception):
            raise found
        return found


def test_a_read_through_the_proxy_starts_the_watch() -> None:
    cluster, proxy = Api(app_pods=OWNED), Api(app_ro=OWNED)
    assert is_woken(cluster, lambda: proxy, DATABASE)  # type: ignore[arg-type]
    assert proxy.asked == ["app-ro"]
    assert cluster.asked == ["app-pods"]


@pytest.mark.parametrize(
    "found",
    [
        None,
        {"metadata": {}},
        {"metadata": {"ownerReferences": [{"uid": "of one of that name before"}]}},
        ApiError("away"),
    ],
)
def test_endpoints_of_nobody_wake_nobody(found: Any) -> None:
    for cluster, proxy in (
        (Api(app_pods=OWNED), Api(app_ro=found)),
        (Api(app_pods=found), Api(app_ro=OWNED)),
    ):
        assert not is_woken(cluster, lambda proxy=proxy: proxy, DATABASE)  # type: ignore[arg-type]


def test_a_proxy_that_cannot_be_found_is_no_failure() -> None:
    def connect() -> Any:
        raise ApiError("cannot find the proxy")

    assert not is_woken(Api(app_pods=OWNED), connect, DATABASE)  # type: ignore[arg-type]
