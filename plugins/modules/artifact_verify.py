"""Verify an artifact by restoring it into a scratch server."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: artifact_verify
short_description: Verify an artifact by restoring it into a scratch server
description:
  - Checks every file as M(postgres.operator.artifact_check) does, starts a PostgreSQL server of its own, restores the
    artifact into it, and compares row count and fingerprint of every table, sequences and large objects with the
    manifest.
  - The server has the encoding, the locale and the locale provider of the source, listens on a Unix socket in a private
    folder only, and is removed with all its data in the end. No other server is needed or touched.
  - Roles are made to own things, members of each other as in the backup, and without further rights.
  - Changes nothing that lasts, so it does the same in check mode.
  - As root it runs the server as the user C(postgres), since PostgreSQL refuses to be root.
requirements:
  - psycopg
  - initdb, postgres and pg_restore on PATH, not older than the server that was backed up; 14.19, 15.14, 16.10, 17.6, 18 or
    newer, which have security fixes
  - about the size of the database on the disk of O(scratch)
extends_documentation_fragment:
  - postgres.operator.backup.store
  - postgres.operator.backup.artifact
  - postgres.operator.backup.sha256
  - postgres.operator.backup.run
options:
  scratch:
    description: Folder that the server's data is put below while it runs; it must exist.
    type: path
    required: true
author: [postgres-operator maintainers]
"""

EXAMPLES = r"""
- name: Verify that the backup restores
  postgres.operator.artifact_verify:
    root: /backups
    namespace: default
    resource: app
    uid: 0f8fad5b-d9cb-469f-a165-70867728950e
    scratch: /var/tmp
    jobs: 2
"""

RETURN = r"""
verification:
  description: What was verified, as M(postgres.operator.artifact_create) returns it, with the times of the verification.
  type: dict
  returned: success
steps:
  description: Name and duration of each step.
  type: list
  elements: dict
  returned: success
"""

from ansible_collections.postgres.operator.plugins.module_utils.ansible_module import execute
from ansible_collections.postgres.operator.plugins.module_utils.artifact.actions import (
    verify as run,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.options import (
    VERIFY_OPTIONS as ARGUMENT_SPEC,
)

if __name__ == "__main__":
    execute(ARGUMENT_SPEC, run)
