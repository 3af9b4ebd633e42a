"""Each molecule scenario is one test, on the cluster of $KUBECONFIG with the operator deployed.

With RUNNER=off or stock the operator uses another ansible-runner meanwhile, and what each scenario
leaves is compared with what it left when it last ran with the warm one.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import runner
from collection_root import ensure_collection_root

CHECKOUT = Path(__file__).resolve().parents[2]
SCENARIOS = sorted(path.parent.name for path in CHECKOUT.glob("molecule/*/molecule.yml"))
MOLECULE = ("molecule", "--base-config", "molecule/config.yml")
TIMEOUT_SECONDS = 1800
# Of the result of a task that failed.
FAILURE_LINES = 120
# It makes a cluster of its own, builds the image and loads it.
TIMEOUT_KIND_SECONDS = 2400
KEPT = CHECKOUT / ".cache" / "scenarios"
# They have a cluster of their own, or run the roles themselves while the operator is away.
WITHOUT_OPERATOR = ("kind", "runner")
PARAMETERS = [
    pytest.param(name, marks=[pytest.mark.alone] if name in WITHOUT_OPERATOR else [])
    for name in SCENARIOS
]
OPERATOR = (
    "--namespace=postgres-operator-system",
    "deployment/postgres-operator-controller-manager",
)

Environment = dict[str, str]


@pytest.fixture(scope="session")
def used_runner() -> Iterator[str]:
    """The operator uses the chosen runner as long as the tests last."""
    name = runner.chosen()
    if name == "warm":
        yield name
        return
    runner.switch_to(name)
    yield name
    runner.switch_to("warm")


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """What molecule sees: this Python's programs, the cluster's kubectl, a folder of its own."""
    programs = [Path(sys.executable).parent, CHECKOUT / ".cluster" / "bin"]
    return os.environ | {
        "PATH": os.pathsep.join([*map(str, programs), os.environ["PATH"]]),
        "MOLECULE_EPHEMERAL_DIRECTORY": str(tmp_path / "molecule"),
        "MOLECULE_COMMAND_BORDERS": "0",
        "ANSIBLE_COLLECTIONS_PATH": str(ensure_collection_root()),
        "NO_COLOR": "1",
        "LC_ALL": "C.UTF-8",
    }


@pytest.fixture
def log(request: pytest.FixtureRequest) -> Path:
    """Where the scenario's output goes, to be read while it runs, and printed where it fails."""
    path = CHECKOUT / ".cache" / "scenarios" / f"{request.getfixturevalue('scenario')}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    return path


@pytest.mark.e2e
def test_the_operator_uses_the_runner_that_was_asked_for(used_runner: str) -> None:
    runner.await_use(used_runner)


@pytest.mark.e2e
@pytest.mark.parametrize("scenario", PARAMETERS)
def test_scenario(scenario: str, environment: Environment, log: Path, used_runner: str) -> None:
    skip_what_cannot_run(scenario)
    play(scenario, environment, log, used_runner)


def play(scenario: str, environment: Environment, log: Path, name: str) -> None:
    """Run a scenario with the runner that the operator uses, and compare what it leaves."""
    timeout = TIMEOUT_KIND_SECONDS if scenario == "kind" else TIMEOUT_SECONDS
    arguments = ("test", "--destroy", "never", "--scenario-name", scenario)
    problem = run([*MOLECULE, *arguments], environment, log, timeout)
    # To molecule that is a success.
    if not problem and "Missing playbook" in log.read_text(errors="replace"):
        problem = "a playbook is missing"
    if problem:
        # What went wrong is kept for inspection.
        show_cluster(f"scenario-{scenario}", environment, log)
    elif scenario not in WITHOUT_OPERATOR:
        problem = compare_runners(scenario, name)
    run([*MOLECULE, "destroy", "--scenario-name", scenario], environment, log, TIMEOUT_SECONDS)
    if problem:
        text = log.read_text(errors="replace")
        # It is long, and its end is what is read first.
        print(text, *failed_task(text), sep="\n")
        pytest.fail(f"scenario {scenario}: {problem}", pytrace=False)


def failed_task(text: str) -> list[str]:
    """The last task of the log that failed, with the beginning of what it said."""
    lines = text.splitlines()
    failures = [number for number, line in enumerate(lines) if line.startswith("fatal: ")]
    if not failures:
        return []
    tasks = [line for line in lines[: failures[-1]] if line.startswith("TASK ")]
    return [*tasks[-1:], *lines[failures[-1] : failures[-1] + FAILURE_LINES]]


def compare_runners(scenario: str, name: str) -> str:
    """Keep what the scenario has left; say in what it differs from what the warm runner left."""
    kept = {each: KEPT / each / f"{scenario}.json" for each in runner.RUNNERS}
    runner.write_down(f"scenario-{scenario}", kept[name])
    if name == "warm" or not kept["warm"].exists():
        return ""
    one, other = (json.loads(kept[each].read_text()) for each in ("warm", name))
    found = runner.differences(one, other)
    return "\n".join([f"RUNNER=warm and RUNNER={name} differ:", *found]) if found else ""


def skip_what_cannot_run(scenario: str) -> None:
    missing = [program for program in ("docker", "kind") if shutil.which(program) is None]
    if scenario == "kind" and missing:
        pytest.skip(f"not on this machine: {', '.join(missing)}")


def run(command: list[str], environment: Environment, log: Path, timeout: float) -> str:
    """Run a command to the end of the log; return what went wrong, empty if nothing."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=CHECKOUT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            exit_code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            return f"it was not done after {timeout:g} s"
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    return f"exit code {exit_code}" if exit_code else ""


def show_cluster(namespace: str, environment: Environment, log: Path) -> None:
    """Add to the log what is in the namespace, and what the operator did last."""
    for arguments in (
        ("get", "postgres,pods,jobs,pvc", "--output=wide", f"--namespace={namespace}"),
        ("describe", "postgres", f"--namespace={namespace}"),
        ("get", "events", "--sort-by=.metadata.creationTimestamp", f"--namespace={namespace}"),
        ("logs", "--tail=100", *OPERATOR),
    ):
        run(["kubectl", *arguments], environment, log, 60)
