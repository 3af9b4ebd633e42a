"""The certificates of a Database, in two Secrets, renewed well before they expire.

NAME-ca has the authority's private key, and no pod mounts it. NAME-certificates has what servers,
replicas and the operator show and check each other by; pods mount of it what they need. With a
Secret of one's own (`spec.tls.secretRef`) the server's certificate is a copy of that one, made once
a client that verifies is content with it: what is not usable never reaches a server. Clients of the
server's own roles always have certificates of the Database's own authority.

Trust changes first: when the authority is replaced, its certificate is handed out for
some days before anything is signed by it, and that of the old one stays as long as its signatures.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from ...errors import InvalidInput
from ...kube.client import ApiError, Cluster, Object
from ...units import format_time, parse_time
from ..cluster_domain import cluster_domain
from .applied import digest
from .secrets import (
    SecretInvalid,
    SecretMissing,
    complete_secret,
    create_secret,
    is_ours,
    read_key,
)

SERVER = ("tls.crt", "tls.key")
SERVER_AUTHORITIES = "ca.crt"
CLIENT_AUTHORITIES = "clients-ca.crt"
CLIENTS = {"superuser": "postgres", "replication": "standby"}
"""The clients' certificates, by the names of their keys in the Secret, and the role in each."""

KEYS = (
    *SERVER,
    SERVER_AUTHORITIES,
    CLIENT_AUTHORITIES,
    *(f"{client}.{part}" for client in CLIENTS for part in ("crt", "key")),
)

RENEWED_BEFORE = timedelta(days=30)
"""So long before its end a certificate is renewed."""

AUTHORITY_RENEWED_BEFORE = timedelta(days=365)
TRUSTED_BEFORE = timedelta(days=7)
"""So long an authority is trusted before it signs."""

_RENEW_AT = "database.example.com/renew-at"
_MADE_FROM = "database.example.com/made-from"
_INSTANCES = 10


def server_name(database: Object) -> str:
    """Return the name that operator, Jobs and members of the cluster verify."""
    metadata = database["metadata"]
    return f"{metadata['name']}.{metadata['namespace']}.svc"


def all_names(database: Object) -> list[str]:
    """Return all names of the Database's Services, in every form, and those of its instances."""
    name, namespace = database["metadata"]["name"], database["metadata"]["namespace"]
    names = []
    for service in (name, f"{name}-ro", f"{name}-pods"):
        within = f"{service}.{namespace}"
        names += [service, within, f"{within}.svc", f"{within}.svc.{cluster_domain()}"]
    pods = f"{name}-pods.{namespace}.svc"
    names += [f"{name}-{ordinal}" for ordinal in range(_INSTANCES)]
    return [*names, f"*.{pods}", f"*.{pods}.{cluster_domain()}", "localhost"]


def read_certificates(cluster: Cluster, database: Object) -> dict[str, str]:
    """Return what is in the Secret NAME-certificates.

    Raises:
        ApiError: there is none.
        SecretInvalid: a part is missing.
    """
    found = _get(cluster, database, "certificates")
    if found is None:
        name = _name(database, "certificates")
        raise ApiError(f"Secret {name} is gone; the next reconcile makes it", 404)
    return {key: read_key(found, key) for key in KEYS}


def ensure_certificates(
    cluster: Cluster, database: Object, now: datetime, dry_run: bool = False
) -> bool:
    """Make both Secrets exist, with certificates that are not about to end.

    Returns:
        Whether anything was (or would be) written.

    Raises:
        SecretMissing: the Secret that the spec names is not there.
        SecretInvalid: it cannot be used.
    """
    found = _get(cluster, database, "certificates")
    given = _read_given(cluster, database)
    # With the policy, which the Secret of the authority follows too.
    served = given and [given["tls.crt"], given["ca.crt"]]
    made_from = digest([all_names(database), served, database["spec"]["reclaimPolicy"]])
    if found is not None and _is_current(found, made_from, now):
        return complete_secret(cluster, database, found, {}, dry_run)
    if dry_run:
        return True
    authority = _ensure_authority(cluster, database, now)
    data, renew_at = _issue(database, authority, given, _values(found), now)
    annotations = {_RENEW_AT: format_time(renew_at), _MADE_FROM: made_from}
    if found is None:
        return create_secret(
            cluster, database, _name(database, "certificates"), data, annotations=annotations
        )
    return complete_secret(cluster, database, found, data, annotations=annotations)


