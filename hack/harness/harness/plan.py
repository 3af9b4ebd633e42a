"""What is run, and what each step waits for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[3]
IMAGE = "postgres-operator:test"


@dataclass(frozen=True)
class Step:
    """One command.

    Attributes:
        name: what is shown, and the name of its log.
        command: the argument list.
        after: the names of the steps that must have succeeded before.
        report: where its tests' results are written as JUnit XML; None where it runs no tests.
    """

    name: str
    command: tuple[str, ...]
    after: tuple[str, ...] = ()
    report: Path | None = None


@dataclass(frozen=True)
class Target:
    """The cluster to test on, and where results go."""

    cluster: str
    provider: str
    folder: Path

    @property
    def kubeconfig(self) -> Path:
        """The cluster's kubeconfig; no other cluster may ever be touched."""
        return CHECKOUT / ".cluster" / self.cluster / "kubeconfig"

    def make(self, *words: str) -> tuple[str, ...]:
        """Return the command for make targets and variables on this cluster."""
        return (
            "make",
            f"CLUSTER={self.cluster}",
            f"CLUSTER_PROVIDER={self.provider}",
            f"KUBECONFIG={self.kubeconfig}",
            f"IMG={IMAGE}",
            *words,
        )


def build_plan(target: Target) -> list[Step]:
    """Return the steps, each after those that it waits for.

    Once the environment is there, two chains run side by side: the tests that need no cluster, and
    the way to a cluster with the operator, whose image is built meanwhile. What installs Debian
    packages is not run side by side.
    """
    return [
        Step("packages", ("bash", "hack/harness/packages.sh")),
        _make(target, "cluster-packages", "cluster-packages", after="packages"),
        _make(target, "environment", "venv", after="cluster-packages"),
        _make(target, "checks", "checks", after="environment"),
        _tests(target, "unit", "test-unit", after="checks"),
        _tests(target, "integration", "test-integration", after="unit"),
        _make(target, "leftovers", "cluster-down", after="environment"),
        _make(target, "cluster", "cluster-up", after="leftovers"),
        _make(target, "crds", "install", after="cluster"),
        # Before the operator comes: these tests check what the API server and the modules do.
        _tests(target, "kubernetes", "test-kubernetes", after="crds"),
        _make(target, "image", "docker-build", after="leftovers"),
        _make(target, "load", "cluster-load", after="kubernetes", also="image"),
        _make(target, "load-s3", "cluster-load-s3", after="load"),
        _make(target, "deploy", "deploy", after="load-s3"),
        _tests(target, "scenarios", "test-scenarios", after="deploy"),
        _tests(target, "alone", "test-alone", after="scenarios", also="integration"),
    ]


def end_step(target: Target) -> Step:
    """Return what is done at the end, however it went."""
    return _make(target, "cluster-down", "cluster-down")


def _make(target: Target, name: str, goal: str, after: str = "", also: str = "") -> Step:
    return Step(name, target.make(goal), tuple(step for step in (after, also) if step))


def _tests(target: Target, name: str, goal: str, after: str, also: str = "") -> Step:
    report = target.folder / f"{name}.xml"
    made = _make(target, name, goal, after, also)
    command = (*made.command, f"PYTEST_ARGS=--junitxml={report}")
    return replace(made, command=command, report=report)
