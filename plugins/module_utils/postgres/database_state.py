"""What a server has of a database, as far as those of a Database's spec are compared with it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DatabaseState:
    """One database.

    Attributes:
        exists: whether the server has it now.
        known: whether the server is known to have had it: one that was dropped or renamed by hand
            is not made again.
        owner: the role that it belongs to.
        of_superuser: whether that is a superuser, such as the owner of what a Restore is loading.
        connection_limit: -1 for none.
    """

    name: str
    exists: bool
    known: bool
    owner: str = ""
    of_superuser: bool = False
    connection_limit: int = -1
