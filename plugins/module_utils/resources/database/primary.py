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
from ...postgres.connection import Connection, ConnectionParameters, Tls, connect, deadline
from ...postgres.databases import is_empty
from ...postgres.errors import database_errors
from ...postgres.observe import Observation, inspect
from ...postgres.provision import ensure_role_and_database
from ...postgres.session_roles import drop_abandoned_roles
from ..prerequisites import is_to_be_restored
from .bootstrap import list_origins
from .certificates import read_certificates, server_name
from .secrets import read_key, remember_primary

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
    with tempfile.TemporaryDirectory(prefix="postgres-operator-") as folder:
        internal = _secret(cluster, resource, "internal")
        parameters = _superuser(
            cluster, resource, address, internal if not encrypted else None, Path(folder)
        )
        # A switchover ends this session like all others: the next reconcile asks the new primary.
        with (
            database_errors("preparing the primary", DatabaseNotReady),
            connect(parameters) as connection,
        ):
            if not check_mode:
                password = read_key(_secret(cluster, resource, "credentials"), "password")
                with _in_time(connection, "preparing the role and the database"):
                    connection.execute("SET lock_timeout = '5s'")
                    provided = ensure_role_and_database(
                        connection, spec["username"], password, spec["databaseName"]
                    )
                with deadline(connection, _DROP_SECONDS, "dropping what restores have left"):
                    dropped = [
                        *drop_expired_previous(connection, agreed_time(connection), undropped),
                        *drop_abandoned_scratch(connection, parameters, undropped),
                        *drop_abandoned_roles(connection),
                    ]
                changed = provided.changed or bool(dropped)
            with _in_time(connection, "querying the primary"):
                seen = inspect(connection, spec["databaseName"], spec["username"])
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
        "server": {**_describe(seen), "encrypted": encrypted},
    }


def _superuser(
    cluster: Cluster, resource: Object, address: Address, internal: Object | None, folder: Path
) -> ConnectionParameters:
    """Return how to connect as the superuser: by its certificate, to a server known by its own.

    Args:
        internal: the Secret with the superuser's password, for a server without certificates.
        folder: for the files, which only this user can read.
    """
    if internal is not None:
        password_file = _write_private(
            folder / "password", read_key(internal, "superuser-password")
        )
        return ConnectionParameters(
            address.host, address.port, "postgres", password_file=password_file
        )
    certificates = read_certificates(cluster, resource)
    tls = Tls(
        "verify-full",
        _write_private(folder / "ca.crt", certificates["ca.crt"]),
        _write_private(folder / "tls.crt", certificates["superuser.crt"]),
        _write_private(folder / "tls.key", certificates["superuser.key"]),
    )
    return ConnectionParameters(
        server_name(resource), address.port, "postgres", tls=tls, hostaddr=address.host
    )


def _write_private(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(text)
    return path


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
