"""Set annotations of a custom resource."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: annotate
short_description: Set annotations of a custom resource
description:
  - A change of an annotation has a resource reconciled if its watch has C(watchAnnotationsChanges).
  - A resource that does not exist is left alone.
extends_documentation_fragment: postgres.operator.resource.name
options:
  kind:
    description: Database, Backup or Restore.
    type: str
    required: true
  annotations:
    description: The annotations to set.
    type: dict
    required: true
author: [postgres-operator maintainers]
"""

EXAMPLES = r"""
- name: Notify the schedule that its run has ended
  postgres.operator.annotate:
    kind: Backup
    name: nightly
    namespace: shop
    annotations:
      database.example.com/last-ended: nightly-20260101030000
"""

RETURN = r""" # """

from typing import Any

from ansible_collections.postgres.operator.plugins.module_utils.ansible_module import (
    RESOURCE_OPTIONS,
    execute,
)
from ansible_collections.postgres.operator.plugins.module_utils.kube.client import (
    GROUP_VERSION,
    connect,
)

ARGUMENT_SPEC = {
    **RESOURCE_OPTIONS,
    "kind": {"type": "str", "required": True},
    "annotations": {"type": "dict", "required": True},
}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Merge what differs."""
    cluster = connect()
    kind, namespace, name = params["kind"], params["namespace"], params["name"]
    found = cluster.get(GROUP_VERSION, kind, namespace, name)
    if found is None:
        return {"changed": False}
    present = found["metadata"].get("annotations") or {}
    changed = not params["annotations"].items() <= present.items()
    if changed and not check_mode:
        patch = {"metadata": {"annotations": params["annotations"]}}
        cluster.merge(GROUP_VERSION, kind, namespace, name, patch)
    return {"changed": changed}


if __name__ == "__main__":
    execute(ARGUMENT_SPEC, run)
