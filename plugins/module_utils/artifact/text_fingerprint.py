"""How fingerprints were computed in format version 1: from the text of rows.

For backups that were made so; what is made now is in ``fingerprint``, and decision 15 says why. The
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


def row_hash_of(manifest: Manifest) -> RowHash:
    """How the hash of a row is computed in a backup."""
    return hash_row_text if manifest.has_text_fingerprints else hash_row


def read_large_objects_like(manifest: Manifest, connection: Connection) -> LargeObjects:
    """Read all large objects, with the fingerprint that they have in a backup of that format."""
    if manifest.has_text_fingerprints:
        return read_large_objects(connection, _HASH_PAGE)
    return read_large_objects(connection)
