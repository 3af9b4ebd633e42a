"""List the artifacts of a store."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: artifact_list
short_description: List the artifacts of a store
description:
  - Reads the manifests of a store, of all Databases or of some. It needs no cluster and no PostgreSQL.
  - Files are not read, see M(postgres.operator.artifact_check).
options:
  namespace:
    description: List those of Databases in this namespace only.
    type: str
    default: ""
  resource:
    description: List those of the Database of this name only. Needs O(namespace).
    type: str
    default: ""
  jobs:
    description: How many manifests are read at the same time.
    type: int
    default: 4
extends_documentation_fragment: postgres.operator.backup.store
author: [postgres-operator maintainers]
"""

EXAMPLES = r"""
- name: List the backups in the bucket
  postgres.operator.artifact_list:
    s3:
      endpoint: https://s3.example.com
      bucket: backups
      credentials_folder: /etc/s3
  register: found
"""

RETURN = r"""
artifacts:
  description: Those whose manifest can be read, the newest first.
  type: list
  elements: dict
  returned: success
  sample:
    - namespace: default
      database: app
      uid: 0f8fad5b-d9cb-469f-a165-70867728950e
      location: default/app/0f8fad5b-d9cb-469f-a165-70867728950e
      startTime: "2026-01-31T02:00:00Z"
      sizeBytes: 62914560
      serverVersion: "17.12"
      sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
unreadable:
  description: The others, and why.
  type: list
  elements: str
  returned: success
"""

from ansible_collections.postgres.operator.plugins.module_utils.ansible_module import execute
from ansible_collections.postgres.operator.plugins.module_utils.artifact.actions import (
    list_store as run,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.options import (
    LIST_OPTIONS as ARGUMENT_SPEC,
)

if __name__ == "__main__":
    execute(ARGUMENT_SPEC, run)
