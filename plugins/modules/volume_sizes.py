"""Have the volumes of a Database grow to the size of its spec, one after the other."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: volume_sizes
short_description: Have the volumes of a Database grow to the size of its spec
description:
  - Gives at most one claim of an instance the size of the spec, and the next one only once that volume has it. Never waits.
  - Makes the claims of instances to come, where the StatefulSet, whose template of claims cannot be changed, would make
    them with another size.
  - A claim that Kubernetes does not let grow is no failure; C(differs) says why.
options:
  resource:
    description: The Database.
    type: dict
    required: true
  allowed:
    description: Whether a claim may be changed; otherwise they are only read.
    type: bool
    default: true
author: [postgres-operator maintainers]
"""

EXAMPLES = r"""
- name: Have the volumes grow
  postgres.operator.volume_sizes:
    resource: "{{ database_reconcile.resource }}"
  register: database_volumes
"""

RETURN = r"""
written:
  description: The claims that were changed or created, as C(Kind/name).
  type: list
  elements: str
  returned: success
message:
  description: What is done or awaited, in words; empty where nothing is.
  type: str
  returned: success
differs:
  description:
    - A condition's reason and message where volumes do not become what the spec asks for; empty where all do.
  type: list
  elements: str
  returned: success
capacities:
  description: The size of the volume of each instance that has one.
  type: dict
  returned: success
unbound:
  description: Of each instance whose claim has no volume, what there is to do if none comes.
  type: dict
  returned: success
"""

from typing import Any

from ansible_collections.postgres.operator.plugins.module_utils.ansible_module import execute
from ansible_collections.postgres.operator.plugins.module_utils.kube.client import connect
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.volumes import (
    ensure_sizes,
)

ARGUMENT_SPEC = {
    "resource": {"type": "dict", "required": True},
    "allowed": {"type": "bool", "default": True},
}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Take the next step."""
    found = ensure_sizes(connect(), params["resource"], params["allowed"], dry_run=check_mode)
    return {"changed": bool(found["written"]), **found}


if __name__ == "__main__":
    execute(ARGUMENT_SPEC, run)
