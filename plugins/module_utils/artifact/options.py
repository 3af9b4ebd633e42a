"""The options of the artifact modules, and what they stand for."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from ..errors import InvalidInput
from ..postgres.connection import ConnectionParameters, Tls
from ..store.encryption import EncryptionKey
from ..store.filesystem import FilesystemStore
from ..store.protocol import Location, Store
from .artifact import ArtifactStore
from .backup_room import PreviousBackup
from .dump import METHODS, Compression
from .leftovers import OtherBackups
from .progress import Progress
from .selection import Selection, parse_selection

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

ARTIFACT_OPTIONS: Options = {
    **STORE_OPTIONS,
    "spool": {"type": "path"},
    "namespace": {"type": "str", "required": True},
    "resource": {"type": "str", "required": True},
    "uid": {"type": "str", "required": True},
}

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
        files(params),
        key=EncryptionKey(identities, recipients) if identities or recipients else None,
        spool=Path(spool) if spool else None,
    )


def files(params: dict[str, Any], **patience: Any) -> Store:
    """Where the files are that ARTIFACT_OPTIONS name.

    Args:
        patience: ``timeout_seconds`` and ``attempts`` of a bucket's requests, if not the usual.

    Raises:
        InvalidInput: it names none, or two.
    """
    root, s3 = params.get("root"), params.get("s3")
    if bool(root) == bool(s3):
        raise InvalidInput("a store is either a root, its folder, or an s3: name one of them")
    if root:
        return FilesystemStore(Path(root))
    assert s3 is not None
    # boto3 is large: who uses a folder need not have it, nor wait for it.
    from ..store.s3 import S3Store  # noqa: PLC0415

    return S3Store(
        bucket=s3["bucket"],
        credentials_folder=Path(s3["credentials_folder"]),
        endpoint=s3.get("endpoint") or None,
        proxy=s3.get("proxy") or None,
        region=s3.get("region") or None,
        prefix=s3.get("prefix") or "",
        ca_file=Path(s3["ca_file"]) if s3.get("ca_file") else None,
        path_style=bool(s3.get("path_style")),
        sse=s3.get("sse") or None,
        workers=params.get("jobs") or 1,
        **patience,
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
    text = params["unfinished_listed"]
    if not text:
        return None
    try:
        listed = datetime.fromisoformat(text)
    except ValueError:
        listed = datetime.min
    if listed.tzinfo is None:
        raise InvalidInput(f"unfinished_listed {text!r} is not a time such as 2026-01-31T02:00:00Z")
    return OtherBackups(frozenset(params["unfinished"]), listed)
