"""What the pods of Jobs and Databases are made with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.postgres.operator.plugins.module_utils.resources.backup.removal_job import (
    removal_definitions,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.backup.search_job import (
    search_definitions,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.archive import (
    archive_parts,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.hba import (
    all_lines,
    own_lines,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.services import (
    service_fields,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.pod_fields import (
    instance_fields,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.work_job import (
    Work,
    work_definitions,
)

ROOT = Path(__file__).resolve().parents[3]
AGENT_IMAGE = "registry.example:5000/operator@sha256:" + "1" * 64
DATABASE = {
    "kind": "Database",
    "metadata": {"name": "app", "namespace": "shop", "uid": "db-uid"},
    "spec": {
        "image": "registry.example:5000/postgres@sha256:" + "0" * 64,
        "databaseName": "app",
        "storage": {"size": "1Gi"},
        "replicas": 3,
        "reclaimPolicy": "Retain",
    },
}
S3 = {
    "endpoint": "https://s3:9000",
    "bucket": "b",
    "credentialsSecretRef": {"name": "login"},
    "caSecretRef": {"name": "ca"},
}
ARCHIVE = {"destination": {"s3": S3}, "encryption": {"recipients": ["age1a"]}}
SAFE_VOLUMES = {
    "configMap",
    "downwardAPI",
    "emptyDir",
    "persistentVolumeClaim",
    "projected",
    "secret",
}


def render(role: str, name: str, **variables: Any) -> Any:
    """Render one variable of a role."""
    loader = DataLoader()
    found: dict[str, Any] = {}
    folder = ROOT / "roles" / role
    for path in [*folder.glob("defaults/*.yml"), *sorted(folder.rglob("vars/**/*.yml"))]:
        found |= loader.load_from_file(str(path), trusted_as_template=True) or {}
    templar = Templar(loader, variables=found | variables)
    return templar.template(trust_as_template("{{ " + name + " }}"))


def work(playbook: str = "backup", **changes: Any) -> Work:
    spec = {"databaseRef": {"name": "app"}, "parallelism": 2} | changes.pop("spec", {})
    resource = {
        "kind": "Backup" if playbook in {"backup", "adopt"} else "Restore",
        "metadata": {"name": "b", "namespace": "shop", "uid": "b-uid"},
        "spec": spec,
    }
    given: dict[str, Any] = {
        "name": "b-backup-1",
        "owner": resource,
        "database": DATABASE,
        "backup": resource,
        "playbook": playbook,
        "variables": {},
        "timeout_seconds": 7200,
        "agent_image": AGENT_IMAGE,
    }
    return Work(**given | changes)


def job(playbook: str = "backup", **changes: Any) -> dict[str, Any]:
    return work_definitions(work(playbook, **changes))[-1]


def mounts(manifest: dict[str, Any]) -> dict[str, list[str]]:
    """Where each container has what."""
    spec = manifest["spec"]["template"]["spec"]
    containers = [*spec.get("initContainers", []), *spec["containers"]]
    return {c["name"]: [m["mountPath"] for m in c["volumeMounts"]] for c in containers}


def variables(manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    annotations = manifest["spec"]["template"]["metadata"]["annotations"]
    prefix = "database.example.com/"
    return {
        name.removeprefix(prefix): json.loads(text)
        for name, text in annotations.items()
        if name.startswith(prefix)
    }


@pytest.mark.parametrize("place", [{}, {"destination": {"s3": S3}}])
@pytest.mark.parametrize("verify", [False, True])
@pytest.mark.parametrize(
    "encryption",
    [
        {"recipients": ["age1a"]},
        {"secretRef": {"name": "key"}},
        {"recipients": ["age1a"], "secretRef": {"name": "key"}},
    ],
)
def test_what_writes_has_no_identity(place, verify, encryption) -> None:
    manifest = job(
        spec={"encryption": encryption, **place},
        verify=verify,
        identity_secret="key" if verify else "",
        variables={"recipients": ["age1a"]},
    )
    found, rendered = mounts(manifest), variables(manifest)
    assert "/etc/encryption" not in found["backup"]
    assert "identity_file" not in rendered["variables"]
    assert rendered["variables"]["recipients"] == ["age1a"]
    assert "/spool" in found["backup"]
    secrets = {
        volume["secret"]["secretName"]
        for volume in manifest["spec"]["template"]["spec"]["volumes"]
        if "secret" in volume
    }
    assert ("key" in secrets) == verify
    if verify:
        assert {"/etc/encryption", "/spool"} <= set(found["verify"])
        assert not {"/etc/superuser", "/etc/s3"} & set(found["verify"])
        assert rendered["verify-variables"]["identity_file"] == "/etc/encryption/identity"
        assert "/etc/encryption" not in found.get("copy", [])


def test_a_restore_has_the_identity_and_reads_only() -> None:
    manifest = job(
        "restore", spec={"encryption": {"recipients": ["age1a"]}}, identity_secret="mine"
    )
    assert "/etc/encryption" in mounts(manifest)["restore"]
    assert variables(manifest)["variables"]["identity_file"] == "/etc/encryption/identity"
    assert {"mountPath": "/backups", "name": "backups", "readOnly": True} in (
        manifest["spec"]["template"]["spec"]["containers"][1]["volumeMounts"]
    )


@pytest.mark.parametrize("place", [{}, {"destination": {"s3": S3}}])
def test_what_adopts_reads_only_and_has_no_login(place) -> None:
    uid = "0f8fad5b-d9cb-469f-a165-70867728950e"
    lost = {"artifact": {"namespace": "old", "database": "lost", "uid": uid}}
    encryption = {"encryption": {"secretRef": {"name": "key"}}}
    manifest = job("adopt", spec={**place, **lost, **encryption}, identity_secret="key")
    found, rendered = mounts(manifest)["backup"], variables(manifest)["variables"]
    assert "/etc/superuser" not in found
    assert "/etc/encryption" in found
    assert ("/backups" in found) == (not place)
    assert not {"host", "user", "database"} & set(rendered)
    artifact = {"namespace": "old", "resource": "lost", "uid": uid}
    assert {key: rendered[key] for key in artifact} == artifact
    container = manifest["spec"]["template"]["spec"]["containers"][1]
    assert all(
        mount.get("readOnly") for mount in container["volumeMounts"] if mount["name"] == "backups"
    )


def test_the_newest_artifact_is_adopted_without_a_uid() -> None:
    rendered = variables(job("adopt", spec={"artifact": {"latest": True}}))["variables"]
    assert (rendered["namespace"], rendered["resource"]) == ("shop", "app")
    assert "uid" not in rendered


def test_the_removal_of_what_was_adopted_is_of_that() -> None:
    uid = "0f8fad5b-d9cb-469f-a165-70867728950e"
    backup = {
        "metadata": {"name": "b", "namespace": "shop", "uid": "b-uid"},
        "spec": {"databaseRef": {"name": "app"}, "artifact": {"latest": True}},
        "status": {"backupLocation": f"pvc://app-backups/old/lost/{uid}"},
    }
    claim = {"metadata": {"name": "app-backups", "uid": "c-uid"}}
    rendered = variables(removal_definitions("b-remove-1", backup, claim, "operator:1", None)[1])
    found = rendered["variables"]
    assert (found["namespace"], found["resource"], found["uid"]) == ("old", "lost", uid)


@pytest.mark.parametrize(("spec", "jobs"), [({}, 4), ({"parallelism": 1}, 1)])
def test_a_restore_works_with_the_backups_parallelism_or_its_own(spec, jobs) -> None:
    backup = {"metadata": {"name": "b", "namespace": "shop", "uid": "b-uid"}}
    backup["spec"] = {"databaseRef": {"name": "app"}, "parallelism": 4}
    made = work("restore", backup=backup)
    made.owner["spec"] = {"databaseRef": {"name": "app"}, **spec}
    assert variables(work_definitions(made)[-1])["variables"]["jobs"] == jobs


def test_the_end_of_a_restore_is_found_out_without_store_and_identity() -> None:
    variables_given = {"restore_uid": "u", "timeout": "2h"}
    manifest = job("outcome", backup={}, variables=variables_given)
    assert not {"/backups", "/etc/encryption", "/etc/s3"} & set(mounts(manifest)["restore"])
    rendered = variables(manifest)["variables"]
    assert {"host", "port", "user", "database"} <= set(rendered)
    assert not {"root", "s3", "spool", "uid"} & set(rendered)


def removal(found: Any = None, **place: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The NetworkPolicy and the Job of a Backup's removal."""
    backup = {
        "metadata": {"name": "b", "namespace": "shop", "uid": "b-uid"},
        "spec": {"databaseRef": {"name": "app"}, **place},
    }
    claim = {"metadata": {"name": "app-backups", "uid": "c-uid"}}
    policy, manifest = removal_definitions("b-remove-1", backup, claim, "operator:1", found)
    return policy, manifest


