"""The project's resources by the plain Kubernetes client, and its modules as Ansible calls them."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from kubernetes import client

GROUP, VERSION = "database.example.com", "v1"
Resource = dict[str, Any]
Create = Callable[..., Resource]


def _plural(kind: str) -> str:
    return f"{kind.lower()}s"


def create_resource(namespace: str, kind: str, name: str, spec: object, **options: str) -> Resource:
    """Create a resource; unknown fields are errors unless the options say otherwise."""
    body = {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    }
    created: Resource = client.CustomObjectsApi().create_namespaced_custom_object(
        GROUP, VERSION, namespace, _plural(kind), body, **{"field_validation": "Strict"} | options
    )
    return created


def read_again(resource: Resource) -> Resource:
    """Return the resource as it is now."""
    found: Resource = client.CustomObjectsApi().get_namespaced_custom_object(*_address(resource))
    return found


def patch(resource: Resource, change: Resource, status: bool = False) -> Resource:
    """Merge a change into the resource, or into its status."""
    api = client.CustomObjectsApi()
    if status:
        change = {"status": change}
        patched: Resource = api.patch_namespaced_custom_object_status(*_address(resource), change)
    else:
        patched = api.patch_namespaced_custom_object(*_address(resource), {"spec": change})
    return patched


def annotate(resource: Resource, annotations: dict[str, str]) -> Resource:
    """Set annotations of the resource."""
    annotated: Resource = client.CustomObjectsApi().patch_namespaced_custom_object(
        *_address(resource), {"metadata": {"annotations": annotations}}
    )
    return annotated


def delete(resource: Resource) -> None:
    """Delete the resource."""
    client.CustomObjectsApi().delete_namespaced_custom_object(*_address(resource))


def _address(resource: Resource) -> tuple[str, str, str, str, str]:
    metadata = resource["metadata"]
    return GROUP, VERSION, metadata["namespace"], _plural(resource["kind"]), metadata["name"]


def run_module(module: ModuleType, check_mode: bool, **arguments: object) -> Resource:
    """Run a module's work with its options validated and their defaults filled in."""
    validated = ArgumentSpecValidator(module.ARGUMENT_SPEC).validate(arguments)
    assert not validated.error_messages, validated.error_messages
    result: Resource = module.run(validated.validated_parameters, check_mode)
    return result
