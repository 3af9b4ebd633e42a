"""A cluster whose Services have another domain."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.resources.cluster_domain import (
    cluster_domain,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database import status
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.certificates import (
    all_names,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.secrets import (
    service_binding,
)

DATABASE: dict[str, Any] = {
    "metadata": {"name": "app", "namespace": "shop"},
    "spec": {"databaseName": "appdb", "username": "owner", "tls": {"clients": "Require"}},
}


@pytest.mark.parametrize(
    ("given", "domain"),
    [
        (None, "cluster.local"),
        ("", "cluster.local"),
        ("k8s.example.org", "k8s.example.org"),
        (" k8s.example.org. ", "k8s.example.org"),
    ],
)
def test_addresses_and_certificates_have_the_domain(
    monkeypatch: pytest.MonkeyPatch, given: str | None, domain: str
) -> None:
    if given is None:
        monkeypatch.delenv("CLUSTER_DOMAIN", raising=False)
    else:
        monkeypatch.setenv("CLUSTER_DOMAIN", given)
    assert cluster_domain() == domain
    binding = service_binding(DATABASE, "owner", "secret")
    assert binding["host"] == f"app.shop.svc.{domain}"
    assert f"@app.shop.svc.{domain}:5432/appdb" in binding["uri"]
    names = all_names(DATABASE)
    for service in ("app", "app-ro", "app-pods", "*.app-pods"):
        assert f"{service}.shop.svc.{domain}" in names
    assert ("app.shop.svc.cluster.local" in names) == (domain == "cluster.local")
    fields = status.decide(DATABASE, status.Observation(replicas=1)).fields
    assert fields["endpoint"] == f"app.shop.svc.{domain}:5432"
    assert fields["readOnlyEndpoint"] == f"app-ro.shop.svc.{domain}:5432"
