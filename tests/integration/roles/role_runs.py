"""Runs the roles as ansible-operator does, and makes the resources that they work on."""

from __future__ import annotations

import copy
import json
from typing import Any

import yaml
from collection_root import CHECKOUT, ensure_collection_root
from string_fields import SPECS
from stub_cluster import StubCluster
from warm_box import Outcome, WarmBox

VERSION = "database.example.com/v1"
ROLES = ensure_collection_root() / "ansible_collections" / "postgres" / "operator" / "roles"
SPACE = {"namespace": "shop"}


def spec_of(kind: str) -> dict[str, Any]:
    """Return a valid spec."""
    spec = copy.deepcopy(SPECS[kind][0])
    spec.pop("backupRef" if kind == "Database" else "", None)
    return spec


def resource(kind: str, name: str, spec: Any, text: str = "", **status: Any) -> dict[str, Any]:
    """Return a resource; the text is in an annotation, since labels cannot have it."""
    metadata = {"name": name, **SPACE, "annotations": {"example.com/note": text}}
    found = {"apiVersion": VERSION, "kind": kind, "metadata": metadata, "spec": spec}
    return found | {"status": status} if status else found


def add_database(cluster: StubCluster, name: str, spec: Any = None) -> None:
    conditions = [{"type": "Ready", "status": "True", "reason": "Ready"}]
    ready = {"phase": "Ready", "writable": True, "encrypted": True, "conditions": conditions}
    cluster.add(resource("Database", name, spec or spec_of("Database"), **ready))


def add_claim(cluster: StubCluster, database: str) -> None:
    metadata = {"name": f"{database}-backups", **SPACE}
    cluster.add(
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": {}}
    )


def add_backup(cluster: StubCluster, name: str, spec: Any = None, text: str = "") -> None:
    status = {"phase": "Completed", "sha256": "ab", "backupLocation": "s3://safe/shop/app/uid"}
    cluster.add(resource("Backup", name, spec or spec_of("Backup"), text, **status))


def add_secret(cluster: StubCluster, name: str) -> None:
    data = dict.fromkeys(("accessKeyId", "secretAccessKey", "ca.crt", "identity"), "YQ==")
    metadata = {"name": name, **SPACE}
    cluster.add({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})


def handed_over(kind: str, value: Any) -> Any:
    """Return what ansible-operator passes of a resource: marked where watches.yaml says so."""
    watches = yaml.safe_load((CHECKOUT / "watches.yaml").read_text())
    (watch,) = [found for found in watches if found["kind"] == kind]
    return unsafe(value) if watch.get("markUnsafe") else value


def unsafe(value: Any) -> Any:
    """Mark texts as ansible-operator does with `markUnsafe: true`."""
    if isinstance(value, dict):
        return {key: unsafe(item) for key, item in value.items()}
    if isinstance(value, list):
        return [unsafe(item) for item in value]
    return {"__ansible_unsafe": value} if isinstance(value, str) else value


def run(box: WarmBox, role: str, looked_at: dict[str, Any], **environment: str) -> Outcome:
    """Run a role as ansible-operator does, with all that it passes along."""
    kind, name = looked_at["kind"], f"_database_example_com_{looked_at['kind'].lower()}"
    marked = handed_over(kind, looked_at)
    passed = marked["spec"] | {
        "ansible_operator_meta": {"name": looked_at["metadata"]["name"], **SPACE},
        name: marked,
        f"{name}_spec": marked["spec"],
    }
    folder = box.private_folder("", env__extravars=json.dumps(passed))
    arguments = [
        *("run", str(folder), "--rotate-artifacts", "20", "--role", role),
        *("--roles-path", f"{ROLES}/", "--hosts", "localhost", "-i", "1", "--role-skip-facts"),
    ]
    process = box.start(arguments, **environment)
    output, _ = process.communicate(timeout=120)
    return Outcome(folder, process.returncode, output)
