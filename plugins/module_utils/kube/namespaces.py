"""Whether objects can be created in a namespace: not while it is being deleted."""

from __future__ import annotations

from .client import ApiError, Cluster

_TERMINATING = "NamespaceTerminating"
_PROBE = "postgres-operator-probe"


def is_terminating(cluster: Cluster, namespace: str) -> bool:
    """Return whether a namespace is being deleted, or gone: then nothing can be made in it.

    To read the Namespace would need a right in the whole cluster. What a dry run is answered says
    the same; it makes nothing.

    Raises:
        ApiError: the API server cannot be reached.
    """
    probe = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": _PROBE, "namespace": namespace},
    }
    try:
        cluster.apply(probe, dry_run=True)
    except ApiError as error:
        if error.status == 404:
            return True
        # A quota or a policy may refuse it, too: that is no end.
        if error.status == 0:
            raise
        return _TERMINATING in error.causes
    return False
