"""The container tools that can build the image, behind one small interface."""

from __future__ import annotations

import os
import resource
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from .debian import install_missing
from .steps import StepFailed, cache_folder, output_of, run, succeeds

# The time of every file that a build makes, and of the image: the same one for all builds, so that
# the same content has the same digest, and layers of an earlier build are found again.
SOURCE_DATE_EPOCH = os.environ.get("SOURCE_DATE_EPOCH") or "1767225600"

# The folder is private before / is mounted below it, so that a machine whose mounts are shared
# doesn't see them; what buildah mounts later stays in the namespace as well.
MOUNT_ROOT = """
mountpoint -q "$0" || mount --bind "$0" "$0"
mount --make-private "$0"
mount --rbind / "$0/entered"
mount --make-rslave "$0/entered"
exec chroot "$0/entered" "$@"
"""


class Engine(Protocol):
    """What is asked of a container tool."""

    @property
    def name(self) -> str:
        """The program's name."""

    def has(self, image: str) -> bool:
        """Whether the image is in the local store."""

    def pull(self, image: str) -> bool:
        """Fetch an image from its registry; False when that can't be reached."""

    def import_root(self, root: Path, image: str, environment: Mapping[str, str]) -> None:
        """Make an image of one layer out of a folder."""

    def build(
        self, context: Path, image: str, arguments: Mapping[str, str], *, anew: bool = False
    ) -> None:
        """Build the context's Dockerfile; `anew`: without layers of an earlier build."""

    def save(self, image: str, output: Path) -> None:
        """Write the image as a docker-archive."""

    def copy_out(self, image: str, folder: str, output: Path) -> None:
        """Copy the files of a folder of the image into one of this machine."""


@dataclass(frozen=True)
class Daemon:
    """docker, or podman, whose command line is the same as far as it is used here."""

    name: str

    def has(self, image: str) -> bool:
        """Whether the image is in the local store."""
        return succeeds([self.name, "image", "inspect", image])

    def pull(self, image: str) -> bool:
        """Fetch an image from its registry; False when that can't be reached."""
        return succeeds([self.name, "pull", "--quiet", image], timeout=600)

    def import_root(self, root: Path, image: str, environment: Mapping[str, str]) -> None:
        """Make an image of one layer out of a folder."""
        archive = root.with_suffix(".tar")
        run(["tar", "--create", "--file", str(archive), "--directory", str(root), "."], log="tar")
        changes = [f"--change=ENV {key}={value}" for key, value in environment.items()]
        run([self.name, "import", *changes, str(archive), image], log="import")
        archive.unlink()

    def build(
        self, context: Path, image: str, arguments: Mapping[str, str], *, anew: bool = False
    ) -> None:
        """Build the context's Dockerfile; `anew`: without layers of an earlier build."""
        run(
            [
                self.name, "build", *build_arguments(arguments, anew), "--tag", image, str(context)
            ],
            log="build",
            environment={"DOCKER_BUILDKIT": "1", "SOURCE_DATE_EPOCH": SOURCE_DATE_EPOCH},
        )  # fmt: skip

    def save(self, image: str, output: Path) -> None:
        """Write the image as a docker-archive."""
        run([self.name, "save", "--output", str(output), image], log="save")

    def copy_out(self, image: str, folder: str, output: Path) -> None:
        """Copy the files of a folder of the image into one of this machine."""
        container = output_of([self.name, "create", image])
        try:
            run([self.name, "cp", f"{container}:{folder}/.", str(output)], log="copy-out")
        finally:
            run([self.name, "rm", container], log="rm")


