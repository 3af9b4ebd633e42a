"""Read a Restore and what it depends on."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: restore_info
short_description: Read a Restore and what it depends on
description:
  - Reads the Restore, its Backup, its Database and its Job from the API server.
options:
  name:
    description: The Restore's name.
    type: str
    required: true
  namespace:
    description: Its namespace.
    type: str
    required: true
author: [postgres-operator maintainers]
"""

EXAMPLES = r"""
- name: The Restore is read
  postgres.operator.restore_info:
    name: undo-friday
    namespace: shop
  register: restore_info
"""

RETURN = r"""
resource:
  description: The Restore; empty where there is nothing left to do for it.
  type: dict
  returned: success
database:
  description: The Database to restore into; empty where it does not exist.
  type: dict
  returned: success
backup:
  description: The Backup to restore; empty where it does not exist.
  type: dict
  returned: success
claim:
  description: The PersistentVolumeClaim that the Backup is in; empty where there is no Backup.
  type: str
  returned: success
job_name:
  description: The name of the Restore's Job.
  type: str
  returned: success
keep_previous_seconds:
  description: How long the replaced database is kept.
  type: int
  returned: success
start:
  description: Whether the Job is to be made now.
  type: bool
  returned: success
observation:
  description: What the status rests on.
  type: dict
  returned: success
"""

from dataclasses import asdict
from typing import Any

from ansible_collections.postgres.operator.plugins.module_utils.ansible_module import execute
from ansible_collections.postgres.operator.plugins.module_utils.kubernetes.client import (
    GROUP_VERSION,
    connect,
)
from ansible_collections.postgres.operator.plugins.module_utils.kubernetes.destinations import (
    claim_of,
    find_secret_block,
)
from ansible_collections.postgres.operator.plugins.module_utils.kubernetes.jobs import (
    read_job,
    read_unfinished,
)
from ansible_collections.postgres.operator.plugins.module_utils.kubernetes.objects import job_name
from ansible_collections.postgres.operator.plugins.module_utils.status.prerequisites import (
    find_backup_block,
    find_database_block,
)
from ansible_collections.postgres.operator.plugins.module_utils.status.restore import (
    keep_seconds,
)

ARGUMENT_SPEC = {
    "name": {"type": "str", "required": True},
    "namespace": {"type": "str", "required": True},
}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Read; nothing is written, so check mode is no different."""
    cluster = connect()
    namespace = params["namespace"]
    resource = read_unfinished(cluster, "Restore", namespace, params["name"])
    if resource is None:
        return {"changed": False, "resource": {}}
    spec = resource["spec"]
    database_name, backup_name = spec["databaseRef"]["name"], spec["backupRef"]["name"]
    database = cluster.get(GROUP_VERSION, "Database", namespace, database_name)
    backup = cluster.get(GROUP_VERSION, "Backup", namespace, backup_name)
    name = job_name("restore", resource)
    job = read_job(cluster, namespace, name, "RestoreFailed")
    blocked = None
    if job is None:
        blocked = find_database_block(database_name, database) or find_backup_block(
            backup_name, backup
        )
    if job is None and blocked is None and backup:
        blocked = find_secret_block(cluster, backup)
    return {
        "changed": False,
        "resource": resource,
        "database": database or {},
        "backup": backup or {},
        "claim": claim_of(backup) if backup else "",
        "job_name": name,
        "keep_previous_seconds": keep_seconds(spec["keepPrevious"]),
        "start": job is None and blocked is None,
        "observation": {"blocked": blocked, "job": asdict(job) if job else None},
    }


def main() -> None:
    """Run as an ordinary module."""
    execute(ARGUMENT_SPEC, run)


if __name__ == "__main__":
    main()
