"""Find out how a restore ended that was stopped."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: restore_outcome
short_description: Find out how a restore ended that was stopped
description:
  - Asks the server whether a run of M(postgres.operator.artifact_restore) had replaced the database when it was stopped,
    and does what that run could not do any more.
  - If it had not, its scratch database is dropped, and the module fails with the reason Timeout.
  - A server that does not answer is asked for up to ten minutes.
extends_documentation_fragment:
  - postgres.operator.backup.connection
  - postgres.operator.backup.restore
options:
  database:
    description: Name of the database that was to be replaced.
    type: str
    required: true
  timeout:
    description: How long the restore was given, such as V(72h), for the message.
    type: str
    required: true
  dry_run:
    description: Whether it was to replace nothing.
    type: bool
    default: false
author: [postgres-operator maintainers]
"""

EXAMPLES = r"""
- name: Find out how the restore ended
  postgres.operator.restore_outcome:
    host: app.default.svc
    user: postgres
    password_file: /etc/job/password
    database: app
    restore_uid: 7c9e6679-7425-40de-944b-e07fc1f90ae7
    timeout: 72h
"""

RETURN = r"""
restore:
  description: What was restored, as M(postgres.operator.artifact_restore) returns it. Absent in check mode.
  type: dict
  returned: success
"""

from ansible_collections.postgres.operator.plugins.module_utils.ansible_module import execute
from ansible_collections.postgres.operator.plugins.module_utils.artifact.actions import (
    find_outcome as run,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.options import (
    OUTCOME_OPTIONS as ARGUMENT_SPEC,
)

if __name__ == "__main__":
    execute(ARGUMENT_SPEC, run)