def _is_current(found: Object, made_from: str, now: datetime) -> bool:
    annotations = found["metadata"].get("annotations") or {}
    data = found.get("data") or {}
    return (
        annotations.get(_MADE_FROM) == made_from
        and all(data.get(key) for key in KEYS)
        and now < parse_time(annotations[_RENEW_AT])
    )


def _read_given(cluster: Cluster, database: Object) -> dict[str, str] | None:
    """Return the certificate that the spec names, and what it was found to be; None without."""
    reference = database["spec"].get("tls", {}).get("secretRef")
    if reference is None:
        return None
    metadata = database["metadata"]
    secret = cluster.get("v1", "Secret", metadata["namespace"], reference["name"])
    if secret is None:
        raise SecretMissing(
            f"Secret {reference['name']}, which spec.tls.secretRef names, is not there; create it"
            " with the keys tls.crt, tls.key and ca.crt, or leave spec.tls.secretRef out"
        )
    if is_ours(secret):
        raise SecretInvalid(
            f"Secret {reference['name']}, which spec.tls.secretRef names, is one that the operator"
            " makes; name one of your own, or leave spec.tls.secretRef out"
        )
    lacking = [
        key for key in (*SERVER, SERVER_AUTHORITIES) if not (secret.get("data") or {}).get(key)
    ]
    if lacking:
        raise SecretInvalid(
            f"Secret {reference['name']} has no key {lacking[0]!r}; spec.tls.secretRef needs"
            " tls.crt, tls.key and ca.crt, the certificate of the authority that signed tls.crt"
        )
    return {key: read_key(secret, key) for key in (*SERVER, SERVER_AUTHORITIES)}


def _ensure_authority(cluster: Cluster, database: Object, now: datetime) -> Any:
    """Return the Database's own authority, made where there is none or it is about to end."""
    from ...tls import issue  # noqa: PLC0415 (what needs no certificate need not load cryptography)

    found = _get(cluster, database, "ca")
    if found is not None:
        authority = issue.Pair(read_key(found, "ca.crt"), read_key(found, "ca.key"))
        if now < issue.expiry(authority.certificate) - AUTHORITY_RENEWED_BEFORE:
            complete_secret(cluster, database, found, {})
            return authority
    metadata = database["metadata"]
    authority = issue.make_authority(f"{metadata['namespace']}/{metadata['name']}", now)
    data = {"ca.crt": authority.certificate, "ca.key": authority.key}
    if found is not None:
        complete_secret(cluster, database, found, data)
        return authority
    create_secret(cluster, database, _name(database, "ca"), data)
    # Another reconcile may have been first: its authority is the one.
    made = _get(cluster, database, "ca")
    if made is None:
        raise ApiError(f"Secret {metadata['name']}-ca is gone; the next reconcile makes it", 404)
    return issue.Pair(read_key(made, "ca.crt"), read_key(made, "ca.key"))


def _issue(
    database: Object,
    authority: Any,
    given: Mapping[str, str] | None,
    present: Mapping[str, str],
    now: datetime,
) -> tuple[dict[str, str], datetime]:
    """Return the contents of NAME-certificates, and when they are to be renewed.

    Args:
        given: the server's certificate that the spec names.
        present: what the Secret holds now, empty where there is none.
    """
    from ...tls import issue  # noqa: PLC0415

    data: dict[str, str] = {}
    signs_from = issue.beginning(authority.certificate) + TRUSTED_BEFORE
    moments = [issue.expiry(authority.certificate) - AUTHORITY_RENEWED_BEFORE]
    for client, role in CLIENTS.items():
        old = issue.Pair(present.get(f"{client}.crt", ""), present.get(f"{client}.key", ""))
        pair = _renewed(old, authority, now, signs_from)
        if pair is None:
            pair = issue.issue_client(authority, role, now)
        data |= {f"{client}.crt": pair.certificate, f"{client}.key": pair.key}
    signatures = [present.get("superuser.crt", ""), data["superuser.crt"]]
    data[CLIENT_AUTHORITIES] = _trusted(
        [authority.certificate], present.get(CLIENT_AUTHORITIES, ""), signatures, now
    )
    if given is not None:
        _check_given(database, given)
        server = issue.Pair(given["tls.crt"], given["tls.key"])
        trusted = issue.split(given[SERVER_AUTHORITIES])
    else:
        old = issue.Pair(present.get("tls.crt", ""), present.get("tls.key", ""))
        trusted = [authority.certificate]
        server = _kept_server(old, authority, database, now, signs_from) or issue.issue_server(
            authority, database["metadata"]["name"], all_names(database), now
        )
    signatures = [present.get("tls.crt", ""), server.certificate]
    data |= {"tls.crt": server.certificate, "tls.key": server.key}
    data[SERVER_AUTHORITIES] = _trusted(
        trusted, present.get(SERVER_AUTHORITIES, ""), signatures, now
    )
    own = [data["superuser.crt"], data["replication.crt"]]
    own += [] if given is not None else [server.certificate]
    moments += [issue.expiry(certificate) - RENEWED_BEFORE for certificate in own]
    if signs_from > now:
        moments = [signs_from]
    return data, min(moments)


