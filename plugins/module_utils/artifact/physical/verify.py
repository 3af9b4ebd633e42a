"""Verifies a physical artifact: recovers it to its end in a scratch server, and reads all of it."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...errors import OperatorError, ServerVersionUnsupported, VerificationFailed
from ...postgres.connection import ConnectionParameters, connect, program_environment
from ...postgres.programs import run_program
from ...postgres.scratch import ScratchServer, existing_server
from ...postgres.session_roles import session_roles
from ..manifest import TableEntry
from ..progress import Progress, now_text
from ..read_tables import read_tables
from ..snapshot import locked_snapshot
from ..verify import VerifyRequest
from .extract import server_settings
from .recover import RecoverRequest, recover


def verify_physical(request: VerifyRequest, progress: Progress | None = None) -> dict[str, Any]:
    """Recover a backup to its end, let pg_amcheck look for damage, and read every row.

    Returns:
        ``PhysicalArtifact.summary()`` with the number of databases, tables and rows that were read,
        and the verification's own times.

    Raises:
        VerificationFailed: it does not recover, or is damaged.
        Others: as ``recover``.
    """
    progress = progress or Progress()
    started = now_text()
    with tempfile.TemporaryDirectory(dir=request.scratch, prefix="verify-") as place:
        # The server's user is another one where this runs as root.
        Path(place).chmod(0o711)
        recovered = recover(
            RecoverRequest(
                store=request.store,
                location=request.location,
                folder=Path(place),
                jobs=request.jobs,
                expected_sha256=request.expected_sha256,
            ),
            progress,
        )
        with existing_server(
            recovered.folder, server_settings(request.jobs), VerificationFailed
        ) as server:
            try:
                read = _read(server, request, progress)
            except OperatorError as error:
                raise VerificationFailed(
                    f"physical backup {request.location} is not verified:"
                    f" {server.explain(error.message)}; until it is, rely on another one"
                ) from error
    times = {"startTime": started, "completionTime": now_text()}
    return recovered.artifact.summary() | read | times


def _read(server: ScratchServer, request: VerifyRequest, progress: Progress) -> dict[str, Any]:
    with connect(server.parameters) as connection:
        rows: Any = connection.execute(
            "SELECT datname FROM pg_catalog.pg_database WHERE datallowconn ORDER BY datname"
        ).fetchall()
    names = [name for (name,) in rows]
    warning = _check_pages(server.parameters, request.jobs, progress)
    tables: list[TableEntry] = []
    with session_roles(server.parameters, request.location.uid) as roles:
        for name in names:
            with (
                progress.step(f'Reading every row of database "{name}"'),
                locked_snapshot(
                    replace(server.parameters, dbname=name), roles, progress.say
                ) as snapshot,
            ):
                tables += read_tables(snapshot, request.jobs)
    found = {
        "databases": len(names),
        "tables": len(tables),
        "rows": sum(table.rows for table in tables),
    }
    return found | ({"warning": warning} if warning else {})


def _check_pages(parameters: ConnectionParameters, jobs: int, progress: Progress) -> str:
    """Have pg_amcheck compare all tables and B-tree indexes with what they have to be.

    Not with ``--heapallindexed``: that evaluates the expressions of indexes, which are users'
    functions, as superuser.

    Returns:
        Why it was not done; empty where it was.

    Raises:
        VerificationFailed: it has found damage.
    """
    if shutil.which("pg_amcheck") is None:
        return "pages were not checked: the image has no pg_amcheck"
    with connect(parameters) as connection:
        row = connection.execute(
            "SELECT FROM pg_catalog.pg_available_extensions WHERE name = 'amcheck'"
        ).fetchone()
    if row is None:
        return "pages were not checked: the image has no extension amcheck"
    with (
        progress.step("Checking tables and indexes with pg_amcheck"),
        program_environment(parameters) as environment,
    ):
        try:
            run_program(
                [
                    "pg_amcheck",
                    "--all",
                    "--install-missing",
                    f"--jobs={jobs}",
                    "--host",
                    parameters.host,
                    "--port",
                    str(parameters.port),
                    "--username",
                    parameters.user,
                ],
                environment,
                VerificationFailed,
            )
        except ServerVersionUnsupported as error:
            return f"pages were not checked: {error.message}"
    return ""
