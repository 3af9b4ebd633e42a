"""Load a dump into an empty database with pg_restore."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: pg_restore
short_description: Load a dump into an empty database with pg_restore
description:
  - Loads a dump in pg_dump's directory format into a database that exists and has nothing in it.
  - It ends at the first error. What takes a live database's place, compared, is M(postgres.operator.artifact_restore).
requirements:
  - pg_restore on PATH, not older than the server; 14.19, 15.14, 16.10, 17.6, 18 or newer, which have security fixes
extends_documentation_fragment:
  - postgres.operator.backup.connection
  - postgres.operator.backup.database
options:
  folder:
    description: The folder with the dump.
    type: path
    required: true
  jobs:
    description: Processes that pg_restore works with.
    type: int
    default: 1
author: [postgres-operator maintainers]
"""

EXAMPLES = r"""
- name: Load the dump into the new server
  postgres.operator.pg_restore:
    host: new.example.com
    user: postgres
    password_file: /root/postgres-password
    database: app
    folder: /srv/dumps/app-before-the-upgrade
    jobs: 4
"""

RETURN = r"""
{}
"""

from pathlib import Path
from typing import Any

from ansible_collections.postgres.operator.plugins.module_utils.ansible_module import execute
from ansible_collections.postgres.operator.plugins.module_utils.artifact import options
from ansible_collections.postgres.operator.plugins.module_utils.artifact.load import (
    check_load,
    load_dump,
)

ARGUMENT_SPEC = options.PLAIN_DUMP_OPTIONS


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Load; in check mode only find out whether that could be done."""
    parameters = options.connection_parameters(params, params["database"])
    work = check_load if check_mode else load_dump
    work(parameters, Path(params["folder"]), params["jobs"])
    return {"changed": True}


if __name__ == "__main__":
    execute(ARGUMENT_SPEC, run)
