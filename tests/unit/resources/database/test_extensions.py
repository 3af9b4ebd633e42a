"""What is to be done for schemas and extensions, and who runs an extension's script."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.errors import InvalidInput
from ansible_collections.postgres.operator.plugins.module_utils.postgres.extension_state import (
    AvailableVersion,
    ExtensionState,
    SchemaState,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database import primary
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.extensions import (
    Action,
    choose_schema,
    choose_version,
    find_extension_action,
    find_schema_action,
    read_extension,
    read_schema,
    runs_as_owner,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.inside import (
    read_inside,
)

HSTORE = ExtensionState("hstore", "1.8", "public", "owner")
TRUSTED = AvailableVersion("1.8", superuser=True, trusted=True, schema="", requires=())
SCHEMA = SchemaState("s", "owner", of_superuser=False)


@pytest.mark.parametrize(
    ("entry", "found", "action"),
    [
        ({}, None, Action.CREATE),
        ({"version": "1.7", "schema": "s"}, None, Action.CREATE),
        ({}, HSTORE, Action.NOTHING),
        ({"version": "1.8", "schema": "public"}, HSTORE, Action.NOTHING),
        ({"version": "1.7"}, HSTORE, Action.CHANGE),
        ({"ensure": "absent"}, HSTORE, Action.DROP),
        ({"ensure": "absent"}, None, Action.NOTHING),
    ],
)
def test_extensions(entry: dict[str, Any], found: ExtensionState | None, action: Action) -> None:
    assert find_extension_action(read_extension({"name": "hstore"} | entry), found) is action


@pytest.mark.parametrize(
    ("entry", "found", "action"),
    [
        ({}, None, Action.CREATE),
        ({}, SCHEMA, Action.NOTHING),
        ({"owner": "owner"}, SCHEMA, Action.NOTHING),
        ({"owner": "alice"}, SCHEMA, Action.CHANGE),
        ({"ensure": "absent"}, SCHEMA, Action.DROP),
        ({"ensure": "absent"}, None, Action.NOTHING),
        ({}, SchemaState("s", "postgres", of_superuser=True), Action.NOTHING),
    ],
)
def test_schemas(entry: dict[str, Any], found: SchemaState | None, action: Action) -> None:
    assert find_schema_action(read_schema({"name": "s"} | entry), found) is action


def test_which_version_and_which_schema() -> None:
    older = replace(TRUSTED, version="1.7", schema="fixed")
    wanted = read_extension({"name": "hstore"})
    assert choose_version(wanted, [older, TRUSTED], "1.8") is TRUSTED
    named = read_extension({"name": "hstore", "version": "1.7", "schema": "s"})
    assert choose_version(named, [older, TRUSTED], "1.8") is older
    assert choose_schema(wanted, None, TRUSTED) == "public"
    assert choose_schema(wanted, None, older) == "fixed"
    assert choose_schema(named, None, older) == "s"
    assert choose_schema(wanted, HSTORE, older) == "public"


@pytest.mark.parametrize(
    ("chosen", "found", "writable", "owner_runs"),
    [
        (TRUSTED, None, [], False),
        (replace(TRUSTED, trusted=False), None, [], False),
        (TRUSTED, None, ["public"], True),
        (TRUSTED, HSTORE, ["public"], True),
        (TRUSTED, replace(HSTORE, owner="postgres"), ["public"], None),
        (replace(TRUSTED, trusted=False), None, ["public"], None),
        # Its script is run by the role that creates it, which in this session could become a superuser.
        (replace(TRUSTED, superuser=False), None, ["public"], None),
        (replace(TRUSTED, superuser=False, trusted=False), None, ["public"], None),
    ],
)
def test_who_runs_a_script(
    chosen: AvailableVersion,
    found: ExtensionState | None,
    writable: list[str],
    owner_runs: bool | None,
) -> None:
    if owner_runs is None:
        with pytest.raises(InvalidInput, match='what other roles have put into schema "public"'):
            runs_as_owner(chosen, found, "owner", writable)
    else:
        assert runs_as_owner(chosen, found, "owner", writable) is owner_runs


def test_nothing_is_put_into_a_database_whose_contents_are_to_be_restored() -> None:
    databases = [{"name": name, "extensions": [{"name": "hstore"}]} for name in ("app", "stats")]
    spec = {"databaseName": "app", "databases": databases, "backupRef": {"name": "nightly"}}
    waiting = {"spec": spec}
    restored = {"spec": spec, "status": {"restoredFrom": "nightly"}}
    assert [one.database for one in primary._insides(waiting)] == ["stats"]
    assert [one.database for one in primary._insides(restored)] == ["app", "stats"]
    assert read_inside([{"name": "a", "ensure": "absent", "schemas": [{"name": "s"}]}]) == []
