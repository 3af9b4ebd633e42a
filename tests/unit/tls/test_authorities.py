"""An authority without key usage, and certificates without its key identifier, are accepted.

Clusters and users have such ones. Go and libpq accept them; Python's and urllib3's own defaults
do not, from 3.13 on.
"""

from __future__ import annotations

import http.server
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.kube.access import Access
from ansible_collections.postgres.operator.plugins.module_utils.kube.transport import Transport
from ansible_collections.postgres.operator.plugins.module_utils.tls.handshake import try_out
from collection_root import CHECKOUT
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from urllib3.exceptions import HTTPError

AGENT = CHECKOUT / "image" / "agent"
# Reads a launcher as Patroni's process does, then asks as Patroni asks the API server and members.
ASK = """
import runpy, sys
launcher, authority, url = sys.argv[1:]
runpy.run_path(launcher, run_name="read")
import urllib3
print(urllib3.PoolManager(ca_certs=authority).request("GET", url, retries=False).data.decode())
"""


class Server(NamedTuple):
    """A server on the loopback address.

    Attributes:
        url: where it answers.
        authority: the file of the authority that signed its certificate.
        other: that of another one with the same name.
        pair: the files of its certificate and key.
    """

    url: str
    authority: Path
    other: Path
    pair: tuple[Path, Path]


class _Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"answered")

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("authorities")
    authority, other = (_key_file(folder / name) for name in ("ca.key", "other.key"))
    key = _key_file(folder / "tls.key")
    name = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    root = x509.BasicConstraints(ca=True, path_length=None)
    _certify(folder / "ca.crt", "authority", authority, authority, root)
    _certify(folder / "other.crt", "authority", other, other, root)
    _certify(folder / "tls.crt", "server", key, authority, name)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Answers) as answering:
        answering.handle_error = lambda *_: None  # type: ignore[method-assign]
        answering.socket = context.wrap_socket(answering.socket, server_side=True)
        threading.Thread(target=answering.serve_forever, daemon=True).start()
        yield Server(
            f"https://127.0.0.1:{answering.server_address[1]}",
            folder / "ca.crt",
            folder / "other.crt",
            (folder / "tls.crt", folder / "tls.key"),
        )
        answering.shutdown()


def _key_file(path: Path) -> ec.EllipticCurvePrivateKey:
    key = ec.generate_private_key(ec.SECP256R1())
    text = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(text)
    return key


def _certify(
    path: Path,
    name: str,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    extension: x509.ExtensionType,
) -> None:
    """Write a certificate with one extension and nothing else."""
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        .sign(signer, hashes.SHA256())
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))


def ask(launcher: str, authority: Path, url: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-c", ASK, str(AGENT / launcher), str(authority), url]
    return subprocess.run(
        words, env={"PYTHONPATH": str(AGENT)}, text=True, capture_output=True, check=False
    )


@pytest.mark.parametrize("launcher", ["patroni", "patronictl"])
def test_patroni_accepts_them(server: Server, launcher: str) -> None:
    done = ask(launcher, server.authority, server.url)
    assert (done.stdout.strip(), done.returncode) == ("answered", 0), done.stderr


def test_patroni_refuses_another_authority(server: Server) -> None:
    done = ask("patroni", server.other, server.url)
    assert done.returncode != 0
    assert "CERTIFICATE_VERIFY_FAILED" in done.stderr


def test_patroni_refuses_another_name(server: Server) -> None:
    done = ask("patroni", server.authority, server.url.replace("127.0.0.1", "localhost"))
    assert done.returncode != 0
    assert "mismatch" in done.stderr


def test_the_api_servers_client_accepts_them(server: Server) -> None:
    access = Access(server.url, authority=server.authority.read_text())
    assert Transport(access).send("GET", "/") == b"answered"


def test_the_api_servers_client_refuses_another_authority(server: Server) -> None:
    access = Access(server.url, authority=server.other.read_text())
    with pytest.raises(HTTPError, match="CERTIFICATE_VERIFY_FAILED"):
        Transport(access).send("GET", "/")


def test_a_users_own_certificates_may_be_such(server: Server) -> None:
    certificate, key = (path.read_text() for path in server.pair)
    try_out(certificate, key, server.authority.read_text(), "127.0.0.1")
