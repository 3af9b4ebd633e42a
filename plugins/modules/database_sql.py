"""Make the role and the database exist on the primary, and ask it how it is."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: database_sql
short_description: Make the role and the database exist, and ask the primary how it is
description:
  - Connects to the primary as superuser. Creates the Database's user and database where they are missing, sets the
    user's password where it differs from the Secret, drops replaced databases whose time is over
    and what restores that were killed have left behind, notes on the Secret NAME-internal which instance serves.
  - A primary that cannot be reached is an answer, not a failure.
options:
  resource:
    description: The Database.
    type: dict
    required: true
  leader:
    description: The name of the leader's pod.
    type: str
    required: true
  pod_ip:
    description: The address of the leader's pod.
    type: str
    required: true
author: [postgres-operator maintainers]
"""

EXAMPLES = r"""
- name: The user and the database exist
  postgres.operator.database_sql:
    resource: "{{ database_info.resource }}"
    leader: app-0
    pod_ip: 10.244.0.7
"""

RETURN = r"""
server:
  description: What the primary said, or C(problem) with a reason and a message.
  type: dict
  returned: success
contents:
  description:
    - Of a Database that is made from a Backup and is not known to be restored, what is in it, C(empty), C(restored) or
      C(other). Else empty.
  type: str
  returned: success
dropped:
  description: The replaced databases and leftovers of restores that were dropped.
  type: list
  elements: str
  returned: success
"""

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible_collections.postgres.operator.plugins.module_utils.ansible_module import execute
from ansible_collections.postgres.operator.plugins.module_utils.backup.history import (
    drop_abandoned_scratch,
    was_restored,
)
from ansible_collections.postgres.operator.plugins.module_utils.backup.previous import (
    drop_expired_previous,
)
from ansible_collections.postgres.operator.plugins.module_utils.errors import (
    DatabaseNotReady,
    OperatorError,
)
from ansible_collections.postgres.operator.plugins.module_utils.kubernetes.client import (
    ApiError,
    Cluster,
    Object,
)
from ansible_collections.postgres.operator.plugins.module_utils.kubernetes.client import (
    connect as connect_cluster,
)
from ansible_collections.postgres.operator.plugins.module_utils.kubernetes.origin import (
    is_to_be_restored,
)
from ansible_collections.postgres.operator.plugins.module_utils.kubernetes.reach import (
    Address,
    reach,
)
from ansible_collections.postgres.operator.plugins.module_utils.kubernetes.secrets import (
    read_key,
    remember_primary,
)
from ansible_collections.postgres.operator.plugins.module_utils.postgres.connection import (
    Connection,
    ConnectionParameters,
    connect,
)
from ansible_collections.postgres.operator.plugins.module_utils.postgres.databases import is_empty
from ansible_collections.postgres.operator.plugins.module_utils.postgres.errors import (
    database_errors,
)
from ansible_collections.postgres.operator.plugins.module_utils.postgres.observe import (
    Observation,
    inspect,
)
from ansible_collections.postgres.operator.plugins.module_utils.postgres.provision import (
    ensure_role_and_database,
)

ARGUMENT_SPEC = {
    "resource": {"type": "dict", "required": True},
    "leader": {"type": "str", "required": True},
    "pod_ip": {"type": "str", "required": True},
}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Provision (not in check mode) and look."""
    cluster = connect_cluster()
    namespace = params["resource"]["metadata"]["namespace"]
    try:
        with reach(cluster, namespace, params["leader"], params["pod_ip"], 5432) as address:
            return _work(cluster, params["resource"], params["leader"], address, check_mode)
    except ApiError:
        raise
    except OperatorError as error:
        return {
            "changed": False,
            "dropped": [],
            "contents": "",
            "server": {"problem": [error.reason, error.message]},
        }


def _work(
    cluster: Cluster, resource: dict[str, Any], leader: str, address: Address, check_mode: bool
) -> dict[str, Any]:
    spec = resource["spec"]
    changed, dropped = False, []
    with tempfile.TemporaryDirectory(prefix="postgres-operator-") as folder:
        password_file = Path(folder, "password")
        password_file.touch(mode=0o600)
        internal = _secret(cluster, resource, "internal")
        password_file.write_text(read_key(internal, "superuser-password"))
        parameters = ConnectionParameters(
            address.host, address.port, "postgres", password_file=password_file
        )
        with connect(parameters) as connection:
            if not check_mode:
                password = read_key(_secret(cluster, resource, "credentials"), "password")
                provided = ensure_role_and_database(
                    connection, spec["username"], password, spec["databaseName"]
                )
                dropped = [
                    *drop_expired_previous(connection, datetime.now(UTC)),
                    *drop_abandoned_scratch(connection),
                ]
                changed = provided.changed or bool(dropped)
            seen = inspect(connection, spec["databaseName"], spec["username"])
            contents = ""
            if is_to_be_restored(resource) and seen.database_exists:
                contents = _look_at_contents(connection, parameters, spec["databaseName"])
        # What was just written is on this instance: its volume is the one to start from.
        if seen.writable and not check_mode:
            changed = remember_primary(cluster, internal, leader) or changed
    return {
        "changed": changed,
        "dropped": dropped,
        "contents": contents,
        "server": _describe(seen),
    }


def _look_at_contents(
    connection: Connection, parameters: ConnectionParameters, database: str
) -> str:
    """Return what is in the Database's own database: `restored`, `empty` or `other`."""
    if was_restored(connection, database):
        return "restored"
    with connect(parameters, database) as inside, database_errors("looking", DatabaseNotReady):
        return "empty" if is_empty(inside) else "other"


def _secret(cluster: Cluster, resource: dict[str, Any], secret: str) -> Object:
    metadata = resource["metadata"]
    name = f"{metadata['name']}-{secret}"
    found = cluster.get("v1", "Secret", metadata["namespace"], name)
    if found is None:
        raise ApiError(f"Secret {name} is gone; the next reconcile makes or asks for it", 404)
    return found


def _describe(seen: Observation) -> dict[str, Any]:
    return {
        "problem": [],
        "writable": seen.writable,
        "database_exists": seen.database_exists,
        "role_exists": seen.role_exists,
        "version": seen.server_version,
        "timeline": seen.timeline,
        "standbys": [
            {
                "name": standby.application_name,
                "state": standby.state,
                "lag_bytes": standby.replay_lag_bytes or 0,
            }
            for standby in seen.standbys
        ],
    }


def main() -> None:
    """Run as an ordinary module."""
    execute(ARGUMENT_SPEC, run)


if __name__ == "__main__":
    main()
