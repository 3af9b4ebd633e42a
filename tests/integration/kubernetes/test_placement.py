"""What a Database may say of its pods and of its Jobs' pods: what is refused, with which words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from custom_resources import Create, patch
from kubernetes.client.exceptions import ApiException
from string_fields import SPECS

DATABASE: dict[str, Any] = {"databaseName": "app", "username": "app", "storage": {"size": "1Gi"}}
VALUE = "letters, digits, '.', '_' and '-', and begins and ends with a"
KEY = "is no name of a label; write it like team or"
NODE_NAME = "a value of the field metadata.name is no name of a node; see kubectl get nodes"
SPREAD = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}
TAKEN_LABELS = (
    "app",
    "database",
    "role",
    "control-plane",
    "job-name",
    "controller-uid",
    "controller-revision-hash",
    "pod-template-hash",
    "app.kubernetes.io/managed-by",
    "apps.kubernetes.io/pod-index",
    "statefulset.kubernetes.io/pod-name",
    "batch.kubernetes.io/job-name",
    "controller.kubernetes.io/hash",
    "database.example.com/s3-port",
)
TAKEN_ANNOTATIONS = (
    "status",
    "database.example.com/variables",
    "kubectl.kubernetes.io/default-container",
    "batch.kubernetes.io/job-completion-index",
    "container.apparmor.security.beta.kubernetes.io/postgres",
    "seccomp.security.alpha.kubernetes.io/pod",
)


def node_affinity(**requirement: Any) -> dict[str, Any]:
    terms = {"nodeSelectorTerms": [{"matchExpressions": [{"key": "disk"} | requirement]}]}
    return {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}}


def toleration(**fields: Any) -> dict[str, Any]:
    return {"tolerations": [fields]}


def refusal(create: Create, name: str, spec: dict[str, Any]) -> str:
    with pytest.raises(ApiException) as caught:
        create("Database", name, DATABASE | spec, dry_run="All")
    assert caught.value.status in {400, 422}, caught.value
    return str(json.loads(caught.value.body)["message"])


@pytest.mark.parametrize("field", ["pod", "jobs"])
@pytest.mark.parametrize(
    ("given", "message"),
    [
        *(
            ({"labels": {key: "x"}}, ".labels has one that the operator, Patroni or Kubernetes")
            for key in TAKEN_LABELS
        ),
        *(({"labels": {key: "x"}}, KEY) for key in ("", "-a", "a b", "A/b", "a/b/c", "a" * 64)),
        *(({"labels": {"a": value}}, VALUE) for value in ("-a", "a b", "a/b", "{{ 6 * 7 }}")),
        ({"labels": {"a": "b" * 64}}, "may not be more than 63"),
        ({"labels": {f"a{n}": "b" for n in range(17)}}, "must have at most 16"),
        *(
            ({"annotations": {key: "x"}}, ".annotations has one that the operator, Patroni or")
            for key in TAKEN_ANNOTATIONS
        ),
        ({"annotations": {"a b": "x"}}, "is no name of an annotation; write it like team or"),
        ({"annotations": {"a": "b" * 4097}}, "may not be more than 4096"),
        ({"nodeSelector": {"a b": "x"}}, KEY),
        ({"nodeSelector": {"a": "b c"}}, VALUE),
        (toleration(), "a toleration without key is of every taint; add key, or operator: Exists"),
        (toleration(operator="Equal"), "a toleration without key is of every taint; add key"),
        (toleration(key="a b"), "key is no name of a taint; write it like dedicated"),
        (toleration(key="a", operator="In"), 'supported values: "Exists", "Equal"'),
        (
            toleration(key="a", operator="Exists", value="b"),
            "the operator Exists compares with nothing; leave value out",
        ),
        (toleration(key="a", value="b c"), VALUE),
        (
            toleration(key="a", tolerationSeconds=60),
            "tolerationSeconds is how long a pod stays after the effect NoExecute; add effect",
        ),
        (toleration(key="a", effect="Never"), 'supported values: "NoSchedule"'),
        *(
            (node_affinity(operator=operator), "compare with values; write at least one in values")
            for operator in ("In", "NotIn")
        ),
        *(
            (
                node_affinity(operator=operator, values=["a"]),
                "the operators Exists and DoesNotExist compare with nothing; leave values out",
            )
            for operator in ("Exists", "DoesNotExist")
        ),
        *(
            (
                node_affinity(operator="Gt", **values),
                "the operators Gt and Lt compare with one whole number; write it in values",
            )
            for values in ({}, {"values": ["a"]}, {"values": ["1", "2"]})
        ),
        (node_affinity(key="a b", operator="Exists"), "key is no name of a label; write it like"),
        (node_affinity(operator="Like", values=["a"]), 'supported values: "In", "NotIn"'),
        ({"priorityClassName": "system-node-critical"}, "is for Kubernetes' own pods; write one"),
        ({"priorityClassName": "High"}, "no name of a PriorityClass; see kubectl get priorityclass"),
        ({"imagePullSecrets": [{"name": "../x"}]}, "that is no name of a Secret; write one such"),
        ({"imagePullSecrets": [{"name": "a"}, {"name": "a"}]}, "Duplicate value"),
        ({"imagePullSecrets": [{}]}, "name: Required value"),
    ],
)  # fmt: skip
def test_what_is_refused(
    create: Create, name: str, field: str, given: dict[str, Any], message: str
) -> None:
    assert message in refusal(create, name, {field: given})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"affinity": {"antiAffinity": "Never"}}, 'supported values: "Preferred", "Required"'),
        ({"affinity": {"topologyKey": "a b"}}, "topologyKey is no name of a label; write"),
        *(
            ({"topologySpreadConstraints": [SPREAD | change]}, message)
            for change, message in (
                ({"maxSkew": 0}, "should be greater than or equal to 1"),
                ({"topologyKey": "a b"}, "topologyKey is no name of a label; write"),
                ({"whenUnsatisfiable": "Wait"}, 'supported values: "DoNotSchedule"'),
                ({"minDomains": 2}, "minDomains needs whenUnsatisfiable: DoNotSchedule; write"),
                ({"labelSelector": {"matchLabels": {"a b": "c"}}}, KEY),
            )
        ),
        ({"topologySpreadConstraints": [SPREAD, SPREAD]}, "Duplicate value"),
        *(
            ({"securityContext": {field: number}}, f"{field} is the number of a {what} that is not")
            for field, what in (("runAsUser", "user"), ("fsGroup", "group"))
            for number in (0, -1, 2**31)
        ),
        *(
            ({"securityContext": {field: value}}, "unknown field")
            for field, value in (
                ("runAsNonRoot", False),
                ("privileged", True),
                ("seccompProfile", {"type": "Unconfined"}),
                ("supplementalGroups", [0]),
            )
        ),
    ],
)
def test_what_is_refused_of_instances(
    create: Create, name: str, given: dict[str, Any], message: str
) -> None:
    assert message in refusal(create, name, {"pod": given})


@pytest.mark.parametrize(
    "given",
    [
        {"labels": {"a": "", "example.com/role": "x", "app.kubernetes.io/name": "shop"}},
        {"annotations": {"sidecar.istio.io/inject": "false", "a": "{{ 6 * 7 }}\n"}},
        {"nodeSelector": {"kubernetes.io/arch": "amd64"}},
        toleration(operator="Exists"),
        toleration(key="a", effect="NoExecute", tolerationSeconds=60),
        node_affinity(operator="Lt", values=["10"]),
        node_affinity(operator="Exists"),
        {"priorityClassName": "high"},
        {},
    ],
)
def test_what_is_accepted(create: Create, name: str, given: dict[str, Any]) -> None:
    spec = {"pod": given, "jobs": given}
    made = create("Database", name, DATABASE | spec, dry_run="All")["spec"]
    assert made["jobs"] == given
    assert made["pod"].keys() == given.keys()


def test_all_of_it_can_be_changed_and_left_out_again(create: Create, name: str) -> None:
    database = create("Database", name, DATABASE)
    full = {field: SPECS["Database"][0][field] for field in ("pod", "jobs")}
    made = patch(database, full)["spec"]
    assert made["pod"]["topologySpreadConstraints"] == full["pod"]["topologySpreadConstraints"]
    assert "pod" not in patch(database, {"pod": None, "jobs": None})["spec"]


def test_instances_are_apart_by_default_where_that_is_possible(create: Create, name: str) -> None:
    made = create("Database", name, DATABASE | {"pod": {"affinity": {}}}, dry_run="All")
    assert made["spec"]["pod"]["affinity"] == {
        "antiAffinity": "Preferred",
        "topologyKey": "kubernetes.io/hostname",
    }


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, {"runAsUser": 1000}),
        ({"runAsUser": 1000}, None),
        ({"runAsUser": 1000}, {"runAsUser": 1001}),
        ({"runAsUser": 1000}, {"runAsUser": None}),
    ],
)
def test_the_user_stays(create: Create, name: str, before: Any, after: Any) -> None:
    """Files of a volume belong to it."""
    given = {"pod": {"securityContext": before}} if before else {}
    database = create("Database", name, DATABASE | given)
    with pytest.raises(ApiException) as caught:
        patch(database, {"pod": {"securityContext": after}})
    assert (
        "runAsUser cannot be changed (999 without it)" in json.loads(caught.value.body)["message"]
    )


def test_the_group_of_volumes_and_what_is_no_change_may_be_written(
    create: Create, name: str
) -> None:
    database = create("Database", name, DATABASE)
    made = patch(database, {"pod": {"securityContext": {"fsGroup": 2000}}})["spec"]["pod"]
    assert made["securityContext"] == {"runAsUser": 999, "fsGroup": 2000}
    assert "pod" not in patch(database, {"pod": None})["spec"]
