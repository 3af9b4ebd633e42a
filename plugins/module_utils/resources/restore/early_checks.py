"""What keeps a Restore from replacing the live database, found before its safety Backup.

The Restore's Job finds it too, and more, but only after that Backup, which may take hours.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from ...artifact.history import scratch_name
from ...artifact.in_use import read_use, require_not_in_use
from ...artifact.room import RoomRequest, check_room
from ...errors import DatabaseInUse, DatabaseNotReady, NotEnoughRoom, OperatorError
from ...kube.client import ApiError, Cluster, Object
from ...kube.port_forward import Address, reach
from ...postgres.connection import connect, deadline
from ...postgres.errors import database_errors
from ..backup.physical import is_physical
from ..database.instances import read_instances
from ..database.members import find_primary
from ..database.superuser import superuser

_SECONDS = 30.0


def find_early_refusal(
    cluster: Cluster, restore: Object, backup: Object, database: Object
) -> tuple[str, str] | None:
    """Ask the primary whether the database can be replaced, and whether there is room.

    Returns:
        Reason and message; None where nothing is in the way, and where the primary did not answer.

    Raises:
        ApiError: the API server refused or was not reached.
    """
    name, namespace = database["metadata"]["name"], database["metadata"]["namespace"]
    primary = find_primary(*read_instances(cluster, namespace, name))
    if primary is None:
        return None
    try:
        with reach(namespace, primary.name, primary.pod_ip, 5432) as address:
            _check(cluster, restore, backup, database, address)
    except (DatabaseInUse, NotEnoughRoom) as error:
        return error.reason, error.message
    except ApiError:
        raise
    except OperatorError:
        # The safety Backup and the Job wait for what this did not.
        return None
    return None


def _check(
    cluster: Cluster, restore: Object, backup: Object, database: Object, address: Address
) -> None:
    """Raise what the Restore's Job would raise.

    Raises:
        OperatorError: DatabaseInUse, NotEnoughRoom; others where the primary cannot be asked.
    """
    name, consent = database["spec"]["databaseName"], restore["spec"].get("consent", {})
    with tempfile.TemporaryDirectory(prefix="postgres-operator-") as folder:
        server = superuser(cluster, database, address, None, Path(folder))
        with (
            database_errors("asking the primary", DatabaseNotReady),
            connect(server.maintenance) as connection,
        ):
            with deadline(connection, _SECONDS, "asking for slots and prepared transactions"):
                use = read_use(connection, name)
            require_not_in_use(use, name, consent.get("endReplication", False))
            request = RoomRequest(
                server.maintenance,
                _restored_bytes(restore, backup),
                scratch_name(restore["metadata"]["uid"]),
                f"backup {backup['metadata']['name']}",
            )
            refuse = not consent.get("tryWithoutRoom", False)
            check_room(request, connection, refuse=refuse, standbys=False)


def _restored_bytes(restore: Object, backup: Object) -> int | None:
    """Return what the restored database takes; None where that is not known before the Job."""
    spec = restore["spec"]
    if is_physical(backup) or "include" in spec or "exclude" in spec:
        return None
    size: Any = backup["status"].get("restoreSizeBytes")
    return None if size is None else int(size)
