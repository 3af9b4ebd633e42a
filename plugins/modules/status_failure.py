"""Say in the status of a custom resource that its reconcile failed."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: status_failure
short_description: Say in the status of a custom resource that its reconcile failed
description:
  - For a failure after which nothing is known of the resource. Its main condition gets the reason ReconcileFailed and the
    message, and is Unknown, since what it said before may not be so any more. All else in the status stays.
  - A Backup or Restore that has ended, and a resource that is gone, are left alone.
options:
  kind:
    description: The kind of the resource.
    type: str
    choices: [Database, Backup, Restore]
    required: true
  message:
    description: What failed, and why.
    type: str
    required: true
extends_documentation_fragment:
  - postgres.operator.resource.name
author: [postgres-operator maintainers]
"""

EXAMPLES = r"""
- name: Report the failure
  postgres.operator.status_failure:
    kind: Database
    name: app
    namespace: shop
    message: "{{ ansible_failed_task.name }}: {{ ansible_failed_result.msg }}"
"""

RETURN = r"""
log:
  description: Lines for the operator's log.
  type: list
  elements: str
  returned: success
"""

from datetime import UTC, datetime
from typing import Any

from ansible_collections.postgres.operator.plugins.module_utils.ansible_module import (
    RESOURCE_OPTIONS,
    execute,
)
from ansible_collections.postgres.operator.plugins.module_utils.kube.client import (
    GROUP_VERSION,
    connect,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.conditions import (
    Condition,
    merge_patch,
    replace_conditions,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.job_state import has_ended
from ansible_collections.postgres.operator.plugins.module_utils.resources.transitions import (
    MAIN_CONDITION,
    find_transitions,
    log_lines,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.write_status import (
    write_status,
)

ARGUMENT_SPEC = {
    **RESOURCE_OPTIONS,
    "kind": {"type": "str", "choices": sorted(MAIN_CONDITION), "required": True},
    "message": {"type": "str", "required": True},
}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Write what failed, beside what the status says already."""
    cluster, now, kind = connect(), datetime.now(UTC), params["kind"]
    resource = cluster.get(GROUP_VERSION, kind, params["namespace"], params["name"])
    if resource is None or (kind != "Database" and has_ended(resource)):
        return {"changed": False, "log": []}
    old = resource.get("status", {})
    failed = Condition(MAIN_CONDITION[kind], "Unknown", "ReconcileFailed", params["message"])
    conditions = replace_conditions(resource, [failed], now)
    new = {**old, "phase": old.get("phase", "Pending"), "conditions": conditions}
    changed = bool(merge_patch(old, new))
    transitions = find_transitions(kind, old, new)
    if changed and not check_mode:
        write_status(cluster, resource, new, transitions, now)
    return {"changed": changed, "log": log_lines(resource, transitions) if changed else []}


if __name__ == "__main__":
    execute(ARGUMENT_SPEC, run)
