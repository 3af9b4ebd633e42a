"""The module credentials: Secrets are made, adopted, completed, and never overwritten."""

from __future__ import annotations

from base64 import b64decode
from urllib.parse import unquote, urlsplit

import pytest
from ansible_collections.postgres.operator.plugins.modules import credentials
from custom_resources import Create, Resource, run_module
from kubernetes import client
from kubernetes.client.exceptions import ApiException

SECRETS = ("credentials", "internal", "certificates", "ca")
SPEC = {"databaseName": "app", "username": "app", "storage": {"size": "1Gi"}}
KEYS = {
    "type", "provider", "host", "port", "database", "username", "password", "uri", "jdbc-uri",
    "sslmode", "ca.crt",
}  # fmt: skip
AWKWARD = 'it\'s: "a" p@ss/wörd%?&#'


@pytest.fixture
def database(create: Create, name: str) -> Resource:
    return create("Database", name, SPEC)


def run(database: Resource, needed: bool = False, check_mode: bool = False) -> Resource:
    return run_module(credentials, check_mode, resource=database, internal_needed=needed)


def secret(database: Resource, suffix: str = "credentials") -> client.V1Secret:
    metadata = database["metadata"]
    name = f"{metadata['name']}-{suffix}"
    return client.CoreV1Api().read_namespaced_secret(name, metadata["namespace"])


def values(database: Resource, suffix: str = "credentials") -> dict[str, str]:
    data = secret(database, suffix).data
    return {key: b64decode(value).decode() for key, value in data.items()}


def make_secret(database: Resource, **data: str) -> None:
    metadata = database["metadata"]
    body = {"metadata": {"name": f"{metadata['name']}-credentials"}, "stringData": data}
    client.CoreV1Api().create_namespaced_secret(metadata["namespace"], body)


def test_both_secrets_are_made_once(database: Resource) -> None:
    assert run(database) == {"changed": True, "refused": []}
    made = values(database), values(database, "internal")
    assert made[0].keys() == KEYS
    assert made[1].keys() == {"superuser-password", "patroni.yml"}
    assert made[1]["superuser-password"] in made[1]["patroni.yml"]

    assert run(database) == {"changed": False, "refused": []}
    assert (values(database), values(database, "internal")) == made


def test_the_authoritys_key_is_in_no_secret_that_pods_mount(database: Resource) -> None:
    run(database)
    key = values(database, "ca")["ca.key"]
    mounted = values(database, "certificates")
    assert key not in mounted.values()
    assert values(database)["ca.crt"] == mounted["ca.crt"]


def test_no_two_passwords_are_the_same(create: Create, name: str) -> None:
    databases = [create("Database", f"{name}-{n}", SPEC) for n in range(2)]
    for database in databases:
        run(database)
    passwords = [values(d)["password"] for d in databases]
    passwords += [values(d, "internal")["superuser-password"] for d in databases]
    assert len(set(passwords)) == 4
    assert all(len(password) >= 24 for password in passwords)


def test_a_given_password_is_adopted_and_the_rest_added(database: Resource) -> None:
    make_secret(database, password=AWKWARD)
    assert run(database) == {"changed": True, "refused": []}
    found = values(database)
    assert found.keys() == KEYS
    assert found["password"] == AWKWARD
    uri = urlsplit(found["uri"])
    assert (uri.scheme, uri.port, uri.path) == ("postgresql", 5432, "/app")
    assert unquote(uri.password or "") == AWKWARD
    assert run(database) == {"changed": False, "refused": []}


def test_given_values_are_never_overwritten(database: Resource) -> None:
    make_secret(database, username="app", password="given", host="proxy.example.com", extra="1")
    run(database)
    assert values(database).items() >= {
        "password": "given",
        "host": "proxy.example.com",
        "extra": "1",
    }.items()  # fmt: skip


def test_an_adopted_secret_is_not_deleted_with_the_database(create: Create, name: str) -> None:
    database = create("Database", name, SPEC | {"reclaimPolicy": "Delete"})
    make_secret(database, password="given")
    run(database)
    assert secret(database).metadata.owner_references is None
    assert [o.uid for o in secret(database, "internal").metadata.owner_references] == [
        database["metadata"]["uid"]
    ]


def test_owners_follow_the_reclaim_policy(database: Resource) -> None:
    run(database)
    assert secret(database).metadata.owner_references is None
    for policy, owned in (("Delete", True), ("Retain", False)):
        changed = database | {"spec": database["spec"] | {"reclaimPolicy": policy}}
        assert run(changed)["changed"]
        for suffix in SECRETS:
            assert bool(secret(database, suffix).metadata.owner_references) is owned
        assert not run(changed)["changed"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"username": "app"}, "has no key 'password'"),
        ({"password": ""}, "has no key 'password'"),
        ({"username": "other", "password": "given"}, "for user 'other', the Database wants 'app'"),
    ],
)  # fmt: skip
def test_a_secret_that_cannot_be_used_is_refused(
    database: Resource, data: dict[str, str], message: str
) -> None:
    make_secret(database, **data)
    before = secret(database).to_dict()
    done = run(database)
    assert done["refused"][0] == "SecretInvalid"
    assert message in done["refused"][1]
    assert secret(database).to_dict() == before


def test_lost_internal_passwords_are_not_made_up_while_there_is_data(
    database: Resource,
) -> None:
    done = run(database, needed=True)
    assert done["refused"][0] == "SecretMissing"
    with pytest.raises(ApiException) as caught:
        secret(database, "internal")
    assert caught.value.status == 404


def test_check_mode_writes_nothing(database: Resource) -> None:
    assert run(database, check_mode=True) == {"changed": True, "refused": []}
    for suffix in SECRETS:
        with pytest.raises(ApiException) as caught:
            secret(database, suffix)
        assert caught.value.status == 404


def test_check_mode_completes_nothing(database: Resource) -> None:
    make_secret(database, password="given")
    assert run(database, check_mode=True)["changed"]
    assert values(database) == {"password": "given"}
