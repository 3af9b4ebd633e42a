"""Write the status of a custom resource if it changed."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: status
short_description: Write the status of a custom resource if it changed
description:
  - Decides phase, conditions and the other fields from what was observed, and writes them where something differs.
  - A resource that was deleted meanwhile is left alone, and so is another one that has its name by then.
  - Every change of phase or of a condition's reason becomes an Event.
options:
  resource:
    description: The Database, Backup or Restore.
    type: dict
    required: true
  observation:
    description:
      - What was observed, as the deciding function of the kind takes it
        (plugins/module_utils/resources/*/status.py).
    type: dict
    required: true
author: [postgres-operator maintainers]
"""

EXAMPLES = r"""
- name: Write the status
  postgres.operator.status:
    resource: "{{ backup_info.resource }}"
    observation: "{{ backup_info.observation }}"
  register: backup_status
"""

RETURN = r"""
phase:
  description: The phase.
  type: str
  returned: success
log:
  description: Lines for the operator's log.
  type: list
  elements: str
  returned: success
requeue_after:
  description: When to reconcile again, such as C(5s) or C(1.5s); empty to wait for the reconcile period.
  type: str
  returned: success
"""

import math
from datetime import UTC, datetime
from typing import Any

from ansible_collections.postgres.operator.plugins.module_utils.ansible_module import execute
from ansible_collections.postgres.operator.plugins.module_utils.kube.client import connect
from ansible_collections.postgres.operator.plugins.module_utils.resources.conditions import (
    build_status,
    merge_patch,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.decide import decide
from ansible_collections.postgres.operator.plugins.module_utils.resources.transitions import (
    find_transitions,
    log_lines,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.write_status import (
    write_status,
)

ARGUMENT_SPEC = {
    "resource": {"type": "dict", "required": True},
    "observation": {"type": "dict", "required": True},
}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Decide and write."""
    resource = params["resource"]
    now = datetime.now(UTC)
    decision = decide(resource, params["observation"])
    old = resource.get("status", {})
    new = build_status(resource, decision, now)
    patch = merge_patch(old, new)
    transitions = find_transitions(resource["kind"], old, new)
    if patch and not check_mode:
        write_status(connect(), resource, new, transitions, now)
    requeue = decision.look_again if decision.requeue_after is None else decision.requeue_after
    return {
        "changed": bool(patch),
        "phase": decision.phase,
        # The same line is not repeated at every reconcile of an unchanged state.
        "log": log_lines(resource, transitions, decision.log) if patch else [],
        "requeue_after": f"{math.ceil(requeue * 10) / 10:g}s" if requeue is not None else "",
    }


if __name__ == "__main__":
    execute(ARGUMENT_SPEC, run)
