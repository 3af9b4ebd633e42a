"""A Database's users: made, changed and dropped on a server, which is asked by SQL of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from ansible_collections.postgres.operator.plugins.module_utils.artifact.history import (
    ensure_history,
)
from ansible_collections.postgres.operator.plugins.module_utils.postgres.connection import (
    ConnectionParameters,
    connect,
)
from ansible_collections.postgres.operator.plugins.module_utils.postgres.provision import (
    ensure_role_and_database,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.differences import (
    Differences,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.roles import (
    drop_users,
    ensure_users,
    read_users,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.user_secrets import (
    UserSecrets,
    user_secret_name,
)
from fake_secrets_api import SecretsApi, database
from psycopg import sql
from settling import settle

AWKWARD = ('Olga "ö"', "a.b", "select", "1 'x'; --", "postgresql://h/x", "ä" * 31)
ROLES = ("owner", "reporting", "Read_Only", "staff", "boss", "half", *AWKWARD)


class World:
    """A server, the Secrets, and what a reconcile does with both."""

    def __init__(self, server: Any, own: psycopg.Connection) -> None:
        self.server, self.own, self.cluster = server, own, SecretsApi()

    def reconcile(self, *users: dict[str, Any]) -> Differences:
        differences = Differences()
        parameters = ConnectionParameters(
            self.server.host,
            self.server.port,
            self.server.user,
            password_file=self.server.password_file,
        )
        resource = database(users=list(users))
        with connect(parameters) as connection:
            found = read_users(resource["spec"], differences)
            secrets = UserSecrets.of(self.cluster, resource)  # type: ignore[arg-type]
            ensure_users(connection, secrets, found, differences)
            drop_users(connection, found, differences)
        return differences

    def settle(self, *users: dict[str, Any]) -> None:
        settle(self.reconcile, *users)

    def role(self, name: str) -> dict[str, Any] | None:
        row = self.own.execute(
            "SELECT rolcanlogin, rolinherit, rolcreatedb, rolconnlimit,"
            " rolvaliduntil = '2099-01-31 00:00:00+00', rolsuper OR rolreplication OR rolbypassrls"
            " OR rolcreaterole FROM pg_roles WHERE rolname = %s",
            [name],
        ).fetchone()
        names = ("login", "inherit", "createdb", "limit", "until", "excess")
        return dict(zip(names, row, strict=True)) if row else None

    def groups(self, name: str) -> set[str]:
        rows = self.own.execute(
            "SELECT roleid::regrole::text FROM pg_auth_members WHERE member = %s::regrole",
            [sql.Identifier(name).as_string()],
        )
        return {group for (group,) in rows}

    def logs_in(self, name: str, password: str) -> bool:
        try:
            self.server.connect(user=name, password=password).close()
        except psycopg.OperationalError:
            return False
        return True


@pytest.fixture
def world(postgres_server) -> Iterator[World]:
    with postgres_server.connect() as own:
        drop(own)
        own.execute("CREATE ROLE owner LOGIN")
        yield World(postgres_server, own)
        drop(own)


def drop(own: psycopg.Connection) -> None:
    for name in ROLES:
        role = sql.Identifier(name)
        if own.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name]).fetchone():
            own.execute(sql.SQL("DROP OWNED BY {}").format(role))
            own.execute(sql.SQL("DROP ROLE {}").format(role))


def test_a_user_logs_in_with_the_password_of_its_secret(world) -> None:
    world.settle({"name": "Read_Only"})
    [name] = [n for n in world.cluster.secrets if n.startswith("app-user.0-")]
    password = world.cluster.value(name, "password")
    assert world.logs_in("Read_Only", password)
    assert not world.logs_in("Read_Only", password + "x")
    assert world.role("Read_Only") == {
        "login": True,
        "inherit": True,
        "createdb": False,
        "limit": -1,
        "until": None,
        "excess": False,
    }


def test_a_user_has_any_name(world) -> None:
    names = {name: {"name": name, "memberOf": ["staff"]} for name in AWKWARD}
    world.settle({"name": "staff", "login": False, "memberOf": []}, *names.values())
    for name in AWKWARD:
        password = world.cluster.value(user_secret_name("app", name), "password")
        assert world.logs_in(name, password)
        assert world.groups(name) == {"staff"}
    world.settle(*({**entry, "ensure": "absent"} for entry in names.values()))
    assert [name for name in AWKWARD if world.role(name)] == []


def test_all_that_a_spec_can_say(world) -> None:
    world.settle(
        {
            "name": "reporting",
            "createDatabase": True,
            "inherit": False,
            "connectionLimit": 3,
            "validUntil": "2099-01-31T01:00:00+01:00",
            "memberOf": ["staff", "owner", "pg_read_all_data"],
        },
        {"name": "staff", "login": False},
    )
    assert world.role("reporting") == {
        "login": True,
        "inherit": False,
        "createdb": True,
        "limit": 3,
        "until": True,
        "excess": False,
    }
    assert world.groups("reporting") == {"staff", "owner", "pg_read_all_data"}
    assert world.role("staff")["login"] is False
    assert "app-user.staff" not in world.cluster.secrets


def test_what_was_changed_by_hand_is_changed_back(world) -> None:
    user = {"name": "reporting", "connectionLimit": 3, "memberOf": ["pg_monitor"]}
    world.settle(user)
    password = world.cluster.value("app-user.reporting", "password")
    world.own.execute("ALTER ROLE reporting NOLOGIN CONNECTION LIMIT 9 PASSWORD 'other'")
    world.own.execute("REVOKE pg_monitor FROM reporting")
    world.settle(user)
    assert world.logs_in("reporting", password)
    assert world.role("reporting")["limit"] == 3
    assert world.groups("reporting") == {"pg_monitor"}


def test_a_role_that_was_there_keeps_what_the_spec_does_not_name(world) -> None:
    world.own.execute("CREATE ROLE reporting NOLOGIN CREATEDB CONNECTION LIMIT 7 NOINHERIT")
    world.own.execute("GRANT pg_monitor TO reporting")
    world.settle({"name": "reporting"})
    assert world.logs_in("reporting", world.cluster.value("app-user.reporting", "password"))
    role = world.role("reporting")
    assert (role["createdb"], role["limit"], role["inherit"]) == (True, 7, False)
    assert world.groups("reporting") == {"pg_monitor"}


def test_what_is_removed_from_the_list_stays(world) -> None:
    world.settle({"name": "reporting"})
    assert not world.reconcile().changed
    assert world.role("reporting") is not None


def test_a_password_of_a_secret_is_applied_when_it_changes(world) -> None:
    user = {"name": "reporting", "passwordSecretRef": {"name": "given"}}
    world.cluster.add("given", username="reporting", password="first")
    world.settle(user)
    assert world.logs_in("reporting", "first")
    world.cluster.add("given", username="reporting", password="sécond 🐘")
    world.settle(user)
    assert world.logs_in("reporting", "sécond 🐘")
    assert not world.logs_in("reporting", "first")
    assert "app-user.reporting" not in world.cluster.secrets


def test_no_password_and_no_verifier_is_in_the_servers_log(world, postgres_server) -> None:
    world.cluster.add("given", username="reporting", password="clear-text-of-a-password")
    world.settle({"name": "reporting", "passwordSecretRef": {"name": "given"}})
    world.cluster.add("given", username="reporting", password="clear-text-of-another")
    world.settle({"name": "reporting", "passwordSecretRef": {"name": "given"}})
    [verifier] = world.own.execute(
        "SELECT rolpassword FROM pg_authid WHERE rolname = 'reporting'"
    ).fetchone()
    assert verifier.startswith("SCRAM-SHA-256$")
    for secret in ("clear-text-of", verifier, verifier.split("$")[2]):
        assert secret not in postgres_server.log


@pytest.mark.parametrize("attribute", ["SUPERUSER", "REPLICATION", "BYPASSRLS", "CREATEROLE"])
def test_a_role_with_more_rights_is_not_taken_over(world, attribute: str) -> None:
    world.own.execute(f"CREATE ROLE boss {attribute} LOGIN PASSWORD 'theirs'")
    boss = {"name": "boss", "connectionLimit": 1}
    found = world.reconcile(boss, {"name": "reporting", "memberOf": ["boss"]})
    assert len(found.messages) == 2
    assert (
        f'user boss: role "boss" exists, and it has the attribute {attribute}' in found.messages[0]
    )
    assert 'user reporting: it is not made a member of role "boss"' in found.messages[1]
    assert world.logs_in("boss", "theirs")
    assert world.role("boss")["limit"] == -1
    assert world.groups("reporting") == set()
    assert "app-user.boss" not in world.cluster.secrets
    [message] = world.reconcile(boss | {"ensure": "absent"}).messages
    assert "such a role is not changed" in message
    assert world.role("boss") is not None


@pytest.mark.parametrize("group", ["pg_execute_server_program", "half"])
def test_nor_one_that_is_a_member_of_such_a_role(world, group: str) -> None:
    """Whatever INHERIT says: SET ROLE needs none."""
    world.own.execute("CREATE ROLE half SUPERUSER NOLOGIN")
    world.own.execute("CREATE ROLE boss NOINHERIT LOGIN PASSWORD 'theirs'")
    world.own.execute(f"GRANT {group} TO boss")
    [message] = world.reconcile({"name": "boss"}).messages
    assert f'role "boss" exists, and it is a member of "{group}"' in message
    assert world.logs_in("boss", "theirs")


def test_one_that_fails_does_not_stop_the_others(world) -> None:
    world.cluster.add("app-user.staff", password="of another program")
    found = world.reconcile(
        {"name": "half", "passwordSecretRef": {"name": "not-there"}},
        {"name": "staff"},
        {"name": "boss", "memberOf": ["owner"]},
        {"name": "Read_Only", "validUntil": "2027-02-30T00:00:00Z"},
        {"name": "reporting", "memberOf": ["half"]},
    )
    assert [message.split(":")[0] for message in found.messages] == [
        "user Read_Only",
        "user half",
        "user staff",
        "user reporting",
    ]
    assert world.role("reporting") is not None
    assert world.groups("boss") == {"owner"}
    assert world.role("half") is world.role("staff") is world.role("Read_Only") is None


def test_a_circle_is_refused_in_the_words_of_postgresql(world) -> None:
    found = world.reconcile(
        {"name": "staff", "memberOf": ["reporting"]}, {"name": "reporting", "memberOf": ["staff"]}
    )
    [message] = found.messages
    assert message == 'user reporting: role "staff" is a member of role "reporting"'


def test_a_role_is_dropped_if_that_was_asked_for_and_nothing_belongs_to_it(world) -> None:
    world.settle({"name": "reporting"})
    world.own.execute("CREATE SCHEMA AUTHORIZATION reporting")
    absent = {"name": "reporting", "ensure": "absent"}
    [message] = world.reconcile(absent).messages
    assert 'role "reporting" cannot be dropped because some objects depend on it' in message
    assert "owner of schema reporting; give what belongs to it to another role" in message
    world.own.execute("DROP SCHEMA reporting")
    world.settle(absent)
    assert world.role("reporting") is None


def test_steady_state_is_one_query(world, monkeypatch) -> None:
    users = [{"name": name, "memberOf": ["owner"]} for name in ("reporting", "staff", "half")]
    world.settle(*users)
    statements: list[object] = []
    execute = psycopg.Connection.execute

    def counted(self: Any, query: Any, *more: Any, **options: Any) -> Any:
        statements.append(query)
        return execute(self, query, *more, **options)

    monkeypatch.setattr(psycopg.Connection, "execute", counted)
    world.cluster.writes.clear()
    world.reconcile(*users)
    # The other one is of the session's start.
    assert len(statements) == 2
    assert world.cluster.writes == []


def test_who_writes_all_data_does_not_write_the_operators_own(world) -> None:
    """Else a database would be dropped whose name is written into one of its tables."""
    parameters = ConnectionParameters(
        world.server.host,
        world.server.port,
        world.server.user,
        password_file=world.server.password_file,
    )
    names = ("databases", "restores", "scratch_databases")
    try:
        with connect(parameters) as connection:
            ensure_role_and_database(connection, "owner", "secret", "appdb")
            ensure_history(connection)
            # As an older operator has left them.
            for name in names:
                world.own.execute(
                    f"ALTER TABLE postgres_operator.{name} DISABLE ROW LEVEL SECURITY"
                )
            ensure_role_and_database(connection, "owner", "secret", "appdb")
        member_of = ["pg_write_all_data", "pg_read_all_data"]
        world.settle({"name": "reporting", "memberOf": member_of})
        password = world.cluster.value("app-user.reporting", "password")
        with world.server.connect(user="reporting", password=password) as session:
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
                session.execute(
                    "INSERT INTO postgres_operator.scratch_databases VALUES ('appdb', 'none')"
                )
            deleted = session.execute("DELETE FROM postgres_operator.databases").rowcount
            assert deleted == 0
        protected = world.own.execute(
            "SELECT count(*) FROM pg_class WHERE relrowsecurity"
            " AND relnamespace = 'postgres_operator'::regnamespace"
        ).fetchone()
        assert protected == (len(names),)
        with connect(parameters) as connection:
            assert not ensure_role_and_database(connection, "owner", "secret", "appdb").changed
    finally:
        world.own.execute("DROP DATABASE IF EXISTS appdb")
        world.own.execute("DROP SCHEMA IF EXISTS postgres_operator CASCADE")
