"""Every field of the CRDs that a person can write any text into, and texts that are more than that.

Made from the schemas, so a new field is tested by itself.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

CRDS = Path(__file__).resolve().parents[2] / "crds"
KINDS = ("Database", "Backup", "Restore")

EVALUATED = "evalu" + "ated"
"""What the templates among the texts come to, and nothing else here says."""

TEXTS = {
    "expression": "{{ 'evalu' ~ 'ated' }}",
    "statement": "{% if true %}evalu{% endif %}{% if true %}ated{% endif %}",
    "shell": "$(printf evalu''ated); `id` && x | y > z",
    "path": "../x",
    "dots": "..",
    "lines": "a\r\nb\x1b[2J",
    "quotes": "\"'`\\\"''",
    "conninfo": "x host=127.0.0.1 user=x",
}

Path_ = tuple[str | int, ...]
KEY = "(key)"
"""Stands for the key in a map, where the text is to be that."""

_S3 = {
    "endpoint": "http://s3.example.com",
    "proxy": "http://proxy.example.com:3128",
    "region": "eu",
    "bucket": "safe",
    "prefix": "team",
    "credentialsSecretRef": {"name": "secret"},
    "caSecretRef": {"name": "secret"},
    "sse": "AES256",
}
_ARCHIVE = {"destination": {"s3": _S3}, "encryption": {"recipients": ["age1" + "q" * 58]}}
_SOME = {"schemas": ["public"], "tables": ["public.song"]}
_ARTIFACT = {
    "namespace": "lost",
    "database": "app",
    "uid": "0f8fad5b-d9cb-469f-a165-70867728950e",
    "sha256": "0" * 64,
}
_BACKUP = {
    "databaseRef": {"name": "app"},
    "verify": "restore",
    "parallelism": 2,
    "deletionPolicy": "Retain",
    "timeout": "72h",
    "retry": {"times": 1, "delay": "5m"},
    "compression": {"method": "zstd"},
    "encryption": {"secretRef": {"name": "secret"}},
    "include": _SOME,
    "exclude": {"schemas": ["log"], "tables": ["public.log"]},
}


def _term() -> dict[str, Any]:
    return {
        "matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}],
        "matchFields": [{"key": "metadata.name", "operator": "In", "values": ["node-1"]}],
    }


def _pods() -> dict[str, Any]:
    """What may be said of the pods of instances and of Jobs; nothing of it is shared."""
    toleration = {"key": "dedicated", "operator": "Equal", "value": "shop", "effect": "NoSchedule"}
    affinity = {
        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [_term()]},
        "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference": _term()}],
    }
    return {
        "labels": {"team": "shop"},
        "annotations": {"example.com/team": "shop"},
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [toleration],
        "affinity": {"nodeAffinity": affinity},
        "priorityClassName": "high",
        "imagePullSecrets": [{"name": "secret"}],
    }


def _service() -> dict[str, Any]:
    return {
        "type": "LoadBalancer",
        "labels": {"team": "shop"},
        "annotations": {"example.com/team": "shop"},
        "loadBalancerSourceRanges": ["192.0.2.0/24"],
    }


_APART = {"antiAffinity": "Required", "topologyKey": "kubernetes.io/hostname"}
_SPREAD = {
    "maxSkew": 1,
    "topologyKey": "topology.kubernetes.io/zone",
    "whenUnsatisfiable": "DoNotSchedule",
    "labelSelector": {
        "matchLabels": {"team": "shop"},
        "matchExpressions": [{"key": "team", "operator": "In", "values": ["shop"]}],
    },
    "nodeAffinityPolicy": "Honor",
    "nodeTaintsPolicy": "Honor",
}
SPECS: dict[str, list[dict[str, Any]]] = {
    "Database": [
        {
            "image": "postgres:17",
            "replicas": 1,
            "databaseName": "app",
            "username": "app",
            "storage": {"size": "1Gi", "storageClass": "standard"},
            "resources": {"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}},
            "pod": _pods()
            | {
                "affinity": _pods()["affinity"] | _APART,
                "topologySpreadConstraints": [_SPREAD],
                "securityContext": {"runAsUser": 999, "fsGroup": 2000},
            },
            "jobs": _pods()
            | {
                "resources": {
                    "requests": {"cpu": "1", "memory": "1Gi", "ephemeral-storage": "1Gi"},
                    "limits": {"cpu": "1", "memory": "1Gi", "ephemeral-storage": "1Gi"},
                }
            },
            "services": {"primary": _service(), "replicas": _service()},
            "tls": {"clients": "Require"},
            "postgresql": {"hba": ["hostssl app app 10.0.0.0/8 scram-sha-256"]},
            "archive": copy.deepcopy(_ARCHIVE),
            "reclaimPolicy": "Retain",
            "maintenanceWindows": [
                {"schedule": "0 3 * * 6", "timeZone": "UTC", "duration": "2h"},
            ],
            "backupRef": {
                "name": "nightly",
                "pointInTime": "2026-01-31T14:03:00Z",
                "sourceDatabase": "app",
            },
            "databases": [
                {
                    "name": "stats",
                    "ensure": "present",
                    "owner": "keeper",
                    "schemas": [{"name": "reports", "ensure": "present", "owner": "keeper"}],
                    "extensions": [
                        {
                            "name": "pg_trgm",
                            "ensure": "present",
                            "version": "1.6",
                            "schema": "reports",
                        }
                    ],
                }
            ],
            "users": [
                {
                    "name": "reporting",
                    "ensure": "present",
                    "validUntil": "2027-01-31T00:00:00Z",
                    "memberOf": ["pg_read_all_data"],
                    "passwordSecretRef": {"name": "reporting", "key": "password"},
                },
                {"name": "keeper"},
            ],
        },
        *(
            {
                "databaseName": "app",
                "username": "app",
                "storage": {"size": "1Gi"},
                "backupRef": {"name": "nightly", **target},
            }
            for target in ({"restorePoint": "before"}, {"lsn": "0/3000028"}, {"xid": "741"})
        ),
    ],
    "Backup": [
        _BACKUP | {"destination": {"s3": _S3}},
        _BACKUP | {"destination": {"pvc": {"size": "1Gi", "storageClass": "standard"}}},
        _BACKUP | {"schedule": "0 3 * * *", "timeZone": "UTC"},
        {
            key: value
            for key, value in _BACKUP.items()
            if key not in {"include", "exclude", "compression"}
        }
        | {"artifact": _ARTIFACT},
    ],
    "Restore": [
        {
            "databaseRef": {"name": "app"},
            "backupRef": {"name": "nightly"},
            "targetDatabase": "beside",
            "include": _SOME,
            "exclude": {"schemas": ["log"], "tables": ["public.log"]},
            "dryRun": False,
            "safetyBackup": False,
            "keepPrevious": "24h",
            "timeout": "72h",
        },
        {
            "databaseRef": {"name": "app"},
            "backupRef": {"name": "base"},
            "pointInTime": "2026-01-31T15:03:00.5+01:00",
            "sourceDatabase": "shop",
        },
        *(
            {"databaseRef": {"name": "app"}, "backupRef": {"name": "base"}, **target}
            for target in (
                {"restorePoint": "before"},
                {"lsn": "0/3000028"},
                {"xid": "741"},
                {"latest": True},
            )
        ),
    ],
}
"""For each kind specs that are valid and together have every field that matters here."""


def string_fields(kind: str, free: bool = False) -> list[Path_]:
    """Return the path of each field in a kind's spec that is a string, or may be one.

    Args:
        free: leave out those of which the schema itself lists the values, or says the format.
    """
    path = CRDS / f"database.example.com_{kind.lower()}s.yaml"
    schema = yaml.safe_load(path.read_text())["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return list(_walk(schema["properties"]["spec"], ("spec",), free))


def _walk(schema: dict[str, Any], path: Path_, free: bool) -> Iterator[Path_]:
    kinds = {schema.get("type"), *(option.get("type") for option in schema.get("anyOf", []))}
    if "string" in kinds and not (free and ("enum" in schema or "format" in schema)):
        yield path
    for name, field in schema.get("properties", {}).items():
        yield from _walk(field, (*path, name), free)
    if "items" in schema:
        yield from _walk(schema["items"], (*path, 0), free)
    if isinstance(values := schema.get("additionalProperties"), dict):
        yield (*path, KEY)
        yield from _walk(values, (*path, "any"), free)


def spec_with(kind: str, path: Path_, text: str) -> dict[str, Any]:
    """Return a spec that has the text in the field, and is valid but for that."""
    spec = copy.deepcopy(SPECS[kind][variant_with(kind, path)])
    put(spec, path, text)
    return spec


def variant_with(kind: str, path: Path_) -> int:
    """Return which of SPECS has the field; the first for one that none has yet."""
    found = [number for number, spec in enumerate(SPECS[kind]) if _has(spec, path[1:])]
    return found[0] if found else 0


def put(spec: dict[str, Any], path: Path_, text: str) -> None:
    """Write the text into the field of a spec."""
    holder: Any = {"spec": spec}
    for step, following in itertools.pairwise(path):
        if isinstance(holder, dict) and step not in holder:
            holder[step] = [None] if following == 0 else {}
        holder = holder[step]
    if path[-1] == KEY:
        holder[text] = "1"
    else:
        holder[path[-1]] = text


def _has(value: Any, path: Path_) -> bool:
    for step in path:
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list) and step == 0:
            value = value[0]
        else:
            # A map has any key.
            return step in {KEY, "any"}
    return True


def field_id(value: object) -> str:
    """Name a test after a field."""
    return ".".join(map(str, value)) if isinstance(value, tuple) else str(value)
