"""kubectl in a namespace of its own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KUBECTL = Path(__file__).resolve().parents[2] / ".cluster" / "bin" / "kubectl"


class KubectlError(Exception):
    """kubectl ended with an exit code; the text is what it said."""


@dataclass(frozen=True)
class Namespace:
    """A namespace."""

    name: str

    def kubectl(self, *arguments: str, text: str = "", timeout: float = 60) -> str:
        """Run kubectl and return what it printed.

        Raises:
            KubectlError: it failed, or took longer than ``timeout`` seconds.
        """
        program = str(KUBECTL) if KUBECTL.exists() else "kubectl"
        command = [program, f"--namespace={self.name}", *arguments]
        try:
            done = subprocess.run(
                command, input=text, text=True, capture_output=True, check=False, timeout=timeout
            )
        except subprocess.TimeoutExpired:
            raise KubectlError(f"{arguments[0]} took longer than {timeout} s") from None
        if done.returncode:
            raise KubectlError(done.stderr.strip())
        return done.stdout

    def apply(self, manifest: Mapping[str, Any]) -> None:
        """Apply one object."""
        self.kubectl("apply", "--filename=-", text=json.dumps(manifest))

    def ask_for(self, kind: str, name: str, spec: Mapping[str, Any]) -> None:
        """Apply a custom resource of the operator."""
        self.apply(
            {
                "apiVersion": "database.example.com/v1",
                "kind": kind,
                "metadata": {"name": name},
                "spec": spec,
            }
        )

    def read(self, kind: str, name: str) -> dict[str, Any]:
        """Read one object."""
        found: dict[str, Any] = json.loads(self.kubectl("get", kind, name, "--output=json"))
        return found

    def kill_pods(self, selector: str) -> None:
        """End pods the hard way: no signal to heed, no grace."""
        self.kubectl(
            "delete", "pod", f"--selector={selector}", "--grace-period=0", "--force", "--wait=false"
        )
