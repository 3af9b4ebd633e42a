"""Apply the reclaimPolicy of a Database to its volumes."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: reclaim_policy
short_description: Apply the reclaimPolicy of a Database to its volumes
description:
  - Sets what C(reclaimPolicy) asks for on an existing StatefulSet and the claims of former instances, also while
    nothing else of the spec can be applied.
  - Nothing is deleted here. Without a StatefulSet there is nothing to do.
options:
  resource:
    description: The Database.
    type: dict
    required: true
author: [postgres-operator maintainers]
"""

EXAMPLES = r"""
- name: Apply the reclaimPolicy to the volumes
  postgres.operator.reclaim_policy:
    resource: "{{ database_reconcile.resource }}"
"""

RETURN = r"""
written:
  description: The objects that were changed, as C(Kind/name).
  type: list
  elements: str
  returned: success
"""

from typing import Any

from ansible_collections.postgres.operator.plugins.module_utils.ansible_module import execute
from ansible_collections.postgres.operator.plugins.module_utils.kube.client import connect
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.volumes import (
    enforce_reclaim_policy,
)

ARGUMENT_SPEC = {"resource": {"type": "dict", "required": True}}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Change what differs."""
    written = enforce_reclaim_policy(connect(), params["resource"], dry_run=check_mode)
    return {"changed": bool(written), "written": written}


if __name__ == "__main__":
    execute(ARGUMENT_SPEC, run)
