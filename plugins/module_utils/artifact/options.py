"""The options of the artifact modules, and what they stand for."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from ..errors import InvalidInput
from ..postgres.connection import ConnectionParameters, Tls
from ..store.chosen import chosen_store
from ..store.encryption import EncryptionKey
from ..store.protocol import Location
from .backup_room import PreviousBackup
from .dump import METHODS, Compression
from .leftovers import OtherBackups
from .physical.target import (
    END_OF_BACKUP,
    EndOfArchive,
    Lsn,
    Moment,
    RestorePoint,
    Target,
    Transaction,
)
from .progress import Progress
from .selection import Selection, parse_selection
from .stored_files import ArtifactStore

Options = dict[str, dict[str, Any]]

CONNECTION_OPTIONS: Options = {
    "host": {"type": "str", "required": True},
    "port": {"type": "int", "default": 5432},
    "user": {"type": "str", "required": True},
    # A path is no secret, though its name looks like one.
    "password_file": {"type": "path", "no_log": False},
    "sslmode": {
        "type": "str",
        "choices": ["disable", "require", "verify-ca", "verify-full"],
        "default": "verify-full",
    },
    "sslrootcert": {"type": "path"},
    "sslcert": {"type": "path"},
    "sslkey": {"type": "path", "no_log": False},
}

_S3_OPTIONS: Options = {
    "endpoint": {"type": "str"},
    "proxy": {"type": "str"},
    "region": {"type": "str"},
    "bucket": {"type": "str", "required": True},
    "prefix": {"type": "str", "default": ""},
    "credentials_folder": {"type": "path", "required": True},
    "ca_file": {"type": "path"},
    "path_style": {"type": "bool", "default": False},
    "sse": {"type": "str"},
}

STORE_OPTIONS: Options = {
    "root": {"type": "path"},
    "s3": {"type": "dict", "options": _S3_OPTIONS},
    "identity_file": {"type": "path"},
}

_LOCATION: Options = {
    "namespace": {"type": "str", "required": True},
    "resource": {"type": "str", "required": True},
    "uid": {"type": "str", "required": True},
}

ARTIFACT_OPTIONS: Options = {**STORE_OPTIONS, **_LOCATION, "spool": {"type": "path"}}

RUN_OPTIONS: Options = {
    "jobs": {"type": "int", "default": 1},
    "progress_file": {"type": "path"},
}

COMPRESSION_OPTIONS: Options = {
    "compression": {"type": "str", "choices": list(METHODS)},
    "compression_level": {"type": "int"},
}

_NAMES: Options = {
    "schemas": {"type": "list", "elements": "str", "default": []},
    "tables": {"type": "list", "elements": "str", "default": []},
}

SELECTION_OPTIONS: Options = {
    "include": {"type": "dict", "options": _NAMES},
    "exclude": {"type": "dict", "options": _NAMES},
}

_SHA256: Options = {"sha256": {"type": "str"}}

CREATE_OPTIONS: Options = {
    **CONNECTION_OPTIONS,
    **ARTIFACT_OPTIONS,
    **SELECTION_OPTIONS,
    **RUN_OPTIONS,
    **COMPRESSION_OPTIONS,
    "database": {"type": "str", "required": True},
    "recipients": {"type": "list", "elements": "str", "default": []},
    "passwords": {"type": "bool", "default": False},
    "unfinished": {"type": "list", "elements": "str", "default": []},
    "unfinished_listed": {"type": "str"},
    "previous": {
        "type": "dict",
        "options": {
            "size_bytes": {"type": "int", "required": True},
            "rows": {"type": "int", "required": True},
        },
    },
}

BACKUP_OPTIONS: Options = {
    **CREATE_OPTIONS,
    "completed": {"type": "list", "elements": "str", "default": []},
}

PHYSICAL_OPTIONS: Options = {
    **CONNECTION_OPTIONS,
    **ARTIFACT_OPTIONS,
    **RUN_OPTIONS,
    "archive": {"type": "str", "required": True},
    "replication": {
        "type": "dict",
        "options": {
            "user": {"type": "str", "required": True},
            "sslcert": {"type": "path"},
            "sslkey": {"type": "path", "no_log": False},
        },
    },
    "standby": {"type": "str"},
    "max_rate": {"type": "int"},
    "kept_from": {"type": "list", "elements": "str"},
    "oldest_end": {"type": "str"},
    "recipients": {"type": "list", "elements": "str", "default": []},
    "unfinished": {"type": "list", "elements": "str", "default": []},
    "unfinished_listed": {"type": "str"},
    "completed": {"type": "list", "elements": "str", "default": []},
}

PLAIN_DUMP_OPTIONS: Options = {
    **CONNECTION_OPTIONS,
    "database": {"type": "str", "required": True},
    "folder": {"type": "path", "required": True},
    "jobs": {"type": "int", "default": 1},
}

CHECK_OPTIONS: Options = {**ARTIFACT_OPTIONS, **RUN_OPTIONS, **_SHA256, "uid": {"type": "str"}}

LIST_OPTIONS: Options = {
    **STORE_OPTIONS,
    "namespace": {"type": "str", "default": ""},
    "resource": {"type": "str", "default": ""},
    "jobs": {"type": "int", "default": 4},
}

VERIFY_OPTIONS: Options = {
    **ARTIFACT_OPTIONS,
    **RUN_OPTIONS,
    **_SHA256,
    "scratch": {"type": "path", "required": True},
}

COPY_OPTIONS: Options = {
    **ARTIFACT_OPTIONS,
    **RUN_OPTIONS,
    "target": {"type": "path", "required": True},
}

REMOVE_OPTIONS: Options = ARTIFACT_OPTIONS

SEARCH_OPTIONS: Options = {
    "root": STORE_OPTIONS["root"],
    "s3": STORE_OPTIONS["s3"],
    "namespace": {"type": "str", "required": True},
    "resource": {"type": "str", "required": True},
    "completed": {"type": "list", "elements": "str", "required": True},
    "jobs": {"type": "int", "default": 4},
}

_RESTORE: Options = {
    "database": {"type": "str", "required": True},
    "restore_uid": {"type": "str", "required": True},
    "keep_previous_seconds": {"type": "int", "default": 86400},
    "dry_run": {"type": "bool", "default": False},
}

RECOVER_OPTIONS: Options = {
    **CONNECTION_OPTIONS,
    **ARTIFACT_OPTIONS,
    **RUN_OPTIONS,
    **_SHA256,
    "host": {"type": "str"},
    "user": {"type": "str"},
    "folder": {"type": "path", "required": True},
    "point_in_time": {"type": "str"},
    "restore_point": {"type": "str"},
    "lsn": {"type": "str"},
    "xid": {"type": "str"},
    "latest": {"type": "bool", "default": False},
}

REBUILD_OPTIONS: Options = {
    **{name: option for name, option in RECOVER_OPTIONS.items() if name not in CONNECTION_OPTIONS},
    "data": {"type": "path", "required": True},
    "restore_uid": {"type": "str", "required": True},
    "max_prepared_transactions": {"type": "int", "default": 0},
}

EXTRACT_OPTIONS: Options = {
    **SELECTION_OPTIONS,
    **RUN_OPTIONS,
    "folder": {"type": "path", "required": True},
    "target": {"type": "path", "required": True},
    "database": {"type": "str", "required": True},
    **_LOCATION,
}

RESTORE_OPTIONS: Options = {
    **CONNECTION_OPTIONS,
    **ARTIFACT_OPTIONS,
    **SELECTION_OPTIONS,
    **RUN_OPTIONS,
    **_SHA256,
    **_RESTORE,
    "partial": {"type": "bool", "default": False},
    "as_superuser": {"type": "bool", "default": False},
    "try_without_room": {"type": "bool", "default": False},
    "takes_properties": {"type": "bool", "default": False},
    "ends_replication": {"type": "bool", "default": False},
    "logins": {"type": "bool", "default": False},
}

OUTCOME_OPTIONS: Options = {
    **CONNECTION_OPTIONS,
    **_RESTORE,
    "timeout": {"type": "str", "required": True},
}


def connection_parameters(params: dict[str, Any], database: str) -> ConnectionParameters:
    """The server that CONNECTION_OPTIONS name."""
    password_file = params["password_file"]
    return ConnectionParameters(
        host=params["host"],
        port=params["port"],
        user=params["user"],
        dbname=database,
        password_file=Path(password_file) if password_file else None,
        tls=Tls(
            params["sslmode"],
            *(
                Path(params[name]) if params[name] else None
                for name in ("sslrootcert", "sslcert", "sslkey")
            ),
        ),
    )


def store(params: dict[str, Any]) -> ArtifactStore:
    """The store that ARTIFACT_OPTIONS name.

    Raises:
        InvalidInput: it names none, or two.
    """
    identity_file, spool = params.get("identity_file"), params.get("spool")
    recipients = tuple(params.get("recipients") or ())
    identities = Path(identity_file) if identity_file else None
    return ArtifactStore(
        chosen_store(params),
        key=EncryptionKey(identities, recipients) if identities or recipients else None,
        spool=Path(spool) if spool else None,
    )


def compression(params: dict[str, Any]) -> Compression:
    """What COMPRESSION_OPTIONS ask for."""
    return Compression(params["compression"] or None, params["compression_level"])


def location(params: dict[str, Any]) -> Location:
    """The artifact that ARTIFACT_OPTIONS name.

    Raises:
        InvalidInput: a name is none of Kubernetes'.
    """
    return Location(params["namespace"], params["resource"], params["uid"])


def progress(params: dict[str, Any]) -> Progress:
    """Where RUN_OPTIONS say that progress goes."""
    return Progress(Path(params["progress_file"]) if params["progress_file"] else None)


def steps(done: Progress) -> list[dict[str, Any]]:
    """The steps of a run as modules return them."""
    return [{"name": name, "seconds": seconds} for name, seconds in done.steps]


def selection(params: dict[str, Any]) -> Selection | None:
    """What SELECTION_OPTIONS select, None for everything.

    Raises:
        InvalidInput: a table is not written as schema.table.
    """
    return parse_selection(params["include"], params["exclude"])


def previous_backup(params: dict[str, Any]) -> PreviousBackup | None:
    """What ``previous`` says about the backup before this one."""
    previous = params["previous"]
    return PreviousBackup(previous["size_bytes"], previous["rows"]) if previous else None


def other_backups(params: dict[str, Any]) -> OtherBackups | None:
    """What ``unfinished`` and ``unfinished_listed`` say about the Database's other backups.

    Raises:
        InvalidInput: the time is none.
    """
    listed = _moment(params, "unfinished_listed")
    return OtherBackups(frozenset(params["unfinished"]), listed) if listed else None


def recovery_target(params: dict[str, Any]) -> Target:
    """Where the recovery ends that RECOVER_OPTIONS name; where they name nothing, the backup's end.

    Raises:
        InvalidInput: the moment is none, or has no time zone; the LSN is none; or there are two.
    """
    moment = _moment(params, "point_in_time")
    named: list[Target] = [Moment(moment)] if moment else []
    named += [
        kind(params[name])
        for name, kind in (("restore_point", RestorePoint), ("lsn", Lsn), ("xid", Transaction))
        if params[name]
    ]
    named += [EndOfArchive()] if params["latest"] else []
    if len(named) > 1:
        one, other = map(str, named[:2])
        raise InvalidInput(f"a recovery has one target: {one} or {other}, not both")
    return named[0] if named else END_OF_BACKUP


def _moment(params: dict[str, Any], name: str) -> datetime | None:
    text = params[name]
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = datetime.min
    if moment.tzinfo is None:
        raise InvalidInput(f"{name} {text!r} is not a time such as 2026-01-31T02:00:00Z")
    return moment
