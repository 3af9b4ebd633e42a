"""Where a Backup is stored, by its spec, and the Secrets that this needs."""

from __future__ import annotations

from urllib.parse import urlsplit

from ...kube.client import Cluster, Object
from ...kube.objects import backup_claim

_CREDENTIALS = ("accessKeyId", "secretAccessKey")
_CERTIFICATES = ("ca.crt",)
_KEY = ("identity",)


def s3_of(backup: Object) -> Object:
    """Return destination.s3; empty where the artifact is in a PersistentVolumeClaim."""
    found: Object = backup["spec"].get("destination", {}).get("s3", {})
    return found


def claim_of(backup: Object) -> str:
    """Return the name of the PersistentVolumeClaim; empty where the artifact is in a bucket."""
    return "" if s3_of(backup) else backup_claim(backup["spec"]["databaseRef"]["name"])


def is_claim_gone(cluster: Cluster, namespace: str, claim: str) -> bool:
    """Return whether a PersistentVolumeClaim is gone, or will be as soon as no pod uses it."""
    found = cluster.get("v1", "PersistentVolumeClaim", namespace, claim)
    return found is None or bool(found["metadata"].get("deletionTimestamp"))


def place_of(backup: Object) -> str:
    """Return what the artifact's location is below, as the status has it."""
    s3 = s3_of(backup)
    if not s3:
        return f"pvc://{claim_of(backup)}"
    return "/".join(part for part in (f"s3://{s3['bucket']}", s3.get("prefix")) if part)


def s3_port_of(backup: Object) -> int:
    """Return the port of the object store, or of its proxy; 0 where there is no bucket."""
    s3 = s3_of(backup)
    if not s3:
        return 0
    address = urlsplit(s3.get("proxy") or s3.get("endpoint") or "https://")
    try:
        port = address.port
    except ValueError:
        # There is no such port: the Job will say so.
        port = None
    return port or (80 if address.scheme == "http" else 443)


def find_secret_block(
    cluster: Cluster, backup: Object, identity: str = "", within: str = ""
) -> tuple[str, str] | None:
    """Return reason and message where a Secret that a Job needs is missing, or keys of it.

    Args:
        identity: the Secret with the identity that is needed; empty where none is.
        within: what the message writes before the field's name.
    """
    for name, reference, keys in _wanted_secrets(backup, identity):
        field = within + name
        namespace = backup["metadata"]["namespace"]
        secret = cluster.get("v1", "Secret", namespace, reference["name"])
        data = (secret or {}).get("data") or {}
        missing = [key for key in keys if not data.get(key)]
        if secret is None:
            return (
                "SecretMissing",
                f"{field} names Secret {reference['name']}, which is not in this namespace;"
                f" create it with the keys: {', '.join(keys)}",
            )
        if missing:
            return (
                "SecretMissing",
                f"Secret {reference['name']}, which {field} names, lacks the keys:"
                f" {', '.join(missing)}; add them",
            )
    return None


def _wanted_secrets(backup: Object, identity: str) -> list[tuple[str, Object, tuple[str, ...]]]:
    """Return each Secret's field, reference and keys."""
    s3 = s3_of(backup)
    wanted: list[tuple[str, Object, tuple[str, ...]]] = []
    if s3:
        field = "destination.s3.credentialsSecretRef"
        wanted.append((field, s3["credentialsSecretRef"], _CREDENTIALS))
    if "caSecretRef" in s3:
        wanted.append(("destination.s3.caSecretRef", s3["caSecretRef"], _CERTIFICATES))
    if identity:
        wanted.append(("encryption.secretRef", {"name": identity}, _KEY))
    return wanted
