"""TLS handshakes: one in memory, to test a certificate, and one with a PostgreSQL server."""

from __future__ import annotations

import socket
import ssl
import struct
import tempfile
from pathlib import Path

from ..errors import InvalidInput

_SSL_REQUEST = struct.pack("!II", 8, 80877103)
"""What a client of PostgreSQL sends first to go over to TLS (protocol-message-formats)."""


def try_out(certificate: str, key: str, authorities: str, name: str) -> None:
    """Shake hands in memory, as a server with a certificate and a client that verifies its name.

    It is OpenSSL that decides, as it will for the real ones: about the key, the chain, the time,
    the purpose and the name.

    Args:
        certificate: PEM text, those between it and the authority after it.
        key: its private key.
        authorities: PEM text of those that the client trusts.
        name: what the client connects to.

    Raises:
        InvalidInput: they do not come to terms; the message says why, in OpenSSL's words.
    """
    try:
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.TemporaryDirectory(prefix="postgres-operator-") as folder:
            chain, private = Path(folder, "tls.crt"), Path(folder, "tls.key")
            chain.write_text(certificate)
            private.touch(mode=0o600)
            private.write_text(key)
            # A key that is protected by a password would be asked for on the terminal.
            server.load_cert_chain(chain, private, password=lambda: b"")
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.load_verify_locations(cadata=authorities)
        _shake_hands(server, client, name)
    except (OSError, ValueError) as error:
        raise InvalidInput(_words(error)) from error


def _shake_hands(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> None:
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    while ends:
        for end in list(ends):
            try:
                end.do_handshake()
                ends.remove(end)
            except ssl.SSLWantReadError:
                continue


def _words(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).replace("_", " ").lower()
    return str(error)


def served_certificate(host: str, port: int, timeout_seconds: float) -> bytes | None:
    """Return the certificate that a PostgreSQL server shows now, in DER; None where it has no TLS.

    It is not verified: it is to be compared with the one that is known.

    Raises:
        OSError: the server cannot be reached, or breaks off.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection((host, port), timeout_seconds) as plain:
        plain.sendall(_SSL_REQUEST)
        if plain.recv(1) != b"S":
            return None
        with context.wrap_socket(plain) as encrypted:
            return encrypted.getpeercert(binary_form=True)
