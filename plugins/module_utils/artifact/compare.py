"""Compares what a restored database holds with what the manifest says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..errors import OperatorError
from ..postgres.cancellation import Cancellation
from ..postgres.connection import Connection
from ..units import first_of, join_warnings, plural
from .extension_tables import compare_extension_tables, split_entries
from .fingerprint import (
    Relation,
    Work,
    add_fingerprints,
    fingerprint_tables,
    list_extension_tables,
    list_sequences,
    list_tables,
    read_sequences,
)
from .manifest import (
    MATERIALIZED_VIEW,
    NO_ROWS,
    GeneratedColumn,
    LargeObjects,
    Manifest,
    SequenceEntry,
    SequenceState,
    TableEntry,
)
from .older_fingerprints import older_hash_of, read_large_objects_like
from .progress import Tally
from .readers import Readers
from .selection import quote, short_name

Key = tuple[str, str]
"""Schema and name."""

HashRoots = Mapping[Key, Key]
"""Partitions, and the topmost table partitioned by hash that each is one of."""

_NAMED_DIFFERENCES = 10
_PARTITIONED = "partitioned table"


def compare_content(
    superuser: Connection,
    readers: Readers,
    manifest: Manifest,
    workers: int,
    cancellation: Cancellation,
    failure: type[OperatorError],
    further: Sequence[Work] = (),
    tally: Tally | None = None,
) -> str:
    """Read a database and refuse it if it is not what was dumped.

    Of materialized views see ``compare_views``.

    Args:
        superuser: a session in the database, which no other one changes; for catalogs and large
            objects only.
        readers: who reads its tables.
        workers: sessions at the same time.
        failure: the error if it differs.
        further: what is done as well, when there is nothing left to read.
        tally: counts the tables that are read, and their rows.

    Returns:
        What differs and is no failure, see ``compare_extension_tables`` and
        ``describe_recomputed``; empty for nothing.

    Raises:
        OperatorError: ``failure``; it names the first differences.
    """

    large_objects: list[LargeObjects] = []

    def read_large() -> None:
        with cancellation.calls(superuser.cancel_safe):
            large_objects.append(read_large_objects_like(manifest, superuser))

    relations = [table for table in list_tables(superuser) if table.kind != MATERIALIZED_VIEW]
    roots = hash_roots(relations)
    of_extensions = list_extension_tables(superuser)
    sequences = read_sequences(readers.session, list_sequences(superuser))
    expected = tuple(table for table in manifest.tables if table.kind != MATERIALIZED_VIEW)
    if tally:
        tally.expect([table.rows for table in manifest.tables])
    named = {(table.schema, table.name) for table in manifest.extension_tables}
    entries = fingerprint_tables(
        readers.session,
        [*relations, *(table for table in of_extensions if table.key in named)],
        workers,
        cancellation,
        [read_large, *further],
        tally,
        older_hash_of(manifest),
    )
    tables, extension_tables = split_entries(entries, of_extensions)
    findings = compare_extension_tables(manifest, extension_tables)
    differences = table_differences(expected, tables, roots)
    differences += sequence_differences(manifest.sequences, sequences)
    if large_objects != [manifest.large_objects]:
        differences.append(f"large objects: {large_objects}, expected {manifest.large_objects}")
    differences = [*findings.failures, *differences]
    if differences:
        raise failure(_describe(differences))
    recomputed = describe_recomputed(expected, tables, roots)
    return join_warnings(findings.warning, recomputed)


def compare_views(superuser: Connection, manifest: Manifest, failure: type[OperatorError]) -> None:
    """Refuse a database whose materialized views are not those that were dumped.

    Whether they are filled is compared, and nothing else: pg_restore fills them by their queries
    from tables that were compared, and the source's may have been out of date.

    Raises:
        OperatorError: ``failure``; it names the first differences.
    """
    expected = tuple(table for table in manifest.tables if table.kind == MATERIALIZED_VIEW)
    found = [
        TableEntry(view.schema, view.name, view.kind, view.populated, 0, NO_ROWS)
        for view in list_tables(superuser)
        if view.kind == MATERIALIZED_VIEW
    ]
    differences = table_differences(expected, found, {})
    if differences:
        raise failure(_describe(differences))


def tables_tally() -> Tally:
    """What counts the tables that are compared."""
    return Tally("tables", lambda rows: plural(rows, "row"))


def hash_roots(relations: Iterable[Relation]) -> HashRoots:
    """Those of tables that were listed."""
    return {table.key: table.hash_root for table in relations if table.hash_root is not None}


def pool_partitions(tables: Iterable[TableEntry], roots: HashRoots) -> dict[Key, TableEntry]:
    """The tables, with one entry for all partitions of each table that is partitioned by hash.

    The hash of an enum's value follows from its OID, which is another one after a restore, as that
    of what contains one does: so rows are then in other partitions. That each is in the right one,
    PostgreSQL checks when it loads them.
    """
    pools: dict[Key, list[TableEntry]] = {}
    for table in tables:
        key = table.schema, table.name
        pools.setdefault(roots.get(key, key), []).append(table)
    pooled = set(roots.values())
    return {key: _sum_up(key, pool) if key in pooled else pool[0] for key, pool in pools.items()}


def _sum_up(root: Key, partitions: Sequence[TableEntry]) -> TableEntry:
    columns: dict[str, list[str]] = {}
    for column in (column for one in partitions for column in one.generated):
        columns.setdefault(column.name, []).append(column.fingerprint)
    return TableEntry(
        *root,
        kind=_PARTITIONED,
        populated=all(one.populated for one in partitions),
        rows=sum(one.rows for one in partitions),
        fingerprint=add_fingerprints(one.fingerprint for one in partitions),
        generated=tuple(GeneratedColumn(n, add_fingerprints(f)) for n, f in columns.items()),
    )


def table_differences(
    expected: Sequence[TableEntry], found: Sequence[TableEntry], roots: HashRoots
) -> list[str]:
    """One text per table that is missing, extra or different.

    Args:
        roots: partitions of them are compared together, see ``pool_partitions``.
    """
    wanted = {(entry.schema, entry.name): entry for entry in expected}
    present = {(entry.schema, entry.name): entry for entry in found}
    differences = _unmatched("table", wanted, present)
    both = wanted.keys() & present.keys()
    wanted = pool_partitions((wanted[key] for key in both), roots)
    present = pool_partitions((present[key] for key in both), roots)
    for key in wanted:
        if not is_same_content(wanted[key], present[key]):
            differences.append(
                f"{wanted[key].kind} {_name(key)} has {_content(present[key])},"
                f" expected {_content(wanted[key])}"
            )
    return sorted(differences)


def describe_recomputed(
    expected: Sequence[TableEntry], found: Sequence[TableEntry], roots: HashRoots
) -> str:
    """Which generated columns have other values than those that were stored; empty for none.

    No dump has them. What they are computed from is equal, if the tables are.

    Args:
        roots: as in ``table_differences``.
    """
    before, now = pool_partitions(expected, roots), pool_partitions(found, roots)
    changed = [
        f"{short_name(*key)} column {quote(column.name)}"
        for key in sorted(before.keys() & now.keys())
        for column in before[key].generated
        if column not in now[key].generated
    ]
    if not changed:
        return ""
    return (
        "generated columns are in no dump and were computed anew, with other values than at the"
        " backup, since what their expressions use has changed after rows were stored (such as a"
        f" function that was replaced) or is never the same (as tableoid): {first_of(changed)}"
    )


def _unmatched(
    what: str, wanted: Mapping[tuple[str, str], object], found: Mapping[tuple[str, str], object]
) -> list[str]:
    missing = [f"{what} {_name(key)} is missing" for key in wanted.keys() - found.keys()]
    extra = [f"{what} {_name(key)} is extra" for key in found.keys() - wanted.keys()]
    return missing + extra


def is_same_content(one: TableEntry, other: TableEntry) -> bool:
    """Whether two tables hold the same, as far as that is compared."""
    return _essence(one) == _essence(other)


def _essence(entry: TableEntry) -> tuple[object, ...]:
    if entry.kind == MATERIALIZED_VIEW:
        return entry.kind, entry.populated
    return entry.kind, entry.rows, entry.fingerprint


def _content(entry: TableEntry) -> str:
    filled = "" if entry.populated else " (not populated)"
    return f"{entry.rows} rows with fingerprint {entry.fingerprint}{filled}"


def sequence_differences(
    expected: tuple[SequenceEntry, ...], found: Mapping[tuple[str, str], SequenceState]
) -> list[str]:
    """One text per sequence that is missing, extra or outside of what it was during the dump."""
    wanted = {(entry.schema, entry.name): entry for entry in expected}
    differences = _unmatched("sequence", wanted, found)
    for key in wanted.keys() & found.keys():
        if not _is_between(found[key], wanted[key]):
            differences.append(
                f"sequence {_name(key)} is at {found[key].last_value},"
                f" expected {wanted[key].before.last_value} to {wanted[key].after.last_value}"
            )
    return sorted(differences)


def _is_between(state: SequenceState, entry: SequenceEntry) -> bool:
    """Exactly equal if the sequence stood still; else on the way that it went meanwhile.

    One that was set back, or cycled, meanwhile had values that are not known.
    """
    if entry.before == entry.after:
        return state == entry.before
    start, end = entry.before, entry.after
    if end.last_value < start.last_value:
        return True
    return start.last_value <= state.last_value <= end.last_value


def _name(key: tuple[str, str]) -> str:
    return ".".join(f'"{part}"' for part in key)


def _describe(differences: list[str]) -> str:
    named = first_of(differences, "; ", _NAMED_DIFFERENCES)
    return f"the restored content differs from the backup's: {named}"
