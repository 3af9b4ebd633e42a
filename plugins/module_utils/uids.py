"""UIDs: those of Kubernetes are UUIDs, those given to a playbook by hand need not be."""

from __future__ import annotations

import hashlib
import re

_SHORT = 8
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def is_uuid(uid: str) -> bool:
    """Whether it is a UUID as Kubernetes writes them: whole, with hyphens, in lower case."""
    return _UUID.fullmatch(uid) is not None


def short_uid(uid: str) -> str:
    """What stands for a UID in the names of databases.

    UUIDs differ in their beginnings; what a person has thought of may well differ in its end only.

    >>> short_uid("0f8fad5b-d9cb-469f-a165-70867728950e")
    '0f8fad5b'
    >>> short_uid("restore-app1")
    '03bb8f55'
    """
    return (uid if is_uuid(uid) else hashlib.sha256(uid.encode()).hexdigest())[:_SHORT]


def share_of(uid: str) -> float:
    """Return a number from 0 up to 1 that is always the same for a UID, to spread work by.

    >>> round(share_of("0f8fad5b"), 3)
    0.329
    """
    return int.from_bytes(hashlib.sha256(uid.encode()).digest()[:8]) / 2**64
