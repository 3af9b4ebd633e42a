"""What a client asks for, as the process of its run reads it."""

from __future__ import annotations

import os
from dataclasses import dataclass

from . import protocol


@dataclass(frozen=True)
class Request:
    """All that a process is started with, but its descriptors."""

    arguments: list[str]
    environment: dict[str, str]
    folder: str
    umask: int


def decode(data: bytes) -> Request:
    """Decode what protocol.encode_request made, without its length."""
    version, *parts = data.split(b"\0")
    if version != protocol.VERSION:
        raise protocol.OddRequestError(
            f"the client speaks {version!r}, this parent {protocol.VERSION!r}"
        )
    folder, umask, count, *rest = map(os.fsdecode, parts)
    arguments, variables = rest[: int(count)], rest[int(count) :]
    return Request(
        arguments=arguments,
        environment=dict(variable.split("=", 1) for variable in variables),
        folder=folder,
        umask=int(umask),
    )
