"""Bring the parameters of the spec to the servers of a Database."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: database_configuration
short_description: Bring the parameters of the spec to the servers of a Database
description:
  - Writes C(spec.postgresql) to Patroni's dynamic configuration, once the primary was found to take it, and takes at
    most one step towards all instances having it. Restarts those that need it through Patroni, replicas first, one
    at a time. Never waits.
  - Where an instance does not start with the parameters, the former ones are put back.
options:
  resource:
    description: The Database.
    type: dict
    required: true
  rolling:
    description: Whether a rolling update is under way. Nothing is restarted then.
    type: bool
    default: false
author: [postgres-operator maintainers]
"""

EXAMPLES = r"""
- name: Bring the parameters to the instances
  postgres.operator.database_configuration:
    resource: "{{ database_reconcile.resource }}"
  register: database_configuration
"""

RETURN = r"""
parameters:
  description: The parameters that the operator has set, with name, value and source of each.
  type: list
  elements: dict
  returned: success
refused:
  description: A condition's reason and message where parameters of the spec are not followed; empty otherwise.
  type: list
  elements: str
  returned: success
held:
  description: Parameters that only a restart brings, which waits for a maintenance window.
  type: list
  elements: str
  returned: success
message:
  description: What is being done to bring them to the instances; empty where all have them.
  type: str
  returned: success
"""

from typing import Any

from ansible_collections.postgres.operator.plugins.module_utils.ansible_module import execute
from ansible_collections.postgres.operator.plugins.module_utils.kube.client import connect
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.configuration import (
    maintain_configuration,
)

ARGUMENT_SPEC = {
    "resource": {"type": "dict", "required": True},
    "rolling": {"type": "bool", "default": False},
}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Take one step."""
    return maintain_configuration(connect(), params["resource"], params["rolling"], check_mode)


if __name__ == "__main__":
    execute(ARGUMENT_SPEC, run)
