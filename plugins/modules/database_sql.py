"""Create role and database on the primary, and read its state."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: database_sql
short_description: Create role and database on the primary, and read its state
description:
  - Connects to the primary as superuser. Creates the Database's user and database where they are missing, sets the
    user's password where it differs from the Secret, makes C(users), their Secrets and C(databases), drops replaced databases whose time is over
    and what restores that were killed have left behind, notes on the Secret NAME-internal which instance serves.
  - A primary that cannot be reached is an answer, not a failure.
options:
  resource:
    description: The Database.
    type: dict
    required: true
  leader:
    description: The name of the leader's pod.
    type: str
    required: true
  pod_ip:
    description: The address of the leader's pod.
    type: str
    required: true
  encrypted:
    description: Whether the leader's pod has certificates. Without, the superuser's password is used.
    type: bool
    default: true
author: [postgres-operator maintainers]
"""

EXAMPLES = r"""
- name: Create the user and the database
  postgres.operator.database_sql:
    resource: "{{ database_reconcile.resource }}"
    leader: app-0
    pod_ip: 10.244.0.7
"""

RETURN = r"""
server:
  description:
    - What the primary said, or C(problem) with a reason and a message.
    - C(differences) says what of C(users) and C(databases) could not be made, one text for each.
  type: dict
  returned: success
contents:
  description:
    - Of a Database that is made from a Backup and is not known to be restored, what is in it, C(empty), C(restored) or
      C(other). Else empty.
  type: str
  returned: success
dropped:
  description: The replaced databases and leftovers of restores that were dropped.
  type: list
  elements: str
  returned: success
undropped:
  description: What keeps others of them from being dropped, such as a subscription in one.
  type: list
  elements: str
  returned: success
"""

from typing import Any

from ansible_collections.postgres.operator.plugins.module_utils.ansible_module import execute
from ansible_collections.postgres.operator.plugins.module_utils.kube.client import connect
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.primary import (
    provision_and_observe,
)

ARGUMENT_SPEC = {
    "resource": {"type": "dict", "required": True},
    "leader": {"type": "str", "required": True},
    "pod_ip": {"type": "str", "required": True},
    "encrypted": {"type": "bool", "default": True},
}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Provision (not in check mode) and query the server."""
    return provision_and_observe(
        connect(),
        params["resource"],
        params["leader"],
        params["pod_ip"],
        params["encrypted"],
        check_mode,
    )


if __name__ == "__main__":
    execute(ARGUMENT_SPEC, run)
