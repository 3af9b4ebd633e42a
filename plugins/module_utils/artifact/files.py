"""Which files any artifact can have, a logical or a physical one."""

from __future__ import annotations

from . import manifest as logical
from .physical import manifest as physical


def is_file_name(name: str) -> bool:
    """Whether a file of an artifact can have this path, the manifest excepted."""
    return logical.is_file_name(name) or physical.is_file_name(name)
