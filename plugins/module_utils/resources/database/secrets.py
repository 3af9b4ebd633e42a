"""Secrets of a Database: for its applications, and for the server's own roles."""

from __future__ import annotations

import base64
import secrets
from typing import Any
from urllib.parse import quote, urlencode

import yaml

from ...errors import OperatorError
from ...kube.client import ApiError, Cluster, Object
from ...kube.objects import MANAGED_BY, owner_reference
from ..cluster_domain import cluster_domain

_PASSWORD_BYTES = 24
_WITH_PASSWORD = ("uri", "jdbc-uri")
_AUTHORITIES = "ca.crt"
# On the Secret NAME-internal, which outlives the Database together with its volumes.
_PRIMARY_ANNOTATION = "database.example.com/primary"


class SecretInvalid(OperatorError):
    """A Secret that was found does not hold what it must."""


class SecretMissing(OperatorError):
    """A Secret is gone whose contents cannot be made again."""


def read_key(secret: Object, key: str) -> str:
    """Return a Secret's value as text.

    Raises:
        SecretInvalid: the key is missing, empty, or not text.
    """
    encoded = (secret.get("data") or {}).get(key, "")
    name = secret["metadata"]["name"]
    if not encoded:
        raise SecretInvalid(
            f"Secret {name} has no key {key!r}; add it, or delete the Secret to have it made again"
        )
    try:
        return base64.b64decode(encoded).decode()
    except ValueError:
        raise SecretInvalid(
            f"key {key!r} of Secret {name} is not text in UTF-8; write one that is"
        ) from None


def ensure_credentials(cluster: Cluster, database: Object, dry_run: bool = False) -> bool:
    """Make the Secret NAME-credentials exist with all keys of a Service Binding.

    A Secret that is there is adopted: keys that it has stay as they are, missing ones are added. In
    one that was made here the addresses with the password in them follow a change of that. The
    authorities by which the server is known are always those of its certificate.

    Returns:
        Whether anything was (or would be) written.

    Raises:
        SecretInvalid: it is for another user, or has no password.
    """
    name = f"{database['metadata']['name']}-credentials"
    found = cluster.get("v1", "Secret", database["metadata"]["namespace"], name)
    username = database["spec"]["username"]
    authorities = read_authorities(cluster, database)
    if found is None:
        password = secrets.token_urlsafe(_PASSWORD_BYTES)
        data = service_binding(database, username, password) | authorities
        return create_secret(cluster, database, name, data, dry_run)
    password = read_key(found, "password")
    if "username" in found["data"] and read_key(found, "username") != username:
        raise SecretInvalid(
            f"Secret {name} is for user {read_key(found, 'username')!r}, the Database wants"
            f" {username!r}; correct the Secret's key 'username' or delete the Secret"
        )
    # What an application has had without the server's authorities goes on without.
    verified = "uri" not in found["data"] or "sslmode=" in read_key(found, "uri")
    wanted = service_binding(database, username, password, verified)
    missing = {key: value for key, value in wanted.items() if key not in found["data"]}
    if is_ours(found):
        missing |= {key: wanted[key] for key in _WITH_PASSWORD if _is_stale(found, key, password)}
    missing |= {key: value for key, value in authorities.items() if not _has(found, key, value)}
    return complete_secret(cluster, database, found, missing, dry_run)


