"""Creates role and database on the primary over SQL, and reads its state."""

from __future__ import annotations

import tempfile
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ...artifact.history import drop_abandoned_scratch, was_restored
from ...artifact.replaced_database import agreed_time, drop_expired_previous
from ...errors import DatabaseNotReady, OperatorError
from ...kube import events
from ...kube.client import ApiError, Cluster, Object
from ...kube.port_forward import Address, reach
from ...postgres.archiving import Archiving, read_archiving
from ...postgres.connection import Connection, ConnectionParameters, connect, deadline
from ...postgres.databases import is_empty
from ...postgres.errors import database_errors
from ...postgres.observe import Observation, inspect
from ...postgres.provision import ensure_role_and_database
from ...postgres.session_roles import drop_abandoned_roles
from ...units import format_time
from ..prerequisites import is_to_be_restored
from .archive import FAILING
from .bootstrap import list_origins
from .differences import Differences
from .further_databases import ensure_databases, read_databases
from .inside import Inside, ensure_insides, read_inside
from .roles import drop_users, ensure_users, read_users
from .secrets import read_key, remember_primary
from .superuser import read_secret, superuser
from .user_secrets import UserSecrets

# A reconcile holds one of the operator's few workers: a server that does not answer must not keep
# it. Dropping a large database waits for a checkpoint.
_LOOK_SECONDS = 30.0
_DROP_SECONDS = 120.0


def provision_and_observe(
    cluster: Cluster,
    resource: Object,
    leader: str,
    pod_ip: str,
    encrypted: bool,
    check_mode: bool,
) -> dict[str, Any]:
    """Create role and database (not in check mode) and return the state of the server.

    Args:
        resource: the Database.
        leader: the name of the leader's pod.
        pod_ip: its address.
        encrypted: whether the pod has certificates: one that an operator without TLS has made is
            asked with the superuser's password, until it is replaced.

    Returns:
        `changed`, `dropped` (the replaced databases that were dropped),
        `undropped` (what keeps others from it), `contents` (of a Database
        that is made from a Backup: `empty`, `restored` or `other`) and `server`: what the primary
        said, or `problem` with a reason and a message where it cannot be reached.

    Raises:
        ApiError: the API server refused or was not reached.
    """
    namespace = resource["metadata"]["namespace"]
    try:
        with reach(namespace, leader, pod_ip, 5432) as address:
            return _work(cluster, resource, leader, address, encrypted, check_mode)
    except ApiError:
        raise
    except OperatorError as error:
        return {
            "changed": False,
            "dropped": [],
            "undropped": [],
            "contents": "",
            "server": {"problem": [error.reason, error.message]},
        }


def _work(
    cluster: Cluster,
    resource: dict[str, Any],
    leader: str,
    address: Address,
    encrypted: bool,
    check_mode: bool,
) -> dict[str, Any]:
    spec = resource["spec"]
    changed, dropped = False, []
    undropped: list[str] = []
    differences = Differences()
    with tempfile.TemporaryDirectory(prefix="postgres-operator-") as folder:
        internal = read_secret(cluster, resource, "internal")
        parameters = superuser(
            cluster, resource, address, internal if not encrypted else None, Path(folder)
        )
        # A switchover ends this session like all others: the next reconcile asks the new primary.
        with (
            database_errors("preparing the primary", DatabaseNotReady),
            connect(parameters) as connection,
        ):
            if not check_mode:
                password = read_key(read_secret(cluster, resource, "credentials"), "password")
                with _in_time(connection, "preparing the role and the database"):
                    # Where no replica is synchronous, a commit would wait like all others. What a
                    # failover loses of this is made again by the reconcile that follows it.
                    connection.execute("SET lock_timeout = '5s'; SET synchronous_commit = local")
                    provided = ensure_role_and_database(
                        connection, spec["username"], password, spec["databaseName"]
                    )
                with deadline(connection, _DROP_SECONDS, "dropping what restores have left"):
                    dropped = [
                        *drop_expired_previous(connection, agreed_time(connection), undropped),
                        *drop_abandoned_scratch(connection, parameters, undropped),
                        *drop_abandoned_roles(connection),
                    ]
                _ensure_named(cluster, resource, connection, parameters, differences)
                changed = provided.changed or bool(dropped) or differences.changed
            with _in_time(connection, "querying the primary"):
                seen = inspect(
                    connection, spec["databaseName"], spec["username"], _is_sparing(resource)
                )
                archive = read_archiving(connection, FAILING) if spec.get("archive") else None
            contents = ""
            if is_to_be_restored(resource) and seen.database_exists:
                contents = _look_at_contents(
                    connection, parameters, spec["databaseName"], *list_origins(cluster, resource)
                )
        for message in undropped:
            # A namespace that is going takes no Event.
            with suppress(ApiError):
                now = datetime.now(UTC)
                events.record(
                    cluster, resource, True, "LeftoverNotDropped", message, now, once=True
                )
        # What was just written is on this instance: its volume is the one to start from.
        if seen.writable and not check_mode:
            changed = remember_primary(cluster, internal, leader) or changed
    return {
        "changed": changed,
        "dropped": dropped,
        "undropped": undropped,
        "contents": contents,
        "server": {
            **_describe(seen),
            "encrypted": encrypted,
            "compared": not check_mode,
            "differences": differences.messages,
            **({"archive": _describe_archiving(archive)} if archive else {}),
        },
    }


