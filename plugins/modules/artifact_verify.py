"""Read an artifact back and compare it with its manifest."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: artifact_verify
short_description: Read an artifact back and compare it with its manifest
description:
  - Reads every file of an artifact from the disk (not from the page cache), or from S3, and compares its size and
    SHA-256 with the manifest. Missing and extra files are refused, and C(pg_restore) must be able to list the dump.
  - Changes nothing.
requirements:
  - pg_restore on PATH
extends_documentation_fragment:
  - postgres.operator.backup.artifact
  - postgres.operator.backup.run
options:
  sha256:
    description: SHA-256 that the manifest must have, as the Backup's status recorded it.
    type: str
author: [postgres-operator maintainers]
"""

EXAMPLES = r"""
- name: The backup is what was written
  postgres.operator.artifact_verify:
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

from typing import Any

from ansible_collections.postgres.operator.plugins.module_utils.ansible_module import execute
from ansible_collections.postgres.operator.plugins.module_utils.backup import options
from ansible_collections.postgres.operator.plugins.module_utils.backup.artifact import (
    files_tally,
    verify_artifact,
)

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    **options.ARTIFACT_OPTIONS,
    **options.RUN_OPTIONS,
    "sha256": {"type": "str"},
}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Verify; it only reads, in check mode too."""
    progress = options.progress(params)
    location = options.location(params)
    tally = files_tally()
    with progress.step(f"Reading back backup {location}", tally.text):
        artifact = verify_artifact(
            options.store(params), location, params["sha256"] or None, params["jobs"], tally
        )
    return {"changed": False, "artifact": artifact.summary(), "steps": options.steps(progress)}


def main() -> None:
    """Run as a module of its own."""
    execute(ARGUMENT_SPEC, run)


if __name__ == "__main__":
    main()
