"""Clients that write all the time, each transaction a number of its own."""

from __future__ import annotations

import itertools
import os
import random
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field

import psycopg
from instances import Instance

DATABASE = "app"
FILLINGS = 200

TABLES = f"""
CREATE TABLE counter (n bigint PRIMARY KEY, xid bigint NOT NULL);
CREATE TABLE mirror (n bigint PRIMARY KEY, xid bigint NOT NULL);
CREATE TABLE filling (id int PRIMARY KEY, n bigint NOT NULL, content text NOT NULL);
INSERT INTO filling SELECT id, 0, '' FROM generate_series(1, {FILLINGS}) AS id;
"""
_INSERT = "INSERT INTO {} VALUES (%s, pg_current_xact_id()::text::bigint) RETURNING xid"
_MEAN_PAUSE_SECONDS = 0.05
_SWITCH_EVERY = 500


@dataclass(frozen=True)
class Written:
    """What a transaction has written: its number, and the row of ``filling`` that has it."""

    number: int
    filling: int | None


@dataclass
class Workload:
    """Clients of the primary, which find the next one where it is gone.

    Attributes:
        written: by the number that PostgreSQL gave a transaction, also of those that ended without
            a commit.
        acknowledged: the numbers whose commit was confirmed.
    """

    primary: Instance
    clients: int
    seed: int
    written: dict[int, Written] = field(default_factory=dict)
    acknowledged: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._numbers = itertools.count(1)
        self._over, self._open = threading.Event(), threading.Event()
        self._open.set()
        self._idle = [threading.Event() for _ in range(self.clients)]
        self._threads = [
            threading.Thread(target=self._run, args=(client,), daemon=True)
            for client in range(self.clients)
        ]

    def __enter__(self) -> Workload:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._open.set()
        for thread in self._threads:
            thread.join()

    @property
    def complete(self) -> bool:
        """Whether no client has ended early."""
        return all(thread.is_alive() for thread in self._threads)

    def pause(self) -> None:
        """Have no client in a transaction until ``resume``."""
        self._open.clear()
        for idle in self._idle:
            assert idle.wait(60)

    def resume(self) -> None:
        for idle in self._idle:
            idle.clear()
        self._open.set()

    def _run(self, client: int) -> None:
        rng = random.Random(f"{self.seed}-{client}")
        while not self._over.is_set():
            if not self._open.is_set():
                self._idle[client].set()
                self._open.wait()
                continue
            # The server is killed now and then, and what waits for it with it.
            with suppress(psycopg.Error), self.primary.connect(DATABASE) as connection:
                self._remove_prepared(connection, client)
                while self._open.is_set() and not self._over.is_set():
                    self._transact(connection, client, rng)
            time.sleep(0.02)

    def _remove_prepared(self, connection: psycopg.Connection, client: int) -> None:
        """End what an earlier session of a client has prepared and not ended."""
        rows = connection.execute(
            "SELECT gid FROM pg_prepared_xacts WHERE gid LIKE %s", [f"{client}-%"]
        ).fetchall()
        for (gid,) in rows:
            connection.execute(f"ROLLBACK PREPARED '{gid}'")

    def _transact(self, connection: psycopg.Connection, client: int, rng: random.Random) -> None:
        number = next(self._numbers)
        kind = rng.choices(
            ("plain", "filling", "savepoint", "rollback", "prepared"), (50, 25, 10, 10, 5)
        )[0]
        filling = rng.randint(1, FILLINGS) if kind == "filling" else None
        connection.execute("BEGIN")
        (xid,) = connection.execute(_INSERT.format("counter"), [number]).fetchone()
        self.written[xid] = Written(number, filling)
        if kind == "savepoint":
            connection.execute("SAVEPOINT one")
            connection.execute(_INSERT.format("mirror"), [-number])
            connection.execute("ROLLBACK TO one; SAVEPOINT two")
        connection.execute(_INSERT.format("mirror"), [number])
        if filling is not None:
            content = os.urandom(rng.randint(100, 8000)).hex()
            connection.execute(
                "UPDATE filling SET n = %s, content = %s WHERE id = %s", [number, content, filling]
            )
        if kind == "prepared":
            gid = f"{client}-{number}"
            connection.execute(f"PREPARE TRANSACTION '{gid}'")
            time.sleep(rng.random() / 50)
            end = rng.choice(("COMMIT", "COMMIT", "ROLLBACK"))
            connection.execute(f"{end} PREPARED '{gid}'")
        else:
            end = "ROLLBACK" if kind == "rollback" else "COMMIT"
            connection.execute(end)
        if end == "COMMIT":
            self.acknowledged.add(number)
        if number % _SWITCH_EVERY == 0:
            connection.execute("SELECT pg_switch_wal()")
        # Some follow each other at once.
        if rng.random() < 0.7:
            time.sleep(rng.expovariate(1 / _MEAN_PAUSE_SECONDS))
