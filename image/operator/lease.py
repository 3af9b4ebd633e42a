"""The Lease by which the operator is elected: whether this pod holds it, and giving it up."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from kubernetes import client, config

NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
TIMEOUT_SECONDS = 3


def connect() -> str:
    """Load how the API server is reached, and return the Lease's namespace."""
    if NAMESPACE.exists():
        config.load_incluster_config()
        return NAMESPACE.read_text().strip()
    config.load_kube_config()
    return "default"


def read(name: str, namespace: str) -> client.V1Lease:
    """Read a Lease."""
    leases = client.CoordinationV1Api()
    return leases.read_namespaced_lease(name, namespace, _request_timeout=TIMEOUT_SECONDS)


def is_held(lease: client.V1Lease) -> bool:
    """Return whether this pod holds it: controller-runtime names the holder HOSTNAME_UUID."""
    return (lease.spec.holder_identity or "").startswith(f"{os.uname().nodename}_")


def release(name: str) -> None:
    """Empty the lease where this pod holds it; one that cannot be given up runs out by itself."""
    try:
        namespace = connect()
        lease = read(name, namespace)
        if is_held(lease):
            lease.spec.holder_identity = ""
            lease.spec.lease_duration_seconds = 1
            # Refused where anybody else has written it since.
            client.CoordinationV1Api().replace_namespaced_lease(
                name, namespace, lease, _request_timeout=TIMEOUT_SECONDS
            )
            print(f"released the Lease {namespace}/{name}", flush=True)
    except Exception as error:
        print(f"the Lease {name} was not released: {error}", file=sys.stderr)
