"""The Secrets of a Database, against a cluster that is a dict."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import yaml
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.secrets import (
    SecretInvalid,
    SecretMissing,
    ensure_credentials,
    ensure_internal,
    read_last_primary,
    remember_primary,
)
from fake_secrets import FakeCluster, database, encode, value
from psycopg import conninfo


def test_credentials_are_made_once_and_stay() -> None:
    cluster: Any = FakeCluster()
    assert ensure_credentials(cluster, database())
    password = value(cluster, "app-credentials", "password")
    assert len(password) >= 32
    assert password in value(cluster, "app-credentials", "uri")
    assert not ensure_credentials(cluster, database())
    assert value(cluster, "app-credentials", "password") == password


def test_the_addresses_follow_a_changed_password() -> None:
    cluster: Any = FakeCluster()
    ensure_credentials(cluster, database())
    cluster.secrets["app-credentials"]["data"]["password"] = encode("new/one")
    assert ensure_credentials(cluster, database())
    assert "new%2Fone" in value(cluster, "app-credentials", "uri")
    assert "new%2Fone" in value(cluster, "app-credentials", "jdbc-uri")
    assert not ensure_credentials(cluster, database())


def test_the_addresses_have_any_name() -> None:
    cluster: Any = FakeCluster()
    wanted = database()
    wanted["spec"] |= {"databaseName": "a/b?c=d&e", "username": 'Olga "ö":@%'}
    ensure_credentials(cluster, wanted)
    uri = value(cluster, "app-credentials", "uri")
    found = conninfo.conninfo_to_dict(uri)
    assert (found["dbname"], found["user"]) == ("a/b?c=d&e", 'Olga "ö":@%')
    assert found["host"] == "app.shop.svc.cluster.local"
    jdbc = urlsplit(value(cluster, "app-credentials", "jdbc-uri").removeprefix("jdbc:"))
    assert unquote(jdbc.path) == "/a/b?c=d&e"
    assert parse_qs(jdbc.query)["user"] == ['Olga "ö":@%']


def test_a_given_secret_is_adopted_and_completed() -> None:
    cluster: Any = FakeCluster()
    cluster.secrets["app-credentials"] = {
        "metadata": {"name": "app-credentials", "namespace": "shop"},
        "data": {"password": encode("p@ss/word"), "host": encode("mine")},
    }
    assert ensure_credentials(cluster, database("Delete"))
    assert value(cluster, "app-credentials", "password") == "p@ss/word"
    assert value(cluster, "app-credentials", "host") == "mine"
    assert "p%40ss%2Fword" in value(cluster, "app-credentials", "uri")
    assert "ownerReferences" not in cluster.secrets["app-credentials"]["metadata"]


def test_a_secret_without_a_password_is_refused() -> None:
    cluster: Any = FakeCluster()
    cluster.secrets["app-credentials"] = {"metadata": {"name": "app-credentials"}, "data": {}}
    with pytest.raises(SecretInvalid, match="no key 'password'"):
        ensure_credentials(cluster, database())


def test_a_secret_for_another_user_is_refused() -> None:
    cluster: Any = FakeCluster()
    ensure_credentials(cluster, database())
    cluster.secrets["app-credentials"]["data"]["username"] = encode("other")
    with pytest.raises(SecretInvalid, match="'other'"):
        ensure_credentials(cluster, database())


def test_the_servers_passwords_are_not_made_again_while_data_exists() -> None:
    cluster: Any = FakeCluster()
    with pytest.raises(SecretMissing, match="shop/app-internal"):
        ensure_internal(cluster, database(), needed=True)
    assert ensure_internal(cluster, database(), needed=False)
    assert not ensure_internal(cluster, database(), needed=True)
    patroni = yaml.safe_load(value(cluster, "app-internal", "patroni.yml"))
    roles = patroni["postgresql"]["authentication"]
    assert set(roles) == {"superuser", "replication", "rewind"}
    assert len({role["password"] for role in roles.values()}) == 3


def test_what_is_gone_of_the_servers_passwords_is_made_again_while_a_primary_runs() -> None:
    cluster: Any = FakeCluster()
    ensure_internal(cluster, database(), needed=False)
    del cluster.secrets["app-internal"]["data"]["superuser-password"]
    with pytest.raises(SecretInvalid, match="superuser-password"):
        ensure_internal(cluster, database(), needed=True)
    assert ensure_internal(cluster, database(), needed=False)
    assert len(value(cluster, "app-internal", "superuser-password")) >= 32
    assert not ensure_internal(cluster, database(), needed=True)


def test_the_owner_follows_the_reclaim_policy() -> None:
    cluster: Any = FakeCluster()
    ensure_credentials(cluster, database())
    assert cluster.secrets["app-credentials"]["metadata"]["ownerReferences"] == []
    assert ensure_credentials(cluster, database("Delete"))
    [owner] = cluster.secrets["app-credentials"]["metadata"]["ownerReferences"]
    assert owner["uid"] == "u"


def test_check_mode_writes_nothing() -> None:
    cluster: Any = FakeCluster()
    assert ensure_credentials(cluster, database(), dry_run=True)
    assert cluster.secrets == {}


def test_the_primary_is_remembered_with_the_passwords() -> None:
    cluster: Any = FakeCluster()
    assert read_last_primary(cluster, database()) == ""
    ensure_internal(cluster, database(), needed=False)
    assert remember_primary(cluster, cluster.secrets["app-internal"], "app-1")
    assert not remember_primary(cluster, cluster.secrets["app-internal"], "app-1")
    assert not ensure_internal(cluster, database(), needed=True)
    assert read_last_primary(cluster, database()) == "app-1"


def test_a_value_that_is_no_text_is_refused() -> None:
    cluster: Any = FakeCluster()
    ensure_credentials(cluster, database())
    cluster.secrets["app-credentials"]["data"]["password"] = base64.b64encode(b"\xff\xfe").decode()
    with pytest.raises(SecretInvalid, match="key 'password' of Secret app-credentials is not text"):
        ensure_credentials(cluster, database())


def test_patronis_rest_api_has_a_password_in_secrets_of_before_too() -> None:
    cluster: Any = FakeCluster()
    ensure_internal(cluster, database(), needed=False)
    made = yaml.safe_load(value(cluster, "app-internal", "patroni.yml"))
    assert len(made["restapi"]["authentication"]["password"]) >= 32
    data = cluster.secrets["app-internal"]["data"]
    data["patroni.yml"] = encode("postgresql:\n  authentication: {}\n")
    assert ensure_internal(cluster, database(), needed=True)
    completed = yaml.safe_load(value(cluster, "app-internal", "patroni.yml"))
    assert len(completed["restapi"]["authentication"]["password"]) >= 32
    assert completed["postgresql"] == {"authentication": {}}
    assert not ensure_internal(cluster, database(), needed=True)


def test_the_addresses_ask_for_the_servers_certificate() -> None:
    cluster: Any = FakeCluster()
    ensure_credentials(cluster, database())
    assert value(cluster, "app-credentials", "sslmode") == "verify-full"
    uri = value(cluster, "app-credentials", "uri")
    assert uri.endswith("/appdb?sslmode=verify-full&channel_binding=require")
    assert value(cluster, "app-credentials", "jdbc-uri").endswith("&sslmode=verify-full")


def test_they_ask_for_nothing_where_clients_may_go_without() -> None:
    cluster: Any = FakeCluster()
    ensure_credentials(cluster, database(clients="Prefer"))
    assert value(cluster, "app-credentials", "sslmode") == "prefer"
    assert value(cluster, "app-credentials", "uri").endswith("/appdb")


def test_the_addresses_of_before_stay_as_they_are() -> None:
    cluster: Any = FakeCluster()
    ensure_credentials(cluster, database())
    data = cluster.secrets["app-credentials"]["data"]
    password = value(cluster, "app-credentials", "password")
    data["uri"] = encode(f"postgresql://owner:{password}@app.shop:5432/appdb")
    del data["sslmode"]
    assert ensure_credentials(cluster, database())
    assert "?" not in value(cluster, "app-credentials", "uri")
    data["password"] = encode("another")
    assert ensure_credentials(cluster, database())
    assert value(cluster, "app-credentials", "uri").endswith(":5432/appdb")


def test_the_authority_is_that_of_the_servers_certificate() -> None:
    cluster: Any = FakeCluster()
    ensure_credentials(cluster, database())
    assert "ca.crt" not in cluster.secrets["app-credentials"]["data"]
    for text in ("one", "another"):
        certificates = {"metadata": {"name": "app-certificates"}, "data": {"ca.crt": encode(text)}}
        cluster.secrets["app-certificates"] = certificates
        assert ensure_credentials(cluster, database())
        assert value(cluster, "app-credentials", "ca.crt") == text
        assert not ensure_credentials(cluster, database())
