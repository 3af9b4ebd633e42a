"""An operator that starts reconciles unfinished resources before those that ended long ago."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_api import JsonHandler, serve

SCRIPT = Path(__file__).resolve().parents[3] / "image" / "operator" / "wake_unfinished.py"
# The pauses are for a controller, and there is none here.
RUN = "import sys, wake_unfinished as w; w.PAUSES_SECONDS = (0.0,); sys.exit(w.main('operator'))"
RESOURCES = "/apis/database.example.com/v1/"


class Api(JsonHandler):
    """An API server that has one Lease, soon held by this pod, and pages of one resource."""

    holders: list[str]
    items: dict[str, list[dict[str, Any]]]
    gone: set[str]
    woken: list[str]

    def respond(self) -> None:
        address = urllib.parse.urlsplit(self.path)
        if self.command == "PATCH":
            self.answer({}, self.wake(address.path))
        elif "leases" in address.path:
            holders = type(self).holders
            holder = holders.pop(0) if len(holders) > 1 else holders[0]
            self.answer({"spec": {"holderIdentity": holder}})
        else:
            query = urllib.parse.parse_qs(address.query)
            number = int(query.get("continue", ["0"])[0])
            items = self.items[address.path.removeprefix(RESOURCES)]
            more = str(number + 1) if number + 1 < len(items) else ""
            self.answer({"items": items[number : number + 1], "metadata": {"continue": more}})

    def wake(self, path: str) -> int:
        assert "database.example.com/woken" in self.read_json()["metadata"]["annotations"]
        name = path.removeprefix(RESOURCES + "namespaces/")
        type(self).woken.append(name)
        return 404 if name in self.gone else 200


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Iterator[Path]:
    Api.holders = [f"{os.uname().nodename}_8f7e"]
    Api.items, Api.gone, Api.woken = {"backups": [], "restores": []}, set(), []
    with serve(Api, tmp_path) as path:
        yield path


def resource(name: str, phase: str | None, **metadata: str) -> dict[str, Any]:
    status = {"status": {"phase": phase}} if phase else {}
    return {"metadata": {"name": name, "namespace": "music", **metadata}, **status}


def wake(kubeconfig: Path, namespaces: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", RUN],
        env=os.environ
        | {
            "KUBECONFIG": str(kubeconfig),
            "PYTHONPATH": str(SCRIPT.parent),
            "WATCH_NAMESPACE": namespaces,
        },
        text=True,
        capture_output=True,
        timeout=30,
        check=False,
    )


def test_unfinished_ones_are_annotated_and_nothing_else(kubeconfig: Path) -> None:
    Api.items["backups"] = [
        resource("old", "Completed"),
        resource("bad", "Failed"),
        resource("plan", "Scheduled"),
        resource("new", None),
        resource("leaving", "Completed", deletionTimestamp="2026-01-01T00:00:00Z"),
    ]
    Api.items["restores"] = [resource("done", "Completed"), resource("busy", "InProgress")]
    done = wake(kubeconfig)
    assert done.returncode == 0, done.stderr
    backups = [f"music/backups/{name}" for name in ("plan", "new", "leaving")]
    assert Api.woken == [*backups, "music/restores/busy"]


def test_nothing_is_annotated_before_this_pod_leads(kubeconfig: Path) -> None:
    Api.holders = ["another_1", f"{os.uname().nodename}-2_1", "", f"{os.uname().nodename}_1"]
    Api.items["backups"] = [resource("new", None)]
    assert wake(kubeconfig).returncode == 0
    assert Api.holders == [f"{os.uname().nodename}_1"]
    assert Api.woken == ["music/backups/new"]


def test_a_namespaced_operator_lists_its_own_namespaces_only(kubeconfig: Path) -> None:
    Api.items |= {
        "namespaces/music/backups": [resource("new", None)],
        "namespaces/music/restores": [],
        "namespaces/film/backups": [],
        "namespaces/film/restores": [],
    }
    Api.items["backups"] = [resource("elsewhere", None)]
    done = wake(kubeconfig, "music, film")
    assert done.returncode == 0, done.stderr
    assert Api.woken == ["music/backups/new"]


def test_what_has_gone_meanwhile_does_not_keep_the_others_asleep(kubeconfig: Path) -> None:
    Api.items["backups"] = [resource("gone", None), resource("new", None)]
    Api.gone = {"music/backups/gone"}
    assert wake(kubeconfig).returncode == 0
    assert Api.woken[-1] == "music/backups/new"


def test_an_api_server_that_is_away_is_reported_in_one_line(tmp_path: Path) -> None:
    done = wake(tmp_path / "none")
    assert done.returncode == 1
    assert done.stderr.startswith("unfinished Backups and Restores were not queued first")
    assert done.stderr.count("\n") == 1
