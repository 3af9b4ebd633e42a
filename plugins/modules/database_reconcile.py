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
    - Among V(volumes), V(secrets), V(objects), V(instances), V(configuration), V(server), V(contents), V(status), which
      is the last.
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
defaults:
  description: The parameters of PostgreSQL that follow from the size of an instance.
  type: dict
  returned: with a plan
hba:
  description:
    - The lines of pg_hba.conf. C(lines) are all of the operator's own, C(opening) those of them that instances with
      certificates begin with, C(map) is pg_ident.conf, and C(dynamic) is whether Patroni's dynamic configuration has them and not its files.
  type: dict
  returned: with a plan
pod:
  description: What the Database says of its pods, C(metadata) and C(spec) as Kubernetes has them.
  type: dict
  returned: with a plan
paused:
  description: Whether nothing of the Database is to be changed; the steps that are left only read then.
  type: bool
  returned: with a plan
rebuilding:
  description: Whether a Restore is to make the files of its first instance, and there must be no instance yet.
  type: bool
  returned: with a plan
services:
  description:
    - What the Database says of its Services C(primary) and C(replicas), C(metadata) and C(spec) of each as Kubernetes
      has them.
  type: dict
  returned: with a plan
migrating:
  description: Whether some of several instances have no certificates yet, so that the others have to understand them.
  type: bool
  returned: with a plan
template_inputs:
  description: What the template of the pods follows from, beside the operator.
  type: dict
  returned: with a plan
kept_claim_templates:
  description: The templates of claims of the StatefulSet that there is, which cannot be changed; empty without one.
  type: list
  elements: dict
  returned: with a plan
kept_template:
  description: The template of the pods that is to stay as it is; empty where it is to be made.
  type: dict
  returned: with a plan
internal_needed:
  description: Whether what is in the Secret NAME-internal cannot be made again, so that it must not be missing.
  type: bool
  returned: with a plan
agent:
  description: Which agent the instances have where it is not the operator's, in words; else empty.
  type: str
  returned: with a plan
inputs:
  description: A digest of all that the Database's objects are made from.
  type: str
  returned: with a plan
again:
  description:
    - When the Database is to be reconciled again though nothing was to be done, such as C(60s).
  type: str
  returned: without a plan, for a Database with an archive or with a maintenance window that opens soon
held:
  description: What of the instances waits for a maintenance window, in words; empty for nothing.
  type: str
  returned: with a plan
opens_in:
  description: In how many seconds a maintenance window opens, where that is within ten minutes; 0 otherwise.
  type: float
  returned: with a plan
window:
  description: What it waits for, in words.
  type: str
  returned: with a plan
archived:
  description: Whether the instances are to have an archiver.
  type: bool
  returned: with a plan
archive:
  description: What the archive of WAL adds to the objects of the Database.
  type: dict
  returned: with a plan
archive_block:
  description: A condition's reason and message where a Secret of the archive is missing; else empty.
  type: list
  elements: str
  returned: with a plan
archive_window:
  description:
    - Which moments can be restored by the archive, as far as the statuses of Backups say, with the gaps in it; empty where
      none can.
  type: dict
  returned: with a plan
refused:
  description: A condition's reason and message where the spec cannot be followed; empty where it can.
  type: list
  elements: str
  returned: with a plan
"""

import math
import os
from datetime import UTC, datetime
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
from ansible_collections.postgres.operator.plugins.module_utils.resources.conditions import (
    ARCHIVE_CHECKED,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.applied import (
    code_digest,
    digest,
    files_digest,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.archive import (
    archive_parts,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.maintenance import (
    Maintenance,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.reconcile import (
    ReadOnce,
    find_plan,
    followed_inputs,
    kept_claim_templates,
    kept_template,
    objects_inputs,
    observe,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.services import (
    service_fields,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.first_volume import (
    is_to_be_rebuilt,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.pod_fields import (
    instance_fields,
)

ARGUMENT_SPEC = {
    **RESOURCE_OPTIONS,
    **AGENT_OPTIONS,
    "role_path": {"type": "path", "default": ""},
}
# Of the code that applies them, and of the role. They are read once, where the collection is imported
# from its folder.
_PLUGINS = Path(__file__).resolve().parents[1]
_ROLE = _PLUGINS.parent / "roles" / "database"
if (_PLUGINS / "modules").is_dir():
    code_digest(_PLUGINS)
if _ROLE.is_dir():
    files_digest(_ROLE, "*.yml")


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Observe, plan, and do what only the primary shows to be due."""
    cluster: Any = ReadOnce(connect())
    resource = cluster.get(GROUP_VERSION, "Database", params["namespace"], params["name"])
    if resource is None or resource["metadata"].get("deletionTimestamp"):
        return {"changed": False, "plan": [], "due": [], "resource": {}}
    agent = agent_image(params["agent_image"])
    state = observe(cluster, connect_to_proxy, resource, _made_with(params), agent)
    plan, changed = find_plan(cluster, state, check_mode)
    if not plan.steps:
        # What is returned goes through templates and events, and nothing needs it now.
        again = _again(resource, state.maintenance, datetime.now(UTC))
        return {"changed": changed, "plan": [], "due": [], "resource": {}, **again}
    return {
        "changed": changed,
        "plan": [step.value for step in plan.steps],
        "due": [step.value for step in plan.due],
        "resource": resource,
        "claims": list(state.claims),
        "pod": instance_fields(resource).render(),
        "services": service_fields(resource),
        "paused": state.paused,
        "rebuilding": is_to_be_rebuilt(resource),
        **state.wanted(),
        "template_inputs": followed_inputs(state),
        "held": state.held_until,
        "window": state.maintenance.until,
        "opens_in": state.maintenance.soon(datetime.now(UTC)) or 0.0,
        "inputs": objects_inputs(state),
        "kept_claim_templates": kept_claim_templates(state),
        "kept_template": kept_template(state),
        "agent": state.agent_outdated,
        "internal_needed": state.internal_is_needed,
        "refused": list(state.refused or ()),
        "archive": archive_parts(resource, state.archived),
        "archive_block": list(state.archive_block or ()),
        "archive_window": state.archive_window or {},
    }


def _again(resource: dict[str, Any], maintenance: Maintenance, now: datetime) -> dict[str, str]:
    """Return when the Database is to be reconciled again; nothing leaves it to the period."""
    seconds = [ARCHIVE_CHECKED] if resource["spec"].get("archive") else []
    opening = maintenance.soon(now)
    seconds += [] if opening is None else [opening]
    return {"again": f"{math.ceil(min(seconds))}s"} if seconds else {}


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
