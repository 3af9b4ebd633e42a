"""Address and credentials of the API server: of a pod's ServiceAccount or a kubeconfig.

The client library knows more ways, and loading it costs more than all that a reconcile asks the
API server. So it is loaded only for a kubeconfig that needs it, such as one that names a program.
"""

from __future__ import annotations

import base64
import contextlib
import os
import ssl
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ..errors import OperatorError

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
# What is understood here of a kubeconfig's user and cluster; all else is for the client library.
_USER_KEYS = frozenset(
    {
        "token",
        "username",
        "password",
        "client-certificate",
        "client-certificate-data",
        "client-key",
        "client-key-data",
    }
)
_CLUSTER_KEYS = frozenset(
    {
        "server",
        "certificate-authority",
        "certificate-authority-data",
        "insecure-skip-tls-verify",
        "extensions",
    }
)

# With its first context a process makes OpenSSL ready, which takes 4 ms: forks of it need not.
ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class NoAccess(OperatorError):
    """There is neither a ServiceAccount nor a usable kubeconfig."""


@dataclass(frozen=True, repr=False)
class Access:
    """How to reach and convince an API server.

    Attributes:
        server: its URL, with the path where it is not at the root.
        authorization: the header of that name, empty where a certificate says who asks.
        authority: the PEM text of the authority that signed its certificate; empty: the system's.
        verify: whether its certificate is checked.
        certificate: the PEM text of the client's certificate.
        key: that of its key.
    """

    server: str
    authorization: str = ""
    authority: str = ""
    verify: bool = True
    certificate: str = ""
    key: str = ""

    def tls(self) -> ssl.SSLContext:
        """Return what a TLS connection is made with."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif self.authority:
            context.load_verify_locations(cadata=self.authority)
        else:
            context.load_default_certs()
        if self.certificate:
            with _file(self.certificate) as certificate, _file(self.key) as key:
                context.load_cert_chain(certificate, key)
        return context


def in_cluster() -> bool:
    """Return whether this process runs in a pod."""
    return (SERVICE_ACCOUNT / "token").exists() and "KUBERNETES_SERVICE_HOST" in os.environ


def find() -> Access:
    """Find the API server.

    $POSTGRES_OPERATOR_KUBECONFIG comes first: ansible-operator points $KUBECONFIG at its proxy.

    Raises:
        NoAccess: there is none.
    """
    if not os.environ.get("POSTGRES_OPERATOR_KUBECONFIG") and in_cluster():
        return _of_service_account()
    return of_kubeconfig(kubeconfig_path())


def kubeconfig_path() -> str:
    """Return the kubeconfig of a process outside of the cluster."""
    return (
        os.environ.get("POSTGRES_OPERATOR_KUBECONFIG")
        or os.environ.get("KUBECONFIG")
        or str(Path("~/.kube/config").expanduser())
    )


def of_kubeconfig(path: str) -> Access:
    """Return what a kubeconfig's current context says.

    Raises:
        NoAccess: it cannot be read or names nothing.
    """
    try:
        document = _load(Path(path).read_bytes())
        contexts = _by_name(document, "contexts", "context")
        context = contexts[document["current-context"]]
        cluster = _by_name(document, "clusters", "cluster")[context["cluster"]]
        user = _by_name(document, "users", "user").get(context.get("user", ""), {})
        if user.keys() <= _USER_KEYS and cluster.keys() <= _CLUSTER_KEYS:
            return _of_parts(Path(path).parent, cluster, user)
    except FileNotFoundError as error:
        if os.pathsep not in path:
            raise NoAccess(f"there is no kubeconfig {path}; set KUBECONFIG") from error
    except (KeyError, TypeError, ValueError, AttributeError, yaml.YAMLError) as error:
        raise NoAccess(f"the kubeconfig {path} is not usable: {error!r}") from error
    return _by_the_library(path)


def _of_service_account() -> Access:
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    return Access(
        server=f"https://{f'[{host}]' if ':' in host else host}:{port}",
        authorization=f"Bearer {(SERVICE_ACCOUNT / 'token').read_text().strip()}",
        authority=(SERVICE_ACCOUNT / "ca.crt").read_text(),
    )


def _load(content: bytes) -> Any:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(content, loader)  # noqa: S506 (both are safe loaders)


def _by_name(document: Mapping[str, Any], kind: str, part: str) -> dict[str, Any]:
    return {item["name"]: item[part] or {} for item in document[kind]}


def _of_parts(folder: Path, cluster: Mapping[str, Any], user: Mapping[str, Any]) -> Access:
    def text(holder: Mapping[str, Any], name: str) -> str:
        """Return what is given as text or as a file, whose path starts at the kubeconfig's."""
        if holder.get(f"{name}-data"):
            return base64.b64decode(holder[f"{name}-data"]).decode()
        return (folder / holder[name]).read_text() if holder.get(name) else ""

    authorization = f"Bearer {user['token']}" if user.get("token") else ""
    if user.get("username") and not authorization:
        pair = f"{user['username']}:{user.get('password', '')}".encode()
        authorization = f"Basic {base64.b64encode(pair).decode()}"
    return Access(
        server=cluster["server"],
        authorization=authorization,
        authority=text(cluster, "certificate-authority"),
        verify=not cluster.get("insecure-skip-tls-verify"),
        certificate=text(user, "client-certificate"),
        key=text(user, "client-key"),
    )


def _by_the_library(path: str) -> Access:
    """Have the client library read a kubeconfig that says more than is understood here."""
    from kubernetes import client, config  # noqa: PLC0415 (it takes 0.3 s)

    configuration = client.Configuration()
    try:
        config.load_kube_config(config_file=path, client_configuration=configuration)
    except config.ConfigException as error:
        raise NoAccess(f"the kubeconfig {path} is not usable: {error}") from error

    def text(name: str | None) -> str:
        return Path(name).read_text() if name else ""

    return Access(
        server=configuration.host,
        authorization=configuration.get_api_key_with_prefix("authorization")
        or (configuration.get_basic_auth_token() if configuration.username else ""),
        authority=text(configuration.ssl_ca_cert),
        verify=configuration.verify_ssl,
        certificate=text(configuration.cert_file),
        key=text(configuration.key_file),
    )


@contextlib.contextmanager
def _file(content: str) -> Iterator[str]:
    """Give a text as a file that only this user can read: OpenSSL takes nothing else."""
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(content)
        file.flush()
        yield file.name
