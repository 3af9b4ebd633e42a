"""Ask a name server for a name's address; run as a program, inside a machine's network.

Usage: dns_probe.py SERVER NAME. Prints the addresses; exits with 1 if there is no answer.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
import sys

TYPE_A, CLASS_IN = 1, 1
POINTER = 0xC0
QUERY_ID = 0x5067
SECONDS = 1.0


def question(name: str) -> bytes:
    """Encode a question for a name's IPv4 address."""
    header = struct.pack("!HHHHHH", QUERY_ID, 0x0100, 1, 0, 0, 0)
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return header + labels + b"\0" + struct.pack("!HH", TYPE_A, CLASS_IN)


def addresses(asked: bytes, answer: bytes) -> list[str]:
    """Decode the addresses that an answer gives."""
    query_id, _, _, count = struct.unpack("!HHHH", answer[:8])
    if query_id != QUERY_ID:
        return []
    found, position = [], len(asked)
    for _ in range(count):
        # A name is labels up to a zero, or ends in a pointer of two bytes to an earlier one.
        while answer[position] and answer[position] < POINTER:
            position += answer[position] + 1
        position += 2 if answer[position] >= POINTER else 1
        kind, _, _, length = struct.unpack("!HHIH", answer[position : position + 10])
        position += 10
        if kind == TYPE_A:
            found.append(str(ipaddress.IPv4Address(answer[position : position + length])))
        position += length
    return found


def main() -> int:
    """Ask once."""
    server, name = sys.argv[1:]
    asked = question(name)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
        connection.settimeout(SECONDS)
        try:
            connection.sendto(asked, (server, 53))
            found = addresses(asked, connection.recv(4096))
        except (OSError, struct.error, IndexError):
            return 1
    print(" ".join(found))
    return 0 if found else 1


if __name__ == "__main__":
    sys.exit(main())
