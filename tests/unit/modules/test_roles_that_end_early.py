"""Which reconciles end before Ansible, by what the first module of the role returns."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml
from ansible.errors import AnsibleActionFail
from ansible_collections.postgres.operator.plugins.module_utils.errors import DatabaseNotReady
from ansible_collections.postgres.operator.plugins.modules import backup_info, requeue_after
from ansible_collections.postgres.operator.plugins.plugin_utils import early_end, module_calls

ROLES = Path(__file__).resolve().parents[3] / "roles"
META = {"ansible_operator_meta": {"name": "app", "namespace": "shop"}}
NOTHING = {"resource": {}, "missing": {}, "search": {}}
Call = tuple[str, dict[str, Any]]


class Modules:
    """Return what the test says, and remember what was called."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.results: dict[str, dict[str, Any]] = {"backup_release": {"changed": False}}
        self.calls: list[Call] = []
        monkeypatch.setattr(early_end, "call", self._call)

    def _call(self, name: str, arguments: dict[str, Any], check_mode: bool) -> dict[str, Any]:
        assert not check_mode
        self.calls.append((name, arguments))
        return self.results[name]


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> Modules:
    return Modules(monkeypatch)


def _ask(role: str, **variables: Any) -> dict[str, Any]:
    return early_end.EARLY_ENDS[role](META | variables, "/roles/of")


def _database(phase: str, seen: int = 2) -> dict[str, Any]:
    status = {"phase": phase, "observedGeneration": seen}
    return {"metadata": {"name": "app", "generation": 2}, "status": status}


def test_a_database_in_its_steady_state(modules: Modules) -> None:
    modules.results["database_reconcile"] = {"plan": []}
    assert _ask("database") == {"end": True, "requeue_after": ""}
    modules.results["database_reconcile"] = {"plan": [], "again": "60s"}
    assert _ask("database") == {"end": True, "requeue_after": "60s"}


@pytest.mark.parametrize(
    "result", [{"plan": ["status"], "resource": {}}, {"failed": True, "msg": "refused"}]
)
def test_what_was_found_of_a_database_goes_on_to_its_role(
    modules: Modules, result: dict[str, Any]
) -> None:
    modules.results["database_reconcile"] = result
    answer = _ask("database")
    assert answer["end"] is False
    assert answer["found"]["result"] == result
    assert (answer["found"]["name"], answer["found"]["arguments"]) == modules.calls[0]


@pytest.mark.parametrize("phase", ["Ready", "Hibernated", "Failed"])
def test_a_database_that_waits_for_nothing_is_looked_into(modules: Modules, phase: str) -> None:
    modules.results["database_reconcile"] = {"plan": []}
    assert _ask("database", _database_example_com_database=_database(phase))["end"]


@pytest.mark.parametrize(
    "variables",
    [
        {"_database_example_com_database": _database("Deploying")},
        {"_database_example_com_database": _database("Ready", seen=1)},
        {"_database_example_com_database": {"metadata": {"name": "app", "generation": 1}}},
        {"database_agent_image": "{{ another }}"},
    ],
    ids=["it waits", "its spec was changed", "it is new", "a variable is set"],
)
def test_nothing_is_read_of_a_database_that_is_not(
    modules: Modules, variables: dict[str, Any]
) -> None:
    assert _ask("database", **variables) == {"end": False}
    assert not modules.calls


def test_a_backup_that_has_ended(modules: Modules) -> None:
    modules.results["backup_info"] = NOTHING
    assert _ask("backup") == {"end": True}
    assert [name for name, _ in modules.calls] == ["backup_info", "backup_release"]


@pytest.mark.parametrize(
    "result",
    [
        NOTHING | {"resource": {"spec": {}}},
        NOTHING | {"missing": {"uids": ["1"]}},
        NOTHING | {"search": {"definitions": [{}]}},
        {"failed": True, "msg": "refused"},
    ],
)
def test_a_backup_with_more_to_do_is_not_released_first(
    modules: Modules, result: dict[str, Any]
) -> None:
    modules.results["backup_info"] = result
    assert _ask("backup")["end"] is False
    assert [name for name, _ in modules.calls] == ["backup_info"]


def test_a_backup_that_cannot_be_released_is_its_role_s(modules: Modules) -> None:
    modules.results |= {"backup_info": NOTHING, "backup_release": {"failed": True, "msg": "no"}}
    assert _ask("backup")["end"] is False


def test_restores(modules: Modules) -> None:
    modules.results["restore_info"] = {"resource": {}}
    assert _ask("restore") == {"end": True}
    modules.results["restore_info"] = {"resource": {"spec": {}}}
    assert _ask("restore")["end"] is False


@pytest.mark.parametrize("kind", ["backup", "restore"])
@pytest.mark.parametrize(
    "resource",
    [
        {"metadata": {}, "spec": {}},
        {"metadata": {}, "spec": {}, "status": {"phase": "InProgress"}},
        {"metadata": {}, "spec": {"schedule": "@daily"}, "status": {"phase": "Completed"}},
    ],
)
def test_nothing_is_read_of_what_is_unfinished(
    modules: Modules, kind: str, resource: dict[str, Any]
) -> None:
    assert _ask(kind, **{f"_database_example_com_{kind}": resource}) == {"end": False}
    assert not modules.calls


@pytest.mark.parametrize("value", ["", "48h", "0"])
def test_the_period_is_that_of_the_role(
    modules: Modules, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("BACKUP_SEARCH_PERIOD", value)
    defaults = yaml.safe_load((ROLES / "backup" / "defaults" / "main.yml").read_text())

    def lookup(_plugin: str, name: str) -> str:
        return os.environ.get(name, "")

    template = jinja2.Environment(autoescape=True).from_string(defaults["backup_search_period"])
    modules.results["backup_info"] = NOTHING
    _ask("backup")
    assert modules.calls[0][1]["search_period"] == template.render(lookup=lookup)


@pytest.mark.parametrize("role", ["database", "backup", "restore"])
def test_the_other_defaults_are_those_of_the_roles(role: str) -> None:
    defaults = yaml.safe_load((ROLES / role / "defaults" / "main.yml").read_text())
    assert defaults[f"{role}_agent_image"] == ""
    assert set(early_end.EARLY_ENDS) == {"database", "backup", "restore"}


def test_a_kept_result_is_taken_once_and_by_the_same_call(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = []
    monkeypatch.setattr(requeue_after, "run", lambda params, _mode: ran.append(params) or {})
    arguments = {"period": "5s"}
    for check_mode, given in ((True, arguments), (False, {"period": "6s"})):
        module_calls.keep("requeue_after", arguments, {"kept": True})
        assert module_calls.call("requeue_after", given, check_mode) == {}
    module_calls.keep("requeue_after", arguments, {"kept": True})
    assert module_calls.call("requeue_after", dict(arguments), False) == {"kept": True}
    assert module_calls.call("requeue_after", arguments, False) == {}
    assert len(ran) == 3


def test_a_module_that_fails_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(_params: Any, _mode: bool) -> Any:
        raise DatabaseNotReady("not yet")

    monkeypatch.setattr(backup_info, "run", run)
    failed = module_calls.call("backup_info", {"name": "a", "namespace": "b"}, False)
    assert failed == {"failed": True, "msg": "not yet", "reason": "DatabaseNotReady"}
    with pytest.raises(AnsibleActionFail, match="backup_info: unknown"):
        module_calls.call("backup_info", {"name": "a", "namespace": "b", "unknown": 1}, False)
