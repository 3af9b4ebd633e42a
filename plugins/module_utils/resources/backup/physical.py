"""Physical Backups: which they are, and what they need of their Database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...archive.names import archive_folder

PHYSICAL = "physical"
_PLACE = ("endpoint", "region", "bucket", "prefix")
"""What of destination.s3 says where something is stored."""


def is_physical(backup: Mapping[str, Any]) -> bool:
    """Return whether a Backup makes, or has made, a physical backup."""
    method = backup.get("status", {}).get("method") or backup["spec"].get("method")
    return bool(method == PHYSICAL)


def find_archive_block(
    backup: Mapping[str, Any], database: Mapping[str, Any], recipients: Sequence[str]
) -> tuple[str, str] | None:
    """Return reason and message where a physical Backup does not fit the archive of its Database.

    Args:
        recipients: the public keys that the Backup is to be encrypted for; none for a plain one.
    """
    name, archive = database["metadata"]["name"], database["spec"].get("archive")
    if not archive:
        return (
            "ArchiveMissing",
            f"Database {name} has no archive, without which a physical backup cannot be restored to"
            " any moment after it; add spec.archive to the Database",
        )
    if store_of(backup["spec"]) != store_of(archive):
        return (
            "ArchiveMissing",
            f"a physical backup is stored beside the archive of Database {name}, and this Backup"
            " has another destination; make a Backup whose destination is that of spec.archive",
        )
    archived = (archive.get("encryption") or {}).get("recipients") or []
    if bool(archived) != bool(recipients) or (archived and not set(archived) & set(recipients)):
        how = "recipients in common with" if archived else "no encryption, as"
        return (
            "RecipientsDiffer",
            f"one identity has to open this backup and the WAL after it; make a Backup with {how}"
            f" spec.archive.encryption of Database {name}",
        )
    return None


def store_of(owner: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return which store it is; empty for the Database's own claim."""
    s3 = (owner.get("destination") or {}).get("s3") or {}
    return {key: s3[key] for key in _PLACE if s3.get(key)}


def physical_variables(backup: Mapping[str, Any], database: Mapping[str, Any]) -> dict[str, Any]:
    """Return the playbook's variables that are a physical backup's own."""
    metadata = database["metadata"]
    ready = database.get("status", {}).get("readyReplicas") or 0
    standby = f"{metadata['name']}-ro.{metadata['namespace']}.svc" if ready > 1 else ""
    return {
        "archive": archive_folder(metadata["uid"]),
        "replication": {
            "user": "standby",
            "sslcert": "/etc/superuser/replication.crt",
            "sslkey": "/etc/superuser/replication.key",
        },
        "standby": standby,
        "max_rate": backup["spec"].get("maxRate"),
    }
