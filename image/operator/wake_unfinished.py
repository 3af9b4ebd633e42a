"""Has an operator that starts reconcile unfinished Backups and Restores first.

    python3 wake_unfinished.py LEASE

An operator that starts reconciles every resource once, ten a second, in any order: unfinished ones
would wait behind all that ended long ago. The controller takes changed resources before those of
its first list (controller-runtime's priority queue). So, once this pod leads, unfinished ones get
an annotation; without it they are reconciled in any order.
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
# As has_ended in plugins/module_utils/resources/job_state.py says, which needs Ansible's loader.
ENDED = {"Completed", "Failed"}
ANNOTATION = "database.example.com/woken"
POLL_SECONDS = 1.0
# The controller has its first list by then: usually after the first pause, on a very slow machine
# after the second. A change that is part of its first list has no priority.
PAUSES_SECONDS = (3.0, 12.0)
PAGE = 500
TIMEOUT_SECONDS = 30


def main(name: str) -> int:
    """Wait until this pod leads, and annotate what is unfinished."""
    try:
        await_lease(name, lease.connect())
        for pause in PAUSES_SECONDS:
            time.sleep(pause)
            unfinished = list(list_unfinished())
            for plural, found in unfinished:
                wake(plural, found)
            print(f"queued {len(unfinished)} unfinished Backups and Restores first", flush=True)
    except Exception as error:
        print(f"unfinished Backups and Restores were not queued first: {error}", file=sys.stderr)
        return 1
    return 0


def await_lease(name: str, namespace: str) -> None:
    """Wait until this pod holds the Lease, which need not exist yet.

    The operator asks for it, too, and reports why it cannot be read.
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
