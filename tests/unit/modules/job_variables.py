"""What the playbook of a Job reads."""

from __future__ import annotations

import json
from typing import Any


def variables_of(job: dict[str, Any], container: str = "") -> dict[str, Any]:
    """Return the variables that a Job's pod carries in its annotation.

    Args:
        container: one beside the main one, which has variables of its own.
    """
    annotations = job["spec"]["template"]["metadata"]["annotations"]
    name = f"{container}-variables" if container else "variables"
    variables: dict[str, Any] = json.loads(annotations[f"database.example.com/{name}"])
    return variables
