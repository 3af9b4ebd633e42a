"""UIDs: Kubernetes' own are UUIDs, those that people give to a playbook need not be."""

from __future__ import annotations

import re

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def is_uuid(uid: str) -> bool:
    """Whether it is a UUID as Kubernetes writes them: whole, with hyphens, in lower case."""
    return _UUID.fullmatch(uid) is not None
