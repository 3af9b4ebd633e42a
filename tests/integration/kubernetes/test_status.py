"""The module status: it writes what changed, once, and tells it by an Event."""

from __future__ import annotations

import pytest
from ansible_collections.postgres.operator.plugins.modules import status
from custom_resources import Create, Resource, delete, patch, read_again, run_module
from kubernetes import client
from kubernetes.client.exceptions import ApiException

BLOCKED = {
    "place": "pvc://app-backups",
    "blocked": ["DatabaseNotFound", "there is no Database app"],
    "job": None,
}
WAITING = BLOCKED | {"blocked": ["DatabaseNotReady", "waiting for Database app"]}


@pytest.fixture
def backup(create: Create, name: str) -> Resource:
    return create("Backup", name, {"databaseRef": {"name": "app"}})


def events(backup: Resource) -> list[tuple[str, str, str]]:
    of_backup = f"regarding.uid={backup['metadata']['uid']}"
    found = client.EventsV1Api().list_namespaced_event(
        backup["metadata"]["namespace"], field_selector=of_backup
    )
    ours = sorted(found.items, key=lambda event: event.event_time)
    return [(event.type, event.reason, event.note) for event in ours]


def run(backup: Resource, observation: Resource, check_mode: bool = False) -> Resource:
    return run_module(status, check_mode, resource=backup, observation=observation)


def test_the_status_is_written_once(backup: Resource) -> None:
    first = run(backup, BLOCKED)
    assert (first["changed"], first["phase"], first["requeue_after"]) == (True, "Pending", "10s")
    written = read_again(backup)
    condition = written["status"]["conditions"][0]
    assert (condition["type"], condition["status"]) == ("BackupReady", "False")
    assert (condition["reason"], condition["message"]) == tuple(BLOCKED["blocked"])
    assert written["status"]["observedGeneration"] == written["metadata"]["generation"]

    second = run(written, BLOCKED)
    assert (second["changed"], second["log"]) == (False, [])
    assert second["requeue_after"] == "10s"
    assert (
        read_again(backup)["metadata"]["resourceVersion"] == written["metadata"]["resourceVersion"]
    )
    assert events(backup) == [("Warning", "DatabaseNotFound", "there is no Database app")]


def test_every_change_is_an_event(backup: Resource) -> None:
    run(backup, BLOCKED)
    run(read_again(backup), WAITING)
    assert [(kind, note) for kind, _, note in events(backup)] == [
        ("Warning", "there is no Database app"),
        ("Normal", "waiting for Database app"),
    ]


def test_the_spec_is_not_touched(backup: Resource) -> None:
    run(backup, BLOCKED)
    written = read_again(backup)
    assert written["spec"] == backup["spec"]
    assert written["metadata"]["generation"] == backup["metadata"]["generation"]


def test_the_time_of_a_condition_is_that_of_its_status(backup: Resource) -> None:
    run(backup, BLOCKED)
    since = read_again(backup)["status"]["conditions"][0]["lastTransitionTime"]
    run(read_again(backup), WAITING)
    condition = read_again(backup)["status"]["conditions"][0]
    assert (condition["reason"], condition["lastTransitionTime"]) == ("DatabaseNotReady", since)


def test_check_mode_writes_nothing(backup: Resource) -> None:
    assert run(backup, BLOCKED, check_mode=True)["changed"]
    assert read_again(backup) == backup
    assert events(backup) == []


def test_a_resource_that_is_gone_needs_no_status(backup: Resource) -> None:
    delete(backup)
    assert run(backup, BLOCKED)["phase"] == "Pending"
    assert events(backup) == []


def test_a_resource_that_was_made_again_does_not_get_its_predecessors_status(
    backup: Resource, create: Create, name: str
) -> None:
    delete(backup)
    successor = create("Backup", name, backup["spec"])
    assert run(backup, BLOCKED)["phase"] == "Pending"
    assert read_again(successor) == successor
    assert events(backup) == events(successor) == []


def test_fields_that_are_not_said_any_more_go(backup: Resource) -> None:
    patch(backup, {"phase": "InProgress", "job": "j"}, status=True)
    run(read_again(backup), BLOCKED)
    assert "job" not in read_again(backup)["status"]


def test_a_phase_that_the_api_does_not_know_is_refused(backup: Resource) -> None:
    with pytest.raises(ApiException) as caught:
        patch(backup, {"phase": "Done"}, status=True)
    assert caught.value.status == 422


def test_the_window_of_an_archive_is_kept_whole(
    create: Create, name: str, backup: Resource
) -> None:
    """A field that the CRD does not know would be left out by the API server without a word."""
    gap = {"segment": "00000001000000000000000B", "segments": 2, "from": "2026-01-01T12:00:00Z"}
    lsns = {"startLSN": "0/B000000", "endLSN": "0/D000000"}
    archive = {"name": "wal-0f8fad5b", "gaps": [gap | lsns], "moreGaps": 1}
    patch(backup, {"phase": "Completed", "archive": archive}, status=True)
    assert read_again(backup)["status"]["archive"] == archive

    spec = {"databaseName": "app", "username": "app", "storage": {"size": "1Gi"}}
    database = create("Database", f"{name}-db", spec)
    window = {
        "earliest": "2026-01-01T11:00:00Z",
        "latest": "2026-01-01T13:00:00Z",
        "gaps": [gap | {"until": "2026-01-01T12:30:00Z"}, gap],
        "moreGaps": 1,
    }
    patch(database, {"archive": {"window": window}}, status=True)
    assert read_again(database)["status"]["archive"]["window"] == window
    delete(database)
