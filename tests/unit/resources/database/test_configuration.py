"""One step at a time towards all instances having the parameters, by what is seen of them."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.errors import (
    DatabaseNotReady,
    InvalidInput,
)
from ansible_collections.postgres.operator.plugins.module_utils.postgres.hba import HbaFile
from ansible_collections.postgres.operator.plugins.module_utils.postgres.settings import Setting
from ansible_collections.postgres.operator.plugins.module_utils.resources.database import (
    configuration,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.configuration import (
    ANNOTATION,
    is_settled,
    maintain_configuration,
    read_stored,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.hba import (
    all_lines,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.parameters import (
    Instance,
    make_defaults,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.patroni_rest import (
    RestartFailed,
    ServerNotStarted,
)

DEFAULTS = make_defaults(0, 1 << 30)
BUFFERS = Instance(restart=("shared_buffers",))


class World:
    """Three instances, and the Endpoints that Patroni keeps its configuration in."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.refused = ""
        self.lacking = {f"app-{number}": Instance() for number in range(3)}
        self.fails: Exception | None = None
        self.restarted: list[str] = []
        # What is in the way of each instance's Patroni writing the file that it is to write.
        self.files: dict[str, HbaFile] = {}
        self.groups: list[str] = []
        self.version = ""
        # Who leads, as Patroni's state of synchronous replication has it.
        self.sync_leader = "app-0"
        self.endpoints = {
            "metadata": {
                "resourceVersion": "1",
                "annotations": {
                    "config": json.dumps({"ttl": 20, "postgresql": {"parameters": DEFAULTS}})
                },
            }
        }
        self.pods = [self._pod(number) for number in range(3)]
        self.spec: dict[str, Any] = {"replicas": 3, "storage": {"size": "1Gi"}}
        monkeypatch.setattr(configuration, "_session", self._session)
        monkeypatch.setattr(configuration, "_check", self._check)
        monkeypatch.setattr(configuration, "_compare", lambda member, *_: self.lacking[member])
        monkeypatch.setattr(configuration, "_ask_to_restart", self._restart)
        monkeypatch.setattr(configuration, "read_hba_file", self._read_hba_file)
        monkeypatch.setattr(configuration, "read_settings", self._read_settings)
        monkeypatch.setattr(configuration, "ensure_group", lambda _, name: self.groups.append(name))

    @staticmethod
    def _pod(number: int) -> dict[str, Any]:
        report = {"role": "replica" if number else "primary", "state": "running", "timeline": 1}
        report |= {"replication_state": "streaming"} if number else {}
        annotations = {"status": json.dumps(report)}
        return {
            "metadata": {"name": f"app-{number}", "uid": f"u{number}", "annotations": annotations},
            "spec": {"volumes": [{"name": "certificates"}]},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]},
        }

    @contextmanager
    def _session(self, _cluster: Any, _database: Any, member: Any) -> Iterator[str]:
        yield member.name

    def _check(self, *_: Any) -> None:
        if self.refused:
            raise InvalidInput(self.refused)

    def _restart(self, _cluster: Any, _database: Any, member: Any) -> None:
        self.restarted.append(member.name)
        if self.fails:
            raise self.fails

    def _read_hba_file(self, member: Any) -> HbaFile:
        return self.files.get(member) or HbaFile(self.hba)

    @staticmethod
    def _read_settings(_connection: Any, names: Any) -> dict[str, Setting]:
        contexts = {"max_connections": "postmaster", "shared_buffers": "postmaster"}
        return {
            name: Setting(name, "", None, contexts.get(name, "user"), "string") for name in names
        }

    def close_window(self) -> None:
        """Make it a Database that has served, with a window that is not open now."""
        self.version = "17.6"
        month = datetime.now(UTC).month % 12 + 1
        schedule = f"0 3 1 {month} *"
        self.spec["maintenanceWindows"] = [{"schedule": schedule, "duration": "1h"}]

    def open_window(self) -> None:
        self.spec["maintenanceWindows"] = [{"schedule": "* * * * *", "duration": "1h"}]

    @property
    def hba(self) -> Any:
        return self.stored().config["postgresql"].get("pg_hba")

    def ask_hba(self, *lines: str) -> None:
        self.spec["postgresql"] = {"hba": list(lines)}

    def get(self, _version: str, _kind: str, _namespace: str, name: str) -> Any:
        if name == "app-config":
            return copy.deepcopy(self.endpoints)
        if name == "app-sync":
            return {"metadata": {"annotations": {"leader": self.sync_leader}}}
        return {"metadata": {"annotations": {"leader": "app-0"}}}

    def list(self, *_: str) -> Any:
        return copy.deepcopy(self.pods)

    def read_log(self, *_: Any) -> str:
        return "LOG: starting\n2026 FATAL:  could not map anonymous shared memory\nLOG: end\n"

    def merge(self, _version: str, _kind: str, _namespace: str, name: str, patch: Any) -> None:
        metadata = self.endpoints["metadata"]
        assert (name, patch["metadata"]["resourceVersion"]) == (
            "app-config",
            metadata["resourceVersion"],
        )
        metadata["annotations"] |= patch["metadata"]["annotations"]  # type: ignore[operator]
        metadata["resourceVersion"] = str(int(str(metadata["resourceVersion"])) + 1)

    def ask(self, **parameters: Any) -> None:
        self.spec["postgresql"] = {"parameters": parameters}

    def age(self, by: timedelta) -> None:
        annotations: Any = self.endpoints["metadata"]["annotations"]
        kept = json.loads(annotations[ANNOTATION])
        kept["since"] = (datetime.now(UTC) - by).strftime("%Y-%m-%dT%H:%M:%SZ")
        annotations[ANNOTATION] = json.dumps(kept)

    def break_(self, number: int, state: str = "start failed") -> None:
        report = {"role": "replica" if number else "primary", "state": state}
        self.pods[number]["metadata"]["annotations"]["status"] = json.dumps(report)

    @property
    def database(self) -> dict[str, Any]:
        metadata = {"name": "app", "namespace": "shop"}
        return {"metadata": metadata, "spec": self.spec, "status": {"version": self.version}}

    def step(self, rolling: bool = False) -> dict[str, Any]:
        return maintain_configuration(self, self.database, rolling)  # type: ignore[arg-type]

    def stored(self) -> Any:
        return read_stored(self, self.database)  # type: ignore[arg-type]

    def until_settled(self) -> None:
        for _ in range(10):
            self.step()
            if is_settled(self.stored(), self.database):
                return
        raise AssertionError(self.stored())


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def test_a_new_database_has_all_from_the_beginning(world: World) -> None:
    first = world.step()
    assert (first["changed"], first["message"]) == (True, "")
    assert is_settled(world.stored(), world.database)
    assert world.step() == first | {"changed": False}


