"""Dump a database into an artifact."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: artifact_create
short_description: Dump a database into an artifact with a manifest
description:
  - Dumps one database with C(pg_dump) in directory format to C(NAMESPACE/RESOURCE/UID/dump) in the store and writes
    C(manifest.json) last of all. Whatever happens before leaves no manifest, and without one it is not a backup.
  - To S3, or encrypted, each file is sent from O(spool) as soon as C(pg_dump) has finished it, and removed there.
  - The manifest has size and SHA-256 of every file, and row count and fingerprint of every table, taken in the very
    snapshot that was dumped.
  - What a failed run with the same O(uid) left is replaced. A finished artifact with the same O(uid) is used as it is.
  - With O(include) or O(exclude) it is a partial backup. The manifest says of each table whether its rows are there.
  - Does not read the files back, see M(postgres.operator.artifact_check).
requirements:
  - pg_dump on PATH, not older than the server; 14.24, 15.19, 16.15, 17.11, 18.6 or newer, which have security fixes
extends_documentation_fragment:
  - postgres.operator.backup.connection
  - postgres.operator.backup.database
  - postgres.operator.backup.store
  - postgres.operator.backup.artifact
  - postgres.operator.backup.selection
  - postgres.operator.backup.run
options:
  compression:
    description: How C(pg_dump) compresses. Before version 16 it knows V(gzip) and V(none). Without it V(zstd), or V(gzip)
      before version 16.
    type: str
    choices: [gzip, lz4, none, zstd]
  compression_level:
    description: The method's level; 1-9 of V(gzip), 1-12 of V(lz4), 1-22 of V(zstd). Needs O(compression).
    type: int
  passwords:
    description:
      - Whether the manifest has the verifiers of the passwords of the roles that own something in the database or were
        granted something, superusers and roles that replicate excepted. It is encrypted then, or the backup is refused.
    type: bool
    default: false
  unfinished:
    description:
      - UIDs of unfinished Backups of the same Database. What others have left in the store without finishing it
        is removed, if nothing of it has changed for 24 hours before O(unfinished_listed).
      - Only what has a UUID for its name, and holds nothing but what a backup writes. All else is left alone.
    type: list
    elements: str
    default: []
  unfinished_listed:
    description: When O(unfinished) was true, as RFC 3339. Without it nothing of others is removed.
    type: str
  previous:
    description:
      - The last backup of the same whole database. Where not even half of what follows from it is free, in O(root) or
        O(spool), no backup is begun.
    type: dict
    suboptions:
      size_bytes:
        description: The size of its files.
        type: int
        required: true
      rows:
        description: How many rows it has. A database that has fewer by now takes less.
        type: int
        required: true
  recipients:
    description:
      - Public keys of age, V(age1...), that the artifact is encrypted for; the identity of each one decrypts it. Needs
        pyrage. Without them it is encrypted for the first one of O(identity_file).
      - Without O(identity_file) a finished artifact of the same UID is not used but made again.
    type: list
    elements: str
    default: []
author: [postgres-operator maintainers]
"""

EXAMPLES = r"""
- name: Dump app into the store
  postgres.operator.artifact_create:
    host: app.default.svc
    user: postgres
    password_file: /etc/job/password
    database: app
    root: /backups
    namespace: default
    resource: app
    uid: 0f8fad5b-d9cb-469f-a165-70867728950e
    jobs: 2

- name: Dump app into S3, encrypted
  postgres.operator.artifact_create:
    host: app.default.svc
    user: postgres
    password_file: /etc/job/password
    database: app
    s3:
      endpoint: https://s3.example.com
      bucket: backups
      credentials_folder: /etc/s3
    identity_file: /etc/encryption/identity
    spool: /var/tmp
    namespace: default
    resource: app
    uid: 0f8fad5b-d9cb-469f-a165-70867728950e
    jobs: 2
"""

RETURN = r"""
artifact:
  description:
    - What was written, or adopted. Absent in check mode if there is no artifact yet.
    - C(warning) names tables with rows that no dump holds, because they belong to an extension.
  type: dict
  returned: success
  sample:
    location: default/app/0f8fad5b-d9cb-469f-a165-70867728950e
    sizeBytes: 62914560
    restoreSizeBytes: 157286400
    sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    serverVersion: "15.20"
    tables: 5
    rows: 1000110
    startTime: "2026-01-31T02:00:00Z"
    completionTime: "2026-01-31T02:00:09Z"
steps:
  description: Name and duration of each step.
  type: list
  elements: dict
  returned: success
"""

from ansible_collections.postgres.operator.plugins.module_utils.ansible_module import execute
from ansible_collections.postgres.operator.plugins.module_utils.artifact.actions import (
    create as run,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.options import (
    CREATE_OPTIONS as ARGUMENT_SPEC,
)

if __name__ == "__main__":
    execute(ARGUMENT_SPEC, run)
