"""A selection of tables: whose rows are dumped or restored.

The definitions of everything always come along: a table alone would miss the types, functions and
sequences that it uses. What is selected, then, are rows. Foreign keys are left out, since they
may point to rows that are not there, and materialized views stay empty, since they may be
computed from such rows.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..errors import InvalidInput
from ..postgres.connection import Connection
from ..units import first_of
from .fingerprint import Relation
from .manifest import MATERIALIZED_VIEW, NO_ROWS, PARTITION, Manifest, TableEntry

Key = tuple[str, str]
"""Schema and name of a table."""

_PART = r'"(?:[^"]|"")+"|[^".]+'
_TABLE_NAME = re.compile(rf"({_PART})\.({_PART})", re.DOTALL)
_NAME_LENGTH = 100

# A partitioned table stands for its partitions, on whatever level. Members of extensions are not
# dumped, and neither are temporary tables.
_TABLES = """
SELECT n.nspname, c.relname, c.relkind,
       ARRAY(SELECT ARRAY[an.nspname::text, a.relname::text]
               FROM pg_catalog.pg_partition_ancestors(c.oid) AS ancestor(relid)
               JOIN pg_catalog.pg_class a ON a.oid = ancestor.relid
               JOIN pg_catalog.pg_namespace an ON an.oid = a.relnamespace)
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
   AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend
                    WHERE classid = 'pg_catalog.pg_class'::regclass AND objid = c.oid
                      AND deptype = 'e')
"""

_SCHEMAS = "SELECT nspname FROM pg_catalog.pg_namespace"


@dataclass(frozen=True)
class Selection:
    """What is asked for. Without ``include`` everything is, less what ``exclude`` names.

    Attributes:
        include_schemas, exclude_schemas: names of schemas.
        include_tables, exclude_tables: (schema, name) of tables.
    """

    include_schemas: frozenset[str] = frozenset()
    include_tables: frozenset[Key] = frozenset()
    exclude_schemas: frozenset[str] = frozenset()
    exclude_tables: frozenset[Key] = frozenset()

    @property
    def includes(self) -> bool:
        """Whether anything is named that is to be included."""
        return bool(self.include_schemas or self.include_tables)


def parse_selection(
    include: Mapping[str, Sequence[str]] | None, exclude: Mapping[str, Sequence[str]] | None
) -> Selection | None:
    """Read ``{"schemas": [...], "tables": ["schema.table", ...]}``, twice; None if both are empty.

    Raises:
        InvalidInput: a table is not written as schema.table.
    """
    include, exclude = include or {}, exclude or {}
    selection = Selection(
        frozenset(include.get("schemas") or ()),
        frozenset(map(parse_table_name, include.get("tables") or ())),
        frozenset(exclude.get("schemas") or ()),
        frozenset(map(parse_table_name, exclude.get("tables") or ())),
    )
    return None if selection == Selection() else selection


def parse_table_name(text: str) -> Key:
    """Read schema.table; a part with a dot or a quote in it is quoted as in SQL.

    Upper and lower case stay as they are, with quotes and without.

    >>> parse_table_name('public."my.table"')
    ('public', 'my.table')

    Raises:
        InvalidInput: it is something else.
    """
    match = _TABLE_NAME.fullmatch(text)
    if match is None:
        raise InvalidInput(
            f"{text!r} is not a table: write schema.table, with double quotes around a part that"
            " has a dot or a quote"
        )
    return _unquote(match[1]), _unquote(match[2])


def _unquote(part: str) -> str:
    return part[1:-1].replace('""', '"') if part.startswith('"') else part


def quote(part: str) -> str:
    """Quote a name as SQL does, and as the patterns of pg_dump do: nothing in it is special.

    >>> quote('a"b.*')
    '"a""b.*"'
    """
    return '"' + part.replace('"', '""') + '"'


def short_name(*key: str) -> str:
    """The quoted name, cut where it would take too much of a result's room (in bytes)."""
    text = ".".join(map(quote, key))
    cut = text.encode()[:_NAME_LENGTH].decode(errors="ignore")
    return cut if cut == text else f"{cut}…"


def select_tables(connection: Connection, selection: Selection) -> frozenset[Key]:
    """Find the tables (partitions, not what they are partitions of) that are selected.

    Args:
        connection: a session in the database, which has all definitions.

    Raises:
        InvalidInput: what is to be included does not exist, or nothing is left.
    """
    rows: Any = connection.execute(_TABLES).fetchall()
    schemas = {str(name) for (name,) in connection.execute(_SCHEMAS)}
    tables = {
        (schema, name): {(schema, name), *map(tuple, ancestors)}
        for schema, name, kind, ancestors in rows
    }
    leaves = {(schema, name) for schema, name, kind, _ in rows if kind == "r"}
    _require_known(selection, schemas, tables)
    selected = frozenset(key for key in leaves if _is_selected(selection, tables[key]))
    if not selected:
        raise InvalidInput("include and exclude leave no table: name one that has rows to take")
    return selected


