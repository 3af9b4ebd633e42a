"""Remove an artifact."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: artifact_remove
short_description: Remove an artifact from its store
description:
  - Removes all files of an artifact, the manifest first, so that an interrupted removal never leaves something that
    looks like a backup.
extends_documentation_fragment:
  - postgres.operator.backup.store
  - postgres.operator.backup.artifact
author: [postgres-operator maintainers]
"""

EXAMPLES = r"""
- name: Remove the files of the backup
  postgres.operator.artifact_remove:
    root: /backups
    namespace: default
    resource: app
    uid: 0f8fad5b-d9cb-469f-a165-70867728950e
"""

RETURN = r"""
location:
  description: The artifact, relative to the store's root or prefix.
  type: str
  returned: success
  sample: default/app/0f8fad5b-d9cb-469f-a165-70867728950e
"""

from ansible_collections.postgres.operator.plugins.module_utils.ansible_module import execute
from ansible_collections.postgres.operator.plugins.module_utils.artifact.actions import (
    remove as run,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.options import (
    REMOVE_OPTIONS as ARGUMENT_SPEC,
)

if __name__ == "__main__":
    execute(ARGUMENT_SPEC, run)
