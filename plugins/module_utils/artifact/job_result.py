"""The JSON document with the result of a Job, for the operator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..errors import StoreUnreachable

LIMIT_BYTES = 4096
"""What Kubernetes keeps of a termination message."""


def encode_result(result: dict[str, Any]) -> bytes:
    """One line of JSON of at most LIMIT_BYTES; a ``message`` that is too long is cut.

    Raises:
        ValueError: it is too long without a message.
    """
    content = _dump(result)
    message = str(result.get("message", ""))
    while len(content) > LIMIT_BYTES:
        if not message:
            raise ValueError(f"the result exceeds {LIMIT_BYTES} bytes")
        excess = len(content) - LIMIT_BYTES
        # A character takes up to four bytes, or two when escaped: so this may need some rounds.
        message = message[: max(len(message) - max(excess // 4, 1) - 1, 0)]
        content = _dump(result | {"message": message.rstrip() + "…"})
    return content


def write_result(path: Path, result: dict[str, Any]) -> None:
    """Write the document.

    In place: a termination log is a mounted file, which nothing can be renamed onto.

    Raises:
        StoreUnreachable: the file cannot be written.
    """
    content = encode_result(result)
    try:
        path.write_bytes(content)
    except OSError as error:
        raise StoreUnreachable(f"cannot write the result to {path}: {error.strerror}") from error


def _dump(result: dict[str, Any]) -> bytes:
    return json.dumps(result, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
