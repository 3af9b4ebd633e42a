"""The options of the artifact modules, and what they stand for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..postgres.connection import ConnectionParameters
from ..store.filesystem import FilesystemStore
from ..store.location import Location
from .progress import Progress
from .selection import Selection, parse_selection

Options = dict[str, dict[str, Any]]

CONNECTION_OPTIONS: Options = {
    "host": {"type": "str", "required": True},
    "port": {"type": "int", "default": 5432},
    "user": {"type": "str", "required": True},
    # A path is no secret, though its name looks like one.
    "password_file": {"type": "path", "no_log": False},
}

ARTIFACT_OPTIONS: Options = {
    "root": {"type": "path", "required": True},
    "namespace": {"type": "str", "required": True},
    "resource": {"type": "str", "required": True},
    "uid": {"type": "str", "required": True},
}

RUN_OPTIONS: Options = {
    "jobs": {"type": "int", "default": 1},
    "progress_file": {"type": "path"},
}


_NAMES: Options = {
    "schemas": {"type": "list", "elements": "str", "default": []},
    "tables": {"type": "list", "elements": "str", "default": []},
}

SELECTION_OPTIONS: Options = {
    "include": {"type": "dict", "options": _NAMES},
    "exclude": {"type": "dict", "options": _NAMES},
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
    )


def store(params: dict[str, Any]) -> FilesystemStore:
    """The store that ARTIFACT_OPTIONS name."""
    return FilesystemStore(Path(params["root"]))


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