@dataclass(frozen=True)
class Buildah:
    """buildah: needs no daemon, and with chroot isolation no namespaces either."""

    driver: str
    name: str = "buildah"

    @property
    def _command(self) -> list[str]:
        return [*mounted_root(), "buildah", "--storage-driver", self.driver]

    @property
    def _environment(self) -> dict[str, str]:
        # buildah keeps the cache mounts (Go modules, compiled packages, wheels) below TMPDIR.
        folder = cache_folder() / "mounts"
        folder.mkdir(parents=True, exist_ok=True)
        return {"TMPDIR": str(folder)}

    def has(self, image: str) -> bool:
        """Whether the image is in the local store."""
        return succeeds([*self._command, "inspect", "--type", "image", image])

    def pull(self, image: str) -> bool:
        """Fetch an image from its registry; False when that can't be reached."""
        return succeeds([*self._command, "pull", "--quiet", image], timeout=600)

    def import_root(self, root: Path, image: str, environment: Mapping[str, str]) -> None:
        """Make an image of one layer out of a folder."""
        container = output_of([*self._command, "from", "scratch"])
        try:
            run([*self._command, "add", "--quiet", container, str(root), "/"], log="import")
            settings = [f"--env={key}={value}" for key, value in environment.items()]
            run([*self._command, "config", *settings, "--cmd", "bash", container], log="config")
            run([*self._command, "commit", "--quiet", container, image], log="commit")
        finally:
            run([*self._command, "rm", container], log="rm")

    def build(
        self, context: Path, image: str, arguments: Mapping[str, str], *, anew: bool = False
    ) -> None:
        """Build the context's Dockerfile; `anew`: without layers of an earlier build."""
        run(
            [
                *self._command, "build", "--isolation", "chroot", "--layers", "--pull=false",
                "--timestamp", SOURCE_DATE_EPOCH, *own_limits(), *build_arguments(arguments, anew),
                "--tag", image, str(context),
            ],
            log="build",
            environment=self._environment,
        )  # fmt: skip

    def save(self, image: str, output: Path) -> None:
        """Write the image as a docker-archive."""
        # An archive of the same name would be added to, which the format can't do.
        output.unlink(missing_ok=True)
        target = f"docker-archive:{output}:{image}"
        run([*self._command, "push", image, target], log="save", environment=self._environment)

    def copy_out(self, image: str, folder: str, output: Path) -> None:
        """Copy the files of a folder of the image into one of this machine."""
        container = output_of([*self._command, "from", "--pull-never", *own_limits(), image])
        try:
            # By a volume: of what it prints, chroot isolation loses all but the first 64 KiB.
            run(
                [
                    *self._command, "run", "--isolation", "chroot", "--user", "0",
                    "--volume", f"{output}:/output", container, "--",
                    "cp", "--recursive", f"{folder}/.", "/output",
                ],
                log="copy-out",
            )  # fmt: skip
        finally:
            run([*self._command, "rm", container], log="rm")


def own_limits(pid_max: Path = Path("/proc/sys/kernel/pid_max")) -> list[str]:
    """Options by which what buildah runs has this process's limits, where they can be had.

    Without them Debian 13's buildah sets its own, and raising a hard limit is refused where root
    lacks CAP_SYS_RESOURCE, as in a container (source: buildah, run_linux.go, addRlimits). Debian
    12's has by then lowered its own number of processes to the kernel's greatest process id, and
    cannot raise that again either (source: containers/common, getDefaultProcessLimits).
    """
    files = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = int(pid_max.read_text(encoding="ascii"))
    processes = [
        most if limit == resource.RLIM_INFINITY else min(limit, most)
        for limit in resource.getrlimit(resource.RLIMIT_NPROC)
    ]
    return [
        f"--ulimit={name}={soft}:{hard}"
        for name, (soft, hard) in (("nofile", files), ("nproc", processes))
    ]


def build_arguments(arguments: Mapping[str, str], anew: bool = False) -> list[str]:
    """The options that differ from build to build.

    >>> build_arguments({"A": "x"}, anew=True)
    ['--build-arg=A=x', '--no-cache']
    """
    given = [f"--build-arg={key}={value}" for key, value in arguments.items()]
    return [*given, "--no-cache"] if anew else given


def mounted_root() -> list[str]:
    """Words before a buildah command where / is not a mount point, as in a bare chroot.

    buildah remounts / before it unpacks a layer. So there / is mounted on a folder, in a namespace
    of this command, and entered through it.
    """
    if root_is_mounted(Path("/proc/self/mountinfo").read_text()):
        return []
    folder = cache_folder() / "root"
    (folder / "entered").mkdir(parents=True, exist_ok=True)
    return [
        "unshare", "--mount", "--propagation", "unchanged", "sh", "-ec", MOUNT_ROOT, str(folder)
    ]  # fmt: skip


def root_is_mounted(mountinfo: str) -> bool:
    """Whether / is one of the mount points of a /proc/PID/mountinfo.

    >>> root_is_mounted("36 35 98:0 / /proc rw - proc proc rw")
    False
    """
    return any(line.split()[4] == "/" for line in mountinfo.splitlines())


def storage_driver() -> str:
    """overlay where the kernel lets us mount one here, else vfs: slower, but it always works."""
    if os.environ.get("STORAGE_DRIVER"):
        return os.environ["STORAGE_DRIVER"]
    works = succeeds(
        [*mounted_root(), "buildah", "--storage-driver", "overlay", "images", "--quiet"]
    )
    return "overlay" if works else "vfs"


def choose(tool: str | None) -> Engine:
    """The tool that was asked for, else the first one that works."""
    if tool in ("docker", "podman"):
        if not succeeds([tool, "info"]):
            raise StepFailed(f"{tool} has no working engine: start it, or use --tool buildah")
        return Daemon(tool)
    if tool is None:
        for name in ("docker", "podman"):
            if succeeds([name, "info"]):
                return Daemon(name)
    elif tool != "buildah":
        raise StepFailed(f"{tool} is not a known tool: use docker, podman or buildah")
    # Debian 13's buildah starts nothing without netavark, and does not depend on it.
    install_missing({"buildah": "buildah", "/usr/lib/podman/netavark": "netavark"})
    return Buildah(storage_driver())
