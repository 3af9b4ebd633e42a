"""Read how far a Database is that is created from a Backup."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: database_origin
short_description: Read how far a Database is that is created from a Backup
description:
  - Reads the Restore that brings the first contents of a Database, and the Backup that it names.
options:
  resource:
    description: The Database.
    type: dict
    required: true
  contents:
    description: What is in it, as M(postgres.operator.database_sql) has seen; empty while there is no primary.
    type: str
    choices: ["", empty, restored, other]
    required: true
author: [postgres-operator maintainers]
"""

EXAMPLES = r"""
- name: Read the progress of the first contents
  postgres.operator.database_origin:
    resource: "{{ database_reconcile.resource }}"
    contents: "{{ database_sql.contents }}"
"""

RETURN = r"""
definitions:
  description:
    - The Restore that is to be made now, if one is; or the claim of the first volume, which the Restore fills where the
      Database is made from a whole server.
  type: list
  elements: dict
  returned: success
restored_from:
  description: The Backup, once the contents are there.
  type: str
  returned: success
restoring:
  description: A condition's reason and message while they are not.
  type: list
  elements: str
  returned: success
refused:
  description: A condition's reason and message of what a user has to correct.
  type: list
  elements: str
  returned: success
"""

from typing import Any

from ansible_collections.postgres.operator.plugins.module_utils.ansible_module import execute
from ansible_collections.postgres.operator.plugins.module_utils.kube.client import connect
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.bootstrap import (
    Origin,
    find_origin,
    find_whole_origin,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.first_volume import (
    is_to_be_rebuilt,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.prerequisites import (
    is_to_be_restored,
)

ARGUMENT_SPEC = {
    "resource": {"type": "dict", "required": True},
    "contents": {"type": "str", "choices": ["", "empty", "restored", "other"], "required": True},
}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Read; nothing is written, so check mode is no different."""
    resource, contents = params["resource"], params["contents"]
    origin = Origin()
    if is_to_be_rebuilt(resource):
        origin = find_whole_origin(connect(), resource, served=bool(contents))
    elif contents and is_to_be_restored(resource):
        origin = find_origin(connect(), resource, contents)
    return {
        "changed": False,
        "definitions": [one for one in (origin.restore, origin.claim) if one],
        "restored_from": origin.restored_from,
        "restoring": list(origin.restoring or ()),
        "refused": list(origin.refused or ()),
    }


if __name__ == "__main__":
    execute(ARGUMENT_SPEC, run)
