"""What the queue of Backups rests on."""

from __future__ import annotations

from ansible_collections.postgres.operator.plugins.module_utils.kube.client import connect
from ansible_collections.postgres.operator.plugins.module_utils.resources.backup.unfinished import (
    list_unfinished,
)
from custom_resources import Create, patch

BACKUP = {"databaseRef": {"name": "app"}}


def test_only_what_has_not_ended_is_listed(create: Create, name: str) -> None:
    phases = ("Pending", "InProgress", "Completed", "Failed")
    for phase in phases:
        made = create("Backup", f"{name}-{phase.lower()}", BACKUP)
        patch(made, {"phase": phase}, status=True)
    create("Backup", f"{name}-plan", BACKUP | {"schedule": "0 3 * * *"})
    found = [backup["metadata"]["name"] for backup in list_unfinished(connect())]
    mine = sorted(found_name for found_name in found if found_name.startswith(name))
    assert mine == [f"{name}-inprogress", f"{name}-pending"]
