"""The result of a dry run: which tables a restore would change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .compare import is_same_content
from .manifest import TableEntry

_NAMED = 10
_NAME_LENGTH = 100


def summarize_difference(
    backup: Sequence[TableEntry], database: Sequence[TableEntry]
) -> dict[str, Any]:
    """Compare the tables of a backup with those of a database.

    Returns:
        Counts of tables: ``equal``, ``different``, ``onlyInBackup``, ``onlyInDatabase``; and
        ``examples``, one text for each of the first ten that are not equal.
    """
    wanted = {(table.schema, table.name): table for table in backup}
    present = {(table.schema, table.name): table for table in database}
    both = wanted.keys() & present.keys()
    different = {key for key in both if not is_same_content(wanted[key], present[key])}
    examples = [
        *(
            f"{_name(key)}: {wanted[key].rows} rows in the backup, {present[key].rows} in the"
            " database" + (", not the same" if wanted[key].rows == present[key].rows else "")
            for key in sorted(different)
        ),
        *(
            f"{_name(key)}: {wanted[key].rows} rows, only in the backup"
            for key in sorted(wanted.keys() - present.keys())
        ),
        *(
            f"{_name(key)}: {present[key].rows} rows, only in the database"
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


def _name(key: tuple[str, str]) -> str:
    """The quoted name, cut where it would take too much of a result's room (in bytes)."""
    text = ".".join(f'"{part}"' for part in key)
    cut = text.encode()[:_NAME_LENGTH].decode(errors="ignore")
    return cut if cut == text else f"{cut}…"