def _is_sparing(resource: Object) -> bool:
    """Return whether the primary is queried every minute, for how far archiving is."""
    status = resource.get("status", {})
    known = status.get("phase") == "Ready" and bool(status.get("writable"))
    return known and bool(resource["spec"].get("archive"))


def _insides(resource: Object) -> list[Inside]:
    """Return what is to be inside of the databases; nothing in one that is to be restored first."""
    spec = resource["spec"]
    awaited = spec["databaseName"] if is_to_be_restored(resource) else ""
    return [one for one in read_inside(spec.get("databases", ())) if one.database != awaited]


def _ensure_named(
    cluster: Cluster,
    resource: Object,
    connection: Connection,
    parameters: ConnectionParameters,
    differences: Differences,
) -> None:
    """Make users and databases what the spec says; without any, nothing is asked."""
    spec = resource["spec"]
    users, databases = read_users(spec, differences), read_databases(spec)
    if users:
        with _in_time(connection, "preparing the users"):
            ensure_users(connection, UserSecrets.of(cluster, resource), users, differences)
    ensure_databases(connection, databases, spec["username"], differences)
    ensure_insides(connection, parameters, _insides(resource), differences)
    if users:
        with _in_time(connection, "dropping users"):
            drop_users(connection, users, differences)


def _in_time(connection: Connection, action: str) -> AbstractContextManager[None]:
    return deadline(connection, _LOOK_SECONDS, action)


def _look_at_contents(
    connection: Connection,
    parameters: ConnectionParameters,
    database: str,
    uid: str | None,
    locations: list[str],
) -> str:
    """Return what is in the Database's own database: `restored`, `empty` or `other`.

    Args:
        uid, locations: what `list_origins` returns.
    """
    if was_restored(connection, database, uid, locations):
        return "restored"
    with (
        connect(parameters, database) as inside,
        _in_time(inside, "querying the contents of the database"),
        database_errors("looking", DatabaseNotReady),
    ):
        return "empty" if is_empty(inside) else "other"


def _describe_archiving(found: Archiving) -> dict[str, Any]:
    """Return the fields of `archive_status.Archive`."""
    waiting = int((found.now - found.oldest).total_seconds()) if found.oldest else 0
    idle = int((found.now - found.last_time).total_seconds()) if found.last_time else waiting
    return {
        "mode": found.mode,
        "last_wal": found.last_wal,
        "last_time": format_time(found.last_time) if found.last_time else "",
        "written": format_time(found.last_written) if found.last_written else "",
        "pending": found.pending,
        "oldest": format_time(found.oldest) if found.oldest else "",
        "waiting_seconds": waiting,
        "stalled_seconds": min(waiting, idle),
        "failing": found.failing,
    }


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
                "synchronous": standby.synchronous,
            }
            for standby in seen.standbys
        ],
        "awaited": seen.awaited_standbys,
    }