def test_a_parameter_is_written_beside_what_patroni_has(world: World) -> None:
    world.until_settled()
    world.ask(work_mem="8MB")
    assert world.step()["message"] == "the parameters are being loaded"
    stored = world.stored()
    assert stored.config == {
        "ttl": 20,
        "postgresql": {"parameters": {**DEFAULTS, "work_mem": "8MB"}},
    }
    assert not is_settled(stored, world.database)
    assert world.step()["message"] == ""
    assert is_settled(world.stored(), world.database)


def test_what_is_refused_changes_nothing_and_is_judged_once(world: World) -> None:
    world.until_settled()
    before = world.stored().config
    world.ask(work_mem="much")
    world.refused = "no"
    assert world.step()["refused"] == ["ParameterRefused", "no"]
    assert world.stored().config == before
    world.refused = "asked again"
    assert is_settled(world.stored(), world.database)
    world.ask()
    world.refused = ""
    assert world.step()["refused"] == []


def test_instances_are_restarted_one_at_a_time(world: World) -> None:
    world.until_settled()
    world.ask(shared_buffers="1GB")
    world.step()
    world.lacking = dict.fromkeys(world.lacking, BUFFERS)
    for name in ("app-2", "app-1", "app-0"):
        assert name in world.step()["message"]
        world.lacking[name] = Instance()
    assert world.restarted == ["app-2", "app-1", "app-0"]
    assert world.step()["message"] == ""
    assert is_settled(world.stored(), world.database)


