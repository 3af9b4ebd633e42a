"""The environment variables that set the warm runner up, and the folder that it lives in.

The client reads this at every run: it imports nothing that is not in memory already.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

OFF_VALUES = ("off", "0", "no", "false")


class SettingsError(Exception):
    """A setting or the folder is not usable; the message names what to change."""


def is_off(environment: Mapping[str, str]) -> bool:
    """Return whether WARM_RUNNER switches the warm runner off."""
    return environment.get("WARM_RUNNER", "").lower() in OFF_VALUES


def wait_seconds(environment: Mapping[str, str]) -> float:
    """How long a client waits for a parent's first answer before it runs the real program."""
    return _number(environment, "WARM_RUNNER_WAIT_SECONDS", 10.0)


def idle_seconds(environment: Mapping[str, str]) -> float:
    """How long a parent stays without any run."""
    return _number(environment, "WARM_RUNNER_IDLE_SECONDS", 3600.0)


def most_runs(environment: Mapping[str, str]) -> int:
    """How many runs a parent has under way at once; the others queue."""
    return max(1, int(_number(environment, "WARM_RUNNER_MAX_RUNS", 16)))


def collections(environment: Mapping[str, str]) -> list[str]:
    """The collections whose plugins a parent loads before the first run."""
    return _words(environment, "WARM_RUNNER_COLLECTIONS")


def inline_collections(environment: Mapping[str, str]) -> list[str]:
    """The collections whose actions run in the playbook's own process."""
    return _words(environment, "WARM_RUNNER_INLINE")


def early_end_collections(environment: Mapping[str, str]) -> list[str]:
    """The collections whose roles may end before Ansible runs."""
    return _words(environment, "WARM_RUNNER_EARLY_END")


def early_end_seconds(environment: Mapping[str, str]) -> float:
    """How long a collection may take to find that there is nothing to do."""
    return _number(environment, "WARM_RUNNER_EARLY_END_SECONDS", 10.0)


def _words(environment: Mapping[str, str], name: str) -> list[str]:
    return environment.get(name, "").replace(",", " ").split()


def _number(environment: Mapping[str, str], name: str, default: float) -> float:
    value = environment.get(name, "")
    if not value:
        return default
    try:
        return float(value)
    except ValueError as error:
        raise SettingsError(f"{name}={value!r} is no number: write one, or unset it") from error


def folder(environment: Mapping[str, str]) -> str:
    """Return the folder of sockets, locks and the log: this user's alone, made where missing."""
    base = environment.get("XDG_RUNTIME_DIR") or environment.get("TMPDIR") or "/tmp"  # noqa: S108
    path = environment.get("WARM_RUNNER_FOLDER") or f"{base}/warm-runner-{os.geteuid()}"
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        pass
    except OSError as error:
        raise SettingsError(f"cannot make {path} ({error}): set WARM_RUNNER_FOLDER") from error
    found = os.lstat(path)
    if found.st_uid != os.geteuid() or found.st_mode & 0o170077 != 0o040000:
        raise SettingsError(
            f"{path} must be a folder of user {os.geteuid()} with mode 0700: remove it, or set"
            " WARM_RUNNER_FOLDER"
        )
    return path
