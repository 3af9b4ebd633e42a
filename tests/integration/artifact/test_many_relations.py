"""Databases with more relations than a server can lock at a time, tables excepted."""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.postgres.operator.plugins.module_utils.artifact.create import (
    BackupRequest,
    create_artifact,
)
from ansible_collections.postgres.operator.plugins.module_utils.errors import BackupFailed
from ansible_collections.postgres.operator.plugins.module_utils.postgres.connection import connect
from ansible_collections.postgres.operator.plugins.module_utils.postgres.scratch import (
    scratch_server,
)

_TABLES, _INDEXES = 150, 10


def test_indexes_are_not_locked_all_at_a_time(bench, scratch) -> None:
    """1,500 of them, where a server has room for some 800 locks."""
    settings = {"max_locks_per_transaction": "20", "max_connections": "20"}
    with scratch_server(scratch, settings, BackupFailed) as server:
        parameters = replace(server.parameters, dbname="many")
        with connect(server.parameters) as connection:
            connection.execute("CREATE DATABASE many")
        with connect(parameters) as connection:
            for number in range(_TABLES):
                indexes = f"CREATE INDEX ON public.t{number} (a);" * _INDEXES
                connection.execute(
                    f"CREATE TABLE public.t{number} AS SELECT {number} AS a; {indexes}".encode()
                )
        made = create_artifact(BackupRequest(parameters, bench.store, bench.location, jobs=2))
    assert made.artifact.manifest.table_count == _TABLES
    assert made.artifact.manifest.rows == _TABLES
