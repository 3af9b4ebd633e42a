"""Events: each time, or once for what lasts; and what those of Kubernetes say of a pod."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.kube.client import ApiError
from ansible_collections.postgres.operator.plugins.module_utils.kube.events import (
    find_refusal,
    record,
)

DATABASE = {"kind": "Database", "metadata": {"name": "app", "namespace": "shop", "uid": "u1"}}
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class FakeCluster:
    """It refuses a name that is taken, and everything when set to."""

    def __init__(self, status: int = 0) -> None:
        self.notes: dict[str, str] = {}
        self.status = status

    def create(self, manifest: dict[str, Any]) -> None:
        name = manifest["metadata"]["name"]
        if self.status or name in self.notes:
            raise ApiError("refused", self.status or 409)
        self.notes[name] = manifest["message"]


def tell(cluster: Any, message: str, once: bool) -> None:
    record(cluster, DATABASE, True, "LeftoverNotDropped", message, NOW, once)


def test_what_lasts_is_reported_once_and_what_happens_each_time() -> None:
    cluster = FakeCluster()
    for message in ("a", "a", "b"):
        tell(cluster, message, once=True)
    assert list(cluster.notes.values()) == ["a", "b"]
    for _ in range(2):
        tell(cluster, "a", once=False)
    assert list(cluster.notes.values()) == ["a", "b", "a", "a"]


@pytest.mark.parametrize(("status", "once"), [(403, True), (409, False)])
def test_a_refusal_is_not_hidden(status: int, once: bool) -> None:
    with pytest.raises(ApiError):
        tell(FakeCluster(status), "a", once)


OWNER = {"kind": "StatefulSet", "metadata": {"name": "app", "namespace": "shop", "uid": "u2"}}
QUOTA = 'pods "app-0" is forbidden: exceeded quota: small'


def event(reason: str, second: int, note: str = QUOTA, **times: Any) -> dict[str, Any]:
    """One as the controllers write it: a repeated one has another time of its last occurrence."""
    made = f"2026-01-01T00:00:{second:02}Z"
    written = {"deprecatedLastTimestamp": made, "eventTime": None, "series": None, **times}
    metadata = {"name": f"app.{second}", "creationTimestamp": made}
    return {"metadata": metadata, "reason": reason, "note": note, **written}


class Events:
    """A cluster that has these, or must not be asked for them."""

    def __init__(self, *events: dict[str, Any], status: int = 0) -> None:
        self.events, self.status = events, status

    def list(self, *request: str) -> Any:
        assert request == ("events.k8s.io/v1", "Event", "shop", "", "regarding.uid=u2")
        if self.status:
            raise ApiError("forbidden", self.status)
        return self.events


REFUSED, CREATED = event("FailedCreate", 1), event("SuccessfulCreate", 1)


@pytest.mark.parametrize(
    ("events", "refused"),
    [
        ([], False),
        ([REFUSED], True),
        ([CREATED], False),
        # Both in one second: another pod has been created.
        ([CREATED, REFUSED], True),
        ([REFUSED, event("SuccessfulCreate", 2)], False),
        ([event("FailedCreate", 2), CREATED], True),
        # Written once, and seen again after the pod was created.
        (
            [
                event("SuccessfulCreate", 2),
                event("FailedCreate", 1, deprecatedLastTimestamp="2026-01-01T00:00:03Z"),
            ],
            True,
        ),
        (
            [
                event("SuccessfulCreate", 2),
                event("FailedCreate", 1, series={"lastObservedTime": "2026-01-01T00:00:03.5Z"}),
            ],
            True,
        ),
        ([event("FailedCreate", 1, deprecatedLastTimestamp=None)], True),
        ([event("RecreatingTerminatedPod", 2), CREATED], False),
    ],
)
def test_a_refusal_is_found_until_a_pod_is_created(events: Any, refused: bool) -> None:
    cluster: Any = Events(*events)
    problem = find_refusal(cluster, OWNER)
    assert bool(problem) is refused
    if problem:
        assert problem.reason == "PodNotCreated"
        assert f"StatefulSet app: {QUOTA}; correct" in problem.message


def test_what_another_program_has_written_is_one_printable_line_of_some_length() -> None:
    note = "admission webhook said:\n\n\x1b[2Jno " + "x" * 5000
    cluster: Any = Events(event("FailedCreate", 1, note))
    problem = find_refusal(cluster, OWNER)
    assert problem
    assert problem.message.isprintable()
    assert "said: \\x1b[2Jno xxx" in problem.message
    assert "x…; correct" in problem.message
    assert len(problem.message) < 800


def test_events_that_cannot_be_read_are_no_failure() -> None:
    cluster: Any = Events(status=403)
    assert find_refusal(cluster, OWNER) is None
