"""How fingerprints were computed in older formats.

In format 1 from the text of rows, which decision 15 has changed; up to format 3 with the values of
generated columns. For backups that were made so; what is made now is in ``fingerprint``. The
settings of the session and all else are the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import sql

from ..postgres.connection import Connection
from .fingerprint import Column, RowHash, hash_row, read_large_objects
from .manifest import LargeObjects, Manifest

_HASH_PAGE = (
    "hashtextextended((loid::text || ':' || pageno::text || ':' || encode(content, 'hex'))"
    ' COLLATE "C", 0)'
)

_ROW = sql.SQL('hashtextextended(ROW({columns})::text COLLATE "C", 0)')


def hash_row_text(columns: Sequence[Column]) -> sql.Composable:
    """The expression for the hash of a row, see ``RowHash``."""
    names = [sql.Identifier(column.name) for column in columns]
    return _ROW.format(columns=sql.SQL(", ").join(names))


def older_hash_of(manifest: Manifest) -> RowHash | None:
    """How the hash of a row is computed in a backup, from all columns; None if as it is now."""
    if manifest.has_text_fingerprints:
        return hash_row_text
    return hash_row if manifest.has_generated_columns_in_rows else None


def read_large_objects_like(manifest: Manifest, connection: Connection) -> LargeObjects:
    """Read all large objects, with the fingerprint that they have in a backup of that format."""
    if manifest.has_text_fingerprints:
        return read_large_objects(connection, _HASH_PAGE)
    return read_large_objects(connection)
