"""The recipients of a Backup, and the Secret with the private key that decrypts it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...errors import SecretMissing
from ...kube.client import Cluster, Object
from ..database.secrets import SecretInvalid, read_key

IDENTITY = "identity"
"""The key of a Secret that holds identities."""


def identity_secret(resource: Mapping[str, Any]) -> str:
    """Return the Secret that encryption.secretRef of a Backup or a Restore names; empty if none."""
    encryption = resource["spec"].get("encryption") or {}
    return str((encryption.get("secretRef") or {}).get("name", ""))


def verifying_secret(backup: Mapping[str, Any]) -> str:
    """Return the Secret that the container needs which verifies a Backup; empty if none."""
    return identity_secret(backup) if backup["spec"].get("verify") == "restore" else ""


def restoring_secret(restore: Mapping[str, Any], backup: Mapping[str, Any]) -> str:
    """Return the Secret that opens a Backup for a Restore; empty if there is none."""
    if not backup["spec"].get("encryption"):
        return ""
    return identity_secret(restore) or identity_secret(backup)


def find_identity_block(
    restore: Mapping[str, Any], backup: Mapping[str, Any]
) -> tuple[str, str] | None:
    """Return reason and message where nothing says what opens the Backup of a Restore."""
    if not backup["spec"].get("encryption") or restoring_secret(restore, backup):
        return None
    name = backup["metadata"]["name"]
    return (
        "SecretMissing",
        f"Backup {name} is encrypted for its recipients, and no Secret with an identity of one of"
        " them: make another Restore with encryption.secretRef, or add that to the Backup",
    )


def read_recipients(
    cluster: Cluster, backup: Object
) -> tuple[Sequence[str], tuple[str, str] | None]:
    """Return the public keys that a Backup is to be encrypted for; none for a plain one.

    Those of the spec, else the one of the first identity in the Secret. That is found here and not
    in the Job, so that what writes never has the identity; this process reads the Secret anyway.

    Returns:
        And reason and message where the Secret does not hold an identity.
    """
    encryption = backup["spec"].get("encryption")
    if not encryption:
        return [], None
    if encryption.get("recipients"):
        return list(encryption["recipients"]), None
    # A library of its own, for those that need it.
    from ...store.encryption import first_recipient  # noqa: PLC0415

    name = identity_secret(backup)
    secret = cluster.get("v1", "Secret", backup["metadata"]["namespace"], name)
    if secret is None:
        return [], ("SecretMissing", f"Secret {name} is gone; create it with the key {IDENTITY}")
    try:
        return [first_recipient(read_key(secret, IDENTITY), f"in Secret {name}")], None
    except (SecretInvalid, SecretMissing) as error:
        return [], ("SecretMissing", error.message)
