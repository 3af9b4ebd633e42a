"""What a Database says of its Services is in them, and in nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from test_rendered_pods import database

TEXT = "{{ 6 * 7 }}"
GIVEN: dict[str, Any] = {
    "type": "LoadBalancer",
    "labels": {"team": "shop"},
    "annotations": {"example.com/note": "of the shop"},
    "loadBalancerSourceRanges": ["192.0.2.0/24"],
}
SERVICES = {"primary": "database_primary_service", "replicas": "database_replica_service"}
PORTS = [{"name": "postgres", "port": 5432, "targetPort": 5432, "protocol": "TCP"}]
OTHERS = (
    "database_stateful_set",
    "database_pods_service",
    "database_config_service",
    "database_network_policy",
    "database_config_map",
)


def as_text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def service(name: str, **given: Any) -> Any:
    resource = {"tls": {"clients": "Require"}, "services": {name: given}}
    return database(SERVICES[name], **resource)


@pytest.mark.parametrize("name", SERVICES)
def test_without_fields_it_is_for_the_cluster(name: str) -> None:
    made = service(name)
    assert made == database(SERVICES[name])
    assert made["spec"]["type"] == "ClusterIP"
    assert made["spec"]["ports"] == PORTS
    assert "annotations" not in made["metadata"]
    assert "loadBalancerSourceRanges" not in made["spec"]


def test_the_primarys_service_has_no_selector() -> None:
    assert "selector" not in service("primary", **GIVEN)["spec"]
    assert service("replicas", **GIVEN)["spec"]["selector"] == {
        "app": "database",
        "database": "app",
        "role": "replica",
    }


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_what_is_said_of_it(name: str) -> None:
    made, before = service(name, **GIVEN), service(name)
    spec = {key: GIVEN[key] for key in ("type", "loadBalancerSourceRanges")}
    assert made["spec"] == before["spec"] | spec
    assert made["metadata"]["labels"] == before["metadata"]["labels"] | GIVEN["labels"]
    assert made["metadata"]["annotations"] == GIVEN["annotations"]
    (other,) = SERVICES.keys() - {name}
    services = {"services": {name: GIVEN}}
    assert database(SERVICES[other], **services) == service(other)


@pytest.mark.parametrize("name", SERVICES)
def test_the_nodes_port_is_left_to_kubernetes(name: str) -> None:
    """A server-side apply that does not have the field keeps the port that was chosen."""
    for kind in ("NodePort", "LoadBalancer"):
        assert service(name, type=kind)["spec"]["ports"] == PORTS


@pytest.mark.parametrize("other", OTHERS)
def test_a_change_of_the_services_changes_nothing_else(other: str) -> None:
    tls = {"tls": {"clients": "Require"}}
    services = {"services": dict.fromkeys(SERVICES, GIVEN)}
    assert as_text(database(other, **tls, **services)) == as_text(database(other, **tls))


@pytest.mark.parametrize("name", SERVICES)
def test_what_the_operator_sets_is_not_replaced(name: str) -> None:
    own = service(name)["metadata"]["labels"]
    assert service(name, labels=dict.fromkeys(own, "other"))["metadata"]["labels"] == own


@pytest.mark.parametrize("name", SERVICES)
def test_text_is_not_a_template(name: str) -> None:
    texts = {"labels": {TEXT: TEXT}, "annotations": {TEXT: TEXT}}
    made = service(name, **texts, loadBalancerSourceRanges=[TEXT])
    assert made["metadata"]["labels"][TEXT] == TEXT
    assert made["metadata"]["annotations"] == {TEXT: TEXT}
    assert made["spec"]["loadBalancerSourceRanges"] == [TEXT]
    assert "42" not in as_text(made)
