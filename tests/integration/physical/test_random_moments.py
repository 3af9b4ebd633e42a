"""Random moments of a server that is written to all the time: exactly what was committed by then.

By default a few; ``make test-integration PYTEST_ARGS="-k random_moments --moments 200"`` tries more.
"""

from __future__ import annotations

import random
import threading
import time
from datetime import datetime, timedelta
from functools import partial

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.artifact.physical.extract import (
    server_settings,
)
from ansible_collections.postgres.operator.plugins.module_utils.errors import RestoreFailed
from ansible_collections.postgres.operator.plugins.module_utils.postgres.connection import connect
from ansible_collections.postgres.operator.plugins.module_utils.postgres.scratch import (
    existing_server,
)
from conftest_physical import Archived, archived_server, beside, work_folder

SECONDS = 10


def _count(archived: Archived, over: threading.Event) -> None:
    """Write one number after the other, each in a transaction of its own, with pauses and without."""
    with archived.connect() as connection:
        number = 0
        while not over.is_set():
            number += 1
            connection.execute("INSERT INTO counter VALUES (%s, repeat('x', 2000))", [number])
            if number % 50 == 0:
                time.sleep(random.random() / 20)
            if number % 400 == 0:
                connection.execute("SELECT pg_switch_wal()")


def _restored(archived: Archived, artifact, moment: datetime) -> tuple[int, int]:
    """How many numbers there are at a moment, and the largest."""
    with work_folder() as folder:
        recovered = archived.recover(artifact, folder, moment)
        with (
            existing_server(recovered.folder, server_settings(1), RestoreFailed) as server,
            connect(server.parameters, "app") as connection,
        ):
            row = connection.execute(
                "SELECT count(*), coalesce(max(n), 0) FROM public.counter"
            ).fetchone()
            return row[0], row[1]


def test_random_moments_have_exactly_what_was_committed(
    run_server, tmp_path, request: pytest.FixtureRequest
) -> None:
    moments = request.config.getoption("--moments")
    root = tmp_path / "store"
    root.mkdir()
    with archived_server(run_server, None, root, track_commit_timestamp="on") as archived:
        archived.execute("CREATE TABLE counter (n int PRIMARY KEY, filling text)")
        with beside(partial(_count, archived)):
            artifact = archived.back_up()
            begun = archived.now()
            time.sleep(SECONDS)
            ended = archived.now()
        with archived.connect() as connection:
            commits = connection.execute(
                "SELECT n, pg_xact_commit_timestamp(xmin) FROM counter ORDER BY n"
            ).fetchall()
        wrong = []
        for _ in range(moments):
            seconds = random.random() * (ended - begun).total_seconds()
            moment = begun + timedelta(seconds=seconds)
            expected = sum(committed <= moment for _, committed in commits)
            found = _restored(archived, artifact, moment)
            if found != (expected, expected):
                wrong.append((moment, expected, found))
        assert wrong == []
        assert len(commits) > 1000
