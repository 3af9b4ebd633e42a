"""Sessions that read tables and sequences, with the rights of those who own them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ..errors import NoConnectionFree
from ..postgres.connection import Connection, ConnectionParameters, connect
from ..postgres.session_roles import SessionRoles
from .fingerprint import Reader, make_canonical

CONNECTION_PATIENCE_SECONDS = 600.0
"""Applications' pools close connections that are idle after some minutes."""

_PAUSE_SECONDS = 1.0


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
            OperatorError: what ``connect`` raises; that no connection is free, after it was tried
                for CONNECTION_PATIENCE_SECONDS.
        """
        with _connect_when_free(self._parameters(reader)) as connection:
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


def _connect_when_free(parameters: ConnectionParameters) -> Connection:
    """Open a session, once the server has a connection for it.

    Before PostgreSQL 16 connections are reserved for superusers only, which a reader is not.
    """
    deadline = time.monotonic() + CONNECTION_PATIENCE_SECONDS
    while True:
        try:
            return connect(parameters)
        except NoConnectionFree:
            if time.monotonic() > deadline:
                raise
        time.sleep(_PAUSE_SECONDS)
