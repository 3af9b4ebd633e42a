"""What a client and a parent say to each other over the socket.

1. The client sends its request: three descriptors and, in one message, all that a process is
   started with.
2. The parent answers ACCEPTED at once, also where the run has to queue.
3. The run's process reads the request and answers STARTED with its pid, or dies.
4. The client says GO. Until then nothing was done, so that a client without a pid may run the
   real program; after it the run happens once or not at all.
5. When the run has ended, the parent sends ENDED with its wait status.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

VERSION = b"warm-runner 1"
ACCEPTED = b"A"
STARTED = b"S"
GO = b"G"
ENDED = b"E"
NUMBER_BYTES = 4
DESCRIPTORS = 3


class OddRequestError(Exception):
    """A request is not what this version's client sends."""


def encode_number(number: int) -> bytes:
    """Encode a pid, a wait status or a length."""
    return number.to_bytes(NUMBER_BYTES, "big")


def decode_number(data: bytes) -> int:
    """Decode what encode_number made."""
    return int.from_bytes(data, "big")


def encode_request(
    arguments: Sequence[str], environment: Mapping[str, str], folder: str, umask: int
) -> bytes:
    """Encode a request, its length first. None of the parts can hold a NUL."""
    variables = [f"{name}={value}" for name, value in environment.items()]
    parts = [folder, str(umask), str(len(arguments)), *arguments, *variables]
    data = b"\0".join([VERSION, *map(os.fsencode, parts)])
    return encode_number(len(data)) + data


def encode_descriptors(descriptors: Sequence[int]) -> bytes:
    """Encode descriptors as an SCM_RIGHTS message holds them."""
    return b"".join(descriptor.to_bytes(4, sys.byteorder) for descriptor in descriptors)
