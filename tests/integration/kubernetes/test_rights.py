"""What the operator's ServiceAccount may do, in both installations, as the API server says."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from collection_root import CHECKOUT
from kubernetes import client, utils

GOLDEN = Path(__file__).parent / "rights"
OWN = CHECKOUT / ".cluster" / "bin" / "kubectl"
KUBECTL = str(OWN) if OWN.exists() else "kubectl"
KINDS = {"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "ServiceAccount"}
ACCOUNT = "postgres-operator-controller-manager"
CLUSTER_SCOPED = {"ClusterRole", "ClusterRoleBinding"}


def kubectl(*words: str) -> str:
    done = subprocess.run([KUBECTL, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def render(installation: str) -> list[dict[str, Any]]:
    text = kubectl("kustomize", str(CHECKOUT / "config" / installation))
    return list(yaml.safe_load_all(text))


def move(manifest: dict[str, Any], namespace: str) -> dict[str, Any]:
    """Give an object the tests' namespace, or where it has none a name of its own."""
    metadata = manifest["metadata"]
    if manifest["kind"] in CLUSTER_SCOPED:
        metadata["name"] = f"{namespace}-{metadata['name']}"
    else:
        metadata["namespace"] = namespace
    # The aggregated roles must not add to the rights here.
    metadata.pop("labels", None)
    for subject in manifest.get("subjects", []):
        subject["namespace"] = namespace
    if manifest.get("roleRef", {}).get("kind") == "ClusterRole":
        manifest["roleRef"]["name"] = f"{namespace}-{manifest['roleRef']['name']}"
    return manifest


def remove(manifest: dict[str, Any]) -> None:
    rbac, name = client.RbacAuthorizationV1Api(), manifest["metadata"]["name"]
    if manifest["kind"] == "ClusterRole":
        rbac.delete_cluster_role(name)
    elif manifest["kind"] == "ClusterRoleBinding":
        rbac.delete_cluster_role_binding(name)


@pytest.fixture(params=["default", "namespaced"])
def installation(request, namespace: str) -> Iterator[str]:
    """The rights of an installation, in a namespace of its own."""
    own = f"{namespace}-{request.param}"
    core = client.CoreV1Api()
    core.create_namespace({"metadata": {"name": own}})
    manifests = [move(found, own) for found in render(request.param) if found["kind"] in KINDS]
    try:
        for manifest in manifests:
            utils.create_from_dict(client.ApiClient(), manifest)
        yield request.param
    finally:
        for manifest in manifests:
            if manifest["kind"] in CLUSTER_SCOPED:
                remove(manifest)
        core.delete_namespace(own)


def rights(account: str, namespace: str, where: str) -> set[str]:
    """What `kubectl auth can-i --list` says, a line each, without runs of spaces."""
    user = f"--as=system:serviceaccount:{namespace}:{account}"
    text = kubectl("auth", "can-i", "--list", "--no-headers", user, f"--namespace={where}")
    return {" ".join(line.split()) for line in text.splitlines()}


def test_the_rights_are_those_that_are_written_down(installation: str, namespace: str) -> None:
    own = f"{namespace}-{installation}"
    everybody = rights("default", own, own)
    for where, place in ((own, "own"), ("default", "other")):
        found = sorted(rights(ACCOUNT, own, where) - everybody)
        golden = GOLDEN / f"{installation}-{place}-namespace.txt"
        assert found == golden.read_text().splitlines(), golden


def test_one_namespace_needs_nothing_of_the_cluster() -> None:
    kinds = {manifest["kind"] for manifest in render("namespaced")}
    assert not kinds & {*CLUSTER_SCOPED, "Namespace", "CustomResourceDefinition"}
    own = managers_rules("namespaced", "Role")
    assert own == managers_rules("default", "ClusterRole")


def managers_rules(installation: str, kind: str) -> set[tuple[tuple[str, ...], ...]]:
    """What the operator may do: API groups, resources and verbs of each rule."""
    return {
        (tuple(rule["apiGroups"]), tuple(rule["resources"]), tuple(rule["verbs"]))
        for manifest in render(installation)
        if manifest["kind"] == kind and manifest["metadata"]["name"] == "postgres-operator-manager"
        for rule in manifest["rules"]
    }


@pytest.mark.parametrize("name", ["default", "namespaced"])
def test_an_image_by_digest_goes_to_operator_and_agent(name: str, tmp_path: Path) -> None:
    image = "registry.example:5000/team/postgres-operator@sha256:" + "0" * 64
    target = {"default": "manifests", "namespaced": "manifests-namespaced"}[name]
    done = subprocess.run(
        ["make", target, f"IMG={image}", "NAMESPACE=shop", f"DIST={tmp_path}"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (path,) = tmp_path.iterdir()
    documents = list(yaml.safe_load_all(path.read_text()))
    (deployment,) = [found for found in documents if found["kind"] == "Deployment"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    environment = {variable["name"]: variable.get("value") for variable in container["env"]}
    assert (container["image"], environment["OPERATOR_IMAGE"]) == (image, image)
    if name == "namespaced":
        assert {found["metadata"]["namespace"] for found in documents} == {"shop"}
