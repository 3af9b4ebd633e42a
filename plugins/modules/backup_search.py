"""Report whether the search for the files of a Backup failed."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: backup_search
short_description: Report whether the search for the files of a Backup failed
description:
  - Gives a Completed Backup the condition ArtifactMissing with the status Unknown, or takes that one away. What is
    known to be gone stays so.
  - An Event reports each reason that is new.
extends_documentation_fragment: postgres.operator.resource.name
options:
  reason:
    description: Why it is not known whether the files are there; empty where the search ended well, or none is made.
    type: str
    default: ""
  message:
    description: The message of the condition.
    type: str
    default: ""
author: [postgres-operator maintainers]
"""

EXAMPLES = r"""
- name: Report how the search ended
  postgres.operator.backup_search:
    name: before-the-migration
    namespace: shop
    reason: "{{ backup_info.search.report.reason }}"
    message: "{{ backup_info.search.report.message }}"
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
from ansible_collections.postgres.operator.plugins.module_utils.resources.backup.search import (
    searched_status,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.conditions import (
    merge_patch,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.transitions import (
    find_transitions,
    log_lines,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.write_status import (
    write_status,
)

ARGUMENT_SPEC = {
    **RESOURCE_OPTIONS,
    "reason": {"type": "str", "default": ""},
    "message": {"type": "str", "default": ""},
}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Write the status if it changes."""
    cluster, now = connect(), datetime.now(UTC)
    backup = cluster.get(GROUP_VERSION, "Backup", params["namespace"], params["name"])
    if backup is None or backup.get("status", {}).get("phase") != "Completed":
        return {"changed": False, "log": []}
    failure = (params["reason"], params["message"]) if params["reason"] else None
    old, new = backup["status"], searched_status(backup, failure, now)
    if not merge_patch(old, new):
        return {"changed": False, "log": []}
    transitions = find_transitions("Backup", old, new)
    if not check_mode:
        write_status(cluster, backup, new, transitions, now)
    return {"changed": True, "log": log_lines(backup, transitions)}


if __name__ == "__main__":
    execute(ARGUMENT_SPEC, run)
