"""Every playbook takes the variables that the operator gives it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.artifact.job import WORKS
from ansible_collections.postgres.operator.plugins.module_utils.resources.backup.physical import (
    physical_variables,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.work_job import (
    Recovery,
    Work,
    work_definitions,
)
from job_variables import variables_of

DATABASE: dict[str, Any] = {
    "kind": "Database",
    "metadata": {"name": "app", "namespace": "shop", "uid": "db"},
    "spec": {"databaseName": "app", "image": "postgres:17", "storage": {"size": "1Gi"}},
    "status": {"readyReplicas": 2},
}
S3 = {"endpoint": "https://s3", "bucket": "b", "credentialsSecretRef": {"name": "login"}}


def backup(**spec: Any) -> dict[str, Any]:
    return {
        "kind": "Backup",
        "metadata": {"name": "b", "namespace": "shop", "uid": "0f8fad5b"},
        "spec": {"databaseRef": {"name": "app"}, "parallelism": 2, **spec},
    }


def work(playbook: str, **changes: Any) -> Work:
    made: dict[str, Any] = {
        "name": "job",
        "owner": backup(),
        "database": DATABASE,
        "playbook": playbook,
        "backup": backup(),
        "variables": {},
        "timeout_seconds": 60,
        "agent_image": "operator:1",
    }
    return Work(**{**made, **changes})


PHYSICAL = backup(method="physical", maxRate=64, encryption={}, destination={"s3": S3})
WORKS_OF_JOBS = [
    work("backup", verify=True),
    work("backup", verify=True, backup=backup(destination={"s3": S3}, encryption={})),
    work("adopt", identity_secret="key"),
    work("restore"),
    work("outcome"),
    work(
        "physical",
        owner=PHYSICAL,
        backup=PHYSICAL,
        variables=physical_variables(PHYSICAL, DATABASE),
        verify=True,
        identity_secret="key",
    ),
    work(
        "restore",
        backup=PHYSICAL,
        recovery=Recovery(
            {"point_in_time": "2026-01-01T00:00:00Z"}, "ab", "app", {"include": {"tables": ["a.b"]}}
        ),
        identity_secret="key",
    ),
]


@pytest.mark.parametrize("made", WORKS_OF_JOBS, ids=lambda made: made.playbook)
def test_no_variable_is_unknown_to_its_playbook(made, tmp_path) -> None:
    job = work_definitions(made)[-1]
    spec = job["spec"]["template"]["spec"]
    for container in [*spec["initContainers"], *spec["containers"]]:
        if container["name"] == "agent":
            continue
        playbook = container["command"][-1].rpartition("/")[2].removesuffix(".yml")
        named = container["command"][-2].rpartition("/")[2].removesuffix(".json")
        variables = variables_of(job, "" if named == "variables" else named)
        options = WORKS[playbook].options
        given = {name for name, value in variables.items() if value not in (None, "", {})}
        assert given - {"result_file"} <= options.keys(), playbook
        required = {name for name, option in options.items() if option.get("required")}
        # Those that come from the resource are tested where that is read.
        own = (
            {"restore_uid", "timeout", "database"} if playbook in {"restore", "outcome"} else set()
        )
        assert required - own <= given, playbook