def _is_selected(selection: Selection, lineage: set[Key]) -> bool:
    """Whether a table is, that has these names: its own and those of what it is a part of."""
    schemas = {schema for schema, _ in lineage}
    included = not selection.includes or bool(
        schemas & selection.include_schemas or lineage & selection.include_tables
    )
    excluded = bool(schemas & selection.exclude_schemas or lineage & selection.exclude_tables)
    return included and not excluded


def _require_known(selection: Selection, schemas: set[str], tables: Collection[Key]) -> None:
    """What is to be left out need not exist; what is to be taken must."""
    unknown = [f"schema {quote(name)}" for name in sorted(selection.include_schemas - schemas)]
    unknown += [
        f"table {quote(schema)}.{quote(name)}"
        for schema, name in sorted(selection.include_tables - set(tables))
    ]
    if unknown:
        raise InvalidInput(
            f"include names what is not there: {first_of(unknown)}; name tables"
            " (no views, no materialized views) and schemas as they are written in the database"
        )


@dataclass(frozen=True)
class DumpedContent:
    """Which rows a dump is to have; it has all definitions.

    Attributes:
        tables: all tables; those without their rows are not ``populated``.
        extension_tables: those that belong to extensions; none if rows are left out.
        large_objects: whether they are dumped; they belong to no table.
        options: for pg_dump.
    """

    tables: Sequence[Relation]
    extension_tables: Sequence[Relation] = ()
    large_objects: bool = True
    options: tuple[str, ...] = ()


def choose_content(
    connection: Connection,
    tables: Sequence[Relation],
    extension_tables: Sequence[Relation],
    selection: Selection,
    encoding: str,
) -> DumpedContent:
    """Return pg_dump's options for what not to dump.

    A selection that leaves no table out is all there is: such a backup is restored as a whole one,
    so its materialized views are populated then, and it needs its large objects.

    Args:
        connection: a session that sees what is dumped.
        tables: all tables of the database, materialized views too.
        extension_tables: those that belong to extensions.
        encoding: the database's, in which pg_dump takes its options.

    Raises:
        InvalidInput: see ``select_tables``; or a name that is not ASCII would have to be given to
            pg_dump in another encoding than UTF8.
    """
    selected = select_tables(connection, selection)
    left_out = [
        table.key
        for table in tables
        if table.key not in selected and table.kind != MATERIALIZED_VIEW
    ]
    if not left_out:
        return DumpedContent(tables, extension_tables)
    require_plain_names(left_out, encoding)
    chosen = [
        table if table.key in selected else replace(table, populated=False) for table in tables
    ]
    options = [f"--exclude-table-data={quote(schema)}.{quote(name)}" for schema, name in left_out]
    # Its name until PostgreSQL 15, which later versions know too.
    options += ["--no-blobs"] if selection.includes else []
    return DumpedContent(chosen, (), not selection.includes, tuple(options))


def require_plain_names(tables: Iterable[Key], encoding: str) -> None:
    """Refuse names that pg_dump would have to be given in that encoding.

    Raises:
        InvalidInput
    """
    awkward = sorted(key for key in tables if not "".join(key).isascii())
    if awkward and encoding != "UTF8":
        raise InvalidInput(
            f"include and exclude cannot tell apart table {'.'.join(map(quote, awkward[0]))}, whose"
            f" name is not ASCII, in a database in {encoding}: leave both out"
        )


def narrow_manifest(manifest: Manifest, selected: frozenset[Key] | None) -> Manifest:
    """What the database must hold where only the rows of the selected tables are restored.

    Args:
        selected: None for all tables whose rows are in the backup.
    """
    if selected is None and not manifest.is_partial:
        return manifest
    return replace(
        manifest,
        extension_tables=(),
        tables=tuple(
            table if _has_rows(table, selected) else without_rows(table)
            for table in manifest.tables
        ),
    )


def select_at_least(manifest: Manifest, selection: Selection) -> frozenset[Key]:
    """Find tables that are certainly selected, without the database that has their definitions.

    Which partition belongs to which table a manifest does not say: so partitions that may be
    selected, or left out, by the name of that table are not among them.
    """
    excludes = bool(selection.exclude_schemas or selection.exclude_tables)
    keys = (
        (table.schema, table.name)
        for table in manifest.tables
        if not (excludes and table.kind == PARTITION)
    )
    return frozenset(key for key in keys if _is_selected(selection, {key}))


def _has_rows(table: TableEntry, selected: frozenset[Key] | None) -> bool:
    if table.kind == MATERIALIZED_VIEW:
        return False
    return selected is None or (table.schema, table.name) in selected


def without_rows(table: TableEntry) -> TableEntry:
    """The entry of a table whose rows are left out."""
    return replace(table, populated=False, rows=0, fingerprint=NO_ROWS, size_bytes=0)
