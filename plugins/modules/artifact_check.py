"""Read an artifact back and compare it with its manifest."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: artifact_check
short_description: Read an artifact back and compare it with its manifest
description:
  - Reads every file of an artifact from the disk (not from the page cache), or from S3, and compares its size and
    SHA-256 with the manifest. Missing and extra files are refused, and C(pg_restore) must be able to list the dump.
  - Without O(uid) it is the newest artifact of the Database, by the times in the manifests. C(warning) then names those
    whose manifest cannot be read, which may be newer.
  - Changes nothing.
requirements:
  - pg_restore on PATH
extends_documentation_fragment:
  - postgres.operator.backup.store
  - postgres.operator.backup.artifact
  - postgres.operator.backup.sha256
  - postgres.operator.backup.run
options:
  uid:
    description: UID of the Backup resource that made it; without it the newest one is taken.
    type: str
author: [postgres-operator maintainers]
"""

EXAMPLES = r"""
- name: Check the files of the backup
  postgres.operator.artifact_check:
    root: /backups
    namespace: default
    resource: app
    uid: 0f8fad5b-d9cb-469f-a165-70867728950e
"""

RETURN = r"""
artifact:
  description: What was found, as M(postgres.operator.artifact_create) returns it.
  type: dict
  returned: success
steps:
  description: Name and duration of each step.
  type: list
  elements: dict
  returned: success
"""

from ansible_collections.postgres.operator.plugins.module_utils.ansible_module import execute
from ansible_collections.postgres.operator.plugins.module_utils.artifact.actions import check as run
from ansible_collections.postgres.operator.plugins.module_utils.artifact.options import (
    CHECK_OPTIONS as ARGUMENT_SPEC,
)

if __name__ == "__main__":
    execute(ARGUMENT_SPEC, run)
