"""What a reconcile makes of a primary that goes away while it works there."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.kube.port_forward import Address
from ansible_collections.postgres.operator.plugins.module_utils.postgres.connection import (
    Connection,
    ConnectionParameters,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database import primary

DATABASE = {
    "metadata": {"name": "app", "namespace": "shop"},
    "spec": {"username": "postgres", "databaseName": "postgres"},
}
STEPS = ("ensure_role_and_database", "drop_abandoned_scratch", "drop_abandoned_roles", "inspect")


@pytest.mark.parametrize("step", STEPS)
def test_a_switchover_is_a_reason_to_wait(postgres_server, monkeypatch, step: str) -> None:
    server = postgres_server
    parameters = ConnectionParameters(
        server.host, server.port, server.user, password_file=server.password_file
    )
    password = {"password": base64.b64encode(server.password.encode()).decode()}

    @contextmanager
    def reach(*_: object) -> Iterator[Address]:
        yield Address(server.host, server.port)

    def end(connection: Connection, *_: object) -> None:
        connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    monkeypatch.setattr(primary, "reach", reach)
    secret = {"data": password, "metadata": {"name": "app-credentials"}}
    unchanged = SimpleNamespace(changed=False)
    monkeypatch.setattr(primary, "_secret", lambda *_: secret)
    # The tests' server is to keep its superuser as it is.
    monkeypatch.setattr(primary, "ensure_role_and_database", lambda *_: unchanged)
    monkeypatch.setattr(primary, "_superuser", lambda *_: parameters)
    monkeypatch.setattr(primary, step, end)
    found = primary.provision_and_observe(None, DATABASE, "app-0", "10.0.0.1", True, False)
    reason, message = found["server"]["problem"]
    assert reason == "DatabaseNotReady"
    assert "terminating connection due to administrator command" in message
