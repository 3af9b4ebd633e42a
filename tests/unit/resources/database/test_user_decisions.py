"""What is to be done for a Database's users, and their Secrets; without a server."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.errors import (
    InvalidInput,
    OperatorError,
)
from ansible_collections.postgres.operator.plugins.module_utils.kube.client import ApiError
from ansible_collections.postgres.operator.plugins.module_utils.kube.objects import MANAGED_BY
from ansible_collections.postgres.operator.plugins.module_utils.postgres.role_state import RoleState
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.secrets import (
    SecretInvalid,
    SecretMissing,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.user_secrets import (
    UserSecrets,
    user_secret_name,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.users import (
    RoleChange,
    User,
    find_change,
    find_grants,
    names_of,
    read_user,
    refuse_excess,
)
from fake_secrets_api import SecretsApi, database

FOUND = RoleState(
    "reporting",
    {"LOGIN": True, "INHERIT": True, "CREATEDB": False, "CONNECTION LIMIT": -1},
    frozenset({"pg_monitor"}),
)


def test_an_entry_of_the_spec() -> None:
    entry = {
        "name": "reporting",
        "createDatabase": True,
        "inherit": False,
        "connectionLimit": 0,
        "validUntil": "2027-01-31T01:00:00.9+02:00",
        "memberOf": ["owner"],
        "passwordSecretRef": {"name": "given", "key": "word"},
    }
    assert read_user(entry) == User(
        "reporting",
        options={
            "LOGIN": True,
            "INHERIT": False,
            "CREATEDB": True,
            "CONNECTION LIMIT": 0,
            "VALID UNTIL": "2027-01-30T23:00:00Z",
        },
        member_of=("owner",),
        secret=("given", "word"),
    )
    assert read_user({"name": "x"}) == User("x", options={"LOGIN": True})
    assert read_user({"name": "x", "ensure": "absent"}).present is False


@pytest.mark.parametrize("text", ["2027-02-30T00:00:00Z", "2027-01-01T00:00:60Z"])
def test_a_moment_that_there_is_not(text: str) -> None:
    with pytest.raises(InvalidInput, match="write one such as 2027-01-31T00:00:00Z"):
        read_user({"name": "x", "validUntil": text})


def test_what_the_spec_does_not_name_is_left_as_it_is() -> None:
    user = read_user({"name": "reporting"})
    odd = RoleState("reporting", {**FOUND.options, "CREATEDB": True, "CONNECTION LIMIT": 3})
    assert not find_change(user, odd, password_differs=False)


@pytest.mark.parametrize(
    ("entry", "options"),
    [
        ({"login": False}, {"LOGIN": False}),
        ({"createDatabase": True}, {"CREATEDB": True}),
        ({"createDatabase": False}, {}),
        ({"inherit": False}, {"INHERIT": False}),
        ({"connectionLimit": 5}, {"CONNECTION LIMIT": 5}),
        ({"validUntil": "2027-01-31T00:00:00Z"}, {"VALID UNTIL": "2027-01-31T00:00:00Z"}),
    ],
)
def test_only_what_differs_is_changed(entry: dict[str, Any], options: dict[str, Any]) -> None:
    user = read_user({"name": "reporting"} | entry)
    assert find_change(user, FOUND, password_differs=False) == RoleChange(False, options, False)


def test_a_role_is_made_with_all_that_is_named() -> None:
    user = read_user({"name": "reporting", "connectionLimit": 5})
    change = find_change(user, None, password_differs=True)
    assert change == RoleChange(True, {"LOGIN": True, "CONNECTION LIMIT": 5}, True)


def test_a_role_with_more_rights_is_left_alone() -> None:
    with pytest.raises(InvalidInput, match=r'"boss" exists, and it has the attribute SUPERUSER'):
        refuse_excess(RoleState("boss", {}, excess="it has the attribute SUPERUSER"))
    refuse_excess(FOUND)


def test_memberships() -> None:
    user = User("reporting", member_of=("pg_monitor", "owner", "gone", "boss"))
    owner = RoleState("owner", {})
    boss = RoleState("boss", {}, excess="it has the attribute SUPERUSER")
    grants, problems = find_grants(user, FOUND, {"owner": owner, "boss": boss})
    assert grants == ["owner"]
    assert len(problems) == 2
    assert '"gone", which it is to be a member of, does not exist' in problems[0]
    assert 'not made a member of role "boss"' in problems[1]
    assert names_of([user]) == ["boss", "gone", "owner", "pg_monitor", "reporting"]


@pytest.mark.parametrize(
    ("user", "name"),
    [
        ("reporting", "app-user.reporting"),
        ("read_only", "app-user.read.only"),
        ("read-only", "app-user.read-only"),
        ("a-", "app-user.0-"),
        ("_a", "app-user.0-"),
        ("a__b", "app-user.0-"),
        ("Reporting", "app-user.0-"),
        ("A" * 63, "app-user.0-"),
        ("read.only", "app-user.0-"),
        ("0-9b4ef9a9ff63", "app-user.0-"),
        ('Olga "ö"', "app-user.0-"),
    ],
)
def test_the_name_of_a_users_secret(user: str, name: str) -> None:
    made = user_secret_name("app", user)
    assert made == name or (name.endswith("-") and made.startswith(name))


def test_no_two_have_the_same_name() -> None:
    """Of one Database or of two, whose own Secrets have no dot in their names."""
    users = ["a", "A", "a_b", "a-b", "a__b", "_a", "user-a", "credentials", "x-credentials", "a_"]
    users += ["a.b", "1", "0-559aead08264", "ä"]
    names = [user_secret_name(name, user) for name in ("app", "app-user", "a") for user in users]
    assert len(set(names)) == len(names)
    assert all("." in name for name in names)


def ensure(cluster: SecretsApi, user: User, **spec: Any) -> tuple[str, bool]:
    return UserSecrets.of(cluster, database(**spec)).ensure(user)  # type: ignore[arg-type]


def test_a_secret_is_made_once() -> None:
    cluster = SecretsApi()
    cluster.add("app-certificates", **{"ca.crt": "the authority"})
    password, written = ensure(cluster, User("reporting"))
    assert written
    assert len(password) >= 32
    assert cluster.value("app-user.reporting", "username") == "reporting"
    assert cluster.value("app-user.reporting", "ca.crt") == "the authority"
    assert f"//reporting:{password}@app.shop" in cluster.value("app-user.reporting", "uri")
    assert ensure(cluster, User("reporting")) == (password, False)


def test_it_follows_a_change_of_its_password_and_of_the_authority() -> None:
    cluster = SecretsApi()
    ensure(cluster, User("reporting"))
    cluster.add("app-certificates", **{"ca.crt": "the authority"})
    secret = cluster.secrets["app-user.reporting"]
    secret["data"]["password"] = "bmV3L29uZQ=="
    assert ensure(cluster, User("reporting")) == ("new/one", True)
    assert "new%2Fone" in cluster.value("app-user.reporting", "uri")
    assert cluster.value("app-user.reporting", "ca.crt") == "the authority"
    assert ensure(cluster, User("reporting")) == ("new/one", False)


@pytest.mark.parametrize(
    "labels",
    [{}, {**MANAGED_BY, "database": "other"}, {**MANAGED_BY, "database": "app"}],
)
def test_a_secret_that_was_not_made_for_the_user_is_left_alone(labels: dict[str, str]) -> None:
    cluster = SecretsApi()
    cluster.add("app-user.reporting", labels, password="theirs")
    with pytest.raises(SecretInvalid, match="write passwordSecretRef"):
        ensure(cluster, User("reporting"))
    assert cluster.writes == []


def test_the_password_of_a_secret_that_the_spec_names() -> None:
    cluster = SecretsApi()
    cluster.add("given", username="reporting", word="s3cret")
    assert ensure(cluster, User("reporting", secret=("given", "word"))) == ("s3cret", False)
    assert cluster.writes == []


@pytest.mark.parametrize(
    ("labels", "data", "error", "message"),
    [
        (None, None, SecretMissing, r"create it with the keys username \(reporting\) and password"),
        ({}, {"password": "x"}, SecretInvalid, "is not for this user; give it a key username"),
        ({}, {"username": "other", "password": "x"}, SecretInvalid, "is not for this user"),
        ({}, {"username": "reporting"}, SecretInvalid, "has no key 'password'"),
        ({}, {"username": "reporting", "password": "a\0b"}, SecretInvalid, "has a NUL in it"),
        (
            MANAGED_BY,
            {"username": "reporting", "password": "x"},
            SecretInvalid,
            "is one that the operator has made",
        ),
    ],
)
def test_secrets_that_are_not_used(
    labels: dict[str, str], data: dict[str, str], error: type[OperatorError], message: str
) -> None:
    cluster = SecretsApi()
    if data is not None:
        cluster.add("given", labels, **data)
    with pytest.raises(error, match=message):
        ensure(cluster, User("reporting", secret=("given", "password")))


def test_a_secret_that_another_program_makes_meanwhile_is_not_overwritten() -> None:
    class Late(SecretsApi):
        def create(self, manifest: dict[str, Any]) -> None:
            raise ApiError("exists", 409)

    with pytest.raises(SecretInvalid, match="created by another program meanwhile"):
        ensure(Late(), User("reporting"))
