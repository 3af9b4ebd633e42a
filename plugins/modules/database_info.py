"""Read a Database and what decides about its objects."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: database_info
short_description: Read a Database and what decides about its objects
description:
  - Reads the Database itself and the volumes and the leader that it has, from the API server.
options:
  name:
    description: The Database's name.
    type: str
    required: true
  namespace:
    description: Its namespace.
    type: str
    required: true
author: [postgres-operator maintainers]
"""

EXAMPLES = r"""
- name: The Database is read
  postgres.operator.database_info:
    name: app
    namespace: shop
  register: database_info
"""

RETURN = r"""
resource:
  description: The Database; empty where it does not exist or is being deleted.
  type: dict
  returned: success
claims:
  description: The names of the volumes' claims.
  type: list
  elements: str
  returned: success
ordinals:
  description: The pods that the StatefulSet is to have now, C(replicas) of them from number C(start) on.
  type: dict
  returned: success
refused:
  description: A condition's reason and message where the spec cannot be followed; empty where it can.
  type: list
  elements: str
  returned: success
"""

from dataclasses import asdict
from typing import Any

from ansible_collections.postgres.operator.plugins.module_utils.ansible_module import execute
from ansible_collections.postgres.operator.plugins.module_utils.kubernetes.client import (
    GROUP_VERSION,
    connect,
)
from ansible_collections.postgres.operator.plugins.module_utils.kubernetes.secrets import (
    read_last_primary,
)
from ansible_collections.postgres.operator.plugins.module_utils.patroni.members import parse_leader
from ansible_collections.postgres.operator.plugins.module_utils.patroni.start import (
    choose_ordinals,
)
from ansible_collections.postgres.operator.plugins.module_utils.status.image import (
    refuse_major_change,
)

ARGUMENT_SPEC = {
    "name": {"type": "str", "required": True},
    "namespace": {"type": "str", "required": True},
}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Read; nothing is written, so check mode is no different."""
    cluster = connect()
    name, namespace = params["name"], params["namespace"]
    resource = cluster.get(GROUP_VERSION, "Database", namespace, name)
    if resource is None or resource["metadata"].get("deletionTimestamp"):
        return {"changed": False, "resource": {}}
    selector = f"app=database,database={name}"
    found = cluster.list("v1", "PersistentVolumeClaim", namespace, selector)
    claims = sorted(claim["metadata"]["name"] for claim in found)
    leader = parse_leader(cluster.get("v1", "Endpoints", namespace, name))
    version = resource.get("status", {}).get("version", "")
    return {
        "changed": False,
        "resource": resource,
        "claims": claims,
        "ordinals": asdict(
            choose_ordinals(
                wanted=resource["spec"]["replicas"],
                leader=leader,
                last_primary=read_last_primary(cluster, resource),
                claims=claims,
                has_served=bool(version),
            )
        ),
        "refused": list(refuse_major_change(resource["spec"]["image"], version) or ()),
    }


def main() -> None:
    """Run as an ordinary module."""
    execute(ARGUMENT_SPEC, run)


if __name__ == "__main__":
    main()
