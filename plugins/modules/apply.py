"""Make Kubernetes objects true by server-side apply."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: apply
short_description: Make Kubernetes objects true by server-side apply
description:
  - Applies each object as the field manager C(postgres-operator), taking over fields that others own.
  - Fields that the objects do not name are left to whoever set them.
options:
  definitions:
    description: The objects, each with apiVersion, kind, and the metadata name and namespace.
    type: list
    elements: dict
    required: true
author: [postgres-operator maintainers]
"""

EXAMPLES = r"""
- name: The Service exists
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
from ansible_collections.postgres.operator.plugins.module_utils.kubernetes.client import connect

ARGUMENT_SPEC = {"definitions": {"type": "list", "elements": "dict", "required": True}}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Apply all definitions in their order."""
    cluster = connect()
    written = []
    for definition in params["definitions"]:
        metadata = definition["metadata"]
        found = cluster.get(
            definition["apiVersion"], definition["kind"], metadata["namespace"], metadata["name"]
        )
        applied = cluster.apply(definition, dry_run=check_mode)
        if found is None or _version(found) != _version(applied):
            written.append(f"{definition['kind']}/{metadata['name']}")
    return {"changed": bool(written), "written": written}


def _version(found: dict[str, Any]) -> str:
    """Return what the API server changes with every write that changes something."""
    version: str = found["metadata"]["resourceVersion"]
    return version


def main() -> None:
    """Run as an ordinary module."""
    execute(ARGUMENT_SPEC, run)


if __name__ == "__main__":
    main()
