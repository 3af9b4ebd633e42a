"""The ansible-runner that this one stands in front of."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import NoReturn

BIN = os.path.join(os.path.dirname(os.path.realpath(__file__)), "bin")


class NoRealRunnerError(Exception):
    """There is no other ansible-runner; the message names what to do."""


def find(environment: Mapping[str, str]) -> str:
    """Return the path of the real ansible-runner: WARM_RUNNER_REAL, else the next one on PATH."""
    given = environment.get("WARM_RUNNER_REAL")
    if given:
        return given
    for folder in environment.get("PATH", os.defpath).split(os.pathsep):
        path = os.path.join(folder, "ansible-runner")
        if os.access(path, os.X_OK) and os.path.dirname(os.path.realpath(path)) != BIN:
            return path
    raise NoRealRunnerError(
        "warm-runner: no other ansible-runner on PATH: pip install ansible-runner, or set"
        " WARM_RUNNER_REAL to its path"
    )


def interpreter(script: str) -> list[str]:
    """Return the Python of a script's first line, with its options; empty where it has none."""
    try:
        with open(script, "rb") as file:
            first = file.readline(1024)
    except OSError:
        return []
    words = os.fsdecode(first).removeprefix("#!").split()
    if not first.startswith(b"#!") or "python" not in os.path.basename(words[0] if words else ""):
        return []
    return words


def become(path: str, arguments: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
    """Turn this process into the real ansible-runner."""
    os.execve(path, [path, *arguments], dict(environment))
