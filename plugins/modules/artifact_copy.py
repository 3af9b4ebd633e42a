"""Copy an artifact's stored files into a folder."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: artifact_copy
short_description: Copy an artifact's stored files into a folder
description:
  - Copies the files of an artifact as they are stored, encrypted or not, into a folder that the other modules then take
    as O(root).
  - Needs no key and checks nothing; M(postgres.operator.artifact_check) and M(postgres.operator.artifact_verify) do.
  - So an artifact can be verified where the credentials of its store are not at hand.
extends_documentation_fragment:
  - postgres.operator.backup.store
  - postgres.operator.backup.artifact
  - postgres.operator.backup.run
options:
  target:
    description: The folder; it must exist. What it has of this artifact is replaced.
    type: path
    required: true
author: [postgres-operator maintainers]
"""

EXAMPLES = r"""
- name: Copy the backup into a folder
  postgres.operator.artifact_copy:
    s3:
      endpoint: https://s3.example.com
      bucket: backups
      credentials_folder: /etc/s3
    namespace: default
    resource: app
    uid: 0f8fad5b-d9cb-469f-a165-70867728950e
    target: /backups
"""

RETURN = r"""
location:
  description: The artifact, relative to the folder.
  type: str
  returned: success
  sample: default/app/0f8fad5b-d9cb-469f-a165-70867728950e
"""

from ansible_collections.postgres.operator.plugins.module_utils.ansible_module import execute
from ansible_collections.postgres.operator.plugins.module_utils.artifact.actions import copy as run
from ansible_collections.postgres.operator.plugins.module_utils.artifact.options import (
    COPY_OPTIONS as ARGUMENT_SPEC,
)

if __name__ == "__main__":
    execute(ARGUMENT_SPEC, run)
