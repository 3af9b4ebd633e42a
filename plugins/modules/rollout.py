"""Take the next step of a rolling update."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: rollout
short_description: Take the next step of a rolling update
description:
  - Reads the instances and takes at most one step towards all of them having the newest revision.
  - Replicas are replaced first, one at a time, each streaming again before the next; then the leader hands
    over; then it is replaced too. Never waits.
options:
  resource:
    description: The Database.
    type: dict
    required: true
  allowed:
    description: Whether a step may be taken; otherwise the instances are only read.
    type: bool
    default: true
author: [postgres-operator maintainers]
"""

EXAMPLES = r"""
- name: Take the next step of the rolling update
  postgres.operator.rollout:
    resource: "{{ database_reconcile.resource }}"
  register: database_rollout
"""

RETURN = r"""
action:
  description: What was done. One of Nothing, Wait, DeletePod, Switchover.
  type: str
  returned: success
message:
  description: The step in words; empty where nothing is to be rolled.
  type: str
  returned: success
switchover:
  description: What came of C(switchoverTo), as the status has it; empty where it has that already.
  type: dict
  returned: success
leader:
  description: The leader's name; empty where there is none.
  type: str
  returned: success
primary:
  description: The leader's name, pod_ip and encrypted, once it runs as the primary; empty before.
  type: dict
  returned: success
instances:
  description: The instances with name, ready, role, state, timeline, pending_restart, volume_used, problem and needs_user.
  type: list
  elements: dict
  returned: success
not_created:
  description: Reason and message where the API server refuses the pod of an instance that is missing; empty otherwise.
  type: list
  elements: str
  returned: success
"""

from typing import Any

from ansible_collections.postgres.operator.plugins.module_utils.ansible_module import execute
from ansible_collections.postgres.operator.plugins.module_utils.kube.client import connect
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.reconcile import (
    update_instances,
)

ARGUMENT_SPEC = {
    "resource": {"type": "dict", "required": True},
    "allowed": {"type": "bool", "default": True},
}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Read, decide, act."""
    return update_instances(connect(), params["resource"], params["allowed"], dry_run=check_mode)


if __name__ == "__main__":
    execute(ARGUMENT_SPEC, run)
