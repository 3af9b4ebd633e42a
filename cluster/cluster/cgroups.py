"""Control groups, in version 1 and 2: what a machine's processes live in, and how they end.

Every process of a cluster, the daemons as well as the containers, is a member of
``/postgres-operator/CLUSTER/...``. So the processes to end are exactly the members of
that group: nothing is ever found by its name.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from cluster.errors import ClusterError
from cluster.shell import run

MOUNT = Path("/sys/fs/cgroup")
ROOT_GROUP = "postgres-operator"
END_SECONDS = 20.0


def hierarchies() -> list[Path]:
    """Find the mounted hierarchies: version 1 has one per controller, version 2 a single one.

    Some machines have both, with no controller in version 2's: containers live in all of them.
    """
    found: dict[str, Path] = {}
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, target, kind, options, *_ = line.split(" ")
        if kind in ("cgroup", "cgroup2"):
            found.setdefault(f"{kind} {options}", Path(target))
    return list(found.values())


def is_version_2() -> bool:
    """Return whether the single hierarchy of version 2 is in use."""
    return all((path / "cgroup.controllers").exists() for path in hierarchies())


def ensure_mounted() -> None:
    """Mount control groups where nothing did so before, as in a plain chroot."""
    if hierarchies():
        return
    if not Path("/sys/kernel").exists():
        run(["mount", "-t", "sysfs", "sysfs", "/sys"])
    rows = [line.split() for line in Path("/proc/cgroups").read_text().splitlines()[1:]]
    controllers = [name for name, hierarchy, _, enabled in rows if hierarchy != "0"]
    if not controllers:
        run(["mount", "-t", "cgroup2", "cgroup2", MOUNT])
        return
    run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", MOUNT])
    for controller in controllers:
        folder = MOUNT / controller
        folder.mkdir()
        run(["mount", "-t", "cgroup", "-o", controller, controller, folder])


def group_name(cluster: str, *parts: str) -> str:
    """Name a group below the root, as kubelet and the kernel spell it."""
    return "/".join(("", ROOT_GROUP, cluster, *parts))


def folders(group: str) -> list[Path]:
    """Where a group is, in each hierarchy."""
    return [path / group.lstrip("/") for path in hierarchies()]


def create(group: str) -> None:
    """Make a group and its parents, ready to hold processes and further groups."""
    for hierarchy in hierarchies():
        folder = hierarchy
        for part in group.strip("/").split("/"):
            _delegate(folder)
            folder = folder / part
            folder.mkdir(exist_ok=True)
            for setting in ("cpuset.cpus", "cpuset.mems"):
                # In version 1 a new group may use no processor and no memory until that is set.
                path = folder / setting
                if path.exists() and not is_version_2() and not path.read_text().strip():
                    path.write_text((folder.parent / setting).read_text())


def _delegate(folder: Path) -> None:
    """Hand every controller on to the groups below (version 2 only)."""
    available = folder / "cgroup.controllers"
    if not available.exists():
        return
    wanted = " ".join(f"+{name}" for name in available.read_text().split())
    if not wanted:
        return
    try:
        (folder / "cgroup.subtree_control").write_text(wanted)
    except OSError as refused:
        raise ClusterError(
            f"{folder}: controllers cannot be handed on ({refused.strerror}); "
            "processes of this group must first be moved into a group below it"
        ) from refused


def members(group: str) -> set[int]:
    """List the processes in a group and everything below it."""
    found: set[int] = set()
    for folder in folders(group):
        for path in folder.rglob("cgroup.procs"):
            try:
                found.update(int(pid) for pid in path.read_text().split())
            except OSError:
                # The group went away between being listed and being read.
                continue
    # Zero stands for a process of an outer process namespace.
    return found - {0, os.getpid()}


def kill(group: str) -> int:
    """End every process in a group at once and wait until they are gone; return how many."""
    ended: set[int] = set()
    deadline = time.monotonic() + END_SECONDS
    while alive := members(group):
        for pid in alive:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        ended |= alive
        if time.monotonic() > deadline:
            pids = " ".join(map(str, sorted(alive)))
            raise ClusterError(f"these processes of {group} do not end: {pids}")
        time.sleep(0.05)
    return len(ended)


def remove(group: str) -> None:
    """Remove a group and everything below it; its processes must have ended."""
    for folder in folders(group):
        if not folder.exists():
            continue
        below = [path for path in folder.rglob("*") if path.is_dir()]
        for path in sorted(below, key=lambda path: len(path.parts), reverse=True):
            _remove_folder(path)
        _remove_folder(folder)


def remove_root_if_empty() -> None:
    """Remove the parent of all clusters' groups after the last one."""
    for folder in folders(ROOT_GROUP):
        try:
            folder.rmdir()
        except OSError:
            continue


def _remove_folder(folder: Path) -> None:
    """Remove one empty group; the kernel needs a moment after its last process."""
    deadline = time.monotonic() + 5
    while True:
        try:
            folder.rmdir()
            return
        except FileNotFoundError:
            return
        except OSError as busy:
            if time.monotonic() > deadline:
                raise ClusterError(f"{folder} cannot be removed: {busy.strerror}") from busy
            time.sleep(0.05)


def start_inside(group: str) -> list[str]:
    """Give the words to put before a command so that it begins life in a group."""
    files = " ".join(str(folder / "cgroup.procs") for folder in folders(group))
    script = f'for file in {files}; do echo $$ > "$file" || exit 1; done; exec "$@"'
    return ["sh", "-c", script, "sh"]
