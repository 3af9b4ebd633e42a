"""What a reconcile of a Completed Backup that no other one follows reads, makes and writes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.resources.backup import (
    follow_search,
)
from ansible_collections.postgres.operator.plugins.modules import (
    backup_info,
    backup_missing,
    backup_search,
)
from job_variables import variables_of

OLD, RECENT = "2026-01-01T00:00:00Z", "2999-01-01T00:00:00Z"
S3 = {"s3": {"bucket": "safe", "credentialsSecretRef": {"name": "login"}}}
PARAMS = {
    "namespace": "shop",
    "max_active": 1,
    "max_active_per_namespace": 1,
    "max_active_per_destination": 1,
    "search_period": "24h",
    "agent_image": "operator:1",
}
DENIED = {"ok": False, "reason": "StoreDenied", "message": "check the credentials"}
JOB = "lone-search-lone-uid"
TIMES = {"lastTransitionTime": OLD, "message": "x"}
READY = {"type": "BackupReady", "status": "True", "reason": "BackupCompleted", **TIMES}
VERIFIED = {"type": "Verified", "status": "True", "reason": "RestoreCompared", **TIMES}


class FakeCluster:
    """Completed Backups by name, a Job that has ended or none, and what was read and written."""

    def __init__(self) -> None:
        self.backups: dict[str, dict[str, Any]] = {}
        self.ended: dict[str, dict[str, Any]] = {}
        self.secret: dict[str, Any] | None = {
            "data": {"accessKeyId": "aQ==", "secretAccessKey": "aQ=="}
        }
        self.claim: dict[str, Any] | None = {"metadata": {"name": "app-backups"}}
        self.sidecar: list[dict[str, Any]] = []
        self.has_turn = True
        self.read: list[str] = []
        self.events: list[tuple[str, str]] = []

    def add(self, name: str, created: str = OLD, completed: str = OLD, **spec: Any) -> None:
        uid = f"{name}-uid-0000"
        artifact = spec.get("artifact", {})
        folder = f"{artifact.get('namespace', 'shop')}/{artifact.get('database', 'app')}"
        spec = {"databaseRef": {"name": "app"}, "destination": S3, **spec}
        claim = f"{spec['databaseRef']['name']}-backups"
        place = "s3://safe" if spec["destination"] else f"pvc://{claim}"
        self.backups[name] = {
            "kind": "Backup",
            "metadata": {
                "name": name,
                "namespace": "shop",
                "uid": uid,
                "creationTimestamp": created,
            },
            "spec": spec,
            "status": {
                "phase": "Completed",
                "completionTime": completed,
                "backupLocation": f"{place}/{folder}/{artifact.get('uid', uid)}",
                "conditions": [READY, VERIFIED],
            },
        }

    def get(self, _version: str, kind: str, _namespace: str, name: str) -> Any:
        self.read.append(kind)
        if kind == "Job":
            container = {"name": "search"}
            made = {
                "metadata": {"name": name, "creationTimestamp": OLD},
                "spec": {"template": {"spec": {"containers": [container]}}},
            }
            failed = self.ended.get(name, {}).get("ok") is False
            made["status"] = {"conditions": [{"type": "Failed", "status": "True"}] * failed}
            return made if name in self.ended else None
        return {
            "Backup": self.backups.get(name),
            "Secret": self.secret,
            "PersistentVolumeClaim": self.claim,
        }.get(kind)

    def list(self, _version: str, kind: str, _namespace: str, selector: str = "") -> list[Any]:
        self.read.append(f"{kind}s")
        if kind == "Backup":
            return list(self.backups.values())
        result = self.ended[selector.rpartition("=")[2]]
        if not result:
            return []
        ended = {"exitCode": 0, "message": json.dumps(result)}
        condition = {"name": "search", "state": {"terminated": ended}}
        metadata = {"name": "p", "uid": "p", "creationTimestamp": OLD}
        return [{"metadata": metadata, "status": {"containerStatuses": [condition, *self.sidecar]}}]

    def replace_status(self, *address: Any) -> None:
        *_, name, _uid, status = address
        self.backups[name]["status"] = status

    def create(self, event: dict[str, Any]) -> None:
        self.events.append((event["involvedObject"]["name"], event["reason"]))


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    made = FakeCluster()
    for module in (backup_info, backup_missing, backup_search):
        monkeypatch.setattr(module, "connect", lambda: made)
    # It follows from the time of day.
    monkeypatch.setattr(follow_search, "has_turn", lambda *_: made.has_turn)
    return made


def reconcile(name: str = "lone", **params: Any) -> tuple[list[Any], int]:
    """Do what the role does; return what it makes, and how many statuses were written."""
    found = backup_info.run({**PARAMS, "name": name, **params}, False)
    assert found["resource"] == {}
    written = 0
    if found["missing"]:
        gone = backup_missing.run({"namespace": "shop", **found["missing"]}, False)
        written += len(gone["names"])
    search = found["search"]
    if search and search["report"]:
        address = {"name": name, "namespace": "shop"}
        written += backup_search.run({**address, **search["report"]}, False)["changed"]
    return search["definitions"] if search else [], written


def conditions(cluster: FakeCluster, name: str = "lone") -> dict[str, tuple[str, str]]:
    found = cluster.backups[name]["status"]["conditions"]
    return {c["type"]: (c["status"], c["reason"]) for c in found if c["type"] == "ArtifactMissing"}


def test_nothing_is_read_of_one_that_is_not_older_than_the_period(cluster: FakeCluster) -> None:
    cluster.add("lone", completed=RECENT)
    assert reconcile() == ([], 0)
    assert cluster.read == ["Backup"]
    cluster.add("lone")
    assert reconcile(search_period="0") == ([], 0)
    assert cluster.read == ["Backup"] * 2


def test_the_newest_is_searched_for_with_all_that_are_beside_it(cluster: FakeCluster) -> None:
    cluster.add("lone", created="2026-01-03T00:00:00Z")
    cluster.add("older", created="2026-01-02T00:00:00Z")
    for name, changes in (
        ("elsewhere", {"destination": {}}),
        ("other", {"databaseRef": {"name": "other"}}),
        ("brought", {"artifact": {"namespace": "old", "database": "lost", "uid": "u"}}),
    ):
        cluster.add(name, created="2026-01-09T00:00:00Z", **changes)
    cluster.backups["other"]["status"]["backupLocation"] = "s3://safe/shop/other/x"
    cluster.add("going", created="2026-01-09T00:00:00Z")
    cluster.backups["going"]["metadata"]["deletionTimestamp"] = OLD
    cluster.add("back", artifact={"uid": "0f8fad5b"})
    (policy, job), written = reconcile()
    assert (policy["metadata"]["name"], job["metadata"]["name"], written) == (JOB, JOB, 0)
    assert variables_of(job)["completed"] == ["lone-uid-0000", "older-uid-0000", "0f8fad5b"]
    assert reconcile("older") == ([], 0)


def test_an_adopted_one_is_searched_for_where_it_was_found(cluster: FakeCluster) -> None:
    cluster.add("lone", artifact={"namespace": "old", "database": "lost", "uid": "0f8fad5b"})
    (_, job), _ = reconcile()
    variables = variables_of(job)
    assert (variables["namespace"], variables["resource"]) == ("old", "lost")
    cluster.ended[JOB] = {"ok": True, "missing": ["0f8fad5b"]}
    assert reconcile() == ([], 1)
    assert conditions(cluster) == {"ArtifactMissing": ("True", "FilesGone")}


def test_what_was_not_found_is_gone_and_is_said_once(cluster: FakeCluster) -> None:
    cluster.add("lone", created="2026-01-03T00:00:00Z")
    cluster.add("older")
    cluster.ended[JOB] = {"ok": True, "missing": ["older-uid-0000"]}
    assert reconcile() == ([], 1)
    assert conditions(cluster) == {}
    assert conditions(cluster, "older") == {"ArtifactMissing": ("True", "FilesGone")}
    assert cluster.events == [("older", "ArtifactMissing")]
    assert reconcile() == ([], 0)
    cluster.ended[JOB]["missing"] += ["lone-uid-0000"]
    assert reconcile() == ([], 1)
    cluster.read.clear()
    assert reconcile() == ([], 0)
    assert cluster.read == ["Backup"]


def test_a_search_that_fails_leaves_it_open_until_one_ends_well(cluster: FakeCluster) -> None:
    cluster.add("lone")
    cluster.ended[JOB] = DENIED
    assert reconcile() == ([], 1)
    assert conditions(cluster) == {"ArtifactMissing": ("Unknown", "StoreDenied")}
    assert reconcile() == ([], 0)
    del cluster.ended[JOB]
    definitions, written = reconcile()
    assert (len(definitions), written) == (2, 0)
    cluster.ended[JOB] = {"ok": True, "missing": []}
    assert reconcile() == ([], 1)
    assert conditions(cluster) == {}
    assert reconcile() == ([], 0)
    assert cluster.events == [("lone", "StoreDenied")]


def test_a_secret_that_is_gone_is_named_and_no_job_is_made(cluster: FakeCluster) -> None:
    cluster.add("lone")
    secret, cluster.secret = cluster.secret, None
    assert reconcile() == ([], 1)
    assert conditions(cluster) == {"ArtifactMissing": ("Unknown", "SecretMissing")}
    assert reconcile() == ([], 0)
    cluster.secret = secret
    assert len(reconcile()[0]) == 2


@pytest.mark.parametrize("why", ["a newer one", "no search"])
def test_what_is_not_searched_for_any_more_says_nothing_of_it(
    cluster: FakeCluster, why: str
) -> None:
    cluster.add("lone")
    cluster.ended[JOB] = DENIED
    reconcile()
    if why == "a newer one":
        cluster.add("newer", created=RECENT, completed=RECENT)
    period = "0" if why == "no search" else "24h"
    assert reconcile(search_period=period) == ([], 1)
    assert conditions(cluster) == {}
    assert reconcile(search_period=period) == ([], 0)


def test_a_result_that_is_lost_is_searched_for_once_more_and_then_left(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.add("lone")
    get = cluster.get

    def completed(*address: Any) -> Any:
        found = get(*address)
        if address[1] == "Job" and found:
            found["status"] = {"conditions": [{"type": "Complete", "status": "True"}]}
        return found

    monkeypatch.setattr(cluster, "get", completed)
    cluster.ended[JOB] = {}
    definitions, _ = reconcile()
    assert [each["metadata"]["name"] for each in definitions] == [f"{JOB}-2"] * 2
    cluster.ended[f"{JOB}-2"] = {}
    assert reconcile() == ([], 0)


def test_a_search_that_has_no_turn_begins_later(cluster: FakeCluster) -> None:
    cluster.add("lone")
    cluster.has_turn = False
    assert reconcile() == ([], 0)
    # What one has found is read at any time.
    cluster.ended[JOB] = DENIED
    assert reconcile() == ([], 1)
    assert conditions(cluster) == {"ArtifactMissing": ("Unknown", "StoreDenied")}
    cluster.ended.clear()
    assert reconcile() == ([], 0)
    cluster.has_turn = True
    assert len(reconcile()[0]) == 2


def test_a_deleted_claim_needs_no_search(cluster: FakeCluster) -> None:
    cluster.add("lone", destination={})
    (_, job), _ = reconcile()
    assert variables_of(job)["root"] == "/backups"
    cluster.claim = None
    assert reconcile() == ([], 1)
    assert conditions(cluster) == {"ArtifactMissing": ("True", "FilesGone")}


def test_a_wrong_period_is_refused(cluster: FakeCluster) -> None:
    cluster.add("lone")
    with pytest.raises(Exception, match="BACKUP_SEARCH_PERIOD of the operator is 'daily'"):
        reconcile(search_period="daily")


def test_two_claims_are_two_places(cluster: FakeCluster) -> None:
    cluster.add("lone", destination={})
    brought = {"database": "app", "uid": "0f8fad5b"}
    other = {"databaseRef": {"name": "other"}, "artifact": brought, "destination": {}}
    cluster.add("brought", created="2026-01-09T00:00:00Z", **other)
    for name, uid in (("lone", "lone-uid-0000"), ("brought", "0f8fad5b")):
        (_, job), _ = reconcile(name)
        assert variables_of(job)["completed"] == [uid]


def test_a_pod_that_another_program_keeps_is_ended(cluster: FakeCluster) -> None:
    cluster.add("lone")
    cluster.ended[JOB] = {"ok": True, "missing": []}
    cluster.sidecar = [{"name": "proxy", "state": {"running": {}}}]
    search = backup_info.run({**PARAMS, "name": "lone"}, False)["search"]
    assert (search["held_job"]["held_pod"], search["held_job"]["name"]) == (("p", "p"), JOB)


def test_a_failure_is_one_event_for_each_reason(cluster: FakeCluster) -> None:
    cluster.add("lone")
    report = {"name": "lone", "namespace": "shop", "reason": "StoreDenied", "message": "once"}
    found = backup_search.run(report, True)
    assert found["changed"]
    assert all(line.startswith("Backup shop/lone: ") for line in found["log"])
    assert conditions(cluster) == {}
    for changes, changed, events in (
        ({}, True, 1),
        ({}, False, 1),
        ({"message": "again"}, True, 1),
        ({"reason": "Timeout"}, True, 2),
    ):
        report |= changes
        assert backup_search.run(report, False)["changed"] == changed
        assert len(cluster.events) == events
        assert conditions(cluster) == {"ArtifactMissing": ("Unknown", report["reason"])}
    assert not backup_search.run({**report, "name": "deleted"}, False)["changed"]
    cluster.backups["lone"]["status"] = {"phase": "Pending"}
    assert not backup_search.run(report, False)["changed"]


@pytest.mark.parametrize(
    ("last", "changes", "listed"),
    [
        (RECENT, {}, False),
        (OLD, {}, True),
        (None, {}, True),
        (RECENT, {"destination": {}}, True),
        (RECENT, {"databaseRef": {"name": "other"}}, True),
    ],
)
def test_runs_of_a_schedule_that_works_are_not_listed(
    cluster: FakeCluster, last: str | None, changes: dict[str, Any], listed: bool
) -> None:
    cluster.add("lone")
    owner = {"kind": "Backup", "name": "nightly", "uid": "nightly-uid-0000"}
    cluster.backups["lone"]["metadata"]["ownerReferences"] = [owner]
    cluster.add("nightly", schedule="0 3 * * *", **changes)
    cluster.backups["nightly"]["status"] = {"phase": "Scheduled"}
    if last:
        cluster.backups["nightly"]["status"]["lastSuccessfulTime"] = last
    definitions, _ = reconcile()
    assert (bool(definitions), "Backups" in cluster.read) == (listed, listed)
    del cluster.backups["nightly"]
    assert len(reconcile()[0]) == 2
