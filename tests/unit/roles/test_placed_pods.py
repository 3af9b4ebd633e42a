"""What a Database says of its pods and its Jobs' pods is in them, and in nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.template import (
    template_inputs,
)
from test_rendered_pods import DATABASE, ROOT, S3, database, job, removal, search

RECORDED = Path(__file__).parent / "recorded" / "pod_template.json"
TEXT = "{{ 6 * 7 }}"
OWN = {"app": "database", "database": "app"}
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
APART = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": OWN}}
NODES = {
    REQUIRED: {
        "nodeSelectorTerms": [
            {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}
        ]
    }
}
PODS: dict[str, Any] = {
    "labels": {"team": "shop"},
    "annotations": {"example.com/note": "of the shop"},
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "dedicated", "value": "shop", "effect": "NoSchedule"}],
    "affinity": {"nodeAffinity": NODES},
    "priorityClassName": "high",
    "imagePullSecrets": [{"name": "registry-login"}],
}
AS_GIVEN = ("nodeSelector", "tolerations", "priorityClassName", "imagePullSecrets")


def template(**spec: Any) -> Any:
    return database("database_stateful_set", **spec)["spec"]["template"]


def as_text(value: Any) -> str:
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def jobs(**given: Any) -> dict[str, Any]:
    """The pod of each kind of Job of a Database that says this of its Jobs."""
    found = {**DATABASE, "spec": {**DATABASE["spec"], "jobs": given}}
    bucket = {"spec": {"destination": {"s3": S3}}}
    manifests = {
        "backup": job(database=found),
        "verifying backup": job(database=found, verify=True, **bucket),
        "adoption": job("adopt", database=found),
        "restore": job("restore", database=found, **bucket),
        "outcome": job("outcome", database=found),
        "removal": removal(found)[1],
        "search": search(found)[1],
    }
    return {name: made["spec"]["template"] for name, made in manifests.items()}


def test_without_fields_the_template_is_the_recorded_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that differs has every pod of every Database replaced, by the operator that brings it.

    It was recorded before the spec had `pod`. Only a change that is worth these restarts may record
    another one.
    """
    monkeypatch.setenv("OPERATOR_IMAGE", "operator:1")
    recorded = RECORDED.read_text(encoding="utf-8")
    assert as_text(template()) == recorded
    for empty in ({}, {"labels": {}, "tolerations": [], "affinity": {}}):
        assert as_text(template(pod=empty)) == recorded
    # As the API server fills in its defaults.
    defaults = {"antiAffinity": "Preferred", "topologyKey": "kubernetes.io/hostname"}
    assert as_text(template(pod={"affinity": defaults})) == recorded


def test_fields_of_jobs_restart_no_database() -> None:
    assert template(jobs=PODS) == template()


@pytest.mark.parametrize("name", PODS)
def test_each_field_of_the_pods_is_a_rolling_update(name: str) -> None:
    """StatefulSets have a new revision for another template."""
    assert template(pod={name: PODS[name]}) != template()


def test_instances_have_what_the_database_says_of_its_pods() -> None:
    made, before = template(pod=PODS), template()
    assert made["metadata"]["labels"] == before["metadata"]["labels"] | PODS["labels"]
    assert made["metadata"]["annotations"] == (
        before["metadata"]["annotations"] | PODS["annotations"]
    )
    assert {name: made["spec"][name] for name in AS_GIVEN} == {
        name: PODS[name] for name in AS_GIVEN
    }
    assert made["spec"]["affinity"]["nodeAffinity"] == NODES
    assert (
        made["spec"]["affinity"]["podAntiAffinity"]
        == (before["spec"]["affinity"]["podAntiAffinity"])
    )
    changed = {*AS_GIVEN, "affinity"}
    assert {k: v for k, v in made["spec"].items() if k not in changed} == (
        {k: v for k, v in before["spec"].items() if k not in changed}
    )


def test_instances_are_kept_apart_if_possible_or_always() -> None:
    zones = {"antiAffinity": "Required", "topologyKey": "topology.kubernetes.io/zone"}
    affinity = template(pod={"affinity": zones})["spec"]["affinity"]
    assert affinity == {
        "podAntiAffinity": {REQUIRED: [APART | {"topologyKey": "topology.kubernetes.io/zone"}]}
    }
    assert template()["spec"]["affinity"] == {
        "podAntiAffinity": {PREFERRED: [{"weight": 100, "podAffinityTerm": APART}]}
    }


def test_a_constraint_without_a_selector_counts_the_instances() -> None:
    spread = {
        "maxSkew": 1,
        "topologyKey": "topology.kubernetes.io/zone",
        "whenUnsatisfiable": "DoNotSchedule",
    }
    other = {**spread, "labelSelector": {"matchLabels": {"team": "shop"}}}
    made = template(pod={"topologySpreadConstraints": [spread, other]})["spec"]
    assert made["topologySpreadConstraints"] == [
        {**spread, "labelSelector": {"matchLabels": OWN}},
        other,
    ]


def test_every_job_has_what_the_database_says_of_its_jobs() -> None:
    before = jobs()
    for name, made in jobs(**PODS).items():
        for part in ("labels", "annotations"):
            assert made["metadata"][part] == before[name]["metadata"][part] | PODS[part], name
        given = {field: PODS[field] for field in (*AS_GIVEN, "affinity")}
        assert made["spec"] == before[name]["spec"] | given, name