def ensure_internal(
    cluster: Cluster, database: Object, needed: bool, dry_run: bool = False
) -> bool:
    """Make the Secret NAME-internal exist, whole: the passwords of the server's own roles.

    Args:
        needed: whether what is in it cannot be made again, see `plan.State.internal_is_needed`.

    Returns:
        Whether anything was (or would be) written.

    Raises:
        SecretMissing: it is gone while it is needed.
        SecretInvalid: a key of it is gone while it is needed.
    """
    name = f"{database['metadata']['name']}-internal"
    namespace = database["metadata"]["namespace"]
    found = cluster.get("v1", "Secret", namespace, name)
    if found is None:
        if needed:
            raise SecretMissing(
                f"Secret {name} is gone, and with it which volume to start from, while volumes of"
                f" the Database exist; put the Secret {namespace}/{name} back from your copy"
            )
        return create_secret(cluster, database, name, internal_secret(), dry_run)
    made = internal_secret()
    if not needed and any(key not in (found.get("data") or {}) for key in made):
        return complete_secret(cluster, database, found, made, dry_run)
    read_key(found, "superuser-password")
    patroni = read_key(found, "patroni.yml")
    missing = {} if "restapi:" in patroni else {"patroni.yml": patroni + _rest_api_password()}
    return complete_secret(cluster, database, found, missing, dry_run)


def remember_primary(cluster: Cluster, internal: Object, primary: str) -> bool:
    """Note which instance serves on the Secret NAME-internal, which outlives the Database.

    Args:
        internal: the Secret as it was read.

    Returns:
        Whether anything was written.
    """
    metadata = internal["metadata"]
    if (metadata.get("annotations") or {}).get(_PRIMARY_ANNOTATION) == primary:
        return False
    patch = {"metadata": {"annotations": {_PRIMARY_ANNOTATION: primary}}}
    cluster.merge("v1", "Secret", metadata["namespace"], metadata["name"], patch)
    return True


def read_last_primary(cluster: Cluster, database: Object) -> str:
    """Return the leader that was last remembered for a Database of this name; empty if none."""
    metadata = database["metadata"]
    found = cluster.get("v1", "Secret", metadata["namespace"], f"{metadata['name']}-internal")
    annotations = (found or {"metadata": {}})["metadata"].get("annotations") or {}
    primary: str = annotations.get(_PRIMARY_ANNOTATION, "")
    return primary


def internal_secret() -> dict[str, str]:
    """Make new passwords for superuser, replication, pg_rewind and REST API, and Patroni's file."""
    passwords = {
        role: secrets.token_urlsafe(_PASSWORD_BYTES)
        for role in ("superuser", "replication", "rewind")
    }
    usernames = {"superuser": "postgres", "replication": "standby", "rewind": "rewind"}
    lines = ["postgresql:", "  authentication:"]
    for role, password in passwords.items():
        lines += [
            f"    {role}:",
            f"      username: {usernames[role]}",
            f'      password: "{password}"',
        ]
    return {
        "superuser-password": passwords["superuser"],
        "patroni.yml": "\n".join(lines) + "\n" + _rest_api_password(),
    }


def _rest_api_password() -> str:
    """Make the password that Patroni's REST API asks for when something is to be changed.

    Without an enforced NetworkPolicy any pod in the cluster reaches it, and a client that may
    change the configuration may have the server run commands.
    """
    lines = [
        "restapi:",
        "  authentication:",
        "    username: patroni",
        f'    password: "{secrets.token_urlsafe(_PASSWORD_BYTES)}"',
    ]
    return "\n".join(lines) + "\n"


def read_rest_api_login(internal: Object) -> str:
    """Return user and password of Patroni's REST API, with a colon between.

    Args:
        internal: the Secret NAME-internal.

    Raises:
        SecretInvalid: there is none in it.
    """
    try:
        login = yaml.safe_load(read_key(internal, "patroni.yml"))["restapi"]["authentication"]
        return f"{login['username']}:{login['password']}"
    except (KeyError, TypeError, yaml.YAMLError) as error:
        name = internal["metadata"]["name"]
        raise SecretInvalid(
            f"Secret {name} has no login for Patroni's REST API in its key patroni.yml"
        ) from error


def read_authorities(cluster: Cluster, database: Object) -> dict[str, str]:
    """Return the certificates by which the server is known, as a key of a Secret."""
    metadata = database["metadata"]
    name = f"{metadata['name']}-certificates"
    found = cluster.get("v1", "Secret", metadata["namespace"], name)
    return {} if found is None else {_AUTHORITIES: read_key(found, _AUTHORITIES)}