def test_replicas_that_do_not_stream_for_a_moment_are_waited_for(world: World) -> None:
    """After the restart of the primary, which has to have the lower number first."""
    fewer = Instance(restart=("max_connections",), less=("max_connections",))
    world.until_settled()
    world.ask(max_connections="50")
    world.step()
    world.lacking = dict.fromkeys(world.lacking, fewer)
    assert "restarting primary app-0" in world.step()["message"]
    world.lacking["app-0"] = Instance()
    streaming = copy.deepcopy(world.pods)
    for number in (1, 2):
        report = {"role": "replica", "state": "running", "timeline": 1}
        world.pods[number]["metadata"]["annotations"]["status"] = json.dumps(report)
    assert world.step()["message"].startswith("waiting for instance app-1")
    world.pods = streaming
    assert "restarting replica app-2" in world.step()["message"]


def test_nothing_is_restarted_while_instances_are_replaced(world: World) -> None:
    world.until_settled()
    world.ask(shared_buffers="1GB")
    world.step()
    world.lacking = dict.fromkeys(world.lacking, BUFFERS)
    assert world.step(rolling=True)["message"] == ""
    assert world.restarted == []
    assert not is_settled(world.stored(), world.database)


@pytest.mark.parametrize("seen", ["by the answer", "by its report"])
def test_what_a_server_does_not_start_with_is_put_back(world: World, seen: str) -> None:
    world.until_settled()
    before = world.stored().config
    world.ask(shared_buffers="900GB")
    world.step()
    world.lacking = dict.fromkeys(world.lacking, BUFFERS)
    if seen == "by the answer":
        world.fails = ServerNotStarted("restart failed")
    else:
        world.break_(2)
    found = world.step()
    assert found["refused"][0] == "ParameterRefused"
    assert "app-2 does not start" in found["refused"][1]
    assert "could not map anonymous shared memory" in found["refused"][1]
    assert world.stored().config == before
    assert set(world.restarted) <= {"app-2"}
    # Also where the spec still asks for it.
    world.pods[2] = world._pod(2)
    world.lacking = dict.fromkeys(world.lacking, Instance())
    world.until_settled()
    assert world.stored().config == before
    assert world.step()["refused"] == found["refused"]


def test_an_only_instance_that_does_not_start_gets_its_values_back(world: World) -> None:
    world.until_settled()
    before = world.stored().config
    world.ask(shared_buffers="900GB")
    world.step()
    for number in range(3):
        world.break_(number)
    assert "does not start" in world.step()["refused"][1]
    assert world.stored().config == before


def test_a_server_that_fails_by_itself_puts_nothing_back(world: World) -> None:
    world.until_settled()
    world.break_(2)
    before = world.endpoints["metadata"]["resourceVersion"]
    assert world.step()["refused"] == []
    assert world.endpoints["metadata"]["resourceVersion"] == before


def test_what_is_not_loaded_in_time_is_put_back(world: World) -> None:
    world.until_settled()
    before = world.stored().config
    world.ask(work_mem="8MB")
    world.step()
    world.lacking["app-1"] = Instance(reload=("work_mem",))
    assert world.step()["message"] == "instance app-1 has yet to load work_mem"
    world.age(timedelta(minutes=2))
    assert world.step()["refused"][0] == "ParameterNotLoaded"
    assert world.stored().config == before


def test_a_replica_that_is_not_ready_any_more_has_the_change_put_back(world: World) -> None:
    world.until_settled()
    before = world.stored().config
    world.ask(work_mem="8MB")
    world.step()
    world.pods[1]["status"] = {}
    world.lacking = dict.fromkeys(world.lacking, Instance())
    world.step()
    assert world.stored().config != before
    world.age(timedelta(minutes=2))
    assert "app-1 has not been ready" in world.step()["refused"][1]
    assert world.stored().config == before


def test_a_restart_that_is_of_no_use_is_not_repeated_for_ever(world: World) -> None:
    world.until_settled()
    before = world.stored().config
    world.ask(shared_buffers="1GB")
    world.step()
    world.lacking = dict.fromkeys(world.lacking, BUFFERS)
    world.fails = RestartFailed("Patroni did not restart instance app-2: busy")
    messages = [world.step()["message"] for _ in range(3)]
    assert set(messages) == {"Patroni did not restart instance app-2: busy"}
    assert "3 restarts of instance app-2" in world.step()["refused"][1]
    assert world.restarted == ["app-2"] * 3
    assert world.stored().config == before


