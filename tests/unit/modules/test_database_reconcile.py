"""What a reconcile finds out first: the steps that are to be taken, none in the steady state."""

from __future__ import annotations

import base64
import copy
import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.errors import DatabaseNotReady
from ansible_collections.postgres.operator.plugins.module_utils.kube.client import ApiError
from ansible_collections.postgres.operator.plugins.module_utils.resources.database import reconcile
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.applied import (
    ANNOTATION,
    record,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.configuration import (
    describe,
    read_stored,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.hba import (
    all_lines,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.parameters import (
    Record,
    make_defaults,
)
from ansible_collections.postgres.operator.plugins.modules import (
    credentials,
    database_reconcile,
    rollout,
    status,
)
from primary_answer import SERVER

Object = dict[str, Any]
ROLE = Path(__file__).resolve().parents[3] / "roles" / "database"
PARAMS = {"name": "app", "namespace": "shop", "role_path": str(ROLE), "agent_image": "operator:1"}
EVERY_STEP = ["volumes", "secrets", "objects", "instances"]
EVERY_STEP += ["configuration", "server", "status"]
OBJECTS = [
    ("v1", "ConfigMap", "app-patroni"),
    ("v1", "Service", "app"),
    ("networking.k8s.io/v1", "NetworkPolicy", "app"),
    ("policy/v1", "PodDisruptionBudget", "app"),
    ("apps/v1", "StatefulSet", "app"),
]


class World:
    """A Database in its steady state and all that is read of it; tests change one thing."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.objects: dict[tuple[str, str], Object] = {}
        self.reads: list[str] = []
        self.writes: list[str] = []
        self.sessions = 0
        self.said: Any = {"changed": False, "server": copy.deepcopy(SERVER)}
        for module in (database_reconcile, credentials, rollout, status):
            monkeypatch.setattr(module, "connect", lambda: self)
        monkeypatch.setattr(database_reconcile, "connect_to_proxy", lambda: self)
        monkeypatch.setattr(reconcile, "provision_and_observe", self._ask)
        self._make()

    def _make(self) -> None:
        for version, kind, name in OBJECTS:
            self.add(kind, name, apiVersion=version, ownerReferences=[{"uid": "u"}])
        for name in ("app-ro", "app-pods"):
            self.add("Endpoints", name, ownerReferences=[{"uid": "u"}])
        self.add("Endpoints", "app", annotations={"leader": "app-0"})
        self._add_configuration()
        self.get_("StatefulSet")["spec"] = {"template": {"metadata": {}, "spec": {}}}
        self.get_("StatefulSet").update(status={"observedGeneration": 1, "updateRevision": "r1"})
        for number in range(2):
            size = {"resources": {"requests": {"storage": "1Gi"}}}
            self.add("PersistentVolumeClaim", f"data-app-{number}", spec=size)
            self._add_pod(number)
        spec = {"replicas": 2, "image": "postgres:17", "reclaimPolicy": "Retain"}
        spec |= {"username": "owner", "databaseName": "appdb", "tls": {"clients": "Require"}}
        spec |= {"storage": {"size": "1Gi"}}
        self.add("Database", "app", uid="u", spec=spec)
        credentials.run({"resource": self.database, "internal_needed": False}, False)
        rollout.run({"resource": self.database, "allowed": False}, False)
        self._write_status()
        objects = [self.objects[kind, name] for _, kind, name in OBJECTS]
        text = record(self.run()["inputs"], objects)
        self.get_("StatefulSet")["metadata"]["annotations"] = {ANNOTATION: text}
        self.reads.clear()
        self.writes.clear()
        self.sessions = 0

    def _add_configuration(self) -> None:
        """Patroni's dynamic configuration as it is once every instance has all."""
        defaults = make_defaults(0, 1 << 30)
        kept = Record(defaults=defaults, made_from=0, settled=True).to_plain()
        annotations = {
            "config": json.dumps({"postgresql": {"parameters": defaults}}),
            "database.example.com/parameters": json.dumps(kept),
        }
        self.add("Endpoints", "app-config", annotations=annotations, resourceVersion="1")

    def _add_pod(self, number: int) -> None:
        report = {"role": "replica" if number else "primary", "state": "running", "timeline": 1}
        if number:
            report["replication_state"] = "streaming"
        pod = self.add(
            "Pod",
            f"app-{number}",
            labels={"controller-revision-hash": "r1"},
            annotations={"status": json.dumps(report)},
        )
        pod["spec"] = {"volumes": [{"name": "certificates"}]}
        ready = {"type": "Ready", "status": "True"}
        pod["status"] = {"podIP": "10.0.0.1", "conditions": [ready]}

    def _write_status(self) -> None:
        found = rollout.run({"resource": self.database, "allowed": True}, True)
        observation = {"replicas": 2, "instances": found["instances"], "primary": found["leader"]}
        observation |= {"server": copy.deepcopy(SERVER), "rollout": found["message"]}
        observation |= {"configuration": describe(read_stored(self, self.database))}
        status.run({"resource": self.database, "observation": observation}, False)

    def add(self, kind: str, name: str, **content: Any) -> Object:
        made = {"apiVersion": content.pop("apiVersion", "v1"), "kind": kind}
        made |= {"spec": content.pop("spec")} if "spec" in content else {}
        metadata = {"name": name, "namespace": "shop", "uid": f"{kind}-{name}", "generation": 1}
        self.objects[kind, name] = made | {"metadata": metadata | content}
        return self.objects[kind, name]

    def get_(self, kind: str, name: str = "app") -> Object:
        return self.objects[kind, name]

    @property
    def database(self) -> Object:
        return self.objects["Database", "app"]

    def get(self, _version: str, kind: str, _namespace: str, name: str) -> Any:
        self.reads.append(f"{kind}/{name}")
        return copy.deepcopy(self.objects.get((kind, name)))

    def list(self, _version: str, kind: str, *_: str) -> Any:
        self.reads.append(f"{kind}s")
        return [copy.deepcopy(found) for (k, _), found in self.objects.items() if k == kind]

    def create(self, manifest: Object) -> None:
        kind, name = manifest["kind"], manifest["metadata"]["name"]
        self.writes.append(f"{kind}/{name}")
        if kind != "Event":
            texts = manifest.pop("stringData")
            data = {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}
            self.objects[kind, name] = {**manifest, "data": data}

    def merge(self, _version: str, kind: str, _namespace: str, name: str, patch: Any) -> None:
        self.writes.append(f"{kind}/{name}")
        metadata = self.objects[kind, name]["metadata"]
        metadata.setdefault("annotations", {}).update(patch["metadata"]["annotations"])

    def delete(self, _version: str, kind: str, _namespace: str, name: str, uid: str) -> None:
        assert self.objects[kind, name]["metadata"]["uid"] == uid
        self.writes.append(f"{kind}/{name}")

    def replace_status(self, *key: Any) -> None:
        self.writes.append("status")
        self.database["status"] = key[-1]

    def _ask(self, *_: Any, check_mode: bool) -> Any:
        assert check_mode == self.database["spec"].get("paused", False)
        self.sessions += 1
        if isinstance(self.said, Exception):
            raise self.said
        return self.said

    def run(self, check_mode: bool = False, **params: Any) -> Object:
        return database_reconcile.run({**PARAMS, **params}, check_mode)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def test_in_the_steady_state_nothing_is_to_be_done(world: World) -> None:
    assert world.database["status"]["phase"] == "Ready"
    assert world.run() == {"changed": False, "plan": [], "due": [], "resource": {}}


def test_the_steady_state_costs_a_read_for_each_object_and_one_session(world: World) -> None:
    """More would be paid at nearly every reconcile."""
    world.run()
    assert sorted(world.reads) == sorted(
        [
            "Database/app",
            "PersistentVolumeClaims",
            "Pods",
            "Endpoints/app",
            "Endpoints/app-config",
            "Endpoints/app-pods",
            # Through the operator's proxy, which starts the watches.
            "Endpoints/app-ro",
            "Service/app",
            "StatefulSet/app",
            "NetworkPolicy/app",
            "PodDisruptionBudget/app",
            # What was applied.
            *(f"{kind}/{name}" for _, kind, name in OBJECTS),
            *(f"Secret/app-{name}" for name in ("internal", "certificates", "credentials")),
        ]
    )
    assert world.sessions == 1
    assert world.writes == []


def change_pod(number: int, **change: Any) -> Any:
    return lambda w: w.get_("Pod", f"app-{number}")["metadata"].update(change)


def annotate(kind: str, name: str, **annotations: str) -> Any:
    return lambda w: w.get_(kind, name)["metadata"]["annotations"].update(
        {f"database.example.com/{key.replace('_', '-')}": text for key, text in annotations.items()}
    )


def remove(kind: str, name: str = "app") -> Any:
    return lambda w: w.objects.pop((kind, name))


@pytest.mark.parametrize(
    ("due", "change"),
    [
        ("status", lambda w: w.database["status"].update(phase="Updating")),
        ("status", lambda w: w.database["status"].update(version="16.1")),
        ("objects", lambda w: w.database["metadata"].update(labels={"a": "b"})),
        ("objects", lambda w: w.database["spec"].update(replicas=3)),
        ("objects", lambda w: w.get_("StatefulSet")["metadata"].update(labels={"a": "b"})),
        ("objects", lambda w: w.get_("Service")["metadata"].update(ownerReferences=[])),
        ("objects", lambda w: w.get_("ConfigMap", "app-patroni").update(data={"a": "b"})),
        ("objects", remove("ConfigMap", "app-patroni")),
        ("objects", remove("StatefulSet")),
        ("objects", remove("Endpoints", "app-ro")),
        ("instances", remove("Endpoints")),
        ("instances", lambda w: w.get_("Endpoints")["metadata"].pop("annotations")),
        ("instances", change_pod(1, labels={"controller-revision-hash": "r0"})),
        ("instances", change_pod(0, annotations={})),
        ("configuration", annotate("Endpoints", "app-config", parameters="{}")),
        (
            "configuration",
            lambda w: w.get_("Endpoints", "app-config")["metadata"]["annotations"].update(
                config='{"postgresql": {"parameters": {"max_wal_size": "1GB"}}}'
            ),
        ),
        ("instances", lambda w: w.get_("StatefulSet")["status"].update(updateRevision="r2")),
        ("secrets", remove("Secret", "app-internal")),
        ("secrets", remove("Secret", "app-certificates")),
        ("secrets", remove("Secret", "app-credentials")),
        ("secrets", lambda w: w.get_("Secret", "app-credentials")["data"].pop("uri")),
        # It is renewed before it ends.
        ("secrets", annotate("Secret", "app-certificates", renew_at="2026-01-01T00:00:00Z")),
        ("status", remove("Pod", "app-1")),
        ("status", lambda w: w.get_("Pod", "app-1")["status"].update(conditions=[])),
        ("status", lambda w: w.said.update(server={"problem": ["AuthFailed", "no"]})),
        ("status", lambda w: w.said["server"].update(writable=False)),
        ("status", lambda w: w.said["server"].update(standbys=[])),
        ("status", lambda w: w.said["server"].update(version="17.7")),
        ("server", lambda w: w.said.update(changed=True)),
        ("server", lambda w: setattr(w, "said", DatabaseNotReady("away"))),
    ],
)
def test_anything_else_is_for_the_whole_reconcile(world: World, due: str, change: Any) -> None:
    change(world)
    found = world.run()
    assert found["due"] == [due]
    assert set(found["plan"]) >= {"volumes", "secrets", "instances", "server", "status"}
    assert found["resource"] == world.database
    assert world.writes == []


def test_steps_are_taken_in_their_order(world: World) -> None:
    world.database["status"]["phase"] = "Updating"
    world.get_("Service")["metadata"]["labels"] = {"a": "b"}
    assert world.run()["plan"] == EVERY_STEP


def test_objects_that_are_what_was_applied_are_not_applied_again(world: World) -> None:
    world.database["status"]["phase"] = "Updating"
    assert world.run()["plan"] == [step for step in EVERY_STEP if step != "objects"]


def test_the_contents_are_restored_after_all_else(world: World) -> None:
    world.database["spec"]["backupRef"] = {"name": "nightly"}
    assert world.run()["plan"] == [*EVERY_STEP[:-1], "contents", "status"]
    world.database["status"]["restoredFrom"] = "nightly"
    assert world.run()["plan"] == EVERY_STEP


def test_a_refused_spec_leaves_the_objects_as_they_are(world: World) -> None:
    world.database["spec"]["image"] = "postgres:18"
    found = world.run()
    assert found["refused"][0] == "MajorVersionChange"
    assert found["plan"] == [step for step in EVERY_STEP if step != "objects"]


def test_a_spec_that_was_followed_by_other_code_is_followed_again(world: World) -> None:
    assert world.run(agent_image="operator:2")["due"] == ["objects"]
    assert world.run(role_path="")["due"] == ["objects"]


def test_what_was_changed_on_the_primary_is_said(world: World) -> None:
    world.said["changed"] = True
    assert world.run()["changed"]
    assert world.sessions == 1


def test_where_the_api_server_shows_what_to_do_the_primary_is_not_asked(world: World) -> None:
    world.get_("Service")["metadata"]["labels"] = {"a": "b"}
    world.run()
    assert world.sessions == 0


def test_in_check_mode_the_primary_is_left_alone(world: World) -> None:
    found = world.run(check_mode=True)
    steps = [step for step in EVERY_STEP if step != "objects"]
    assert (found["changed"], found["plan"]) == (False, steps)
    assert (world.sessions, world.writes) == (0, [])


def test_an_api_server_that_refuses_a_secret_is_no_steady_state(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> Any:
        raise ApiError("forbidden", 403)

    monkeypatch.setattr(reconcile, "ensure_credentials", refuse)
    assert world.run()["due"] == ["secrets"]


@pytest.mark.parametrize("gone", [True, False])
def test_a_database_that_is_gone_or_going_needs_nothing(world: World, gone: bool) -> None:
    if gone:
        del world.objects["Database", "app"]
    world.objects.get(("Database", "app"), {"metadata": {}})["metadata"]["deletionTimestamp"] = "x"
    assert world.run()["plan"] == []
    assert world.reads == ["Database/app"]


def test_the_step_instances_remembers_the_primary_and_replaces_one_pod(world: World) -> None:
    change_pod(1, labels={"controller-revision-hash": "r0"})(world)
    annotate("Secret", "app-internal", primary="app-1")(world)
    params = {"resource": world.database, "allowed": True}
    found = rollout.run(params, True)
    assert (found["changed"], found["action"], world.writes) == (True, "DeletePod", [])
    found = rollout.run(params, False)
    assert found["primary"] == {"name": "app-0", "pod_ip": "10.0.0.1", "encrypted": True}
    assert world.writes == ["Secret/app-internal", "Pod/app-1"]
    world.writes.clear()
    assert rollout.run({**params, "allowed": False}, False)["action"] == "Nothing"
    assert world.writes == []


def test_a_leader_that_is_not_promoted_yet_is_no_primary(world: World) -> None:
    world.get_("Endpoints")["metadata"]["annotations"]["leader"] = "app-1"
    found = rollout.run({"resource": world.database, "allowed": False}, False)
    assert (found["leader"], found["primary"], world.writes) == ("app-1", {}, [])


def test_an_instance_whose_pod_is_refused_has_the_words_of_the_api_server(world: World) -> None:
    params = {"resource": world.database, "allowed": True}
    quota = {"reason": "FailedCreate", "note": 'create Pod app-1 failed: exceeded quota "small"'}
    world.add("Event", "app.1", creationTimestamp="2026-01-01T00:00:00Z")
    world.objects["Event", "app.1"].update(quota)
    assert rollout.run(params, False)["not_created"] == []
    del world.objects["Pod", "app-1"]
    found = rollout.run(params, False)
    assert found["not_created"][0] == "PodNotCreated"
    assert quota["note"] in found["not_created"][1]
    observation = {"replicas": 2, "instances": found["instances"], "primary": found["leader"]}
    observation |= {"server": copy.deepcopy(SERVER), "not_created": found["not_created"]}
    status.run({"resource": world.database, "observation": observation}, False)
    ready = world.database["status"]["conditions"][0]
    assert (ready["status"], ready["reason"]) == ("False", "PodNotCreated")


def test_a_paused_database_is_queried_and_left_as_it_is(world: World) -> None:
    world.database["spec"] |= {"paused": True, "replicas": 5}
    remove("Secret", "app-credentials")(world)
    remove("ConfigMap", "app-patroni")(world)
    found = world.run()
    assert (found["paused"], found["due"]) == (True, ["status"])
    assert found["plan"] == ["volumes", "secrets", "instances", "server", "status"]
    assert (world.sessions, world.writes) == (1, [])
    world.said = DatabaseNotReady("away")
    assert world.run()["due"] == ["status"]
    remove("Endpoints")(world)
    assert world.run()["plan"] == found["plan"]
    assert world.writes == []


def test_a_paused_database_has_a_steady_state(world: World) -> None:
    world.database["spec"]["paused"] = True
    world._write_status()
    world.writes.clear()
    remove("ConfigMap", "app-patroni")(world)
    assert world.run() == {"changed": False, "plan": [], "due": [], "resource": {}}
    del world.database["spec"]["paused"]
    assert "objects" in world.run()["plan"]


def test_lines_of_pg_hba_are_in_one_place(world: World) -> None:
    """Patroni takes those of its files before those of its dynamic configuration."""

    def is_dynamic() -> Any:
        world.database["spec"]["replicas"] += 1
        return world.run()["hba"]["dynamic"]

    config = world.get_("Endpoints", "app-config")["metadata"]["annotations"]
    files = world.add("ConfigMap", "app-patroni")
    # One of an earlier operator.
    assert not is_dynamic()
    config["config"] = json.dumps({"postgresql": {"pg_hba": ["host all all all trust"]}})
    assert not is_dynamic()
    config["config"] = json.dumps({"postgresql": {"pg_hba": all_lines(world.database)}})
    assert is_dynamic()
    # One that Patroni has not begun to make yet, and one whose volumes were kept.
    del world.objects["Endpoints", "app-config"]
    files["data"] = {"tls.yml": "postgresql:\n  pg_hba: null\n"}
    assert is_dynamic()
    files["data"] = {"tls.yml": "postgresql:\n  pg_hba:\n  - local all all peer\n"}
    assert not is_dynamic()
    del world.objects["ConfigMap", "app-patroni"]
    assert not is_dynamic()
    for number in range(2):
        del world.objects["PersistentVolumeClaim", f"data-app-{number}"]
    assert is_dynamic()
