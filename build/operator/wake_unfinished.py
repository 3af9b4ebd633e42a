"""Has an operator that starts look first at the Backups and Restores that are at work.

    python3 wake_unfinished.py LEASE

An operator that starts looks at everything once, ten a second, in any order: what is at work
would wait behind all that ended long ago. The controller takes what changes before what it only
finds (controller-runtime's priority queue). So, once this pod leads, what has not ended gets an
annotation; whoever is not woken in time has the turn that it would have had.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import lease
from kubernetes import client
from urllib3.exceptions import HTTPError

GROUP_VERSION = ("database.example.com", "v1")
PLURALS = ("backups", "restores")
# As has_ended in plugins/module_utils/status/job.py says, which needs Ansible's loader.
ENDED = {"Completed", "Failed"}
ANNOTATION = "database.example.com/woken"
POLL_SECONDS = 1.0
# The controller has found all there is by then: first as a rule, then on a very slow machine. A
# change that it finds with all the rest does not go before it.
PAUSES_SECONDS = (3.0, 12.0)
PAGE = 500
TIMEOUT_SECONDS = 30


def main(name: str) -> int:
    """Wait until this pod leads, and wake what is unfinished."""
    try:
        await_lease(name, lease.connect())
        for pause in PAUSES_SECONDS:
            time.sleep(pause)
            unfinished = list(list_unfinished())
            for plural, found in unfinished:
                wake(plural, found)
            print(f"woke {len(unfinished)} Backups and Restores that have not ended", flush=True)
    except Exception as error:
        print(f"what is at work was not woken, and waits for its turn: {error}", file=sys.stderr)
        return 1
    return 0


def await_lease(name: str, namespace: str) -> None:
    """Wait until this pod holds the Lease, which need not exist yet.

    The operator asks for it, too, and tells why where it cannot be read.
    """
    while True:
        with contextlib.suppress(client.ApiException, HTTPError):
            if lease.is_held(lease.read(name, namespace)):
                return
        time.sleep(POLL_SECONDS)


def list_unfinished() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what has not ended or is being deleted, each with its plural. Plans never end."""
    for namespace in watched_namespaces():
        for plural in PLURALS:
            for found in list_all(namespace, plural):
                ended = found.get("status", {}).get("phase") in ENDED
                if not ended or "deletionTimestamp" in found["metadata"]:
                    yield plural, found


def watched_namespaces() -> list[str]:
    """Return the namespaces that $WATCH_NAMESPACE names; an empty name alone means all."""
    names = [name.strip() for name in os.environ.get("WATCH_NAMESPACE", "").split(",")]
    return [name for name in names if name] or [""]


def list_all(namespace: str, plural: str) -> Iterator[dict[str, Any]]:
    """Yield the resources of a namespace, or of all where its name is empty, page by page."""
    resources = client.CustomObjectsApi()
    more = ""
    while True:
        options = {"limit": PAGE, "_continue": more, "_request_timeout": TIMEOUT_SECONDS}
        if namespace:
            page = resources.list_namespaced_custom_object(
                *GROUP_VERSION, namespace, plural, **options
            )
        else:
            page = resources.list_cluster_custom_object(*GROUP_VERSION, plural, **options)
        yield from page["items"]
        more = page["metadata"].get("continue", "")
        if not more:
            break


def wake(plural: str, found: dict[str, Any]) -> None:
    """Annotate a resource with the time."""
    namespace, name = found["metadata"]["namespace"], found["metadata"]["name"]
    annotations = {ANNOTATION: datetime.now(UTC).isoformat(timespec="seconds")}
    body = {"metadata": {"annotations": annotations}}
    try:
        client.CustomObjectsApi().patch_namespaced_custom_object(
            *GROUP_VERSION, namespace, plural, name, body, _request_timeout=TIMEOUT_SECONDS
        )
    except client.ApiException as error:
        # Gone since it was listed.
        if error.status != 404:
            raise


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
