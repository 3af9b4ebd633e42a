"""The image that the agent is copied from, which Jobs and instances run their programs with."""

from __future__ import annotations

import os


def agent_image(given: str = "") -> str:
    """Return the image: the one given, else `$OPERATOR_IMAGE`, which is the operator's own."""
    return given or os.environ.get("OPERATOR_IMAGE", "")
