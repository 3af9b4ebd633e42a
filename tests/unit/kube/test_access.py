"""Every usual kubeconfig, and a pod's ServiceAccount, say where the API server is and who asks."""

from __future__ import annotations

import base64
import datetime
import http.server
import json
import ssl
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.kube import access
from ansible_collections.postgres.operator.plugins.module_utils.kube.client import Cluster
from ansible_collections.postgres.operator.plugins.module_utils.kube.transport import Transport
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from fake_api import QuietHandler


def write(folder: Path, user: Any, cluster: Any = None) -> str:
    document = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": cluster or {"server": "https://api:6443/base/"}}],
        "users": [{"name": "u", "user": user}],
    }
    path = folder / "kubeconfig"
    path.write_text(json.dumps(document))
    return str(path)


def test_tokens_and_passwords(tmp_path: Path) -> None:
    found = access.of_kubeconfig(write(tmp_path, {"token": "t"}))
    assert (found.server, found.authorization) == ("https://api:6443/base/", "Bearer t")
    found = access.of_kubeconfig(write(tmp_path, {"username": "a", "password": "b"}))
    assert found.authorization == f"Basic {base64.b64encode(b'a:b').decode()}"
    assert access.of_kubeconfig(write(tmp_path, None)).authorization == ""


def test_certificates_are_given_as_files_or_as_text(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text("the key")
    user = {
        "client-certificate-data": base64.b64encode(b"the certificate").decode(),
        "client-key": "key.pem",
    }
    cluster = {
        "server": "https://api",
        "certificate-authority-data": base64.b64encode(b"CA").decode(),
    }
    found = access.of_kubeconfig(write(tmp_path, user, cluster))
    assert (found.certificate, found.key, found.authority) == ("the certificate", "the key", "CA")


def test_a_user_of_another_kind_is_left_to_the_client_library(tmp_path: Path) -> None:
    program = tmp_path / "login"
    status = {"token": "from a program"}
    answer = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": status,
    }
    program.write_text(f"#!/bin/sh\necho '{json.dumps(answer)}'\n")
    program.chmod(stat.S_IRWXU)
    user = {
        "exec": {
            "apiVersion": answer["apiVersion"],
            "command": str(program),
            "interactiveMode": "Never",
        }
    }
    found = access.of_kubeconfig(write(tmp_path, user))
    assert found.authorization == "Bearer from a program"
    assert found.server.startswith("https://api:6443/base")


def test_without_a_kubeconfig_the_error_says_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(access.NoAccess, match="set KUBECONFIG"):
        access.of_kubeconfig(str(tmp_path / "none"))
    (tmp_path / "odd").write_text("current-context: a\ncontexts: []\n")
    with pytest.raises(access.NoAccess, match="odd is not usable"):
        access.of_kubeconfig(str(tmp_path / "odd"))


def test_a_pod_has_its_service_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("mine\n")
    (tmp_path / "ca.crt").write_text("CA")
    monkeypatch.setattr(access, "SERVICE_ACCOUNT", tmp_path)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    monkeypatch.delenv("POSTGRES_OPERATOR_KUBECONFIG", raising=False)
    monkeypatch.setenv("KUBECONFIG", "the operator's proxy")
    found = access.find()
    assert (found.server, found.authorization) == ("https://[fd00::1]:443", "Bearer mine")
    assert found.authority == "CA"
    monkeypatch.setenv("POSTGRES_OPERATOR_KUBECONFIG", write(tmp_path, {"token": "own"}))
    assert access.find().authorization == "Bearer own"


def certificate(folder: Path, name: str, address: bool) -> tuple[str, str]:
    """Make a certificate that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    if address:
        names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
        builder = builder.add_extension(names, critical=False)
    signed = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (folder / f"{name}.pem").write_bytes(signed + pem)
    return signed.decode(), pem.decode()


class Answer(QuietHandler):
    """Says who asked."""

    def respond(self) -> None:
        subject = dict(part[0] for part in self.connection.getpeercert()["subject"])  # type: ignore[attr-defined]
        self.send(200, json.dumps({"kind": "Any", "who": subject["commonName"]}).encode())


def test_both_sides_are_checked_by_certificate(tmp_path: Path) -> None:
    server_certificate, _ = certificate(tmp_path, "server", address=True)
    client_certificate, client_key = certificate(tmp_path, "client", address=False)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    context.load_verify_locations(cadata=client_certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"https://localhost:{server.server_address[1]}"

        def ask(authority: str, verify: bool = True) -> Any:
            found = access.Access(
                address,
                authority=authority,
                verify=verify,
                certificate=client_certificate,
                key=client_key,
            )
            return Cluster(Transport(found)).get("v1", "Secret", "shop", "app")

        assert ask(server_certificate) == {"kind": "Any", "who": "client"}
        assert ask("", verify=False) == {"kind": "Any", "who": "client"}
        with pytest.raises(Exception, match=r"cannot be reached .*CERTIFICATE_VERIFY_FAILED"):
            ask(client_certificate)
        server.shutdown()
