"""The operator's lease is given up by who held it, and only once nothing of it runs any more."""

from __future__ import annotations

import os
import resource
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_api import JsonHandler, serve

SCRIPT = Path(__file__).resolve().parents[3] / "image" / "operator" / "run_operator.py"
OPERATOR = ("--leader-elect", "--leader-election-id=operator")


class Api(JsonHandler):
    """An API server that has one Lease."""

    lease: dict[str, Any]

    def respond(self) -> None:
        if self.command == "PUT":
            type(self).lease = self.read_json()
        self.answer(self.lease)


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Iterator[Path]:
    with serve(Api, tmp_path) as path:
        yield path


def hold(holder: str) -> None:
    Api.lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "operator", "namespace": "default"},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15},
    }


def start(kubeconfig: Path, shell: str, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, SCRIPT, "/bin/sh", "-c", shell, "operator", *options]
    return subprocess.Popen(
        command, env=os.environ | {"KUBECONFIG": str(kubeconfig)}, text=True, stdout=-1, stderr=-2
    )


def test_the_lease_of_this_pod_is_given_up(kubeconfig: Path) -> None:
    hold(f"{os.uname().nodename}_8f7e")
    process = start(kubeconfig, "exit 3", *OPERATOR)
    assert process.wait(30) == 3, process.stdout.read()
    assert not Api.lease["spec"]["holderIdentity"]


def test_the_lease_of_another_pod_is_left_alone(kubeconfig: Path) -> None:
    hold(f"{os.uname().nodename}-2_8f7e")
    assert start(kubeconfig, "exit 0", *OPERATOR).wait(30) == 0
    assert Api.lease["spec"]["holderIdentity"] == f"{os.uname().nodename}-2_8f7e"


def test_without_leader_election_the_lease_is_not_read(tmp_path: Path) -> None:
    process = start(tmp_path / "none", "exit 0")
    assert process.communicate(timeout=30) == ("", None)


def test_what_the_command_leaves_running_is_killed_first(kubeconfig: Path, tmp_path: Path) -> None:
    hold(f"{os.uname().nodename}_8f7e")
    left = tmp_path / "left"
    process = start(kubeconfig, f"setsid sleep 300 & echo $! > {left}; exit 0", *OPERATOR)
    assert process.wait(30) == 0
    assert not Path("/proc", left.read_text().strip()).exists()
    assert not Api.lease["spec"]["holderIdentity"]


def test_what_ends_while_the_command_runs_is_reaped(kubeconfig: Path, tmp_path: Path) -> None:
    hold("another")
    left = tmp_path / "left"
    shell = f"sh -c 'sleep 0.1 & echo $! > {left}'; sleep 1; ls /proc/$(cat {left})"
    process = start(kubeconfig, shell, *OPERATOR)
    assert process.wait(30) == 2, "the process is still there, as a zombie"


def test_the_command_gets_the_signal(kubeconfig: Path, tmp_path: Path) -> None:
    hold(f"{os.uname().nodename}_8f7e")
    ready = tmp_path / "ready"
    shell = f"trap 'exit 5' TERM; touch {ready}; while :; do sleep 0.1; done"
    process = start(kubeconfig, shell, *OPERATOR)
    while not ready.exists():
        time.sleep(0.05)
    process.terminate()
    assert process.wait(30) == 5
    assert not Api.lease["spec"]["holderIdentity"]


def test_an_api_server_that_is_away_changes_nothing(tmp_path: Path) -> None:
    process = start(tmp_path / "none", "exit 4", *OPERATOR)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 4
    assert "was not released" in output


def test_what_the_operator_writes_is_for_its_own_user_only(tmp_path: Path) -> None:
    command = f"umask; ulimit -Sc; touch {tmp_path}/written"
    done = subprocess.run(
        ["/bin/sh", "-c", f'umask 022; exec {sys.executable} {SCRIPT} /bin/sh -c "{command}"'],
        preexec_fn=allow_core_files,
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ["0077", "0"]
    assert stat.S_IMODE((tmp_path / "written").stat().st_mode) == 0o600


def allow_core_files() -> None:
    """Have core files as a container runtime may have them."""
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (most, most))
