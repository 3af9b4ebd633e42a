"""Replace a database by the content of an artifact."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: artifact_restore
short_description: Replace a database by the content of an artifact
description:
  - Checks every file of the artifact, restores it into a scratch database, compares counts and fingerprints of all its
    tables with the manifest, and puts it in the live database's place by renaming both in one transaction.
  - The live database is the old one or the new one, never a mix, and its owner, privileges, settings and comment stay
    as they are. A failure leaves it untouched and drops the scratch database.
  - The old one is kept as C(DATABASE_before_XXXXXXXX) for O(keep_previous_seconds), without connections. That
    ends with the first 8 characters of O(restore_uid), or of its SHA-256 where it is no UUID.
  - A run with the same O(restore_uid) as one that has succeeded changes nothing.
  - One restore at a time per database.
requirements:
  - pg_restore on PATH, not older than the server; 14.19, 15.14, 16.10, 17.6, 18 or newer, which have security fixes
extends_documentation_fragment:
  - postgres.operator.backup.connection
  - postgres.operator.backup.store
  - postgres.operator.backup.artifact
  - postgres.operator.backup.sha256
  - postgres.operator.backup.selection
  - postgres.operator.backup.restore
  - postgres.operator.backup.run
options:
  database:
    description: Name of the database in PostgreSQL; it is created if it does not exist.
    type: str
    required: true
  partial:
    description:
      - Whether O(database) may be replaced by a part of the rows, where O(include) or O(exclude) is given or the backup
        is a partial one. Else that is refused.
    type: bool
    default: false
  dry_run:
    description:
      - Restore and compare, but drop the scratch database instead of putting it in place, and return what would change.
      - Check mode only checks the artifact.
    type: bool
    default: false
  logins:
    description: Whether roles that are missing, and are made, can log in with the passwords that the backup has of them.
    type: bool
    default: false
  ends_replication:
    description:
      - Whether a database is replaced that has subscriptions, or logical replication slots that nothing reads from. They
        stay in the replaced one, and are dropped with it or have to be. A slot that is read from, and a prepared
        transaction, keep a database from being replaced in any case.
    type: bool
    default: false
  takes_properties:
    description:
      - Whether the database gets the privileges, settings, comment and connection limit that the backup has, also where one
        is replaced, whose own it would get. A new database gets them in any case.
      - Settings are applied with the rights of the owner; those that this role may not set are named.
    type: bool
    default: false
  as_superuser:
    description:
      - Whether the superuser loads everything, and so executes what the owners of tables have written into constraints,
        indexes and materialized views. Needed only for what a run without it refuses.
      - Without it each owner's objects are loaded in the session of a role without rights.
    type: bool
    default: false
  try_without_room:
    description:
      - Begin also where the database, by its size at the backup, would leave less free on the server's volume than the
        reserve, a tenth of it and at most 5 GiB. Without it that is refused. A bloated database takes less once it is
        restored.
      - In either case the restore ends, and drops what it has made, when less than half of the reserve, or than 1 GiB
        of a larger half, is free.
    type: bool
    default: false
author: [postgres-operator maintainers]
"""

EXAMPLES = r"""
- name: Restore app
  postgres.operator.artifact_restore:
    host: app.default.svc
    user: postgres
    password_file: /etc/job/password
    database: app
    root: /backups
    namespace: default
    resource: app
    uid: 0f8fad5b-d9cb-469f-a165-70867728950e
    restore_uid: 7c9e6679-7425-40de-944b-e07fc1f90ae7
    jobs: 2
"""

RETURN = r"""
restore:
  description:
    - What was restored. Absent in check mode.
    - C(warning) names tables of extensions that have other rows than at the backup, says what could not be compared, of
      which server the free room was not known, and on which standbys sessions may still see the replaced database.
    - With O(dry_run) there is no C(previousDatabase), but C(difference). It counts tables that are C(equal),
      C(different), C(onlyInBackup) and C(onlyInDatabase), and has C(examples) in words.
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
    startTime: "2026-01-31T09:00:00Z"
    completionTime: "2026-01-31T09:00:07Z"
    previousDatabase: app_before_7c9e6679
steps:
  description: Name and duration of each step.
  type: list
  elements: dict
  returned: success
"""

from ansible_collections.postgres.operator.plugins.module_utils.ansible_module import execute
from ansible_collections.postgres.operator.plugins.module_utils.artifact.actions import (
    restore as run,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.options import (
    RESTORE_OPTIONS as ARGUMENT_SPEC,
)

if __name__ == "__main__":
    execute(ARGUMENT_SPEC, run)
