"""The fields users and databases of a Database: what the API server refuses, and with which words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from custom_resources import Create
from kubernetes.client.exceptions import ApiException

DATABASE: dict[str, Any] = {"databaseName": "app", "username": "app", "storage": {"size": "1Gi"}}
KEPT = "the name of a user is kept for the server and the operator; write another that starts"
NAME = "the name of a user has a control character; write it without"
CONTROL = ("a\n", "\ta", "a\x1b[2J", "a\x7f", "a\x85", "a\u2028b")
LONG = "is longer than 63 bytes in UTF-8, PostgreSQL's limit; write a shorter one"
NAMES = ("1a", "a b", 'a"', "a'; --", "ä", "a.b", "select", "$user", "{{ 6 * 7 }}", "ä" * 31)
"""What PostgreSQL takes as a name."""
REACHES = "memberOf has a role that a user is not given, for it reaches the server's files or"
OTHERS = "memberOf has a role that is not of this Database; write username, another one of users"
ITS_OWN = "databases has the one in databaseName, which always exists and belongs to username"
WITHOUT_LOGIN = "a role with login false has no password; leave passwordSecretRef and validUntil"


def users(*entries: dict[str, Any]) -> dict[str, Any]:
    return DATABASE | {"users": list(entries)}


def user(**fields: Any) -> dict[str, Any]:
    return users({"name": "reporting"} | fields)


def refusal(create: Create, name: str, spec: dict[str, Any]) -> str:
    with pytest.raises(ApiException) as caught:
        create("Database", name, spec, dry_run="All")
    assert caught.value.status in {400, 422}, caught.value
    return str(json.loads(caught.value.body)["message"])


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        *(
            (user(name=kept), KEPT)
            for kept in (
                "postgres",
                "standby",
                "rewind",
                "public",
                "none",
                "pg_monitor",
                "postgres_operator_ab_0",
            )
        ),
        (user(name="app"), "users has the role in username, which every Database has by itself"),
        *((user(name=odd), NAME) for odd in CONTROL),
        (user(name="ä" * 32), f"the name of a user {LONG}"),
        (user(name="a" * 64), "may not be more than 63"),
        (users({"login": True}), "spec.users[0].name: Required value"),
        (users({"name": "a"}, {"name": "a"}), "Duplicate value"),
        *(
            (user(memberOf=[role]), REACHES)
            for role in (
                "pg_execute_server_program",
                "pg_read_server_files",
                "pg_write_server_files",
                "pg_create_subscription",
                "pg_database_owner",
                "pg_use_reserved_connections",
                "pg_",
            )
        ),
        *(
            (user(memberOf=[role]), OTHERS)
            for role in ("postgres", "reporting", "nobody", "standby", "postgres_operator_a_0")
        ),
        (user(memberOf=["a\n"]), "a name in memberOf has a control character"),
        (user(login=False, passwordSecretRef={"name": "given"}), WITHOUT_LOGIN),
        (user(login=False, validUntil="2027-01-31T00:00:00Z"), WITHOUT_LOGIN),
        (user(connectionLimit=-2), "connectionLimit is a number of connections; write -1 for no"),
        (user(validUntil="tomorrow"), "must be of type date-time"),
        (user(ensure="gone"), 'supported values: "present", "absent"'),
        (user(passwordSecretRef={"name": "../x"}), "passwordSecretRef.name is no name of a Secret"),
        (user(passwordSecretRef={"name": "a", "key": "a/b"}), "passwordSecretRef.key is no key"),
        (user(passwordSecretRef={}), "passwordSecretRef.name: Required value"),
        (users(*({"name": f"u{n}"} for n in range(65))), "must have at most 64 items"),
    ],
)
def test_users_that_are_refused(
    create: Create, name: str, spec: dict[str, Any], message: str
) -> None:
    assert message in refusal(create, name, spec)


def test_users_that_are_accepted(create: Create, name: str) -> None:
    entries = [
        {
            "name": "reporting",
            "createDatabase": True,
            "inherit": False,
            "connectionLimit": 0,
            "validUntil": "2027-01-31T00:00:00+01:00",
            "memberOf": ["app", "staff", "pg_read_all_data"],
            "passwordSecretRef": {"name": "given"},
        },
        {"name": "staff", "login": False},
        {"name": "former", "ensure": "absent"},
        *({"name": f"u{n}", "memberOf": ["staff"]} for n in range(61)),
    ]
    made = create("Database", name, users(*entries), dry_run="All")["spec"]["users"]
    assert made[0]["passwordSecretRef"] == {"name": "given", "key": "password"}
    assert (made[0]["ensure"], made[0]["login"]) == ("present", True)
    assert made[1] == {"name": "staff", "login": False, "ensure": "present"}
    assert "createDatabase" not in made[3]


def test_names_that_postgresql_takes_are_accepted(create: Create, name: str) -> None:
    entries = [{"name": odd, "memberOf": [NAMES[0]] if odd != NAMES[0] else []} for odd in NAMES]
    found = [{"name": odd, "owner": odd, "schemas": [{"name": odd, "owner": odd}]} for odd in NAMES]
    made = create("Database", name, databases(*found, users=entries), dry_run="All")["spec"]
    assert [entry["name"] for entry in made["users"]] == list(NAMES)
    assert [entry["owner"] for entry in made["databases"]] == list(NAMES)


def databases(*entries: dict[str, Any], **others: Any) -> dict[str, Any]:
    return DATABASE | others | {"databases": list(entries)}


def one(**fields: Any) -> dict[str, Any]:
    return databases({"name": "stats"} | fields)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        *(
            (one(name=kept), "the name of a database is one that every PostgreSQL server has")
            for kept in ("postgres", "template0", "template1")
        ),
        *((one(name=odd), "the name of a database has a control character") for odd in CONTROL),
        (one(name="ä" * 32), f"the name of a database {LONG}"),
        (one(name="app", ensure="absent"), ITS_OWN),
        (databases({"name": "app", "owner": "a"}, users=[{"name": "a"}]), ITS_OWN),
        *(
            (one(owner=other), "the owner of a database is not a user")
            for other in ("a", "postgres")
        ),
        (one(connectionLimit=-2), "connectionLimit is a number of connections; write -1 for no"),
        (one(ensure="gone"), 'supported values: "present", "absent"'),
        (databases({"name": "a"}, {"name": "a"}), "Duplicate value"),
        (databases(*({"name": f"d{n}"} for n in range(33))), "must have at most 32 items"),
    ],
)
def test_databases_that_are_refused(
    create: Create, name: str, spec: dict[str, Any], message: str
) -> None:
    assert message in refusal(create, name, spec)


def inside(kind: str, **fields: Any) -> dict[str, Any]:
    return one(**{kind: [{"name": "x"} | fields]})


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        *(
            (inside("schemas", name=odd), "the name of a schema has a control character")
            for odd in CONTROL
        ),
        (inside("schemas", name="ä" * 32), f"the name of a schema {LONG}"),
        *(
            (
                inside("schemas", name=kept),
                "the name of a schema is PostgreSQL's own; write another",
            )
            for kept in ("pg_catalog", "pg_temp", "information_schema")
        ),
        (inside("schemas", owner="a"), "the owner of a schema is not a user of this Database"),
        (inside("schemas", owner="a\n"), "the name of an owner has a control character"),
        (inside("schemas", ensure="gone"), 'supported values: "present", "absent"'),
        *(
            (inside("extensions", name=odd), "the name of an extension is as in pg_available_ext")
            for odd in ("../x", "a/b", 'a"', "1a")
        ),
        *(
            (inside("extensions", version=odd), "version is as in pg_available_extension_versions")
            for odd in ("../x", "1 2", "'", "-1")
        ),
        *(
            (
                inside("extensions", schema=odd),
                "schema is no name of a schema for extensions; write",
            )
            for odd in ("a b", 'a"', "a$b")
        ),
        *(
            (inside("extensions", schema=kept), "schema is one of PostgreSQL's own; write another")
            for kept in ("pg_catalog", "information_schema")
        ),
        *(
            (one(**{kind: [{"name": "a"}, {"name": "a"}]}), "Duplicate value")
            for kind in ("schemas", "extensions")
        ),
        *(
            (one(**{kind: [{"name": f"n{n}"} for n in range(33)]}), "must have at most 32 items")
            for kind in ("schemas", "extensions")
        ),
    ],
)
def test_what_is_inside_and_refused(
    create: Create, name: str, spec: dict[str, Any], message: str
) -> None:
    assert message in refusal(create, name, spec)


def test_databases_that_are_accepted(create: Create, name: str) -> None:
    entries = [
        {"name": "stats", "owner": "reporting", "connectionLimit": 0},
        {
            "name": "app",
            "owner": "app",
            "connectionLimit": 5,
            "schemas": [{"name": "reports", "owner": "reporting"}, {"name": "public"}],
            "extensions": [
                {"name": "uuid-ossp", "version": "1.1"},
                {"name": "postgis", "version": "3.5.0+dfsg", "schema": "extensions"},
            ],
        },
        {"name": "old", "ensure": "absent"},
        {"name": "plain", "owner": "app"},
    ]
    spec = databases(*entries, users=[{"name": "reporting"}])
    made = create("Database", name, spec, dry_run="All")["spec"]["databases"]
    assert [one["ensure"] for one in made] == ["present", "present", "absent", "present"]
