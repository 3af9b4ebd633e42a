"""Runs the operator, has unfinished resources reconciled first, and releases its Lease at the end.

    python3 run_operator.py COMMAND [ARGUMENT...]

ansible-operator keeps its lease when it is stopped, so that the next one would wait until it runs
out, 15 s. Here the lease goes to the next one as soon as nothing of this one works any more: the
command has ended, and whatever it left running, such as a run that took too long, is killed. It is
given up only by the pod that holds it.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from pathlib import Path
from types import FrameType

OPTION = "--leader-election-id="
WAKE_UNFINISHED = Path(__file__).with_name("wake_unfinished.py")
PR_SET_CHILD_SUBREAPER = 36


def main(command: list[str]) -> int:
    """Be the command, as far as its signals and its exit code go."""
    # It writes for its own user only, and no core files, which would have every password in them.
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    # What the command leaves behind becomes a child of this process.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    pid = os.posix_spawnp(command[0], command, os.environ)

    def forward(number: int, _frame: FrameType | None) -> None:
        os.kill(pid, number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, forward)
    names = [word.removeprefix(OPTION) for word in command if word.startswith(OPTION)]
    elected = "--leader-elect" in command and bool(names)
    if elected:
        wake = [sys.executable, str(WAKE_UNFINISHED), names[-1]]
        os.posix_spawn(wake[0], wake, os.environ)
    code = await_end(pid)
    kill_children()
    if elected:
        # Imported late: it takes longer than the operator itself to start.
        import lease  # noqa: PLC0415

        lease.release(names[-1])
    return 128 - code if code < 0 else code


def await_end(pid: int) -> int:
    """Return how a child ended: its exit code, or its signal's number below zero.

    Until then reap what it has left behind, as this process is the init of it all.
    """
    while True:
        ended, status = os.waitpid(-1, 0)
        if ended == pid:
            return os.waitstatus_to_exitcode(status)


def kill_children() -> None:
    """Kill all children, and theirs, which become children of this process."""
    while True:
        for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
            os.kill(int(pid), signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
