"""Run a script with psql."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: psql
short_description: Run a script with psql
description:
  - Runs SQL that is given as text or as a file, all of it or nothing, and returns the rows that it prints.
  - psql does what the script says, including shell commands. Run no scripts from untrusted sources.
requirements:
  - psql on PATH; 14.24, 15.19, 16.15, 17.11, 18.6 or newer, which have security fixes
extends_documentation_fragment:
  - postgres.operator.backup.connection
options:
  database:
    description: Name of the database in PostgreSQL.
    type: str
    default: postgres
  script:
    description: The text. Either this or O(src). Where it holds a secret, set C(no_log) on the task.
    type: str
  src:
    description: A file with it, where the task runs. Either this or O(script).
    type: path
  single_transaction:
    description: Whether an error undoes what came before it. Some statements, such as CREATE DATABASE, need V(false).
    type: bool
    default: true
author: [postgres-operator maintainers]
"""

EXAMPLES = r"""
- name: Read the table of versions
  postgres.operator.psql:
    host: db.example.com
    user: postgres
    password_file: /root/postgres-password
    database: app
    script: SELECT name, applied FROM version ORDER BY applied;
  register: versions
  changed_when: false
"""

RETURN = r"""
rows:
  description: The lines that it printed, a row each, with C(|) between the columns. Absent in check mode.
  type: list
  elements: str
  returned: success
truncated:
  description: Whether it printed more than 1 MiB, of which this is the beginning. Absent in check mode.
  type: bool
  returned: success
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible_collections.postgres.operator.plugins.module_utils.ansible_module import execute
from ansible_collections.postgres.operator.plugins.module_utils.artifact import options
from ansible_collections.postgres.operator.plugins.module_utils.errors import InvalidInput
from ansible_collections.postgres.operator.plugins.module_utils.postgres.script import (
    check_script,
    run_script,
)

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    **options.CONNECTION_OPTIONS,
    "database": {"type": "str", "default": "postgres"},
    "script": {"type": "str"},
    "src": {"type": "path"},
    "single_transaction": {"type": "bool", "default": True},
}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Run the script; in check mode only find out whether it could begin."""
    parameters = options.connection_parameters(params, params["database"])
    with _file(params) as file:
        if check_mode:
            check_script(parameters, file)
            return {"changed": True}
        output = run_script(parameters, file, params["single_transaction"])
    return {"changed": True, "rows": output.rows, "truncated": output.truncated}


@contextmanager
def _file(params: dict[str, Any]) -> Iterator[Path]:
    """The file with the script; a text is written to one that other users cannot read."""
    script, src = params["script"], params["src"]
    if (script is None) == (src is None):
        raise InvalidInput("a script is either a text, script, or a file, src: give one of them")
    if src is not None:
        yield Path(src)
        return
    with tempfile.TemporaryDirectory(prefix="postgres-operator-") as folder:
        file = Path(folder, "script.sql")
        file.touch(mode=0o600)
        file.write_text(script, encoding="utf-8")
        yield file


if __name__ == "__main__":
    execute(ARGUMENT_SPEC, run)
