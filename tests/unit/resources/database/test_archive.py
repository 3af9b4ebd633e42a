"""What an archive adds to a Database, when, and what the status says of it."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.resources.backup.archive_window import (
    Gap,
    Window,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.conditions import (
    Condition,
    Decision,
    build_status,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.archive import (
    NOTHING,
    archive_parts,
    find_archive_block,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.archive_status import (
    Archive,
    archive_field,
    archiving_condition,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.plan import (
    State,
    _rounded,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.status import (
    Observation,
    Server,
    decide,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.decide import from_plain
from ansible_collections.postgres.operator.plugins.module_utils.resources.transitions import (
    find_transitions,
)

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
WAL = "000000010000000000000007"
WELL = Archive("always", WAL, "2026-11-30T12:00:00Z")
AWAY = replace(
    WELL,
    pending=3,
    oldest="2026-11-30T12:01:00Z",
    waiting_seconds=60,
    stalled_seconds=60,
    failing="2026-11-30T12:01:10Z StoreUnreachable: https://s3, bucket b: no answer\n",
)
MISSING = ("SecretMissing", "archive.destination.s3.credentialsSecretRef names Secret login")


def database(**archive: Any) -> dict[str, Any]:
    s3 = {"endpoint": "https://s3:9000", "bucket": "b", "credentialsSecretRef": {"name": "login"}}
    return {
        "kind": "Database",
        "metadata": {"name": "app", "namespace": "shop", "uid": "db-uid"},
        "spec": {
            "image": "postgres:17",
            "replicas": 1,
            "storage": {"size": "1Gi"},
            "archive": {"destination": {"s3": s3}, **archive},
        },
    }


class Secrets:
    """A cluster that has some Secrets."""

    def __init__(self, **data: dict[str, str]) -> None:
        self._data = data

    def get(self, api_version: str, kind: str, namespace: str, name: str) -> Any:
        assert (kind, namespace) == ("Secret", "shop")
        return {"data": self._data[name]} if name in self._data else None


def test_without_an_archive_nothing_is_added_or_read() -> None:
    plain = database()
    del plain["spec"]["archive"]
    assert find_archive_block(None, plain) is None
    assert not State(resource=plain).archived
    assert "archive" not in State(resource=plain).wanted()["template_inputs"]
    assert archive_parts(plain, False) is NOTHING
    assert NOTHING == {"sidecars": [], "volumes": [], "mounts": [], "sources": [], "files": {}}


def test_a_missing_secret_is_named_with_its_field() -> None:
    reason, message = find_archive_block(Secrets(), database()) or ("", "")
    assert reason == "SecretMissing"
    assert message.startswith("archive.destination.s3.credentialsSecretRef names Secret login")
    lacking = find_archive_block(Secrets(login={"accessKeyId": "eA=="}), database())
    assert (
        "which archive.destination.s3.credentialsSecretRef names, lacks" in (lacking or ("", ""))[1]
    )
    whole = {"accessKeyId": "eA==", "secretAccessKey": "eA=="}
    assert find_archive_block(Secrets(login=whole), database()) is None


def test_pods_are_not_replaced_before_the_secret_is_there_and_keep_what_they_have() -> None:
    waiting = State(resource=database(), archive_block=MISSING)
    assert not waiting.archived
    assert "archive" not in waiting.wanted()["template_inputs"]
    there = replace(waiting, archive_block=None)
    assert there.archived
    assert there.wanted()["template_inputs"] != waiting.wanted()["template_inputs"]
    template = {"spec": {"template": {"spec": {"initContainers": [{"name": "archiver"}]}}}}
    assert replace(waiting, stateful_set=template).archived


def test_recipients_and_endpoint_replace_no_pod() -> None:
    one, two = database(), database(encryption={"recipients": ["age1a"]})
    two["spec"]["archive"]["destination"]["s3"]["endpoint"] = "https://other"
    inputs = [State(resource=each).wanted()["template_inputs"] for each in (one, two)]
    assert inputs[0] == inputs[1]
    parts = [archive_parts(each, True) for each in (one, two)]
    assert parts[0]["sidecars"] == parts[1]["sidecars"]
    assert parts[0]["files"] != parts[1]["files"]


def test_only_the_archiver_has_the_credentials_and_no_identity_is_anywhere() -> None:
    parts = archive_parts(database(encryption={"recipients": ["age1a"]}), True)
    [sidecar] = parts["sidecars"]
    secrets = {one["name"] for one in parts["volumes"] if "secret" in one}
    assert secrets == {"s3"}
    assert secrets <= {one["name"] for one in sidecar["volumeMounts"]}
    assert [one["name"] for one in parts["mounts"]] == ["archive"]
    assert parts["mounts"][0]["readOnly"] is True
    data = next(one for one in sidecar["volumeMounts"] if one["name"] == "data")
    assert data["readOnly"] is True
    assert sidecar["restartPolicy"] == "Always"
    settings = json.loads(parts["files"]["archive.json"])
    assert settings["recipients"] == ["age1a"]
    assert settings["s3"]["credentials_folder"] == "/etc/s3"
    assert "accessKeyId" not in parts["files"]["archive.json"]
    assert "archive_mode: always" in parts["files"]["archive.yml"]


@pytest.mark.parametrize(
    ("archive", "block", "status", "reason"),
    [
        (WELL, None, "True", "WALArchived"),
        (replace(WELL, pending=2, waiting_seconds=3), None, "True", "WALArchived"),
        # PostgreSQL tries again a minute after the store is back: nothing else failed.
        (replace(AWAY, failing=""), None, "True", "WALArchived"),
        (AWAY, None, "False", "ArchiveFailing"),
        (replace(AWAY, waiting_seconds=5), None, "True", "WALArchived"),
        (replace(AWAY, failing="", stalled_seconds=301), None, "False", "ArchiveFailing"),
        # A long queue that gets shorter is no failure.
        (replace(AWAY, failing="", waiting_seconds=9999, stalled_seconds=2), None, "True", "WALArchived"),
        (replace(WELL, failing=AWAY.failing), None, "True", "WALArchived"),
        (replace(WELL, mode="off"), None, "Unknown", "ArchiverNotStarted"),
        (WELL, MISSING, "False", "SecretMissing"),
        (AWAY, MISSING, "False", "ArchiveFailing"),
    ],
)  # fmt: skip
def test_what_is_failing(archive: Archive, block: Any, status: str, reason: str) -> None:
    found = archiving_condition(archive, block)
    assert (found.status, found.reason) == (status, reason)


def test_a_failure_says_since_when_and_why() -> None:
    found = archiving_condition(AWAY, None)
    assert "since 2026-11-30T12:01:10Z: StoreUnreachable: https://s3, bucket b" in found.message
    assert archive_field(AWAY) == {
        "lastArchivedWAL": WAL,
        "lastArchivedTime": "2026-11-30T12:00:00Z",
        "pending": 3,
        "failedSince": "2026-11-30T12:01:10Z",
    }
    assert "failedSince" not in archive_field(WELL)


def status_of(archive: Archive | None, block: Any = None, old: Any = None) -> dict[str, Any]:
    resource = {**database(), "status": old or {}}
    server = Server(writable=True, database_exists=True, role_exists=True, archive=archive)
    decision = decide(resource, Observation(replicas=0, server=server, archive_block=block))
    assert decision.look_again == 60
    return build_status(resource, decision, NOON)


def conditions(status: dict[str, Any]) -> dict[str, Any]:
    return {one["type"]: one for one in status["conditions"]}


def test_the_status_has_it_and_keeps_it_while_nothing_is_known() -> None:
    failing = status_of(AWAY)
    assert conditions(failing)["Archiving"]["status"] == "False"
    assert conditions(failing)["Ready"]["status"] == "True", "it stops nothing"
    assert failing["archive"]["pending"] == 3
    unknown = status_of(None, old=failing)
    assert conditions(unknown)["Archiving"]["reason"] == "ArchiveFailing"
    assert unknown["archive"] == failing["archive"]
    assert conditions(status_of(None, MISSING))["Archiving"]["reason"] == "SecretMissing"


def test_failing_and_going_on_are_events() -> None:
    well, failing = status_of(WELL), status_of(AWAY)

    def of(old: Any, new: Any) -> list[tuple[str, bool]]:
        found = find_transitions("Database", old, new)
        return [(one.reason, one.warning) for one in found if one.reason != "Ready"]

    assert of(well, failing) == [("ArchiveFailing", True)]
    assert of(failing, failing) == []
    assert of(failing, well) == [("WALArchived", False)]


def test_another_segment_is_no_news() -> None:
    def rounded(**changes: Any) -> Any:
        decision = Decision(
            "Ready",
            [Condition("Ready", "True", "AllChecksPassed", "m")],
            {"archive": archive_field(replace(WELL, **changes))},
        )
        return _rounded(build_status({"metadata": {}}, decision, NOON))

    assert rounded() == rounded(last_wal="x", last_time="2026-11-30T12:09:59Z", pending=1)
    assert rounded() != rounded(last_time="2026-11-30T12:10:00Z")


GAP = Gap(WAL, 2, 0, 0, "2026-11-30T10:00:00Z", "2026-11-30T11:00:00Z")
WINDOW = Window("2026-11-30T09:00:00Z", "2026-11-30T11:00:00Z")


def with_window(window: Window | None, archive: Archive | None = WELL, old: Any = None) -> Any:
    resource = {**database(), "status": old or {}}
    server = Server(writable=True, database_exists=True, role_exists=True, archive=archive)
    # As a role hands it over.
    plain = {
        "replicas": 0,
        "server": asdict(server),
        "archive_window": asdict(window) if window else {},
    }
    return build_status(resource, decide(resource, from_plain(Observation, plain)), NOON)


def test_the_window_is_in_the_status() -> None:
    assert "window" not in with_window(None)["archive"]
    found = with_window(replace(WINDOW, gaps=(GAP, replace(GAP, until="")), more_gaps=3))
    gap = {"segment": WAL, "segments": 2, "from": "2026-11-30T10:00:00Z"}
    assert found["archive"]["window"] == {
        "earliest": "2026-11-30T09:00:00Z",
        "latest": "2026-11-30T11:00:00Z",
        "gaps": [gap | {"until": "2026-11-30T11:00:00Z"}, gap],
        "moreGaps": 3,
    }
    assert found["archive"]["pending"] == 0


def test_the_newest_moment_that_is_known_stays() -> None:
    """After a failover the new primary has archived nothing yet, or its statistics are reset."""
    noon = "2026-11-30T12:00:00Z"
    found = with_window(WINDOW, replace(WELL, written=noon))
    assert found["archive"]["window"]["latest"] == noon
    for archive in (replace(WELL, written=""), replace(WELL, written="2026-11-30T11:30:00Z"), None):
        found = with_window(WINDOW, archive, found)
        assert found["archive"]["window"]["latest"] == noon
    assert with_window(None, WELL, found)["archive"].keys().isdisjoint({"window"})


def test_a_gap_is_a_condition_and_a_warning() -> None:
    well = with_window(WINDOW)
    assert "ArchiveGap" not in conditions(well)
    lost = with_window(replace(WINDOW, gaps=(GAP,)))
    found = conditions(lost)["ArchiveGap"]
    assert (found["status"], found["reason"]) == ("True", "WalMissing")
    assert (
        f"lacks 2 segments of WAL from {WAL} on; no moment after 2026-11-30T10:00:00Z and before"
        " 2026-11-30T11:00:00Z can be restored; later moments can be restored"
    ) in found["message"]
    assert conditions(lost)["Ready"]["status"] == "True", "it stops nothing"
    (event,) = [one for one in find_transitions("Database", well, lost) if one.reason != "Ready"]
    assert (event.warning, event.reason) == (True, "WalMissing")
    assert find_transitions("Database", lost, lost) == []


def test_without_a_backup_after_a_gap_one_is_to_be_made() -> None:
    many = replace(WINDOW, gaps=(GAP, GAP, replace(GAP, until="")), more_gaps=1)
    message = conditions(with_window(many))["ArchiveGap"]["message"]
    assert "beside 3 older gaps; no moment after 2026-11-30T10:00:00Z can be restored" in message
    assert "make a physical Backup now: moments after its end can be restored" in message


def test_a_new_gap_is_news_and_a_later_moment_is_none() -> None:
    def rounded(window: Window) -> Any:
        return _rounded(with_window(window))["archive"]

    assert rounded(WINDOW) == rounded(replace(WINDOW, latest="2026-11-30T11:59:00Z"))
    assert rounded(WINDOW) != rounded(replace(WINDOW, earliest="2026-11-30T09:30:00Z"))
    assert rounded(WINDOW) != rounded(replace(WINDOW, gaps=(GAP,)))
