"""What the playbook of a Job reads."""

from __future__ import annotations

import json
from typing import Any


def variables_of(job: dict[str, Any]) -> dict[str, Any]:
    """Return the variables that a Job's pod carries in its annotation."""
    annotations = job["spec"]["template"]["metadata"]["annotations"]
    variables: dict[str, Any] = json.loads(annotations["database.example.com/variables"])
    return variables
