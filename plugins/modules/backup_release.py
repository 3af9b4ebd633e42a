"""Let a Backup be deleted without the operator where there is nothing to remove."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: backup_release
short_description: Let a Backup be deleted without the operator where there is nothing to remove
description:
  - Removes the operator's finalizer from a Backup whose deletionPolicy is Retain and that has ended, and from one with a
    schedule, which has no files of its own.
extends_documentation_fragment: postgres.operator.resource.name
author: [postgres-operator maintainers]
"""

EXAMPLES = r"""
- name: Let a Backup whose files are kept be deleted at once
  postgres.operator.backup_release:
    name: before-the-release
    namespace: shop
"""

RETURN = r""" # """

from typing import Any

from ansible_collections.postgres.operator.plugins.module_utils.ansible_module import (
    RESOURCE_OPTIONS,
    execute,
)
from ansible_collections.postgres.operator.plugins.module_utils.kube.client import (
    GROUP_VERSION,
    Object,
    connect,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.backup.finalizer import (
    FINALIZER,
    release,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.job_state import has_ended

ARGUMENT_SPEC = RESOURCE_OPTIONS


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Read the Backup and release it where that is right."""
    cluster = connect()
    backup = cluster.get(GROUP_VERSION, "Backup", params["namespace"], params["name"])
    if backup is None or not _holds_nothing_to_remove(backup):
        return {"changed": False}
    if check_mode:
        return {"changed": FINALIZER in (backup["metadata"].get("finalizers") or [])}
    return {"changed": release(cluster, backup)}


def _holds_nothing_to_remove(backup: Object) -> bool:
    if "schedule" in backup["spec"]:
        return True
    return has_ended(backup) and backup["spec"]["deletionPolicy"] == "Retain"


if __name__ == "__main__":
    execute(ARGUMENT_SPEC, run)
