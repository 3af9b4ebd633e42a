"""Tables that belong to extensions: what a backup says of them, and what a restore made of them.

CREATE EXTENSION makes them, so no dump has their definitions; and rows only of those that the
extension has marked as its configuration. A table may also have come to an extension by ALTER
EXTENSION ... ADD TABLE: then nothing makes it again. All functions here are pure.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ..units import first_of, plural
from .fingerprint import Relation
from .manifest import ExtensionTable, Manifest, TableEntry
from .selection import quote, short_name


@dataclass(frozen=True)
class ExtensionFindings:
    """How the tables of extensions in a restored database differ from what the backup says.

    Attributes:
        failures: one text for each that is missing, or whose rows a dump has and that differs.
        warning: what else differs; empty for nothing.
    """

    failures: tuple[str, ...] = ()
    warning: str = ""


def split_entries(
    entries: Sequence[TableEntry], relations: Sequence[Relation]
) -> tuple[list[TableEntry], list[ExtensionTable]]:
    """Tell the tables of extensions from all others.

    Args:
        entries: of both.
        relations: the tables of extensions.

    Returns:
        The others, and those of extensions.
    """
    of_extensions = {relation.key: relation for relation in relations}
    others = [entry for entry in entries if (entry.schema, entry.name) not in of_extensions]
    found = [
        _extension_table(entry, of_extensions[entry.schema, entry.name])
        for entry in entries
        if (entry.schema, entry.name) in of_extensions
    ]
    return others, found


def _extension_table(entry: TableEntry, relation: Relation) -> ExtensionTable:
    return ExtensionTable(
        schema=entry.schema,
        name=entry.name,
        extension=relation.extension,
        configuration=relation.condition is not None,
        rows=entry.rows,
        fingerprint=entry.fingerprint,
    )


def recorded(tables: Sequence[ExtensionTable]) -> tuple[ExtensionTable, ...]:
    """Those that a manifest names: what a dump has rows of, and what has rows."""
    return tuple(table for table in tables if table.configuration or table.rows)


def describe_not_dumped(manifest: Manifest) -> str:
    """Which tables have rows that the dump has not; empty for none."""
    lacking = [table for table in manifest.extension_tables if not table.configuration]
    if not lacking:
        return ""
    return f"no dump has these tables, since they belong to an extension: {_list(lacking)}"


def compare_extension_tables(
    manifest: Manifest, found: Collection[ExtensionTable]
) -> ExtensionFindings:
    """Compare what a backup says of them with what is in a restored database.

    Args:
        found: all that are there, with and without rows.
    """
    if manifest.is_partial:
        return ExtensionFindings()
    if not manifest.knows_extension_tables:
        return ExtensionFindings(
            warning="tables of extensions were not compared, since a backup of format version"
            f" {manifest.format_version} does not say what they held"
        )
    present = {(table.schema, table.name): table for table in found}
    failures, others = [], []
    for table in manifest.extension_tables:
        here = present.get((table.schema, table.name))
        if here is None:
            failures.append(_describe_missing(table))
        elif (here.rows, here.fingerprint) == (table.rows, table.fingerprint):
            continue
        elif table.configuration:
            failures.append(
                f"configuration table {_name(table)} has {here.rows} rows with fingerprint"
                f" {here.fingerprint}, expected {table.rows} rows with {table.fingerprint}"
            )
        else:
            others.append(table)
    warning = ""
    if others:
        warning = (
            "these tables have the rows that their extension makes, not those of the backup, since"
            f" no dump has them: {_list(others)}"
        )
    return ExtensionFindings(tuple(failures), warning)


def _describe_missing(table: ExtensionTable) -> str:
    name = f"{quote(table.schema)}.{quote(table.name)}"
    return (
        f"table {_name(table)} is missing with its {plural(table.rows, 'row')}: no dump has it, and"
        f" the extension does not make it; take it out by ALTER EXTENSION {quote(table.extension)}"
        f" DROP TABLE {name}, and make another Backup"
    )


def _list(tables: Sequence[ExtensionTable]) -> str:
    """The first ones and how many more, of a length that a Job's result has room for."""
    return first_of([_name(table) for table in tables])


def _name(table: ExtensionTable) -> str:
    return f"{short_name(table.schema, table.name)} (extension {table.extension})"