def _renewed(old: Any, authority: Any, now: datetime, signs_from: datetime) -> Any:
    """Return a present certificate that is to stay; None where another one is to be issued.

    It stays while it has long to go, and while its successor would be by an authority that not all
    trust yet.
    """
    from ...tls import issue  # noqa: PLC0415

    if not old.certificate or not old.key:
        return None
    ends = issue.expiry(old.certificate)
    if issue.signed_by(old.certificate, authority.certificate):
        return old if now < ends - RENEWED_BEFORE else None
    return old if now < signs_from and now < ends - TRUSTED_BEFORE else None


def _kept_server(
    old: Any, authority: Any, database: Object, now: datetime, signs_from: datetime
) -> Any:
    """Return the present certificate of the server if it is to stay, and has all names."""
    from ...tls import issue  # noqa: PLC0415

    kept = _renewed(old, authority, now, signs_from)
    if kept is None or set(issue.names(kept.certificate)) != set(all_names(database)):
        return None
    return kept


def _trusted(wanted: list[str], bundle: str, signatures: list[str], now: datetime) -> str:
    """Return the authorities that are trusted: those wanted, and those that others still rest on.

    Args:
        bundle: those that are trusted now.
        signatures: certificates that are in use, or were until now.
    """
    from ...tls import issue  # noqa: PLC0415

    kept = [
        authority
        for authority in (issue.split(bundle) if bundle else [])
        if authority not in wanted
        and issue.expiry(authority) > now
        and any(each and issue.signed_by(each, authority) for each in signatures)
    ]
    return "".join([*wanted, *kept])


def _check_given(database: Object, given: Mapping[str, str]) -> None:
    """Refuse a Secret of the user's that clients would refuse.

    Raises:
        SecretInvalid
    """
    from ...tls.handshake import try_out  # noqa: PLC0415

    secret = database["spec"]["tls"]["secretRef"]["name"]
    name = server_name(database)
    for each in (name, f"{name}.{cluster_domain()}"):
        try:
            try_out(given["tls.crt"], given["tls.key"], given[SERVER_AUTHORITIES], each)
        except InvalidInput as error:
            raise SecretInvalid(
                f"the certificate in Secret {secret}, which spec.tls.secretRef names, cannot be"
                f" used for {each}: {error.message}; put one there that is valid for that name,"
                " with its key, and in ca.crt the authority that signed it"
            ) from error


def _values(found: Object | None) -> dict[str, str]:
    """Return what is in a Secret, as far as it is text."""
    values = {}
    for key, encoded in ((found or {}).get("data") or {}).items():
        try:
            values[key] = base64.b64decode(encoded).decode()
        except ValueError:
            continue
    return values


def _get(cluster: Cluster, database: Object, suffix: str) -> Object | None:
    name = _name(database, suffix)
    found = cluster.get("v1", "Secret", database["metadata"]["namespace"], name)
    if found is not None and not is_ours(found):
        raise SecretInvalid(
            f"there is a Secret {name} that belongs to another program; rename or delete that one,"
            " or give the Database another name"
        )
    return found


def _name(database: Object, suffix: str) -> str:
    return f"{database['metadata']['name']}-{suffix}"
