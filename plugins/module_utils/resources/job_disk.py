"""What a Job takes on its node's disk, as far as it is known before it is made.

The scheduler takes a node that has so much, and the kubelet ends other pods first that take more
than they have requested. Where nothing is known nothing is requested.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..kube.client import Object
from .backup.destination import s3_of
from .backup.physical import is_physical

_MEBIBYTE = 1024 * 1024


def restore_bytes(backup: Object) -> int:
    """Return what a Restore takes: the files of its Backup, if they are fetched or decrypted.

    Of a physical one that is the whole server, and a dump of one of its databases.
    """
    size: int = backup["status"].get("sizeBytes") or 0
    if is_physical(backup):
        return 2 * int(backup["status"].get("restoreSizeBytes") or 0)
    return size if _passes_spool(backup) else 0


def verification_bytes(backup: Object, previous: Mapping[str, Any] | None) -> int:
    """Return what verifying a Backup that is to be made takes: about what the last one would.

    That is the restored database, a copy of what is in a bucket, and what is decrypted of it.

    Args:
        backup: with its spec.
        previous: the status of the last one of the same kind; None for none.
    """
    if previous is None or backup["spec"]["verify"] != "restore":
        return 0
    size: int = previous["sizeBytes"]
    database: int = previous.get("restoreSizeBytes") or 0
    copies = bool(s3_of(backup)) + bool(backup["spec"].get("encryption"))
    return database + copies * size


def disk_request(size: int) -> dict[str, str]:
    """Return the request of so many bytes, as a container has it; empty for none.

    >>> disk_request(1), disk_request(0)
    ({'ephemeral-storage': '1Mi'}, {})
    """
    return {"ephemeral-storage": f"{-(-size // _MEBIBYTE)}Mi"} if size else {}


def _passes_spool(backup: Object) -> bool:
    return bool(s3_of(backup) or backup["spec"].get("encryption"))
