"""Dump a database into a folder with pg_dump."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: pg_dump
short_description: Dump a database into a folder with pg_dump
description:
  - Writes a dump in pg_dump's directory format, which is there only once it is whole.
  - A plain dump, without a manifest. What can be checked and verified is made by M(postgres.operator.artifact_create).
requirements:
  - pg_dump on PATH, not older than the server; 14.24, 15.19, 16.15, 17.11, 18.6 or newer, which have security fixes
extends_documentation_fragment:
  - postgres.operator.backup.connection
  - postgres.operator.backup.database
options:
  folder:
    description: The folder to make. One that is there already is not touched.
    type: path
    required: true
  jobs:
    description: Processes that pg_dump works with.
    type: int
    default: 1
  compression:
    description: How the files are compressed; zstd where pg_dump can do that, else gzip.
    type: str
    choices: [gzip, lz4, none, zstd]
  compression_level:
    description: The method's level; its own default where it is left out.
    type: int
author: [postgres-operator maintainers]
"""

EXAMPLES = r"""
- name: Dump the database before the upgrade
  postgres.operator.pg_dump:
    host: db.example.com
    user: postgres
    password_file: /root/postgres-password
    database: app
    folder: /srv/dumps/app-before-the-upgrade
    jobs: 4
"""

RETURN = r"""
dump:
  description: The folder, the size of its files in bytes and the server's version. Absent in check mode.
  type: dict
  returned: success
  sample:
    folder: /srv/dumps/app-before-the-upgrade
    sizeBytes: 62914560
    serverVersion: "17.6"
"""

from pathlib import Path
from typing import Any

from ansible_collections.postgres.operator.plugins.module_utils.ansible_module import execute
from ansible_collections.postgres.operator.plugins.module_utils.artifact import options
from ansible_collections.postgres.operator.plugins.module_utils.artifact.dump import (
    check_dump,
    dump_database,
)

ARGUMENT_SPEC = {**options.PLAIN_DUMP_OPTIONS, **options.COMPRESSION_OPTIONS}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Dump; in check mode only find out whether that could be done."""
    parameters = options.connection_parameters(params, params["database"])
    folder, compression = Path(params["folder"]), options.compression(params)
    if check_mode:
        check_dump(parameters, folder, params["jobs"], compression)
        return {"changed": True}
    dump = dump_database(parameters, folder, params["jobs"], compression)
    return {
        "changed": True,
        "dump": {
            "folder": str(dump.folder),
            "sizeBytes": dump.size_bytes,
            "serverVersion": dump.server_version,
        },
    }


if __name__ == "__main__":
    execute(ARGUMENT_SPEC, run)
