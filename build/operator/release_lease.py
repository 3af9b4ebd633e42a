"""Runs the operator and, once it has ended, gives up the lease that it held.

    python3 release_lease.py COMMAND [ARGUMENT...]

ansible-operator keeps its lease when it is stopped, so that the next one would wait until it runs
out, 15 s. Here the lease goes to the next one as soon as nothing of this one works any more: the
command has ended, and whatever it left running, such as a run that took too long, is killed. It is
given up only by the pod that holds it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path
from types import FrameType

OPTION = "--leader-election-id="
NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
TIMEOUT_SECONDS = 3
PR_SET_CHILD_SUBREAPER = 36


def main(command: list[str]) -> int:
    """Be the command, as far as its signals and its exit code go."""
    # What the command leaves behind becomes a child of this process.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    pid = os.posix_spawnp(command[0], command, os.environ)

    def forward(number: int, _frame: FrameType | None) -> None:
        os.kill(pid, number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, forward)
    code = await_end(pid)
    kill_children()
    names = [word.removeprefix(OPTION) for word in command if word.startswith(OPTION)]
    if "--leader-elect" in command and names:
        release(names[-1])
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


def release(name: str) -> None:
    """Empty the lease where this pod holds it; one that cannot be given up runs out by itself."""
    # Imported late: it takes longer than the operator itself to start.
    from kubernetes import client, config  # noqa: PLC0415

    in_pod = NAMESPACE.exists()
    namespace = NAMESPACE.read_text().strip() if in_pod else "default"
    try:
        if in_pod:
            config.load_incluster_config()
        else:
            config.load_kube_config()
        leases = client.CoordinationV1Api()
        lease = leases.read_namespaced_lease(name, namespace, _request_timeout=TIMEOUT_SECONDS)
        # controller-runtime names the holder HOSTNAME_UUID.
        if (lease.spec.holder_identity or "").startswith(f"{os.uname().nodename}_"):
            lease.spec.holder_identity = ""
            lease.spec.lease_duration_seconds = 1
            # Refused where anybody else has written it since.
            leases.replace_namespaced_lease(
                name, namespace, lease, _request_timeout=TIMEOUT_SECONDS
            )
            print(f"gave up the lease {namespace}/{name}", flush=True)
    except Exception as error:
        print(f"the lease {namespace}/{name} was not given up: {error}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
