"""Ask ansible-operator for the next reconcile."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: requeue_after
short_description: Ask ansible-operator for the next reconcile
description:
  - ansible-operator looks for a task whose action is literally C(requeue_after) and reads C(period) from its result.
  - It ends the reconcile at once, so this is the last task of a role, under its short name.
options:
  period:
    description: When, as Go writes a duration, such as C(5s).
    type: str
    required: true
author: [postgres-operator maintainers]
"""

EXAMPLES = r"""
- name: Request the next reconcile
  requeue_after:
    period: 5s
"""

RETURN = r"""
period:
  description: The period.
  type: str
  returned: success
"""

from typing import Any

from ansible_collections.postgres.operator.plugins.module_utils.ansible_module import execute

ARGUMENT_SPEC = {"period": {"type": "str", "required": True}}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Return the period for ansible-operator to find."""
    return {"changed": False, "period": params["period"]}


if __name__ == "__main__":
    execute(ARGUMENT_SPEC, run)
