"""What a reconcile makes of a primary that goes away while it works there."""

from __future__ import annotations

import base64
import threading
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
from fake_secrets_api import SecretsApi, database

DATABASE = {
    "metadata": {"name": "app", "namespace": "shop"},
    "spec": {"username": "postgres", "databaseName": "postgres"},
}
STEPS = ("ensure_role_and_database", "drop_abandoned_scratch", "drop_abandoned_roles", "inspect")


@pytest.fixture
def served_by_tests(postgres_server, monkeypatch):
    """The tests' server, which is the primary of every Database here."""
    server = postgres_server
    parameters = ConnectionParameters(
        server.host, server.port, server.user, password_file=server.password_file
    )

    @contextmanager
    def reach(*_: object) -> Iterator[Address]:
        yield Address(server.host, server.port)

    monkeypatch.setattr(primary, "reach", reach)
    monkeypatch.setattr(primary, "superuser", lambda *_: parameters)
    return server


@pytest.mark.parametrize("step", STEPS)
def test_a_switchover_is_a_reason_to_wait(served_by_tests, monkeypatch, step: str) -> None:
    server = served_by_tests
    password = {"password": base64.b64encode(server.password.encode()).decode()}

    def end(connection: Connection, *_: object) -> None:
        connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    secret = {"data": password, "metadata": {"name": "app-credentials"}}
    unchanged = SimpleNamespace(changed=False)
    monkeypatch.setattr(primary, "read_secret", lambda *_: secret)
    # The tests' server is to keep its superuser as it is.
    monkeypatch.setattr(primary, "ensure_role_and_database", lambda *_: unchanged)
    monkeypatch.setattr(primary, step, end)
    found = primary.provision_and_observe(None, DATABASE, "app-0", "10.0.0.1", True, False)
    reason, message = found["server"]["problem"]
    assert reason == "DatabaseNotReady"
    assert "terminating connection due to administrator command" in message


def test_users_and_databases_are_made_and_what_differs_is_returned(served_by_tests) -> None:
    server = served_by_tests
    cluster = SecretsApi()
    cluster.add("app-credentials", password="secret")
    cluster.add("app-internal", password="secret")
    users = [{"name": "seen"}, {"name": "unseen", "passwordSecretRef": {"name": "missing"}}]
    databases = [
        {"name": "stats", "owner": "seen", "schemas": [{"name": "reports"}]},
        {"name": "appdb", "connectionLimit": 50, "extensions": [{"name": "hstore"}]},
    ]

    def reconcile(**spec: object) -> dict[str, object]:
        made = database(**spec)
        return primary.provision_and_observe(cluster, made, "app-0", "10.0.0.1", True, False)  # type: ignore[arg-type]

    try:
        first = reconcile(users=users, databases=databases)
        second = reconcile(users=users, databases=databases)
        assert (first["changed"], second["changed"]) == (True, False)
        assert first["server"] == second["server"]
        assert first["server"]["differences"] == [
            "user unseen: Secret missing does not exist; create it with the keys username (unseen)"
            " and password"
        ]
        password = cluster.value("app-user.seen", "password")
        with server.connect("stats", user="seen", password=password) as session:
            session.execute("CREATE TABLE reports.t ()")
        with server.connect("appdb") as session:
            session.execute("SELECT 'a=>1'::public.hstore")
        cluster.reads.clear()
        assert reconcile()["server"]["differences"] == []
        assert cluster.reads == ["app-internal", "app-credentials"], "nothing is read in vain"
    finally:
        with server.connect() as own:
            own.execute("DROP DATABASE appdb")
            own.execute("DROP DATABASE IF EXISTS stats")
            own.execute("DROP ROLE owner, seen")
            own.execute("DROP SCHEMA postgres_operator CASCADE")


def test_a_primary_without_a_synchronous_standby_is_prepared_and_said_to_wait(
    served_by_tests,
) -> None:
    server = served_by_tests
    cluster = SecretsApi()
    cluster.add("app-credentials", password="secret")
    cluster.add("app-internal", password="secret")
    spec = {
        "users": [{"name": "seen"}],
        "databases": [
            {
                "name": "stats",
                "owner": "seen",
                "schemas": [{"name": "reports"}],
                "extensions": [{"name": "hstore"}],
            }
        ],
    }
    try:
        with server.connect() as own:
            own.execute("ALTER SYSTEM SET synchronous_standby_names = 'ANY 2 (a, b)'")
            own.execute("SELECT pg_reload_conf()")
            while own.execute("SHOW synchronous_standby_names").fetchone() == ("",):
                pass
            # None of its commits waits, or a row of this view would say so.
            waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
            waited: list[object] = []
            ended = threading.Event()

            def watch() -> None:
                with server.connect() as other:
                    while not ended.wait(0.02):
                        waited.append(other.execute(waits).fetchone())

            watcher = threading.Thread(target=watch)
            watcher.start()
            found = primary.provision_and_observe(
                cluster,  # type: ignore[arg-type]
                database(**spec),
                "app-0",
                "10.0.0.1",
                True,
                False,
            )
            ended.set()
            watcher.join()
        assert found["server"]["differences"] == []
        assert found["server"]["awaited"] == 2
        assert found["server"]["writable"]
        assert set(waited) == {(0,)}
    finally:
        with server.connect() as own:
            own.execute("SET synchronous_commit = local")
            own.execute("ALTER SYSTEM RESET synchronous_standby_names")
            own.execute("SELECT pg_reload_conf()")
            own.execute("DROP DATABASE IF EXISTS stats")
            own.execute("DROP DATABASE IF EXISTS appdb")
            own.execute("DROP ROLE IF EXISTS owner, seen")
            own.execute("DROP SCHEMA IF EXISTS postgres_operator CASCADE")
