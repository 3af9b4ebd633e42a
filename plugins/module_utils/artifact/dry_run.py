"""The result of a dry run: which tables a restore would change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .compare import HashRoots, is_same_content, pool_partitions
from .manifest import TableEntry
from .selection import short_name

_NAMED = 10


def summarize_difference(
    backup: Sequence[TableEntry], database: Sequence[TableEntry], roots: HashRoots
) -> dict[str, Any]:
    """Compare the tables of a backup with those of a database.

    Args:
        roots: in the database; their partitions are compared together, see ``pool_partitions``.

    Returns:
        Counts of tables: ``equal``, ``different``, ``onlyInBackup``, ``onlyInDatabase``; and
        ``examples``, one text for each of the first ten that are not equal.
    """
    wanted = {(table.schema, table.name): table for table in backup}
    present = {(table.schema, table.name): table for table in database}
    both = wanted.keys() & present.keys()
    old = pool_partitions((wanted[key] for key in both), roots)
    new = pool_partitions((present[key] for key in both), roots)
    unequal = {key for key in old if not is_same_content(old[key], new[key])}
    different = {key for key in both if roots.get(key, key) in unequal}
    examples = [
        *(
            f"{short_name(*key)}: {wanted[key].rows} rows in the backup, {present[key].rows} in the"
            " database" + (", not the same" if wanted[key].rows == present[key].rows else "")
            for key in sorted(different)
        ),
        *(
            f"{short_name(*key)}: {wanted[key].rows} rows, only in the backup"
            for key in sorted(wanted.keys() - present.keys())
        ),
        *(
            f"{short_name(*key)}: {present[key].rows} rows, only in the database"
            for key in sorted(present.keys() - wanted.keys())
        ),
    ]
    return {
        "equal": len(both) - len(different),
        "different": len(different),
        "onlyInBackup": len(wanted.keys() - present.keys()),
        "onlyInDatabase": len(present.keys() - wanted.keys()),
        "examples": examples[:_NAMED],
    }
