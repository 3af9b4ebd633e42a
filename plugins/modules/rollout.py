"""Take the next step of a rolling update."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: rollout
short_description: Take the next step of a rolling update
description:
  - Reads the instances and takes at most one step towards all of them having the newest revision.
  - Replicas are replaced first, one at a time, each streaming again before the next; then the leader hands
    over; then it is replaced too. Never waits.
options:
  resource:
    description: The Database.
    type: dict
    required: true
  allowed:
    description: Whether a step may be taken; otherwise the instances are only read.
    type: bool
    default: true
author: [postgres-operator maintainers]
"""

EXAMPLES = r"""
- name: Take the next step of the rolling update
  postgres.operator.rollout:
    resource: "{{ database_info.resource }}"
  register: database_rollout
"""

RETURN = r"""
action:
  description: What was done. One of Nothing, Wait, DeletePod, Switchover.
  type: str
  returned: success
message:
  description: The step in words; empty where nothing is to be rolled.
  type: str
  returned: success
leader:
  description: The leader's name; empty where there is none.
  type: str
  returned: success
instances:
  description: The instances with name, pod_ip, encrypted, ready, role, state, timeline, problem and needs_user.
  type: list
  elements: dict
  returned: success
"""

from typing import Any

from ansible_collections.postgres.operator.plugins.module_utils.ansible_module import execute
from ansible_collections.postgres.operator.plugins.module_utils.kube.client import Cluster, connect
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.instances import (
    describe,
    newest_revision,
    read_instances,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.members import (
    Member,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.rollout import (
    Action,
    Step,
    next_step,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.secrets import (
    remember_primary,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.switchover import (
    asked_candidate,
    request_switchover,
)

ARGUMENT_SPEC = {
    "resource": {"type": "dict", "required": True},
    "allowed": {"type": "bool", "default": True},
}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Read, decide, act."""
    cluster = connect()
    metadata = params["resource"]["metadata"]
    name, namespace = metadata["name"], metadata["namespace"]
    members, leader = read_instances(cluster, namespace, name)
    if not check_mode:
        _remember(cluster, params["resource"], members, leader)
    step = Step(Action.NOTHING)
    if params["allowed"]:
        revision = newest_revision(cluster.get("apps/v1", "StatefulSet", namespace, name))
        replicas = params["resource"]["spec"]["replicas"]
        asked = asked_candidate(cluster, params["resource"], leader)
        step = next_step(members, leader, revision, replicas, asked)
    changed = step.action in {Action.DELETE_POD, Action.SWITCHOVER}
    if changed and not check_mode:
        _take(cluster, params["resource"], step, members)
    return {
        "changed": changed,
        "action": step.action.value,
        "message": step.message,
        "leader": leader,
        "instances": [describe(member) for member in members],
    }


def _remember(
    cluster: Cluster, database: dict[str, Any], members: list[Member], leader: str
) -> None:
    """Note who leads, also where the server cannot be asked: its volume is the one to start from."""
    if not any(member.name == leader and member.leading for member in members):
        return
    metadata = database["metadata"]
    internal = cluster.get("v1", "Secret", metadata["namespace"], f"{metadata['name']}-internal")
    if internal is not None:
        remember_primary(cluster, internal, leader)


def _take(cluster: Cluster, database: dict[str, Any], step: Step, members: list[Member]) -> None:
    if step.action is Action.SWITCHOVER:
        request_switchover(cluster, database, step.member, step.candidate)
        return
    uid = next(member.uid for member in members if member.name == step.member)
    cluster.delete("v1", "Pod", database["metadata"]["namespace"], step.member, uid)


def main() -> None:
    """Run as an ordinary module."""
    execute(ARGUMENT_SPEC, run)


if __name__ == "__main__":
    main()
