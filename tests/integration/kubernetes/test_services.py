"""What a Database may say of its Services, and what server-side apply makes of a change."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.kube.client import connect
from custom_resources import Create, patch
from kubernetes.client.exceptions import ApiException

DATABASE: dict[str, Any] = {"databaseName": "app", "username": "app", "storage": {"size": "1Gi"}}
RANGES = {"type": "LoadBalancer", "loadBalancerSourceRanges": ["192.0.2.0/24", "2001:db8::/32"]}


@pytest.mark.parametrize("name_of", ["primary", "replicas"])
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"type": "ExternalName"}, 'supported values: "ClusterIP", "NodePort", "LoadBalancer"'),
        *(
            (
                {**kind, "loadBalancerSourceRanges": ["192.0.2.0/24"]},
                "loadBalancerSourceRanges is for a load balancer; write type: LoadBalancer or",
            )
            for kind in ({}, {"type": "ClusterIP"}, {"type": "NodePort"})
        ),
        *(
            (
                {"type": "LoadBalancer", "loadBalancerSourceRanges": [text]},
                "loadBalancerSourceRanges are addresses with the length of their prefix; write",
            )
            for text in ("192.0.2.0", "a", "192.0.2.0/33", "{{ 6 * 7 }}", "192.0.2.0/24 ")
        ),
        ({"type": "LoadBalancer", "loadBalancerSourceRanges": []}, "should have at least 1 items"),
        *(
            ({"labels": {key: "x"}}, ".labels has one that the operator, Patroni or Kubernetes")
            for key in (
                *("app", "database", "role", "app.kubernetes.io/managed-by"),
                *("service.kubernetes.io/headless", "service.kubernetes.io/service-proxy-name"),
                *("endpointslice.kubernetes.io/skip-mirror", "database.example.com/plan"),
            )
        ),
        ({"labels": {"a b": "x"}}, "is no name of a label; write it like team or"),
        ({"labels": {"a": "b c"}}, "letters, digits, '.', '_' and '-', and begins and ends"),
        *(
            ({"annotations": {key: "x"}}, ".annotations has one that the operator or Kubernetes")
            for key in (
                *("database.example.com/applied", "kubectl.kubernetes.io/restartedAt"),
                "endpoints.kubernetes.io/last-change-trigger-time",
            )
        ),
        ({"clusterIP": "None"}, "unknown field"),
        ({"externalIPs": ["192.0.2.1"]}, "unknown field"),
    ],
)
def test_what_is_refused(
    create: Create, name: str, name_of: str, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(ApiException) as caught:
        create("Database", name, DATABASE | {"services": {name_of: given}}, dry_run="All")
    assert caught.value.status in {400, 422}, caught.value
    assert message in json.loads(caught.value.body)["message"]


@pytest.mark.parametrize(
    "given",
    [
        {"type": "NodePort"},
        RANGES,
        {"type": "ClusterIP", "labels": {"example.com/team": "shop"}},
        {
            "type": "LoadBalancer",
            "annotations": {"service.beta.kubernetes.io/aws-load-balancer-internal": "true"},
        },
    ],
)
def test_what_is_accepted(create: Create, name: str, given: dict[str, Any]) -> None:
    services = {"primary": given, "replicas": given}
    made = create("Database", name, DATABASE | {"services": services}, dry_run="All")
    assert made["spec"]["services"] == services


def test_a_service_is_for_the_cluster_by_default(create: Create, name: str) -> None:
    made = create("Database", name, DATABASE | {"services": {"primary": {}}}, dry_run="All")
    assert made["spec"]["services"] == {"primary": {"type": "ClusterIP"}}


def test_services_can_be_changed_and_left_out_again(create: Create, name: str) -> None:
    database = create("Database", name, DATABASE | {"services": {"primary": RANGES}})
    assert "services" not in patch(database, {"services": None})["spec"]


def applied(namespace: str, name: str, **spec: Any) -> dict[str, Any]:
    """Apply a Service as the role does."""
    manifest = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec
        | {"ports": [{"name": "postgres", "port": 5432, "targetPort": 5432, "protocol": "TCP"}]},
    }
    found: dict[str, Any] = connect().apply(manifest)["spec"]
    return found


@pytest.mark.parametrize("outer", [{"type": "NodePort"}, RANGES], ids=["NodePort", "LoadBalancer"])
def test_a_port_of_the_nodes_stays_and_goes_with_the_type(
    namespace: str, name: str, outer: dict[str, Any]
) -> None:
    before = applied(namespace, name, type="ClusterIP")
    port = applied(namespace, name, **outer)["ports"][0]["nodePort"]
    again = applied(namespace, name, **outer)
    assert again["ports"][0]["nodePort"] == port
    assert again.get("loadBalancerSourceRanges") == outer.get("loadBalancerSourceRanges")
    back = applied(namespace, name, type="ClusterIP")
    assert back == before
