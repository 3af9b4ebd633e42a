"""Loads a dump into an empty database: all of it, or all definitions and some tables' rows."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from ..errors import InvalidInput, OperatorError
from ..postgres.connection import ConnectionParameters, connect
from ..postgres.programs import run_program
from .artifact import Artifact
from .load import run_pg_restore
from .manifest import Manifest
from .selection import (
    Key,
    Selection,
    narrow_manifest,
    quote,
    require_plain_names,
    select_tables,
)

_TABLES_PER_RUN = 1000
# Lines of the list that pg_restore makes: number; OIDs; kind of object; schema, name, owner.
_ENTRY = r"\d+; \d+ \d+ "
# See ``selection``. Comments on constraints, since some of the constraints are not there.
_LEFT_OUT = re.compile(_ENTRY + r"(FK CONSTRAINT |MATERIALIZED VIEW DATA |COMMENT .* CONSTRAINT )")
_LARGE_OBJECTS = re.compile(_ENTRY + r"BLOBS? ")


def load_rows(
    parameters: ConnectionParameters,
    dump: Path,
    artifact: Artifact,
    jobs: int,
    failure: type[OperatorError],
    selection: Selection | None,
    options: tuple[str, ...] = (),
) -> Artifact:
    """Load a dump into an empty database.

    Args:
        parameters: the server, a superuser, and the database as ``dbname``.
        dump: the folder with it.
        jobs: processes that pg_restore works with.
        failure: the error if the reason is not recognised.
        selection: whose rows; None for all that the backup has.
        options: further ones for pg_restore.

    Returns:
        The artifact as if it held just that: its manifest is what the database must hold now.

    Raises:
        InvalidInput: the selection names what is not in the backup.
    """
    if selection is None and not artifact.manifest.is_partial:
        run_pg_restore(parameters, dump, jobs, failure, *options)
        return artifact

    def run(*more: str) -> None:
        run_pg_restore(parameters, dump, jobs, failure, *options, *more)

    run("--section=pre-data")
    selected = None if selection is None else _resolve(parameters, artifact, selection)
    with tempfile.TemporaryDirectory(prefix="postgres-operator-") as folder:
        if selected is None:
            run("--section=data")
        else:
            for names in _data_options(artifact.manifest, selected):
                run("--section=data", *names)
            blobs = _list_entries(dump, failure, Path(folder, "data"))
            run("--section=data", _use_list(Path(folder, "blobs"), blobs, _LARGE_OBJECTS, True))
        rest = _list_entries(dump, failure, Path(folder, "post-data"))
        run("--section=post-data", _use_list(Path(folder, "rest"), rest, _LEFT_OUT, False))
    return replace(artifact, manifest=narrow_manifest(artifact.manifest, selected))


def _resolve(
    parameters: ConnectionParameters, artifact: Artifact, selection: Selection
) -> frozenset[Key]:
    """The tables that are selected, by the definitions that are in the database already."""
    with connect(parameters) as connection:
        selected = select_tables(connection, selection)
    lacking = sorted(
        f"{quote(table.schema)}.{quote(table.name)}"
        for table in artifact.manifest.tables
        if not table.populated and (table.schema, table.name) in selected
    )
    if lacking and selection.includes:
        raise InvalidInput(
            f"backup {artifact.location} is a partial one, without the rows of"
            f" {', '.join(lacking[:5])}: use another backup, or leave them out"
        )
    # pg_restore compares names byte by byte, with those in the dump's own encoding.
    require_plain_names(selected, artifact.manifest.source.locale.encoding)
    return selected - {(t.schema, t.name) for t in artifact.manifest.tables if not t.populated}


def _data_options(manifest: Manifest, selected: frozenset[Key]) -> Iterator[tuple[str, ...]]:
    """Options of pg_restore, one run each: exact names, which only mean one schema's.

    Sequences, which are no rows of anything, get their values all.
    """
    by_schema: dict[str, list[str]] = {}
    keys = [*sorted(selected), *((entry.schema, entry.name) for entry in manifest.sequences)]
    for schema, name in keys:
        by_schema.setdefault(schema, []).append(name)
    for schema, names in by_schema.items():
        for chunk in _chunks(names):
            yield (f"--schema={schema}", *(f"--table={name}" for name in chunk))


def _chunks(names: list[str]) -> Iterable[list[str]]:
    return (names[at : at + _TABLES_PER_RUN] for at in range(0, len(names), _TABLES_PER_RUN))


def _list_entries(dump: Path, failure: type[OperatorError], file: Path) -> list[str]:
    """What pg_restore would do for the section that the file is named after, line by line."""
    run_program(
        [
            "pg_restore",
            "--list",
            f"--section={file.name}",
            f"--file={file}",
            str(dump),
        ],
        {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
        failure,
    )
    return file.read_text(encoding="utf-8", errors="surrogateescape").split("\n")


def _use_list(file: Path, lines: list[str], pattern: re.Pattern[str], wanted: bool) -> str:
    """Write the lines that are (not) wanted; returns the option that names the file."""
    kept = [line for line in lines if bool(pattern.match(line)) == wanted]
    text = "\n".join(kept) + "\n"
    file.write_text(text, encoding="utf-8", errors="surrogateescape")
    return f"--use-list={file}"
