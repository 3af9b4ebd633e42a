"""What a Database says of its pods (`spec.pod`) and of those of its Jobs (`spec.jobs`).

It is merged with what the operator sets itself, which is kept: the API server refuses labels and
annotations that would replace it, and here they do not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

_AS_GIVEN = ("nodeSelector", "tolerations", "priorityClassName", "imagePullSecrets")
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_NODE = "kubernetes.io/hostname"
RESTARTED = "database.example.com/restarted-at"
_POSTGRES = 999
"""The user of instances and Jobs, where the Database names no other."""


@dataclass(frozen=True)
class PodFields:
    """Parts of a pod.

    Attributes:
        spec: fields of the pod's spec, as Kubernetes has them.
    """

    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    spec: Mapping[str, Any] = field(default_factory=dict)

    def render(self) -> dict[str, Any]:
        """Return them as a pod has them; what is empty is left out."""
        metadata = {"labels": dict(self.labels), "annotations": dict(self.annotations)}
        return {
            "metadata": {name: found for name, found in metadata.items() if found},
            "spec": dict(self.spec),
        }


def job_fields(database: Mapping[str, Any] | None) -> PodFields:
    """Return what a Database says of its Jobs' pods; only who runs them where it is gone."""
    given = database["spec"].get("jobs") or {} if database else {}
    spec = {"securityContext": _security_context(database)}
    if given.get("affinity"):
        spec["affinity"] = given["affinity"]
    return _fields(given, spec)


def instance_fields(database: Mapping[str, Any]) -> PodFields:
    """Return what a Database says of its instances; without `pod` all is as it always was."""
    given = database["spec"].get("pod") or {}
    own = {"app": "database", "database": database["metadata"]["name"]}
    spec: dict[str, Any] = {
        "affinity": _instance_affinity(given.get("affinity") or {}, own),
        "securityContext": _security_context(database),
    }
    if given.get("topologySpreadConstraints"):
        # A constraint that selects no pods would have no effect.
        spec["topologySpreadConstraints"] = [
            {"labelSelector": {"matchLabels": own}, **constraint}
            for constraint in given["topologySpreadConstraints"]
        ]
    fields = _fields(given, spec)
    if database["spec"].get("restartedAt"):
        annotations = {**fields.annotations, RESTARTED: database["spec"]["restartedAt"]}
        return replace(fields, annotations=annotations)
    return fields


def _security_context(database: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the security context of a pod: only the numbers of user and groups are a Database's.

    Its Jobs have the same user: they share volumes with each other, and a passwd file with the
    instances.
    """
    pod = database["spec"].get("pod") or {} if database else {}
    given = pod.get("securityContext") or {}
    user = given.get("runAsUser", _POSTGRES)
    return {
        "runAsNonRoot": True,
        "runAsUser": user,
        "runAsGroup": user,
        "fsGroup": given.get("fsGroup", user),
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _fields(given: Mapping[str, Any], spec: Mapping[str, Any]) -> PodFields:
    as_given = {name: given[name] for name in _AS_GIVEN if given.get(name)}
    return PodFields(
        labels=given.get("labels") or {},
        annotations=given.get("annotations") or {},
        spec={**as_given, **spec},
    )


def _instance_affinity(given: Mapping[str, Any], own: Mapping[str, str]) -> dict[str, Any]:
    """Return the affinity by which instances are kept apart, beside what else was given."""
    apart = {
        "topologyKey": given.get("topologyKey", _NODE),
        "labelSelector": {"matchLabels": dict(own)},
    }
    anti = dict(given.get("podAntiAffinity") or {})
    if given.get("antiAffinity") == "Required":
        anti[_REQUIRED] = [apart, *anti.get(_REQUIRED, [])]
    else:
        anti[_PREFERRED] = [{"weight": 100, "podAffinityTerm": apart}, *anti.get(_PREFERRED, [])]
    kept = ("nodeAffinity", "podAffinity")
    return {name: given[name] for name in kept if given.get(name)} | {"podAntiAffinity": anti}