def service_binding(
    database: Object, username: str, password: str, verified: bool = True
) -> dict[str, str]:
    """Return the keys that the Service Binding specification names for a PostgreSQL service.

    Args:
        verified: whether the addresses ask for the server's certificate to be checked, for which a
            client needs the authorities in a file.
    """
    name = database["metadata"]["name"]
    host = f"{name}.{database['metadata']['namespace']}.svc.{cluster_domain()}"
    dbname = database["spec"]["databaseName"]
    tls = database["spec"]["tls"]
    sslmode = "verify-full" if tls["clients"] == "Require" else "prefer"
    options = {"sslmode": sslmode} if verified and sslmode != "prefer" else {}
    # A certificate of one's own may have a signature that no login can be bound to.
    bound = {"channel_binding": "require"} if options and "secretRef" not in tls else {}
    query = f"?{urlencode({**options, **bound})}" if options else ""
    jdbc = "".join(f"&{name}={value}" for name, value in options.items())
    in_uri, user_in_uri = quote(dbname, safe=""), quote(username, safe="")
    login = f"{user_in_uri}:{quote(password, safe='')}"
    return {
        "type": "postgresql",
        "provider": "postgres-operator",
        "host": host,
        "port": "5432",
        "database": dbname,
        "username": username,
        "password": password,
        "sslmode": sslmode,
        "uri": f"postgresql://{login}@{host}:5432/{in_uri}{query}",
        "jdbc-uri": f"jdbc:postgresql://{host}:5432/{in_uri}"
        f"?user={user_in_uri}&password={quote(password, safe='')}{jdbc}",
    }


def _owners(database: Object) -> list[Object]:
    """Return the owner references that reclaimPolicy asks for."""
    return [owner_reference(database)] if database["spec"]["reclaimPolicy"] == "Delete" else []


def create_secret(
    cluster: Cluster,
    database: Object,
    name: str,
    data: dict[str, str],
    dry_run: bool = False,
    annotations: dict[str, str] | None = None,
) -> bool:
    """Make a Secret of the Database; return that it was (or would be) written."""
    if not dry_run:
        try:
            cluster.create(secret_manifest(database, name, data, annotations))
        except ApiError as error:
            # Another reconcile was first: its Secret is the one.
            if error.status != 409:
                raise
    return True


def secret_manifest(
    database: Object, name: str, data: dict[str, str], annotations: dict[str, str] | None = None
) -> Object:
    """Return a Secret of the Database, with its labels and the owner of reclaimPolicy."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": database["metadata"]["namespace"],
            "labels": {**MANAGED_BY, "app": "database", "database": database["metadata"]["name"]},
            "ownerReferences": _owners(database),
            "annotations": annotations or {},
        },
        "stringData": data,
    }


def complete_secret(
    cluster: Cluster,
    database: Object,
    found: Object,
    missing: dict[str, str],
    dry_run: bool = False,
    annotations: dict[str, str] | None = None,
) -> bool:
    """Add missing keys; give a Secret of our own the owner that reclaimPolicy asks for."""
    patch: dict[str, Any] = {}
    if missing:
        patch["stringData"] = missing
    owners = _owners(database)
    if is_ours(found) and (found["metadata"].get("ownerReferences") or []) != owners:
        patch["metadata"] = {"ownerReferences": owners}
    if annotations:
        patch.setdefault("metadata", {})["annotations"] = annotations
    if patch and not dry_run:
        metadata = found["metadata"]
        cluster.merge("v1", "Secret", metadata["namespace"], metadata["name"], patch)
    return bool(patch)


def is_ours(found: Object) -> bool:
    """Return whether a Secret was made here."""
    return (found["metadata"].get("labels") or {}).items() >= MANAGED_BY.items()


def _has(found: Object, key: str, value: str) -> bool:
    return key in found["data"] and read_key(found, key) == value


def _is_stale(found: Object, key: str, password: str) -> bool:
    return key in found["data"] and quote(password, safe="") not in read_key(found, key)