def test_a_parameter_that_refuses_every_session_goes_by_itself_and_by_the_spec(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.until_settled()
    before = world.stored().config
    world.ask(session_preload_libraries="gone")
    world.step()

    def refuse(*_: Any) -> Any:
        raise DatabaseNotReady("connecting: could not access file")

    monkeypatch.setattr(configuration, "_session", refuse)
    assert "could not access file" in world.step()["message"]
    kept = copy.deepcopy(world.endpoints)
    # Without a question to a server, which would not answer.
    world.ask()
    world.step()
    assert world.stored().config == before
    world.endpoints = kept
    world.ask(session_preload_libraries="gone")
    world.age(timedelta(minutes=2))
    found = world.step()["refused"]
    assert found[0] == "ParameterNotLoaded"
    assert "could not access file" in found[1]
    assert world.stored().config == before


def test_what_is_taken_back_is_written_without_a_primary(world: World) -> None:
    world.until_settled()
    before = world.stored().config
    world.ask(work_mem="8MB")
    world.until_settled()
    for number in range(3):
        world.break_(number, "starting")
    world.ask()
    world.step()
    assert world.stored().config == before


def test_an_instance_is_restarted_for_what_was_taken_out(world: World) -> None:
    world.ask(max_connections="200")
    world.until_settled()
    world.ask()
    world.step()
    assert world.stored().record.left == ("max_connections",)
    world.lacking["app-2"] = Instance(restart=("max_connections",))
    assert "restarting replica app-2" in world.step()["message"]


def test_what_was_refused_is_judged_again_with_other_resources(world: World) -> None:
    world.until_settled()
    world.ask(shared_buffers="1GB")
    world.refused = "too much"
    world.step()
    assert is_settled(world.stored(), world.database)
    world.spec["resources"] = {"limits": {"memory": "8Gi"}}
    world.refused = ""
    assert not is_settled(world.stored(), world.database)
    assert world.step()["refused"] == []
    assert world.stored().parameters["shared_buffers"] == "1GB"


def test_a_record_that_another_hand_has_spoilt_is_made_anew(world: World) -> None:
    annotations: Any = world.endpoints["metadata"]["annotations"]
    for text in ("not json", "[]"):
        annotations[ANNOTATION] = text
        world.until_settled()


def test_the_words_of_a_server_are_those_of_its_own_line(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = "FATAL: x LOG:  statement: SELECT 'FATAL:  secret'\nFATAL: x FATAL:  no memory\n"
    monkeypatch.setattr(world, "read_log", lambda *_: log)
    world.until_settled()
    world.ask(shared_buffers="900GB")
    world.step()
    world.break_(2)
    message = world.step()["refused"][1]
    assert message.endswith(": no memory")


def test_what_was_changed_by_hand_is_written_again(world: World) -> None:
    world.ask(work_mem="8MB")
    world.until_settled()
    annotations: Any = world.endpoints["metadata"]["annotations"]
    annotations["config"] = json.dumps({"postgresql": {"parameters": {"work_mem": "1GB"}}})
    assert not is_settled(world.stored(), world.database)
    world.step()
    assert world.stored().parameters["work_mem"] == "8MB"


def test_before_patroni_has_a_configuration_there_is_nothing_to_do(world: World) -> None:
    annotations: Any = world.endpoints["metadata"]["annotations"]
    annotations.clear()
    assert is_settled(world.stored(), world.database)
    assert not world.step()["changed"]


LINE = "hostssl app reporting 10.0.0.0/8 scram-sha-256"


def test_lines_of_pg_hba_are_between_the_operators_own(world: World) -> None:
    world.until_settled()
    assert world.hba is None
    world.ask_hba(LINE)
    world.step()
    assert world.groups == ["postgres_operator_sessions"]
    assert world.hba == all_lines(world.database, [LINE])
    assert world.hba[-1] == "hostssl all all all scram-sha-256"
    assert world.hba.index(LINE) == len(world.hba) - 2
    assert LINE not in json.dumps(world.stored().config["postgresql"]["parameters"])
    assert not is_settled(world.stored(), world.database)
    world.files["app-2"] = HbaFile(["local all all scram-sha-256"])
    assert world.step()["message"] == "instance app-2 has yet to load pg_hba.conf"
    world.files.clear()
    found = world.step()
    assert is_settled(world.stored(), world.database)
    assert all(one["name"] != "pg_hba lines" for one in found["parameters"])
    world.ask()
    world.until_settled()
    assert world.hba == all_lines(world.database)


def test_a_line_that_postgresql_does_not_take_is_put_back_at_once(world: World) -> None:
    world.ask_hba(LINE)
    world.until_settled()
    before = world.stored().config
    world.ask_hba(LINE, "hostssl app all all ldap")
    world.step()
    words = 'authentication method "ldap" requires argument'
    world.files["app-1"] = HbaFile(world.hba, words)
    found = world.step()
    assert found["refused"][0] == "HbaLineRefused"
    assert words in found["refused"][1]
    assert "app-1" in found["refused"][1]
    assert world.stored().config == before
    world.files.clear()
    world.until_settled()
    assert world.step()["refused"] == found["refused"]
    assert world.stored().config == before


def test_a_line_of_no_proof_is_never_written(world: World) -> None:
    world.until_settled()
    before = world.stored().config
    world.ask_hba("hostssl all all all trust")
    reason, message = world.step()["refused"]
    assert reason == "HbaLineRefused"
    assert message.startswith("postgresql.hba[0] has the method trust")
    assert world.stored().config == before
    assert is_settled(world.stored(), world.database)


def test_an_instance_whose_files_have_lines_is_waited_for_longer(world: World) -> None:
    world.until_settled()
    before = world.stored().parameters
    world.ask_hba(LINE)
    world.step()
    world.files["app-0"] = HbaFile(["local all all scram-sha-256"])
    world.age(timedelta(minutes=2))
    assert world.step()["refused"] == []
    world.age(timedelta(minutes=4))
    assert world.step()["refused"][0] == "ParameterNotLoaded"
    assert world.stored().parameters == before
    assert world.hba == all_lines(world.database)


def test_the_operators_own_lines_follow_the_spec_and_are_put_right(world: World) -> None:
    world.ask_hba(LINE)
    world.until_settled()
    world.spec["tls"] = {"clients": "Prefer"}
    world.until_settled()
    assert world.hba[-2:] == [LINE, "host all all all scram-sha-256"]
    annotations: Any = world.endpoints["metadata"]["annotations"]
    config = json.loads(annotations["config"])
    config["postgresql"]["pg_hba"] = ["host all all all trust"]
    annotations["config"] = json.dumps(config)
    assert not is_settled(world.stored(), world.database)
    world.until_settled()
    assert world.hba == all_lines(world.database, [LINE])


def test_what_needs_a_restart_waits_for_a_window_and_the_rest_does_not(world: World) -> None:
    world.ask(max_connections="100", work_mem="4MB")
    world.until_settled()
    world.close_window()
    world.ask(max_connections="200", work_mem="8MB")
    world.step()
    assert world.stored().parameters["work_mem"] == "8MB"
    assert world.stored().parameters["max_connections"] == "100"
    assert world.step()["held"] == ["max_connections"]
    assert is_settled(world.stored(), world.database)
    written = world.endpoints["metadata"]["resourceVersion"]
    world.step()
    assert world.endpoints["metadata"]["resourceVersion"] == written
    # One that goes from the spec has to wait as well.
    world.ask(work_mem="8MB")
    world.step()
    assert world.stored().parameters["max_connections"] == "100"
    assert is_settled(world.stored(), world.database)
    world.open_window()
    assert not is_settled(world.stored(), world.database)
    assert world.step()["held"] == []
    assert "max_connections" not in world.stored().parameters
    world.until_settled()
    assert world.step()["held"] == []


def test_what_follows_from_the_memory_waits_with_the_memory(world: World) -> None:
    world.until_settled()
    world.spec["resources"] = {"limits": {"memory": "1Gi"}}
    world.until_settled()
    before = dict(world.stored().parameters)
    assert before["shared_buffers"] == "256MB"
    world.close_window()
    world.spec["resources"] = {"limits": {"memory": "8Gi"}}
    assert is_settled(world.stored(), world.database)
    world.ask(work_mem="8MB")
    world.until_settled()
    assert world.stored().parameters == before | {"work_mem": "8MB"}
    world.open_window()
    assert not is_settled(world.stored(), world.database)
    world.until_settled()
    assert world.stored().parameters["shared_buffers"] == "2048MB"


def test_what_was_taken_back_before_the_window_waits_no_longer(world: World) -> None:
    world.until_settled()
    world.close_window()
    world.ask(max_connections="200")
    world.step()
    assert world.step()["held"] == ["max_connections"]
    world.ask()
    world.step()
    assert world.step()["held"] == []
    assert is_settled(world.stored(), world.database)


def test_what_is_refused_is_refused_before_the_window(world: World) -> None:
    world.until_settled()
    world.close_window()
    world.ask(max_connections="many")
    world.refused = "no"
    assert world.step()["refused"] == ["ParameterRefused", "no"]
    assert world.step()["held"] == []


def test_lines_of_a_former_database_over_the_same_volumes_go(world: World) -> None:
    """Patroni keeps its dynamic configuration beside the data."""
    annotations: Any = world.endpoints["metadata"]["annotations"]
    former = all_lines(world.database, ["hostssl all all all reject"])
    kept = {"postgresql": {"parameters": DEFAULTS, "pg_hba": former}}
    annotations["config"] = json.dumps(kept)
    assert not is_settled(world.stored(), world.database)
    world.until_settled()
    assert world.hba == all_lines(world.database)
    annotations["config"] = json.dumps(kept)
    world.ask_hba(LINE)
    world.until_settled()
    assert world.hba == all_lines(world.database, [LINE])
    world.ask()
    world.until_settled()
    assert world.hba == all_lines(world.database)


REQUIRED = {
    "synchronous_mode": True,
    "synchronous_mode_strict": True,
    "synchronous_node_count": 1,
}


def test_synchronous_replication_is_written_waited_for_and_mended(world: World) -> None:
    world.until_settled()
    before = world.stored().config
    world.spec["replication"] = {"synchronous": "required", "synchronousCount": 1}
    assert not is_settled(world.stored(), world.database)
    world.step()
    assert world.stored().config == {**before, **REQUIRED}
    assert "parameters" not in str(world.step()["parameters"])
    world.until_settled()
    # Another hand.
    annotations: Any = world.endpoints["metadata"]["annotations"]
    annotations["config"] = json.dumps({**before, "synchronous_mode": False})
    assert not is_settled(world.stored(), world.database)
    world.step()
    assert world.stored().config == {**before, **REQUIRED}
    # Patroni's own state says that another one leads, as before it has followed.
    world.sync_leader = "app-1"
    assert "app-0 has yet to follow" in world.step()["message"]
    assert not is_settled(world.stored(), world.database)
    world.sync_leader = "app-0"
    world.until_settled()
    del world.spec["replication"]
    world.step()
    assert world.stored().config == before
    assert "app-0 has yet to follow" in world.step()["message"]
    world.sync_leader = ""
    world.until_settled()


def test_commits_that_wait_for_ever_go_on_without_a_primary_to_ask(world: World) -> None:
    world.spec["replication"] = {"synchronous": "required", "synchronousCount": 1}
    world.until_settled()
    for number in range(3):
        world.break_(number, "starting")
    world.spec["replication"] = {"synchronous": "off", "synchronousCount": 1}
    world.step()
    config = world.stored().config
    assert (config["synchronous_mode"], "synchronous_node_count" in config) == (False, False)


def test_what_another_hand_has_set_stays_where_the_spec_says_nothing(world: World) -> None:
    annotations: Any = world.endpoints["metadata"]["annotations"]
    config = json.loads(annotations["config"])
    annotations["config"] = json.dumps({**config, "synchronous_mode": True})
    world.until_settled()
    world.ask(work_mem="8MB")
    world.until_settled()
    assert world.stored().config["synchronous_mode"] is True
