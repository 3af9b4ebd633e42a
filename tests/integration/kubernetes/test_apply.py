"""The module apply: what it writes, what it says about it, and what it leaves alone."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.kube.client import (
    FIELD_MANAGER,
    ApiError,
)
from ansible_collections.postgres.operator.plugins.module_utils.kube.objects import NameTaken
from ansible_collections.postgres.operator.plugins.modules import apply
from custom_resources import run_module
from kubernetes import client
from kubernetes.client.exceptions import ApiException


def config_map(namespace: str, name: str, **data: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": data,
    }


def read(namespace: str, name: str) -> client.V1ConfigMap:
    return client.CoreV1Api().read_namespaced_config_map(name, namespace)


def run(*definitions: dict[str, Any], check_mode: bool = False) -> dict[str, Any]:
    return run_module(apply, check_mode, definitions=list(definitions))


def test_an_object_is_created_once(namespace: str, name: str) -> None:
    wanted = config_map(namespace, name, key="value")
    assert run(wanted) == {"changed": True, "written": [f"ConfigMap/{name}"]}
    created = read(namespace, name)
    assert created.data == {"key": "value"}
    assert created.metadata.managed_fields[0].manager == FIELD_MANAGER

    assert run(wanted) == {"changed": False, "written": []}
    assert read(namespace, name).metadata.resource_version == created.metadata.resource_version


def test_only_what_differs_is_written(namespace: str, name: str) -> None:
    other = f"{name}-other"
    run(config_map(namespace, name, key="old"), config_map(namespace, other, key="same"))
    done = run(config_map(namespace, name, key="new"), config_map(namespace, other, key="same"))
    assert done == {"changed": True, "written": [f"ConfigMap/{name}"]}
    assert read(namespace, name).data == {"key": "new"}


def test_a_field_that_is_no_longer_wanted_goes(namespace: str, name: str) -> None:
    run(config_map(namespace, name, stays="1", goes="2"))
    assert run(config_map(namespace, name, stays="1"))["changed"]
    assert read(namespace, name).data == {"stays": "1"}


def test_fields_of_others_stay_and_conflicts_are_won(namespace: str, name: str) -> None:
    run(config_map(namespace, name, ours="1"))
    client.CoreV1Api().patch_namespaced_config_map(
        name, namespace, {"data": {"ours": "theirs", "theirs": "1"}}, field_manager="somebody"
    )
    assert run(config_map(namespace, name, ours="1"))["changed"]
    assert read(namespace, name).data == {"ours": "1", "theirs": "1"}


def of_database(wanted: dict[str, Any], database: str) -> dict[str, Any]:
    labels = {"app": "database", "database": database}
    return wanted | {"metadata": wanted["metadata"] | {"labels": labels}}


def test_an_object_of_another_program_is_left_alone(namespace: str, name: str) -> None:
    theirs = {"metadata": {"name": name, "labels": {"app": "shop"}}, "data": {"theirs": "1"}}
    client.CoreV1Api().create_namespaced_config_map(namespace, theirs)
    before = read(namespace, name).to_dict()
    for check_mode in (True, False):
        with pytest.raises(NameTaken, match=f"a ConfigMap {namespace}/{name} that belongs"):
            run(of_database(config_map(namespace, name, ours="1"), "db"), check_mode=check_mode)
    assert read(namespace, name).to_dict() == before


def test_what_is_another_databases_is_left_alone(namespace: str, name: str) -> None:
    run(of_database(config_map(namespace, name, of="one"), "one"))
    with pytest.raises(NameTaken):
        run(of_database(config_map(namespace, name, of="other"), "other"))
    assert not run(of_database(config_map(namespace, name, of="one"), "one"))["changed"]


def test_check_mode_reports_of_a_creation_and_does_not_do_it(namespace: str, name: str) -> None:
    done = run(config_map(namespace, name, key="value"), check_mode=True)
    assert done == {"changed": True, "written": [f"ConfigMap/{name}"]}
    with pytest.raises(ApiException) as caught:
        read(namespace, name)
    assert caught.value.status == 404


def test_check_mode_reports_of_a_change_and_does_not_do_it(namespace: str, name: str) -> None:
    run(config_map(namespace, name, key="old"))
    before = read(namespace, name)
    done = run(config_map(namespace, name, key="new"), check_mode=True)
    assert done == {"changed": True, "written": [f"ConfigMap/{name}"]}
    assert read(namespace, name).to_dict() == before.to_dict()


def test_check_mode_reports_that_nothing_is_to_be_done(namespace: str, name: str) -> None:
    run(config_map(namespace, name, key="value"))
    done = run(config_map(namespace, name, key="value"), check_mode=True)
    assert done == {"changed": False, "written": []}


def test_a_refused_object_is_named(namespace: str, name: str) -> None:
    wrong = config_map(namespace, name) | {"data": {"not a key": "value"}}
    with pytest.raises(ApiError, match=f"cannot apply ConfigMap {namespace}/{name}: .*not a key"):
        run(wrong)


def test_an_unknown_kind_is_named(namespace: str, name: str) -> None:
    with pytest.raises(ApiError, match="the cluster does not know Nothing"):
        run(config_map(namespace, name) | {"apiVersion": "example.com/v1", "kind": "Nothing"})
