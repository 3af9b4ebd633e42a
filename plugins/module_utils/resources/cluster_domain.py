"""The domain of the cluster's Services, which no API of Kubernetes tells."""

from __future__ import annotations

import os


def cluster_domain() -> str:
    """Return the domain that the operator was given in CLUSTER_DOMAIN, or Kubernetes' usual one."""
    return os.environ.get("CLUSTER_DOMAIN", "").strip().strip(".") or "cluster.local"
