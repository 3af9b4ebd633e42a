"""Find out what is to be done for a Database, and keep its primary as it should be."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: database_reconcile
short_description: Find out what is to be done for a Database, and keep its primary as it should be
description:
  - Reads the Database itself and the volumes and the leader that it has, from the API server.
  - Returns the steps that are to be taken now. In the steady state, when everything is as the spec says, the status
    included, there are none.
  - Where the API server shows nothing to do, the primary is prepared and queried, as by
    M(postgres.operator.database_sql), which is not done in check mode. What was done there is a reason for all steps.
extends_documentation_fragment:
  - postgres.operator.resource.name
  - postgres.operator.resource.agent
options:
  role_path:
    description: The folder of the role, whose files decide about the Database's objects.
    type: path
    default: ''
author: [postgres-operator maintainers]
"""

EXAMPLES = r"""
- name: Read the Database and find out what is to be done
  postgres.operator.database_reconcile:
    name: app
    namespace: shop
  register: database_reconcile
"""

RETURN = r"""
plan:
  description:
    - The steps that are to be taken now, in their order. Empty where the Database is in its steady state, does not
      exist or is being deleted.
    - Among V(volumes), V(secrets), V(objects), V(instances), V(server), V(contents), V(status), which is the last.
  type: list
  elements: str
  returned: success
due:
  description: Those of the steps that something was found to do for; the others follow them.
  type: list
  elements: str
  returned: success
resource:
  description: The Database; empty where the plan is.
  type: dict
  returned: success
claims:
  description: The names of the volumes' claims.
  type: list
  elements: str
  returned: with a plan
ordinals:
  description: The pods that the StatefulSet is to have now, C(replicas) of them from number C(start) on.
  type: dict
  returned: with a plan
storage:
  description: Which claims have another size or class than the spec, in words; empty where none has.
  type: str
  returned: with a plan
migrating:
  description: Whether some of several instances have no certificates yet, so that the others have to understand them.
  type: bool
  returned: with a plan
inputs:
  description: A digest of all that the Database's objects are made from.
  type: str
  returned: with a plan
refused:
  description: A condition's reason and message where the spec cannot be followed; empty where it can.
  type: list
  elements: str
  returned: with a plan
"""

import os
from pathlib import Path
from typing import Any

from ansible_collections.postgres.operator.plugins.module_utils.ansible_module import (
    AGENT_OPTIONS,
    RESOURCE_OPTIONS,
    execute,
)
from ansible_collections.postgres.operator.plugins.module_utils.kube.client import (
    GROUP_VERSION,
    connect,
    connect_to_proxy,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.agent import agent_image
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.applied import (
    code_digest,
    digest,
    files_digest,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.reconcile import (
    ReadOnce,
    find_plan,
    objects_inputs,
    observe,
)

ARGUMENT_SPEC = {
    **RESOURCE_OPTIONS,
    **AGENT_OPTIONS,
    "role_path": {"type": "path", "default": ""},
}
# Of the code that applies them. It is read once, where the collection is imported from its folder.
_PLUGINS = Path(__file__).resolve().parents[1]
if (_PLUGINS / "modules").is_dir():
    code_digest(_PLUGINS)


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Observe, plan, and do what only the primary shows to be due."""
    cluster: Any = ReadOnce(connect())
    resource = cluster.get(GROUP_VERSION, "Database", params["namespace"], params["name"])
    if resource is None or resource["metadata"].get("deletionTimestamp"):
        return {"changed": False, "plan": [], "due": [], "resource": {}}
    state = observe(cluster, connect_to_proxy, resource, _made_with(params))
    plan, changed = find_plan(cluster, state, check_mode)
    if not plan.steps:
        # What is returned goes through templates and events, and nothing needs it now.
        return {"changed": changed, "plan": [], "due": [], "resource": {}}
    return {
        "changed": changed,
        "plan": [step.value for step in plan.steps],
        "due": [step.value for step in plan.due],
        "resource": resource,
        "claims": list(state.claims),
        "storage": state.storage,
        **state.wanted(),
        "inputs": objects_inputs(state),
        "refused": list(state.refused or ()),
    }


def _made_with(params: dict[str, Any]) -> str:
    """Return a digest of the role, of the code and of the operator's settings for the objects."""
    if not params["role_path"]:
        return ""
    role = Path(params["role_path"]).resolve()
    code = [files_digest(role, "*.yml"), code_digest(role.parents[1] / "plugins")]
    image = agent_image(params["agent_image"])
    return digest([image, os.environ.get("OPERATOR_NAMESPACE", ""), code])


if __name__ == "__main__":
    execute(ARGUMENT_SPEC, run)
