"""Apply Kubernetes objects by server-side apply."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: apply
short_description: Apply Kubernetes objects by server-side apply
description:
  - Applies each object as the field manager C(postgres-operator), taking over fields that others own.
  - Fields that the objects do not name are not changed.
  - An object of that name that belongs to another program is not changed, and the module fails with the reason
    C(NameTaken). It does if neither its labels C(app) and C(database) nor its owner are those of the definition.
options:
  definitions:
    description: The objects, each with apiVersion, kind, and the metadata name and namespace.
    type: list
    elements: dict
    required: true
  inputs:
    description:
      - A digest of all that the objects are made from. With it, what was applied is remembered by an annotation of
        the last object, and M(postgres.operator.database_reconcile) can see that nothing has changed since.
    type: str
    default: ''
  template_inputs:
    description:
      - What the template of the last object's pods follows from. With it, the template is remembered too, so that it
        can be kept until that changes.
    type: dict
author: [postgres-operator maintainers]
"""

EXAMPLES = r"""
- name: Apply a Service
  postgres.operator.apply:
    definitions:
      - "{{ database_service }}"
"""

RETURN = r"""
written:
  description: The objects that were created or changed, as C(Kind/name).
  type: list
  elements: str
  returned: success
"""

from typing import Any

from ansible_collections.postgres.operator.plugins.module_utils.ansible_module import execute
from ansible_collections.postgres.operator.plugins.module_utils.kube.client import connect
from ansible_collections.postgres.operator.plugins.module_utils.kube.objects import refuse_foreign
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.applied import (
    content,
    remember,
)

ARGUMENT_SPEC = {
    "definitions": {"type": "list", "elements": "dict", "required": True},
    "inputs": {"type": "str", "default": ""},
    "template_inputs": {"type": "dict"},
}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Apply all definitions in their order."""
    cluster = connect()
    written = []
    results = []
    for definition in params["definitions"]:
        metadata = definition["metadata"]
        found = cluster.get(
            definition["apiVersion"], definition["kind"], metadata["namespace"], metadata["name"]
        )
        if found is not None:
            refuse_foreign(found, definition)
        applied = cluster.apply(definition, dry_run=check_mode)
        results.append(applied)
        if found is None or _differs(found, applied):
            written.append(f"{definition['kind']}/{metadata['name']}")
    if params["inputs"] and results and not check_mode:
        remember(cluster, params["inputs"], results, params["template_inputs"])
    return {"changed": bool(written), "written": written}


def _differs(found: dict[str, Any], applied: dict[str, Any]) -> bool:
    """Return whether the apply changed the object, or would have: a dry run makes no new version."""
    if found["metadata"]["resourceVersion"] != applied["metadata"]["resourceVersion"]:
        return True
    return content(found) != content(applied)


if __name__ == "__main__":
    execute(ARGUMENT_SPEC, run)
