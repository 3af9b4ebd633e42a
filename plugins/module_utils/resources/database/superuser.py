"""How the operator connects to an instance as the superuser."""

from __future__ import annotations

from pathlib import Path

from ...kube.client import ApiError, Cluster, Object
from ...kube.port_forward import Address
from ...postgres.connection import ConnectionParameters, Tls
from .certificates import read_certificates, server_name
from .secrets import read_key


def superuser(
    cluster: Cluster, database: Object, address: Address, internal: Object | None, folder: Path
) -> ConnectionParameters:
    """Return how to connect as the superuser: by its certificate, to a server known by its own.

    Args:
        internal: the Secret with the superuser's password, for a server without certificates.
        folder: for the files, which only this user can read.

    Raises:
        ApiError: the Secret with the certificates cannot be read.
        SecretInvalid: a part of it is missing.
    """
    if internal is not None:
        password_file = write_private(folder / "password", read_key(internal, "superuser-password"))
        return ConnectionParameters(
            address.host, address.port, "postgres", password_file=password_file
        )
    certificates = read_certificates(cluster, database)
    tls = Tls(
        "verify-full",
        write_private(folder / "ca.crt", certificates["ca.crt"]),
        write_private(folder / "tls.crt", certificates["superuser.crt"]),
        write_private(folder / "tls.key", certificates["superuser.key"]),
    )
    return ConnectionParameters(
        server_name(database), address.port, "postgres", tls=tls, hostaddr=address.host
    )


def write_private(path: Path, text: str) -> Path:
    """Write a file that only this user can read."""
    path.touch(mode=0o600)
    path.write_text(text)
    return path


def read_secret(cluster: Cluster, database: Object, suffix: str) -> Object:
    """Return the Secret NAME-SUFFIX of a Database.

    Raises:
        ApiError: it is gone.
    """
    metadata = database["metadata"]
    name = f"{metadata['name']}-{suffix}"
    found = cluster.get("v1", "Secret", metadata["namespace"], name)
    if found is None:
        raise ApiError(f"Secret {name} is gone; the next reconcile makes or asks for it", 404)
    return found
