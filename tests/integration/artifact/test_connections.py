"""Backups of a server whose connections are all in use by applications."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace

import psycopg
import pytest
from ansible_collections.postgres.operator.plugins.module_utils.artifact import readers
from ansible_collections.postgres.operator.plugins.module_utils.artifact.create import (
    BackupRequest,
    create_artifact,
)
from ansible_collections.postgres.operator.plugins.module_utils.errors import (
    BackupFailed,
    DatabaseNotReady,
)
from ansible_collections.postgres.operator.plugins.module_utils.postgres.connection import connect
from ansible_collections.postgres.operator.plugins.module_utils.postgres.scratch import (
    scratch_server,
)

# Without what only roles since PostgreSQL 16 may be given: the superuser has ten for itself.
SETTINGS = {"max_connections": "15", "superuser_reserved_connections": "10"}


def take_all(stack: ExitStack, settings: str) -> int:
    """Connect as an application until the server refuses; how many connections it has then."""
    taken = 0
    while True:
        try:
            stack.enter_context(psycopg.connect(settings, autocommit=True))
        except psycopg.OperationalError:
            return taken
        taken += 1


@pytest.mark.parametrize("patience", [0.0, 600.0])
def test_a_backup_waits_for_a_connection(bench, scratch, monkeypatch, patience) -> None:
    """The application closes one after two seconds; without patience the backup has failed then."""
    monkeypatch.setattr(readers, "CONNECTION_PATIENCE_SECONDS", patience)
    with scratch_server(scratch, SETTINGS, BackupFailed) as server, ExitStack() as stack:
        parameters = replace(server.parameters, dbname="busy")
        with connect(server.parameters) as connection:
            connection.execute("CREATE ROLE app LOGIN")
            connection.execute("CREATE DATABASE busy OWNER app")
        with connect(parameters) as connection:
            connection.execute("CREATE TABLE public.one AS SELECT 1 AS a")
        application = parameters.as_user("app", None)
        assert take_all(stack, application.conninfo()) == 5
        request = BackupRequest(parameters, bench.store, bench.location, jobs=2)
        with ThreadPoolExecutor(1) as pool:
            made = pool.submit(create_artifact, request)
            time.sleep(2)
            if not patience:
                with pytest.raises(DatabaseNotReady, match="connection slots"):
                    made.result()
                return
            assert not made.done()
            stack.close()
            assert made.result().artifact.manifest.rows == 1
