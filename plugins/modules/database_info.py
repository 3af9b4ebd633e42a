"""Read a Database and whether it is in its steady state."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: database_info
short_description: Read a Database and whether it is in its steady state
description:
  - Reads the Database itself and the volumes and the leader that it has, from the API server.
  - Returns whether it is in its steady state, for which the primary is queried too. Its user and its database are
    created if they are missing, as by M(postgres.operator.database_sql).
options:
  name:
    description: The Database's name.
    type: str
    required: true
  namespace:
    description: Its namespace.
    type: str
    required: true
  role_path:
    description: The folder of the role, whose files decide about the Database's objects.
    type: path
    default: ''
  agent_image:
    description: The image that the agent is copied from; where it is empty, C($OPERATOR_IMAGE).
    type: str
    default: ''
author: [postgres-operator maintainers]
"""

EXAMPLES = r"""
- name: Read the Database
  postgres.operator.database_info:
    name: app
    namespace: shop
  register: database_info
"""

RETURN = r"""
resource:
  description: The Database; empty if it is in its steady state, does not exist or is being deleted.
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
migrating:
  description: Whether some of several instances have no certificates yet, so that the others have to understand them.
  type: bool
  returned: success
steady:
  description: Whether everything is as the spec says, the status included, so that nothing is left to do.
  type: bool
  returned: success
inputs:
  description: A digest of all that the Database's objects are made from.
  type: str
  returned: success
refused:
  description: A condition's reason and message where the spec cannot be followed; empty where it can.
  type: list
  elements: str
  returned: success
"""

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ansible_collections.postgres.operator.plugins.module_utils.ansible_module import execute
from ansible_collections.postgres.operator.plugins.module_utils.kube.client import (
    GROUP_VERSION,
    connect,
    connect_to_proxy,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.agent import agent_image
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.applied import (
    code_digest,
    content,
    digest,
    files_digest,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.image import (
    refuse_major_change,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.instances import (
    read_instances,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.members import (
    is_migrating,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.secrets import (
    read_last_primary,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.start import (
    choose_ordinals,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.steady_state import (
    ReadOnce,
    is_steady,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.watches import (
    is_watched,
)

ARGUMENT_SPEC = {
    "name": {"type": "str", "required": True},
    "namespace": {"type": "str", "required": True},
    "role_path": {"type": "path", "default": ""},
    "agent_image": {"type": "str", "default": ""},
}
# Of the code that applies them. It is read once, where the collection is imported from its folder.
_PLUGINS = Path(__file__).resolve().parents[1]
if (_PLUGINS / "modules").is_dir():
    code_digest(_PLUGINS)


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Read; what is written makes the primary's user and database, and not in check mode."""
    cluster: Any = ReadOnce(connect())
    name, namespace = params["name"], params["namespace"]
    resource = cluster.get(GROUP_VERSION, "Database", namespace, name)
    if resource is None or resource["metadata"].get("deletionTimestamp"):
        return {"changed": False, "resource": {}, "steady": False, "inputs": ""}
    selector = f"app=database,database={name}"
    found = cluster.list("v1", "PersistentVolumeClaim", namespace, selector)
    claims = sorted(claim["metadata"]["name"] for claim in found)
    members, leader = read_instances(cluster, namespace, name)
    version = resource.get("status", {}).get("version", "")
    info = {
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
        "migrating": is_migrating(members, resource["spec"]["replicas"]),
        "refused": list(refuse_major_change(resource["spec"]["image"], version) or ()),
    }
    inputs = _inputs(info, params)
    # Also while there is still something to do: after that, the next reconcile may be minutes away.
    watched = is_watched(cluster, connect_to_proxy, resource)
    may_be_steady = watched and params["role_path"] and not check_mode and not info["refused"]
    if may_be_steady and is_steady(cluster, resource, inputs, has_data=bool(claims)):
        # What is returned goes through templates and events, and nothing needs it now.
        return {**info, "resource": {}, "inputs": inputs, "steady": True}
    return {**info, "inputs": inputs, "steady": False}


def _inputs(info: dict[str, Any], params: dict[str, Any]) -> str:
    """Return a digest of all that the role has when it makes the objects, and of the role."""
    if not params["role_path"]:
        return ""
    role = Path(params["role_path"]).resolve()
    code = [files_digest(role, "*.yml"), code_digest(role.parents[1] / "plugins")]
    # Of the volumes only what follows from them decides: which instances there are to be.
    known = {**info, "resource": content(info["resource"]), "claims": []}
    image = agent_image(params["agent_image"])
    return digest([known, image, os.environ.get("OPERATOR_NAMESPACE", ""), code])


def main() -> None:
    """Run as an ordinary module."""
    execute(ARGUMENT_SPEC, run)


if __name__ == "__main__":
    main()
