"""The store that a destination stands for, as Jobs and instances have it in their variables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import InvalidInput
from .filesystem import FilesystemStore
from .protocol import Store


def chosen_store(params: dict[str, Any], **patience: Any) -> Store:
    """Return the store that the variables root or s3 name.

    Args:
        params: with ``jobs``, the transfers at the same time, if more than one.
        patience: ``timeout_seconds`` and ``attempts`` of a bucket's requests, if not the usual.

    Raises:
        InvalidInput: they name none, or two.
    """
    root, s3 = params.get("root"), params.get("s3")
    if bool(root) == bool(s3):
        raise InvalidInput("a store is either a root, its folder, or an s3: name one of them")
    if root:
        return FilesystemStore(Path(root))
    assert s3 is not None
    # boto3 is large: who uses a folder need not have it, nor wait for it.
    from .s3 import S3Store  # noqa: PLC0415

    return S3Store(
        bucket=s3["bucket"],
        credentials_folder=Path(s3["credentials_folder"]),
        endpoint=s3.get("endpoint") or None,
        proxy=s3.get("proxy") or None,
        region=s3.get("region") or None,
        prefix=s3.get("prefix") or "",
        ca_file=Path(s3["ca_file"]) if s3.get("ca_file") else None,
        path_style=bool(s3.get("path_style")),
        sse=s3.get("sse") or None,
        workers=params.get("jobs") or 1,
        **patience,
    )
