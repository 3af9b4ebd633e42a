"""Say of Backups that their files are gone."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: backup_missing
short_description: Say of Backups that their files are gone
description:
  - Gives each of the Backups the condition ArtifactMissing, and the condition Verified the status False. Each gets an
    Event. What has not ended, or says so already, is left alone.
options:
  namespace:
    description: Their namespace.
    type: str
    required: true
  uids:
    description: Their UIDs.
    type: list
    elements: str
    required: true
  why:
    description: How that is known, as the end of a sentence.
    type: str
    required: true
author: [postgres-operator maintainers]
"""

EXAMPLES = r"""
- name: Report what is gone
  postgres.operator.backup_missing:
    namespace: shop
    uids: [0f8fad5b-d9cb-469f-a165-70867728950e]
    why: Backup nightly-20260101030000 did not find them
"""

RETURN = r"""
names:
  description: The Backups whose status was changed.
  type: list
  elements: str
  returned: success
"""

from datetime import UTC, datetime
from typing import Any

from ansible_collections.postgres.operator.plugins.module_utils.ansible_module import execute
from ansible_collections.postgres.operator.plugins.module_utils.kube.client import (
    GROUP_VERSION,
    connect,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.backup.missing import (
    is_missing,
    missing_status,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.transitions import (
    find_transitions,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.write_status import (
    write_status,
)

ARGUMENT_SPEC = {
    "namespace": {"type": "str", "required": True},
    "uids": {"type": "list", "elements": "str", "required": True},
    "why": {"type": "str", "required": True},
}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Write the statuses that are to change."""
    cluster, now, wanted = connect(), datetime.now(UTC), set(params["uids"])
    changed = [
        backup
        for backup in cluster.list(GROUP_VERSION, "Backup", params["namespace"])
        if backup["metadata"]["uid"] in wanted
        and backup.get("status", {}).get("phase") == "Completed"
        and not is_missing(backup)
    ]
    for backup in [] if check_mode else changed:
        # In a list objects come without their kind.
        resource = {**backup, "kind": "Backup", "apiVersion": GROUP_VERSION}
        new = missing_status(resource, params["why"], now)
        transitions = find_transitions("Backup", resource["status"], new)
        write_status(cluster, resource, new, transitions, now)
    return {"changed": bool(changed), "names": [each["metadata"]["name"] for each in changed]}


if __name__ == "__main__":
    execute(ARGUMENT_SPEC, run)
