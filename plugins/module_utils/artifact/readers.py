"""Sessions that read tables and sequences, with the rights of those who own them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ..postgres.connection import Connection, ConnectionParameters, connect
from ..postgres.session_roles import SessionRoles
from .fingerprint import Reader, make_canonical


@dataclass
class Readers:
    """Who reads one database.

    Attributes:
        roles: of the run.
        dbname: the database.
        with_all_rights: read everything with the rights to read everything, as suits a database
            whose owners' code has been executed by a superuser already.
    """

    roles: SessionRoles
    dbname: str
    with_all_rights: bool = False
    _made: dict[Reader, ConnectionParameters] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def session(self, reader: Reader) -> Iterator[Connection]:
        """A session with canonical settings, see ``OpenSession``.

        Raises:
            OperatorError: what ``connect`` raises.
        """
        with connect(self._parameters(reader)) as connection:
            make_canonical(connection)
            yield connection

    def _parameters(self, reader: Reader) -> ConnectionParameters:
        if self.with_all_rights or not reader.owner:
            reader = Reader(bypasses_row_security=True)
        with self._lock:
            if reader not in self._made:
                self._made[reader] = self.roles.make_reader(
                    self.dbname, reader.owner, reader.bypasses_row_security
                )
            return self._made[reader]
