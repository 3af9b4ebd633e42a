"""Waiting for the end of a Backup or a Restore, with its progress."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console
from rich.text import Text

from .access import Cluster, Failure, Object
from .overview import condition, in_words, main_condition

_SECONDS = 1.0
# Reasons whose message says no more than the phase does.
_PLAIN = {"BackupInProgress", "BackupCompleted", "RestoreInProgress", "RestoreCompleted"}


class Interrupted(Failure):
    """Ctrl-C has ended the wait: the exit code is that of shells."""

    exit_code = 130


def follow(cluster: Cluster, kind: str, name: str, console: Console) -> Object:
    """Wait until a Backup or a Restore is Completed and return it.

    On a terminal there is one line that changes, elsewhere a line for each step.

    Raises:
        Failure: it is Failed or, with a verification, not verified.
        NotFound: it was deleted.
        Interrupted: Ctrl-C ends the wait, and not the work.
    """
    try:
        if console.is_terminal:
            with console.status(Text(f"{kind} {name}")) as line:
                return _wait(cluster, kind, name, lambda text: line.update(Text(text)))
        return _wait(cluster, kind, name, console.print)
    except KeyboardInterrupt:
        raise Interrupted(
            f"{kind} {name} goes on: see kubectl get {kind.lower()} {name} -o wide;"
            f" kubectl delete {kind.lower()} {name} ends it"
        ) from None


def _wait(cluster: Cluster, kind: str, name: str, say: Callable[[str], None]) -> Object:
    said = ""
    while True:
        found = cluster.get(kind, name)
        text = _describe(found)
        if text != said:
            say(text)
            said = text
        if condition(found, "Finished"):
            break
        time.sleep(_SECONDS)
    if found["status"]["phase"] != "Completed":
        raise Failure(f"{kind} {name} is Failed: {in_words(main_condition(found))}")
    verified = condition(found, "Verified")
    if verified and verified["status"] == "False":
        raise Failure(f"Backup {name} is not verified: {in_words(verified)}")
    return found


def _describe(resource: Object) -> str:
    """Return what a Backup or a Restore is at: its Job's step, or what it waits for."""
    status = resource.get("status", {})
    name, phase = f"{resource['kind']} {resource['metadata']['name']}", status.get("phase", "new")
    said = main_condition(resource)
    waiting = "" if said.get("reason") in _PLAIN else said.get("message", "")
    step = status.get("progress") or waiting
    return f"{name} is {phase}{f': {step}' if step else ''}"
