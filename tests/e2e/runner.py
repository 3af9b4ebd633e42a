"""Which ansible-runner the operator uses in the scenarios, and whether both lead to the same.

`RUNNER=warm`, the default, is how the operator is deployed. With `off` the warm runner executes the
real ansible-runner each time (WARM_RUNNER=off), and with `stock` the operator has no warm runner at
all. What a scenario leaves is written down without what differs between any two runs: times,
addresses, sizes, who leads.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
DEPLOYMENT = "deployment/postgres-operator-controller-manager"
NAMESPACE = "postgres-operator-system"
# The image's entrypoint without the warm runner, on PATH too.
WITHOUT_WARM_RUNNER = [
    "/usr/bin/tini", "--", "python3", "/opt/ansible/run_operator.py",
    "/usr/bin/env", "PATH=/opt/operator/bin:/usr/local/bin:/usr/bin:/bin",
    "ansible-operator", "run", "--watches-file=/opt/ansible/watches.yaml",
]  # fmt: skip
# The manager's command and its WARM_RUNNER; None is the image's own.
RUNNERS: dict[str, tuple[list[str] | None, str | None]] = {
    "warm": (None, None),
    "off": (None, "off"),
    "stock": (WITHOUT_WARM_RUNNER, None),
}
# Which ansible-runner the operator's process finds, by its own environment. Linux cuts names to 15 letters.
USED = r"""
pid=$(grep -lx ansible-operato /proc/[0-9]*/comm | head -1 | cut -d/ -f3)
ours=$(tr '\0' '\n' < /proc/$pid/environ)
path=$(printf %s "$ours" | sed -n 's/^PATH=//p')
case $(PATH=$path command -v ansible-runner) in
    /opt/operator/bin/*) echo stock ;;
    *) if printf %s "$ours" | grep -qx WARM_RUNNER=off; then echo off
       elif ls /tmp/warm-runner-65532/*.socket >/dev/null 2>&1; then echo warm; fi ;;
esac
"""

# Of a status, what the same scenario always ends with.
LASTING = ("phase", "ready", "instancesReady", "replicas", "readyReplicas", "version", "secretName")
# A scheduled Backup's run is named by its time, any Job by its resource's UID; a safety Backup and
# the Restore that fills a new Database end with the beginning of a UID.
NAMED_BY_CHANCE = re.compile(r"-(\d{14}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{8}$)")


def chosen() -> str:
    """Return the runner that $RUNNER names."""
    name = os.environ.get("RUNNER") or "warm"
    if name not in RUNNERS:
        raise ValueError(f"RUNNER={name} is not known: write {' or '.join(RUNNERS)}")
    return name


def kubectl(*arguments: str, text: str = "", timeout: float = 240) -> str:
    """Run kubectl with a text as its input, for so many seconds; return what it printed."""
    program = CHECKOUT / ".cluster" / "bin" / "kubectl"
    command = [str(program) if program.exists() else "kubectl", *arguments]
    done = subprocess.run(
        command, input=text, capture_output=True, text=True, timeout=timeout, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stderr}"
    return done.stdout


def switch_to(name: str) -> None:
    """Have the deployed operator use a runner from now on."""
    command, setting = RUNNERS[name]
    variable = {"name": "WARM_RUNNER", "value": setting}
    if setting is None:
        variable = {"name": "WARM_RUNNER", "$patch": "delete"}
    manager = {"name": "manager", "command": command, "env": [variable]}
    patch = json.dumps({"spec": {"template": {"spec": {"containers": [manager]}}}})
    kubectl("-n", NAMESPACE, "patch", DEPLOYMENT, "--patch", patch)
    kubectl("-n", NAMESPACE, "rollout", "status", DEPLOYMENT, "--timeout=180s")


def used() -> str:
    """Return the runner that the operator's process really has; empty before it can be known."""
    manager = ("exec", DEPLOYMENT, "-c", "manager", "--", "sh", "-c", USED)
    return kubectl("-n", NAMESPACE, *manager).strip()


def await_use(name: str, seconds: float = 60) -> None:
    """Wait until the operator uses a runner: the warm parent takes a moment to start."""
    deadline = time.monotonic() + seconds
    while used() != name:
        assert time.monotonic() < deadline, f"after {seconds:g} s the runner is not {name}"
        time.sleep(1)


def write_down(namespace: str, path: Path) -> None:
    """Keep what a scenario has left in its namespace."""
    resources = json.loads(kubectl("-n", namespace, "get", "postgres", "-o", "json"))
    events = json.loads(kubectl("-n", namespace, "get", "events.events.k8s.io", "-o", "json"))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(describe(resources["items"], events["items"]), indent=2) + "\n")


def describe(resources: list[Any], events: list[Any]) -> dict[str, Any]:
    """Return statuses by resource, and the kinds of Event that there were about each."""
    found: dict[str, Any] = {}
    for resource in resources:
        status = resource.get("status", {})
        found.setdefault(_name(resource["kind"], resource["metadata"]["name"]), []).append(
            {
                "fields": sorted(status),
                "status": {key: status[key] for key in LASTING if key in status},
                "conditions": sorted(
                    [condition["type"], condition["status"], condition["reason"]]
                    for condition in status.get("conditions", [])
                ),
            }
        )
    reasons: dict[str, set[str]] = {}
    for event in events:
        about = event.get("regarding", {})
        if event.get("reportingController", "").startswith("database.example.com/"):
            reasons.setdefault(_name(about["kind"], about["name"]), set()).add(event["reason"])
    # How many runs a schedule has had by now is chance: one of each outcome is kept.
    unique = {
        name: sorted({json.dumps(one, sort_keys=True) for one in several})
        for name, several in found.items()
    }
    return {
        "resources": {name: [json.loads(one) for one in unique[name]] for name in sorted(unique)},
        "events": {name: sorted(reasons[name]) for name in sorted(reasons)},
    }


def _name(kind: str, name: str) -> str:
    return f"{kind}/{NAMED_BY_CHANCE.sub('-*', name)}"


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Return what two descriptions of the same scenario do not share.

    A state that lasts only moments may be reported by one and be over for the other, so of the
    Events only those count whose reason the resource has in the end.
    """
    problems = []
    for name in sorted(one["resources"].keys() | other["resources"].keys()):
        left, right = one["resources"].get(name), other["resources"].get(name)
        if left != right:
            problems.append(f"{name}:\n  {json.dumps(left)}\n  {json.dumps(right)}")
            continue
        last = {reason for state in left for _, _, reason in state["conditions"]}
        reasons = [last & set(side["events"].get(name, ())) for side in (one, other)]
        if reasons[0] != reasons[1]:
            problems.append(f"Events of {name}: {sorted(reasons[0])}, {sorted(reasons[1])}")
    return problems