def test_what_is_said_of_one_kind_of_pods_is_not_of_the_other() -> None:
    assert as_text(template(jobs=PODS)) == as_text(template())
    found = {**DATABASE, "spec": {**DATABASE["spec"], "pod": PODS}}
    assert job(database=found) == job()


@pytest.mark.parametrize("part", ["labels", "annotations"])
def test_what_the_operator_sets_is_not_replaced(part: str) -> None:
    """Also where the API server has older CRDs, which do not refuse it."""
    own = template()["metadata"][part]
    assert template(pod={part: dict.fromkeys(own, "other")})["metadata"][part] == own
    for name, made in jobs().items():
        taken = {part: dict.fromkeys(made["metadata"][part], "other")}
        assert jobs(**taken)[name]["metadata"][part] == made["metadata"][part], name


USER = {"runAsUser": 1000650000}


@pytest.mark.parametrize(
    ("given", "user", "group"),
    [
        ({}, 999, 999),
        ({"runAsUser": 999}, 999, 999),
        (USER, 1000650000, 1000650000),
        ({"runAsUser": 1000, "fsGroup": 2000}, 1000, 2000),
        ({"fsGroup": 2000}, 999, 2000),
        # What the API server does not take.
        ({"runAsNonRoot": False, "seccompProfile": {}, "runAsGroup": 0}, 999, 999),
    ],
)
def test_instances_and_jobs_have_one_user(given: dict[str, int], user: int, group: int) -> None:
    pod = {"securityContext": given}
    found = {**DATABASE, "spec": {**DATABASE["spec"], "pod": pod}}
    made = [template(pod=pod), job(database=found)["spec"]["template"]]
    made += [one(found)[1]["spec"]["template"] for one in (removal, search)]
    for pod_template in made:
        assert pod_template["spec"]["securityContext"] == {
            "runAsNonRoot": True,
            "runAsUser": user,
            "runAsGroup": user,
            "fsGroup": group,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        }
    files = database("database_config_map", pod=pod, tls={"clients": "Require"})["data"]
    # PostgreSQL asks for its user's name, and lets in the one that is called postgres.
    assert files["passwd"].splitlines() == [
        "root:x:0:0:root:/root:/sbin/nologin",
        f"postgres:x:{user}:{user}:PostgreSQL:/tmp:/bin/sh",
    ]
    assert files["group"].splitlines() == ["root:x:0:", f"postgres:x:{user}:"]


def test_without_its_database_a_job_has_the_usual_user() -> None:
    for made in (removal(None), search(None)):
        assert made[1]["spec"]["template"]["spec"]["securityContext"]["runAsUser"] == 999


def test_text_is_not_a_template() -> None:
    texts = {"labels": {TEXT: TEXT}, "annotations": {TEXT: TEXT}, "nodeSelector": {TEXT: TEXT}}
    texts |= {"tolerations": [{"key": TEXT, "value": TEXT}], "priorityClassName": TEXT}
    made = template(pod=texts)
    for part in ("labels", "annotations"):
        assert made["metadata"][part][TEXT] == TEXT
    assert made["spec"]["nodeSelector"] == {TEXT: TEXT}
    assert made["spec"]["tolerations"] == [{"key": TEXT, "value": TEXT}]
    assert made["spec"]["priorityClassName"] == TEXT
    assert "42" not in as_text(made)


def test_the_schemas_of_both_kinds_of_pods_are_the_same() -> None:
    """Apart from what is said of instances only, and from the field's name in messages."""
    crd = yaml.safe_load((ROOT / "crds/database.example.com_databases.yaml").read_text())
    spec = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    of_pod, of_jobs = (spec["properties"][name]["properties"] for name in ("pod", "jobs"))
    of_instances = {"antiAffinity", "topologyKey"}
    assert of_pod.keys() - of_jobs.keys() == {
        "topologySpreadConstraints",
        "securityContext",
    }
    for name in PODS:
        texts = [json.dumps(schema[name]) for schema in (of_pod, of_jobs)]
        one, other = (json.loads(text.replace("jobs.", "pod.")) for text in texts)
        for schema in (one, other):
            schema.pop("description")
        if name == "affinity":
            for field in of_instances:
                del one["properties"][field]
        assert one == other, name


@pytest.mark.parametrize(
    "change",
    [
        {"image": "postgres:17.1"},
        {"resources": {"limits": {"memory": "2Gi"}}},
        {"pod": PODS},
        {"pod": {"securityContext": {"runAsUser": 1000650000}}},
        {"restartedAt": "2026-11-30T12:00:00Z"},
        {"replicas": 5},
        {"storage": {"size": "2Gi"}},
        {"tls": {"clients": "Prefer"}},
        {"tls": {"clients": "Require", "secretRef": {"name": "own"}}},
        {"reclaimPolicy": "Delete"},
        {"jobs": PODS},
        {"services": {"primary": {"type": "NodePort"}}},
        {"postgresql": {"parameters": {"work_mem": "8MB"}}},
        {"users": [{"name": "alice"}]},
        {"databases": [{"name": "stats"}]},
        {"agentUpdate": "Immediate"},
        {"hibernate": True},
        {"archive": {"destination": {"s3": S3}}},
    ],
)
def test_what_changes_a_pod_is_known_to(change: dict[str, Any]) -> None:
    """Else a change of it would not be followed: the template is kept while its inputs are."""

    def inputs(**spec: Any) -> dict[str, Any]:
        return template_inputs({"spec": {**DATABASE["spec"], **spec}}, migrating=False)

    assert (template(**change) != template()) == (inputs(**change) != inputs())
