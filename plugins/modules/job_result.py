"""Write how a Job ended, for the operator to read."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: job_result
short_description: Write the one JSON document that tells how a Job ended
description:
  - Writes O(result) as one line of JSON of at most 4096 bytes, which is what Kubernetes keeps of a termination message.
    A C(message) in it is cut if it has to be.
  - Writes in place, since a termination log is a mounted file that nothing can be renamed onto.
options:
  path:
    description: The file.
    type: path
    default: /dev/termination-log
  result:
    description: The document.
    type: dict
    required: true
author: [postgres-operator maintainers]
"""

EXAMPLES = r"""
- name: The operator knows that it failed
  postgres.operator.job_result:
    result:
      ok: false
      reason: NoSpace
      message: No space left on device
"""

RETURN = r""" # """

from pathlib import Path
from typing import Any

from ansible_collections.postgres.operator.plugins.module_utils.ansible_module import execute
from ansible_collections.postgres.operator.plugins.module_utils.backup.result import write_result

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    "path": {"type": "path", "default": "/dev/termination-log"},
    "result": {"type": "dict", "required": True},
}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Write, except in check mode."""
    if not check_mode:
        write_result(Path(params["path"]), params["result"])
    return {"changed": True}


def main() -> None:
    """Run as a module of its own."""
    execute(ARGUMENT_SPEC, run)


if __name__ == "__main__":
    main()
