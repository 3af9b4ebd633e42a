"""Running the steps: side by side where the plan allows it, until the first one fails."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from harness.plan import CHECKOUT, Step
from harness.results import Counts, count_step

TAIL_LINES = 120
POLL_SECONDS = 0.1
END_SECONDS = 15.0


@dataclass
class Running:
    """A step's process, in a session of its own so that all of it can be ended."""

    step: Step
    process: subprocess.Popen[bytes]
    start: float

    def end(self) -> None:
        """End the process and its children, those that do not listen too."""
        with suppress(ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(END_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@dataclass
class Runner:
    """Runs steps, tells about them, and counts.

    Attributes:
        logs: the folder of the steps' logs.
        environment: what the steps see.
    """

    logs: Path
    environment: Mapping[str, str]
    counts: Counts = field(default_factory=Counts)
    _began: float = field(default_factory=time.monotonic)

    def say(self, text: str) -> None:
        """Print a line under the time that has passed."""
        print(f"[{time.monotonic() - self._began:6.1f}s] {text}", flush=True)

    def run(self, plan: Sequence[Step]) -> bool:
        """Run the steps; return whether all succeeded. The first failure ends what still runs."""
        waiting, running, done = list(plan), list[Running](), set[str]()
        try:
            while waiting or running:
                for step in [step for step in waiting if done.issuperset(step.after)]:
                    waiting.remove(step)
                    running.append(self._start(step))
                for current in [item for item in running if item.process.poll() is not None]:
                    running.remove(current)
                    if not self._finish(current):
                        return False
                    done.add(current.step.name)
                time.sleep(POLL_SECONDS)
            return True
        finally:
            for current in running:
                current.end()
                self.say(f"{current.step.name}: ended unfinished")

    def _log(self, step: Step) -> Path:
        return self.logs / f"{step.name}.log"

    def _start(self, step: Step) -> Running:
        self.say(f"{step.name} ...")
        with self._log(step).open("wb") as log:
            process = subprocess.Popen(
                step.command,
                cwd=CHECKOUT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return Running(step, process, time.monotonic())

    def _finish(self, current: Running) -> bool:
        """Count and tell about a step that ended; return whether it succeeded."""
        step, exit_code = current.step, current.process.returncode
        counts = count_step(step.report, exit_code)
        self.counts += counts
        suffix = f" ({counts})" if step.report else ""
        seconds = time.monotonic() - current.start
        if exit_code == 0 and not counts.failed:
            self.say(f"{step.name}: {seconds:.1f} s{suffix}")
            return True
        self.say(f"{step.name}: FAILED after {seconds:.1f} s{suffix}")
        lines = self._log(step).read_text(errors="replace").splitlines()
        print(f"--- the last lines of {self._log(step)}")
        print("\n".join(lines[-TAIL_LINES:]))
        print("---", flush=True)
        return False
