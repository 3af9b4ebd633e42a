"""Read a Backup and what it depends on."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: backup_info
short_description: Read a Backup and what it depends on
description:
  - Reads the Backup, its Database and its Job from the API server.
options:
  name:
    description: The Backup's name.
    type: str
    required: true
  namespace:
    description: Its namespace.
    type: str
    required: true
author: [postgres-operator maintainers]
"""

EXAMPLES = r"""
- name: The Backup is read
  postgres.operator.backup_info:
    name: nightly
    namespace: shop
  register: backup_info
"""

RETURN = r"""
resource:
  description: The Backup; empty where there is nothing left to do for it.
  type: dict
  returned: success
database:
  description: Its Database; empty where it does not exist.
  type: dict
  returned: where the Backup has no schedule
job_name:
  description: The name of the Backup's Job.
  type: str
  returned: where the Backup has no schedule
claim:
  description: The PersistentVolumeClaim that the backup goes to; empty for S3.
  type: str
  returned: where the Backup has no schedule
claim_missing:
  description: Whether that is to be made now.
  type: bool
  returned: where the Backup has no schedule
start:
  description: Whether the Job is to be made now.
  type: bool
  returned: success
observation:
  description: What the status rests on.
  type: dict
  returned: where the Backup has no schedule
"""

from dataclasses import asdict
from typing import Any

from ansible_collections.postgres.operator.plugins.module_utils.ansible_module import execute
from ansible_collections.postgres.operator.plugins.module_utils.kubernetes.client import (
    GROUP_VERSION,
    Cluster,
    connect,
)
from ansible_collections.postgres.operator.plugins.module_utils.kubernetes.destinations import (
    claim_of,
    find_secret_block,
    place_of,
)
from ansible_collections.postgres.operator.plugins.module_utils.kubernetes.jobs import (
    read_job,
    read_unfinished,
)
from ansible_collections.postgres.operator.plugins.module_utils.kubernetes.objects import job_name
from ansible_collections.postgres.operator.plugins.module_utils.status.prerequisites import (
    find_database_block,
)

ARGUMENT_SPEC = {
    "name": {"type": "str", "required": True},
    "namespace": {"type": "str", "required": True},
}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Read; nothing is written, so check mode is no different."""
    cluster = connect()
    namespace = params["namespace"]
    resource = read_unfinished(cluster, "Backup", namespace, params["name"])
    if resource is None:
        return {"changed": False, "resource": {}}
    if "schedule" in resource["spec"]:
        return {"changed": False, "resource": resource, "start": False}
    database_name = resource["spec"]["databaseRef"]["name"]
    database = cluster.get(GROUP_VERSION, "Database", namespace, database_name)
    name = job_name("backup", resource)
    job = read_job(cluster, namespace, name, "BackupFailed")
    blocked = None
    if job is None:
        blocked = find_database_block(database_name, database) or find_secret_block(
            cluster, resource
        )
    claim = claim_of(resource)
    start = job is None and blocked is None
    return {
        "changed": False,
        "resource": resource,
        "database": database or {},
        "job_name": name,
        "claim": claim,
        "claim_missing": start and bool(claim) and _is_missing(cluster, namespace, claim),
        "start": start,
        "observation": {
            "place": place_of(resource),
            "blocked": blocked,
            "job": asdict(job) if job else None,
        },
    }


def _is_missing(cluster: Cluster, namespace: str, claim: str) -> bool:
    return cluster.get("v1", "PersistentVolumeClaim", namespace, claim) is None


def main() -> None:
    """Run as an ordinary module."""
    execute(ARGUMENT_SPEC, run)


if __name__ == "__main__":
    main()