def search(found: Any = None, **place: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The NetworkPolicy and the Job of the search for a Backup's files."""
    backup = {
        "metadata": {"name": "b", "namespace": "shop", "uid": "b-uid"},
        "spec": {"databaseRef": {"name": "app"}, **place},
    }
    policy, manifest = search_definitions(
        "b-search-1", backup, [backup], "operator:1", found, 86400
    )
    return policy, manifest


def database(name: str, kept_claims: Any = (), dynamic: bool = False, **spec: Any) -> Any:
    """Render a variable for a Database that has this in its spec too.

    Args:
        dynamic: whether Patroni's dynamic configuration has the lines of pg_hba.conf.
    """
    resource = {**DATABASE, "spec": DATABASE["spec"] | spec}
    info = {"resource": resource, "ordinals": {"replicas": 3, "start": 0}, "migrating": False}
    info["kept_template"] = {}
    info["kept_claim_templates"] = list(kept_claims)
    info["defaults"] = {"max_wal_size": "128MB"}
    info["hba"] = {**own_lines(resource), "dynamic": dynamic}
    info["pod"] = instance_fields(resource).render()
    info["services"] = service_fields(resource)
    info["archive"] = archive_parts(resource, bool(resource["spec"].get("archive")))
    meta = {"name": "app", "namespace": "shop"}
    return render("database", name, database_reconcile=info, ansible_operator_meta=meta)


def test_files_have_no_lines_of_pg_hba_where_the_dynamic_configuration_has_them() -> None:
    """Patroni takes those of its files first, and removes what a later one says is null."""
    for dynamic, expected in ((False, "  pg_hba:\n"), (True, "  pg_hba: null\n")):
        files = database("database_config_map", dynamic=dynamic)["data"]
        assert expected in files["tls.yml"]
        assert "pg_hba:\n" in files["tls-migration.yml"]
        dcs = yaml.safe_load(files["patroni.yml"])["bootstrap"]["dcs"]
        assert dcs["postgresql"]["pg_hba"] == all_lines(DATABASE)


def test_templates_of_claims_stay_as_they_are() -> None:
    """Kubernetes refuses another one, such as that of a larger volume."""
    found = database("database_stateful_set", storage={"size": "2Gi"})["spec"]
    [template] = found["volumeClaimTemplates"]
    assert template["spec"]["resources"]["requests"]["storage"] == "2Gi"
    kept = [{"metadata": {"name": "data"}, "spec": {"resources": {"requests": {"storage": "1Gi"}}}}]
    again = database("database_stateful_set", kept, storage={"size": "2Gi"})
    assert again["spec"] == found | {"volumeClaimTemplates": kept}


def test_an_archive_adds_to_an_instance_and_changes_nothing_else() -> None:
    plain, archiving = (
        database("database_stateful_set", **spec)["spec"]["template"]
        for spec in ({}, {"archive": ARCHIVE})
    )
    assert plain["metadata"] == archiving["metadata"]
    before, after = plain["spec"], archiving["spec"]
    assert after["initContainers"][:-1] == before["initContainers"]
    assert after["initContainers"][-1]["name"] == "archiver"
    (postgres,), (its) = before["containers"], after["containers"][0]
    assert its["volumeMounts"][:-1] == postgres["volumeMounts"]
    assert {**its, "volumeMounts": 0} == {**postgres, "volumeMounts": 0}
    patroni = next(one for one in after["volumes"] if one["name"] == "patroni")
    assert patroni["projected"]["sources"][-1]["configMap"]["items"] == [
        {"key": "archive.yml", "path": "40-archive.yml"}
    ]
    mounted = {one["name"] for one in its["volumeMounts"]}
    assert not mounted & {"s3", "s3-ca", "archiver", "archiver-tmp"}
    files = database("database_config_map", archive=ARCHIVE, tls={"clients": "Require"})["data"]
    assert {"archive.json", "archive.yml", "patroni.yml"} <= files.keys()


def pod_specs() -> dict[str, dict[str, Any]]:
    deployment = next(
        document
        for document in yaml.safe_load_all((ROOT / "config/manager/deployment.yaml").read_text())
    )
    encrypted = {"encryption": {"recipients": ["age1a"]}, "destination": {"s3": S3}}
    manifests = {
        "operator": deployment,
        "instance": database("database_stateful_set"),
        "archiving instance": database("database_stateful_set", archive=ARCHIVE),
        "backup": job(),
        "verifying backup": job(spec=encrypted, verify=True, identity_secret="key"),
        "restore": job("restore", spec=encrypted, identity_secret="key"),
        "removal": removal()[1],
        "search": search()[1],
    }
    return {name: found["spec"]["template"]["spec"] for name, found in manifests.items()}


def test_every_pod_is_a_restricted_one() -> None:
    """As the Pod Security Standard `restricted` has it."""
    for name, spec in pod_specs().items():
        of_pod = spec["securityContext"]
        assert of_pod["runAsNonRoot"] is True, name
        assert of_pod["runAsUser"] > 0, name
        assert of_pod["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys(), name
        for volume in spec["volumes"]:
            assert set(volume) - {"name"} <= SAFE_VOLUMES, (name, volume)
        for container in [*spec.get("initContainers", []), *spec["containers"]]:
            own = container["securityContext"]
            assert own["allowPrivilegeEscalation"] is False, (name, container["name"])
            assert own["capabilities"] == {"drop": ["ALL"]}, (name, container["name"])
            assert own["readOnlyRootFilesystem"] is True, (name, container["name"])
            assert not any("hostPort" in port for port in container.get("ports", []))


@pytest.mark.parametrize(
    ("resources", "size"),
    [
        ({}, "1Gi"),
        ({"resources": {}}, "1Gi"),
        ({"resources": {"limits": {"cpu": 1}, "requests": {"memory": "2Gi"}}}, "1Gi"),
        ({"resources": {"limits": {"memory": "3Gi"}}}, "3Gi"),
    ],
)
def test_parallel_queries_have_memory_to_share(monkeypatch, resources, size) -> None:
    monkeypatch.setitem(DATABASE, "spec", DATABASE["spec"] | resources)
    spec = database("database_stateful_set")["spec"]["template"]["spec"]
    volume = next(volume for volume in spec["volumes"] if volume["name"] == "shm")
    assert volume["emptyDir"] == {"medium": "Memory", "sizeLimit": size}
    (postgres,) = spec["containers"]
    assert {"name": "shm", "mountPath": "/dev/shm"} in postgres["volumeMounts"]


def test_only_operator_and_instances_have_a_token() -> None:
    specs = pod_specs()
    assert specs["instance"]["automountServiceAccountToken"] is True
    for name in specs.keys() - {"instance", "archiving instance", "operator"}:
        assert specs[name]["automountServiceAccountToken"] is False, name


def containers(manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    spec = manifest["spec"]["template"]["spec"]
    return {c["name"]: c for c in [*spec["initContainers"], *spec["containers"]]}


ASKED = {
    "requests": {"cpu": 1, "memory": "200Mi", "ephemeral-storage": "1Gi"},
    "limits": {"cpu": "2", "memory": "3Gi"},
}


@pytest.mark.parametrize(
    ("playbook", "limits"),
    [
        ("backup", {"agent": "128Mi", "backup": "1Gi", "copy": "512Mi", "verify": "1Gi"}),
        ("restore", {"agent": "128Mi", "restore": "512Mi"}),
        ("outcome", {"agent": "128Mi", "restore": "512Mi"}),
    ],
)
def test_jobs_have_the_resources_of_their_database(playbook: str, limits: dict[str, str]) -> None:
    options: dict[str, Any] = {"spec": {"destination": {"s3": S3}}, "verify": playbook == "backup"}
    own = containers(job(playbook, **options))
    assert {name: c["resources"]["limits"]["memory"] for name, c in own.items()} == limits
    database = {**DATABASE, "spec": {**DATABASE["spec"], "jobs": {"resources": ASKED}}}
    asked = containers(job(playbook, **options, database=database))
    agent = asked.pop("agent")["resources"]
    assert [c["resources"] for c in asked.values()] == [ASKED] * len(asked)
    # What a quota asks of each container, and no more than it needs.
    assert agent["limits"] == {"cpu": "2", "memory": "128Mi"}
    assert agent["requests"] == {"cpu": "10m", "memory": "16Mi", "ephemeral-storage": "1Gi"}


@pytest.mark.parametrize(
    ("playbook", "verify", "container"),
    [("backup", True, "verify"), ("restore", False, "restore"), ("backup", False, "backup")],
)
def test_what_a_job_takes_on_the_nodes_disk_is_requested_where_it_is_taken(
    playbook: str, verify: bool, container: str
) -> None:
    options: dict[str, Any] = {"spec": {"destination": {"s3": S3}}, "verify": verify}
    requests = {
        name: found["resources"]["requests"].get("ephemeral-storage")
        for name, found in containers(job(playbook, **options, disk_bytes=5 * 2**30 + 1)).items()
    }
    assert requests.pop(container) == "5121Mi"
    assert set(requests.values()) == {None}
    unknown = containers(job(playbook, **options))[container]["resources"]["requests"]
    assert "ephemeral-storage" not in unknown
    database = {**DATABASE, "spec": {**DATABASE["spec"], "jobs": {"resources": ASKED}}}
    asked = job(playbook, **options, disk_bytes=5 * 2**30, database=database)
    assert containers(asked)[container]["resources"] == ASKED


def test_no_volume_of_a_job_on_the_nodes_disk_is_without_a_limit() -> None:
    options = {"spec": {"destination": {"s3": S3}}, "verify": True}
    for manifest in (job(**options), job("restore", **options), removal()[1]):
        for volume in manifest["spec"]["template"]["spec"]["volumes"]:
            if volume["name"] != "agent" and "emptyDir" in volume:
                assert volume["emptyDir"]["sizeLimit"] == (
                    "1Gi" if volume["name"] == "tmp" else DATABASE["spec"]["storage"]["size"]
                ), volume


@pytest.mark.parametrize("database", [None, DATABASE])
def test_a_removal_has_the_resources_of_the_database_that_is_still_there(database: Any) -> None:
    def limits(database: Any) -> Any:
        backup = work(spec={"destination": {"s3": S3}}).backup
        made = removal_definitions("b-remove-1", backup, {}, "operator:1", database)[1]
        return made["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]

    assert limits(database) == {"memory": "256Mi"}
    asked = {**DATABASE, "spec": {**DATABASE["spec"], "jobs": {"resources": ASKED}}}
    assert limits(asked) == ASKED["limits"]


def test_a_search_reads_only_and_stays_until_the_next_one_is_due() -> None:
    _, manifest = search()
    (container,) = manifest["spec"]["template"]["spec"]["containers"]
    backups = {"mountPath": "/backups", "name": "backups", "readOnly": True}
    assert backups in container["volumeMounts"]
    assert (container["image"], container["command"][-1][-11:]) == ("operator:1", "/search.yml")
    assert manifest["spec"]["ttlSecondsAfterFinished"] == 21 * 3600
    (owner,) = manifest["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"]) == ("Backup", "b-uid")
    rendered = variables(manifest)["variables"]
    assert rendered["completed"] == ["b-uid"]
    bucket = mounts(search(destination={"s3": S3})[1])["search"]
    assert bucket == ["/etc/job", "/tmp", "/etc/s3", "/etc/s3-ca"]
    asked = {**DATABASE, "spec": {**DATABASE["spec"], "jobs": {"resources": ASKED}}}
    (container,) = search(asked)[1]["spec"]["template"]["spec"]["containers"]
    assert container["resources"] == ASKED


def test_every_job_has_a_deadline() -> None:
    assert job()["spec"]["activeDeadlineSeconds"] == 7200
    assert removal()[1]["spec"]["activeDeadlineSeconds"] == 3600
    assert search()[1]["spec"]["activeDeadlineSeconds"] == 3600


def test_images_by_digest_are_taken_as_they_are() -> None:
    agent, main = job()["spec"]["template"]["spec"]["containers"]
    assert agent["image"] == AGENT_IMAGE
    assert main["image"] == DATABASE["spec"]["image"]


def ports(rule: dict[str, Any]) -> set[tuple[int, str]]:
    return {(port["port"], port["protocol"]) for port in rule["ports"]}


DNS = {(53, "UDP"), (53, "TCP")}
INSTANCES = {"matchLabels": {"app": "database", "database": "app"}}


def test_jobs_reach_their_database_and_their_bucket_only() -> None:
    policy = database("database_job_network_policy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in policy
    dns, server = policy["egress"]
    assert (ports(dns), "to" in dns) == (DNS, False)
    assert (ports(server), server["to"]) == ({(5432, "TCP")}, [{"podSelector": INSTANCES}])
    plain = job()["spec"]["template"]["metadata"]["labels"]
    assert plain.items() >= policy["podSelector"]["matchLabels"].items()

    spec = {"destination": {"s3": S3}}
    labels = job(spec=spec)["spec"]["template"]["metadata"]["labels"]
    assert labels.items() >= policy["podSelector"]["matchLabels"].items()
    bucket, _ = work_definitions(work(spec=spec))
    selector = bucket["spec"]["podSelector"]["matchLabels"]
    assert labels.items() >= selector.items()
    assert not plain.items() >= selector.items()
    assert bucket["spec"]["policyTypes"] == ["Egress"]
    assert [ports(rule) for rule in bucket["spec"]["egress"]] == [{(9000, "TCP")}]
    assert all(isinstance(value, str) for value in labels.values())


@pytest.mark.parametrize(("made", "name"), [(removal, "b-remove-1"), (search, "b-search-1")])
def test_removal_and_search_reach_their_bucket_or_nothing(made: Any, name: str) -> None:
    policy = made()[0]["spec"]
    assert (policy["policyTypes"], policy["egress"]) == (["Ingress", "Egress"], [])
    policy = made(destination={"s3": S3})[0]["spec"]
    assert [ports(rule) for rule in policy["egress"]] == [{*DNS, (9000, "TCP")}]
    assert policy["podSelector"] == {"matchLabels": {"batch.kubernetes.io/job-name": name}}


def test_instances_are_reached_by_clients_each_other_and_the_operator(monkeypatch) -> None:
    monkeypatch.setenv("OPERATOR_NAMESPACE", "operators")
    policy = database("database_network_policy")["spec"]
    assert policy["podSelector"] == INSTANCES
    assert policy["policyTypes"] == ["Ingress"]
    clients, patroni = policy["ingress"]
    assert (ports(clients), "from" in clients) == ({(5432, "TCP")}, False)
    assert ports(patroni) == {(8008, "TCP")}
    own, operator = patroni["from"]
    assert own == {"podSelector": INSTANCES}
    assert operator["namespaceSelector"] == {
        "matchLabels": {"kubernetes.io/metadata.name": "operators"}
    }
    deployment = yaml.safe_load((ROOT / "config/manager/deployment.yaml").read_text())
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert labels.items() >= operator["podSelector"]["matchLabels"].items()
    monkeypatch.setenv("OPERATOR_NAMESPACE", "")
    assert database("database_network_policy")["spec"]["ingress"][1]["from"] == [own]


def test_the_operator_reaches_what_it_needs() -> None:
    policy = yaml.safe_load((ROOT / "config/manager/network_policy.yaml").read_text())["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert [ports(rule) for rule in policy["ingress"]] == [{(8443, "TCP")}]
    dns, api, instances = policy["egress"]
    assert ports(dns) == DNS
    assert ports(api) == {(443, "TCP"), (6443, "TCP")}
    assert ports(instances) == {(5432, "TCP"), (8008, "TCP")}
    (peer,) = instances["to"]
    assert peer["podSelector"]["matchLabels"].items() <= INSTANCES["matchLabels"].items()
    declared = {
        port["containerPort"]
        for container in database("database_stateful_set")["spec"]["template"]["spec"]["containers"]
        for port in container["ports"]
    }
    assert {number for number, _ in ports(instances)} == declared


@pytest.mark.parametrize("paused", [False, True])
@pytest.mark.parametrize("refused", [[], ["SecretInvalid", "it has no key"]])
@pytest.mark.parametrize("of", ["database_reconcile", "database_credentials"])
def test_nothing_is_applied_or_replaced_while_it_is_refused_or_paused(
    of: str, refused: list[str], paused: bool
) -> None:
    found: dict[str, Any] = {
        "database_reconcile": {"refused": [], "paused": paused},
        "database_credentials": {"refused": []},
    }
    found[of]["refused"] = refused
    assert render("database", "database_allowed", **found) is (not refused and not paused)
