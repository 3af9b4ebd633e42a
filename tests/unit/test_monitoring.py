"""Metrics and alerts name what there is: fields of the CRDs, phases, metrics."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

CHECKOUT = Path(__file__).resolve().parents[2]
MONITORING = CHECKOUT / "config" / "monitoring"
METRICS = yaml.safe_load((MONITORING / "kube-state-metrics.yaml").read_text())["spec"]["resources"]
ALERTS = [
    rule
    for group in yaml.safe_load((MONITORING / "alerts.yaml").read_text())["spec"]["groups"]
    for rule in group["rules"]
]
HOW_TO = (CHECKOUT / "docs" / "how-to" / "monitor.md").read_text()


def schema_of(kind: str) -> dict[str, Any]:
    text = (CHECKOUT / "crds" / f"database.example.com_{kind.lower()}s.yaml").read_text()
    schema = yaml.safe_load(text)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    names = {key: {"type": "string"} for key in ("name", "namespace", "creationTimestamp")}
    schema["properties"]["metadata"] = {"type": "object", "properties": names}
    return dict(schema)


def field(schema: dict[str, Any], path: list[str]) -> dict[str, Any]:
    """What is at a path; of a list the path goes on in its elements."""
    for name in path:
        schema = schema.get("items", schema)["properties"][name]
    return schema


FAMILIES = [
    pytest.param(resource, metric, id=f"{resource['metricNamePrefix']}_{metric['name']}")
    for resource in METRICS
    for metric in resource["metrics"]
]


@pytest.mark.parametrize(("resource", "metric"), FAMILIES)
def test_a_metric_is_of_a_field_that_there_is(resource, metric) -> None:
    schema = schema_of(resource["groupVersionKind"]["kind"])
    for path in resource["labelsFromPath"].values():
        field(schema, path)
    each = metric["each"]
    (how,) = (each[key] for key in each if key != "type")
    found = field(schema, how["path"])
    for path in [*how.get("labelsFromPath", {}).values(), how.get("valueFrom", [])]:
        field(found.get("items", found), path)
    if each["type"] == "StateSet":
        phases = set(re.findall(r"[A-Z]\w+", found["description"].replace("; with a schedule", "")))
        assert set(how["list"]) == phases


def test_an_alert_is_of_metrics_that_there_are_and_is_explained() -> None:
    names = {f"{one['metricNamePrefix']}_{m['name']}" for one in METRICS for m in one["metrics"]}
    for alert in ALERTS:
        used = set(re.findall(r"postgres_operator_\w+", alert["expr"]))
        assert used, alert["alert"]
        assert used <= names, alert["alert"]
        assert f"| {alert['alert']} |" in HOW_TO
    kinds = {re.search(r'type="(\w+)"', a["expr"]) for a in ALERTS} - {None}
    page = (CHECKOUT / "docs" / "reference" / "conditions.md").read_text()
    for kind in kinds:
        assert kind
        assert f"`{kind[1]}`" in page
