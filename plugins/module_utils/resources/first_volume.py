"""The volume of a Database's first instance, where its whole server is made from a backup."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .prerequisites import is_to_be_restored

DATA_MOUNT = "/var/lib/postgresql/data"
"""Where instances have their volumes."""

DATA_DIRECTORY = f"{DATA_MOUNT}/pgdata"
"""Patroni's data_dir (roles/database/vars/main/config_map.yml)."""


def first_instance(database: Mapping[str, Any]) -> str:
    """Return the name of the instance that starts alone."""
    return f"{database['metadata']['name']}-0"


def first_claim(database: Mapping[str, Any]) -> str:
    """Return the name of its claim, as the StatefulSet makes it of its template."""
    return f"data-{first_instance(database)}"


def is_whole_server(database: Mapping[str, Any] | None) -> bool:
    """Return whether a Database is made from all files of a physical Backup."""
    source = database["spec"].get("backupRef") if database else None
    return bool(source and source.get("wholeServer"))


def is_to_be_rebuilt(database: Mapping[str, Any]) -> bool:
    """Return whether there must be no instance yet: its files are not known to be there."""
    return is_whole_server(database) and is_to_be_restored(database)


def find_rebuild_block(database: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return reason and message where the files cannot be made yet: instances would use them."""
    name, status = database["metadata"]["name"], database.get("status", {})
    if is_to_be_rebuilt(database) and not status.get("replicas"):
        return None
    return (
        "DatabaseNotReady",
        f"Database {name} has instances, and its files are not replaced under them; make a Restore"
        " of your own to replace a database",
    )


def find_rebuild_refusal(backup: Mapping[str, Any]) -> tuple[str, str]:
    """Return reason and message where the Backup has no files of a server."""
    return (
        "PhysicalBackupNeeded",
        f"Backup {backup['metadata']['name']} is a logical backup of one database; leave"
        " backupRef.wholeServer out, or name a Backup with method: physical",
    )
