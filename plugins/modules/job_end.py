"""End the pod of a Job whose work has ended."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: job_end
short_description: End the pod of a Job whose work has ended
description:
  - For a pod in which a container that another program has added, such as a service mesh's, runs on after the Job's own
    have ended. It would keep the Job from ending.
  - Suspends the Job, which deletes the pod, and writes the results into an annotation of the Job in the same step. Where
    a container was killed and there is no result, deletes the pod only, and Kubernetes makes another.
options:
  namespace:
    description: The Job's namespace.
    type: str
    required: true
  job:
    description: The Job's state, as V(held_job) of M(postgres.operator.backup_info) or M(postgres.operator.restore_info).
    type: dict
    required: true
author: [postgres-operator maintainers]
"""

EXAMPLES = r"""
- name: End the pod whose work has ended
  postgres.operator.job_end:
    namespace: shop
    job: "{{ backup_info.held_job }}"
  when: backup_info.held_job | length > 0
"""

RETURN = r""" # """

from typing import Any

from ansible_collections.postgres.operator.plugins.module_utils.ansible_module import execute
from ansible_collections.postgres.operator.plugins.module_utils.kube.client import connect
from ansible_collections.postgres.operator.plugins.module_utils.resources.decide import from_plain
from ansible_collections.postgres.operator.plugins.module_utils.resources.job import end_held_pod
from ansible_collections.postgres.operator.plugins.module_utils.resources.job_state import JobState

ARGUMENT_SPEC = {
    "namespace": {"type": "str", "required": True},
    "job": {"type": "dict", "required": True},
}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Suspend the Job, or delete its pod."""
    if not check_mode:
        end_held_pod(connect(), params["namespace"], from_plain(JobState, params["job"]))
    return {"changed": True}


if __name__ == "__main__":
    execute(ARGUMENT_SPEC, run)
