"""A cluster's certificates and the kubeconfig files that carry them."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path

from cluster.shell import run
from cluster.state import API_SERVICE_ADDRESS, Cluster

# Nothing from the machine's own openssl.cnf may leak into a certificate.
OPENSSL_CONFIG = "[req]\ndistinguished_name = names\nprompt = no\n[names]\nCN = unused\n"
DAYS = "3650"
API_NAMES = (
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)


class Pki:
    """The certificate authority of one cluster; what exists already is kept."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.folder = cluster.folder / "pki"

    def certificate(self, name: str) -> Path:
        """Where a certificate is."""
        return self.folder / f"{name}.crt"

    def key(self, name: str) -> Path:
        """Where a private key is."""
        return self.folder / f"{name}.key"

    def kubeconfig(self, name: str) -> Path:
        """Where a component's kubeconfig is."""
        return self.folder / f"{name}.kubeconfig"

    def issue_all(self) -> None:
        """Make every certificate of the control plane."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        (self.folder / "openssl.cnf").write_text(OPENSSL_CONFIG)
        self._authority("ca")
        self._authority("front-proxy-ca")
        self._signing_key("service-accounts")
        api_addresses = (self.cluster.api_address, API_SERVICE_ADDRESS, "127.0.0.1")
        self._issue(
            "kube-apiserver",
            "/CN=kube-apiserver",
            [*(f"DNS:{name}" for name in API_NAMES), *(f"IP:{a}" for a in api_addresses)],
        )
        self._issue("front-proxy", "/CN=front-proxy", authority="front-proxy-ca")
        self._user("admin", "/O=system:masters/CN=kubernetes-admin")
        self._user("kubelet-client", "/O=system:masters/CN=kube-apiserver-kubelet-client")
        for component in ("kube-controller-manager", "kube-scheduler", "kube-proxy"):
            self._user(component, f"/CN=system:{component}")

    def issue_node(self, name: str, address: str) -> None:
        """Make the certificate of a node, as a client and as a server."""
        names = [f"DNS:{name}", f"IP:{address}"]
        self._user(name, f"/O=system:nodes/CN=system:node:{name}", names)

    def _authority(self, name: str) -> None:
        extensions = [
            "basicConstraints=critical,CA:TRUE",
            "keyUsage=critical,keyCertSign,cRLSign,digitalSignature",
            "subjectKeyIdentifier=hash",
        ]
        self._request(name, f"/CN={self.cluster.name}-{name}", extensions, [])

    def _issue(
        self, name: str, subject: str, names: Sequence[str] = (), authority: str = "ca"
    ) -> None:
        extensions = [
            "basicConstraints=critical,CA:FALSE",
            "keyUsage=critical,digitalSignature,keyEncipherment",
            "extendedKeyUsage=serverAuth,clientAuth",
            "authorityKeyIdentifier=keyid",
        ]
        if names:
            extensions.append("subjectAltName=" + ",".join(names))
        signer: list[str | Path] = [
            "-CA",
            self.certificate(authority),
            "-CAkey",
            self.key(authority),
        ]
        self._request(name, subject, extensions, signer)

    def _user(self, name: str, subject: str, names: Sequence[str] = ()) -> None:
        self._issue(name, subject, names)
        self.write_kubeconfig(self.kubeconfig(name), name)

    def _request(
        self, name: str, subject: str, extensions: Sequence[str], signer: Sequence[str | Path]
    ) -> None:
        if self.certificate(name).exists():
            return
        # Under another name until complete, so that an unclean end leaves no half certificate.
        unfinished = self.certificate(name).with_suffix(".new")
        run(
            [
                "openssl", "req", "-x509", "-config", self.folder / "openssl.cnf",
                "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc",
                "-subj", subject, "-days", DAYS, "-keyout", self.key(name), "-out", unfinished,
                *signer, *(word for item in extensions for word in ("-addext", item)),
            ]
        )  # fmt: skip
        unfinished.rename(self.certificate(name))

    def _signing_key(self, name: str) -> None:
        public = self.folder / f"{name}.pub"
        if public.exists():
            return
        run(
            ["openssl", "genpkey", "-algorithm", "EC",
             "-pkeyopt", "ec_paramgen_curve:prime256v1", "-out", self.key(name)]
        )  # fmt: skip
        run(["openssl", "pkey", "-in", self.key(name), "-pubout", "-out", public])

    def write_kubeconfig(self, path: Path, user: str) -> None:
        """Write a kubeconfig that needs no other file."""
        name = self.cluster.name
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": name,
                    "cluster": {
                        "server": self.cluster.api_url,
                        "certificate-authority-data": _encoded(self.certificate("ca")),
                    },
                }
            ],
            "users": [
                {
                    "name": user,
                    "user": {
                        "client-certificate-data": _encoded(self.certificate(user)),
                        "client-key-data": _encoded(self.key(user)),
                    },
                }
            ],
            "contexts": [{"name": name, "context": {"cluster": name, "user": user}}],
            "current-context": name,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(json.dumps(document, indent=2) + "\n")


def _encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
